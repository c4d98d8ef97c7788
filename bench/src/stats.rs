//! Exact percentiles, and what rounds have in common.

use std::fmt;

/// The value below which that share of `sorted` lies; 0 where there is none.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> f64 {
    match sorted {
        [] => 0.0,
        _ => sorted[((sorted.len() - 1) as f64 * share).round() as usize] as f64,
    }
}

/// The median of the rounds, and the least and the most of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of at least one round.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = rounds.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(all.len() / 2), least: at(0), most: at(all.len().saturating_sub(1)) }
    }
}

/// As many digits after the point as tell something.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        whole if whole.fract() == 0.0 => grouped(value),
        100.0.. => grouped(value),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn grouped(value: f64) -> String {
    let plain = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (index, digit) in plain.char_indices() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", digits(self.median))?;
        match self.least == self.most {
            true => Ok(()),
            false => write!(f, " ({}–{})", digits(self.least), digits(self.most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact() {
        let sorted: Vec<u64> = (0..=100).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| percentile(&sorted, share)), [50.0, 99.0, 100.0]);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn rounds_are_told_by_their_median_and_their_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 2.5]).to_string(), "2.50 (1–3)");
        assert_eq!(Spread::of([12_345.6]).to_string(), "12,346");
    }
}
