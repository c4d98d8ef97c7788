//! Ranges of the numbers in settings, and the words in which errors name them.

use std::fmt;

/// The numbers that a setting may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A multiple of the third from the first to the second.
    Steps(u64, u64, u64),
    /// 0, which means what the text says, or a whole number from the first to the second.
    ZeroOrWhole(&'static str, u64, u64),
    /// A number from the first to the second.
    Number(f64, f64),
    /// 0, which means what the text says, or a number from the first to the second.
    ZeroOr(&'static str, f64, f64),
    /// A number above 0, at most this.
    Above0(f64),
}

impl Range {
    /// Whether only whole numbers are in range.
    #[must_use]
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Whole(..) | Self::Steps(..) | Self::ZeroOrWhole(..))
    }

    /// Whether a number that is not written as a whole one is in range.
    #[must_use]
    pub fn has(self, value: f64) -> bool {
        match self {
            Self::Number(low, high) => (low..=high).contains(&value),
            Self::ZeroOr(_, low, high) => value == 0.0 || (low..=high).contains(&value),
            Self::Above0(high) => value > 0.0 && value <= high,
            Self::Whole(..) | Self::Steps(..) | Self::ZeroOrWhole(..) => false,
        }
    }

    /// Whether a whole number is in range.
    #[must_use]
    pub fn has_whole(self, value: i128) -> bool {
        let between = |low: u64, high: u64| (i128::from(low)..=i128::from(high)).contains(&value);
        match self {
            Self::Whole(low, high) => between(low, high),
            Self::Steps(low, high, step) => between(low, high) && value % i128::from(step) == 0,
            Self::ZeroOrWhole(_, low, high) => value == 0 || between(low, high),
            #[expect(clippy::cast_precision_loss, reason = "a number that large is out of every range")]
            Self::Number(..) | Self::ZeroOr(..) | Self::Above0(_) => self.has(value as f64),
        }
    }
}

/// As in "1 to 100", "0 (never), or 0.001 to 86400", "a number above 0, at most 1".
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ANY: u64 = u32::MAX as u64;
        match *self {
            Self::Whole(low, ANY) => write!(f, "at least {low}"),
            Self::Whole(low, high) => write!(f, "{low} to {high}"),
            Self::Steps(low, high, step) => write!(f, "{low} to {high} in steps of {step}"),
            Self::ZeroOrWhole(meaning, low, high) => write!(f, "0 ({meaning}), or {low} to {high}"),
            Self::Number(low, high) => write!(f, "{low} to {high}"),
            Self::ZeroOr(meaning, low, high) => write!(f, "0 ({meaning}), or {low} to {high}"),
            Self::Above0(high) if high < f64::MAX => write!(f, "a number above 0, at most {high}"),
            Self::Above0(_) => f.write_str("a number above 0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_what_its_words_say() {
        let cases: [(Range, &str, &[f64], &[f64]); 6] = [
            (Range::Whole(1, 100), "1 to 100", &[1.0, 100.0], &[0.0, -1.0, 101.0]),
            (Range::Whole(1, u32::MAX.into()), "at least 1", &[1.0], &[0.0]),
            (Range::Steps(5, 600, 5), "5 to 600 in steps of 5", &[5.0, 600.0], &[0.0, 7.0, 605.0]),
            (Range::ZeroOrWhole("none", 5, 9), "0 (none), or 5 to 9", &[0.0, 5.0, 9.0], &[1.0, 10.0]),
            (Range::ZeroOr("never", 0.5, 9.0), "0 (never), or 0.5 to 9", &[0.0, 0.5, 9.0], &[0.4, -1.0, 10.0]),
            (Range::Above0(1.0), "a number above 0, at most 1", &[0.1, 1.0], &[0.0, -0.1, 1.1, f64::NAN]),
        ];
        for (range, words, inside, outside) in cases {
            assert_eq!(range.to_string(), words);
            #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
            let has = |value: f64| if range.is_whole() { range.has_whole(value as i128) } else { range.has(value) };
            assert!(inside.iter().all(|value| has(*value)), "{words}");
            assert!(!outside.iter().any(|value| has(*value)), "{words}");
        }
        assert!(Range::Above0(f64::INFINITY).has(f64::INFINITY) && !Range::Above0(f64::MAX).has(f64::INFINITY));
        assert!(Range::Number(0.0, 100.0).has_whole(100) && !Range::Number(0.0, 100.0).has_whole(-1));
    }
}
