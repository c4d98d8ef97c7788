//! Exploration: for a share of the requests the gateway calls another model of the policy's ranking first, so that the decision
//! log has evidence about choices that the policy does not make.

/// The largest share, in percent: above it, the policy would decide fewer requests than the draw.
pub const MOST_PERCENT: f64 = 50.0;
/// The smallest share, in percent, except for 0. A smaller one gives no evidence in a lifetime.
pub const LEAST_PERCENT: f64 = 0.01;

/// How often a group's requests are explored. The gateway draws among the models of the ranking that can serve, each as likely as
/// the others, the first included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explore {
    /// The share of requests for which it draws, in millionths: an integer, so that groups can be compared.
    millionths: u32,
}

impl Explore {
    /// A share in percent, from 0 (never) to `MOST_PERCENT`. A number out of range becomes the nearest in it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, and rounded")]
    pub fn percent(percent: f64) -> Self {
        let percent = if percent.is_nan() { 0.0 } else { percent.clamp(0.0, MOST_PERCENT) };
        Self { millionths: (percent * 1e4).round() as u32 }
    }

    /// The share, from 0 to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }

    /// Whether any request is explored.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.millionths > 0
    }

    /// Which of `count` models is called first, by a random number from 0 to below 1. 0 is the policy's choice: its probability is
    /// `1 - share + share / count`, that of each other one `share / count`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the count")]
    #[expect(clippy::cast_precision_loss, reason = "a gateway has few models")]
    pub fn draw(self, count: usize, random: f64) -> usize {
        let share = self.share();
        if random >= share {
            return 0;
        }
        // Below the share the number is uniform again.
        ((random / share * count as f64) as usize).min(count.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_the_probabilities_that_it_says() {
        let draws = 100_000_u32;
        for (percent, count) in [(0.0, 3), (5.0, 2), (20.0, 4), (50.0, 3), (50.0, 1)] {
            let explore = Explore::percent(percent);
            let mut drawn = vec![0_u32; count];
            for at in 0..draws {
                drawn[explore.draw(count, f64::from(at) / f64::from(draws))] += 1;
            }
            #[expect(clippy::cast_precision_loss, reason = "a few")]
            let other = explore.share() / count as f64;
            for (at, found) in drawn.iter().enumerate() {
                let expected = if at == 0 { 1.0 - explore.share() + other } else { other };
                assert!(
                    (f64::from(*found) / f64::from(draws) - expected).abs() < 1e-4,
                    "{percent} % of {count}: {drawn:?}"
                );
            }
        }
    }

    #[test]
    fn a_share_is_bounded() {
        let shares = [-1.0, f64::NAN, 0.01, 12.5, 50.0, 99.0].map(|percent| Explore::percent(percent).share());
        assert_eq!(shares, [0.0, 0.0, 0.0001, 0.125, 0.5, 0.5]);
        assert!(!Explore::percent(0.0).is_on() && Explore::percent(LEAST_PERCENT).is_on());
    }
}
