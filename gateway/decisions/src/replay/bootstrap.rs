//! The bootstrap: how far a mean may be off, learned by drawing from the same samples many times. The draws are seeded, so that
//! the same log gives the same intervals.

/// Draws of an interval.
pub(super) const REPLICATES: usize = 1000;
/// The most values drawn for one sum. The spread of larger sums is scaled from it.
const MOST_DRAWS: usize = 1024;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What to expect.
    pub expected: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Figure {
    /// A figure whose interval is that of replicates of it, of which there is at least one.
    #[must_use]
    pub(super) fn of(expected: f64, mut replicates: Vec<f64>) -> Self {
        replicates.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let last = replicates.len().saturating_sub(1);
            replicates.get((share * last as f64).round() as usize).copied().unwrap_or(expected)
        };
        Self { expected, low: at(0.025), high: at(0.975) }
    }
}

/// The mean of samples.
pub(super) fn mean(samples: &[f64]) -> f64 {
    if samples.is_empty() { 0.0 } else { samples.iter().sum::<f64>() / samples.len() as f64 }
}

/// The mean of samples with its interval; `None` if there are no samples.
#[must_use]
pub fn mean_figure(samples: &[f64], seed: u64) -> Option<Figure> {
    if samples.is_empty() {
        return None;
    }
    let (mean, mut random) = (mean(samples), Random::new(seed));
    let replicate = |_| mean + deviation(samples, mean, samples.len(), &mut random) / samples.len() as f64;
    Some(Figure::of(mean, (0..REPLICATES).map(replicate).collect()))
}

/// The sum of `count` draws from samples, less what to expect of it.
pub(super) fn deviation(samples: &[f64], mean: f64, count: usize, random: &mut Random) -> f64 {
    let draws = count.min(MOST_DRAWS);
    if draws == 0 || samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = (0..draws).map(|_| samples[random.below(samples.len())] - mean).sum();
    // A sum of independent draws spreads with the root of their number.
    sum * (count as f64 / draws as f64).sqrt()
}

/// A generator of random numbers (SplitMix64): small, and good enough to draw samples.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // The high half of the product: below `end`, and even enough for any number of samples.
        usize::try_from((u128::from(self.next()) * end as u128) >> 64).unwrap_or(0)
    }

    /// A number above 0 to 1.
    #[cfg(test)]
    pub(super) fn share(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of answers are skewed like these.
    fn exponential(count: usize, mean: f64, random: &mut Random) -> Vec<f64> {
        (0..count).map(|_| -mean * random.share().ln()).collect()
    }

    #[test]
    fn the_interval_of_a_mean_contains_the_true_mean_in_most_trials() {
        for count in [60, 3000] {
            let contains = |seed: &u64| {
                let samples = exponential(count, 200.0, &mut Random::new(*seed));
                let figure = mean_figure(&samples, *seed).unwrap();
                assert!(figure.low < figure.expected && figure.expected < figure.high);
                (figure.low..figure.high).contains(&200.0)
            };
            let contained = (0..200).filter(contains).count();
            assert!((176..200).contains(&contained), "{contained} of 200 with {count} samples");
        }
    }

    #[test]
    fn intervals_repeat_and_equal_samples_have_none() {
        let samples = exponential(50, 10.0, &mut Random::new(1));
        assert_eq!(mean_figure(&samples, 7), mean_figure(&samples, 7));
        assert_eq!(mean_figure(&[3.0; 40], 7), Some(Figure { expected: 3.0, low: 3.0, high: 3.0 }));
        assert_eq!(mean_figure(&[], 7), None);
    }
}
