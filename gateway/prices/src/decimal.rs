//! Decimal numbers as files state them: `0.15`, `1.5e-07`. They are exact, so that no price changes on its way.

use std::fmt;

/// Most significant digits.
const DIGITS: usize = 30;

/// A number of zero or more: `digits` × 10^`exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    exponent: i32,
}

/// Why a text is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// It is not a decimal number.
    NotANumber,
    /// It is below 0.
    Negative,
    /// It has more than 30 significant digits.
    TooLong,
    /// It is larger than what can be billed.
    TooLarge,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a decimal number",
            Self::Negative => "below 0",
            Self::TooLong => "more than 30 digits",
            Self::TooLarge => "too large",
        })
    }
}

impl Decimal {
    /// Reads a decimal number, with or without an exponent.
    ///
    /// # Errors
    /// If it is none, or out of range.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || whole.len() + fraction.len() == 0 {
            return Err(DecimalError::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        let significant = if fraction.is_empty() { whole.trim_end_matches('0') } else { whole };
        let dropped = whole.len() - significant.len();
        let digits = format!("{significant}{fraction}");
        let digits = digits.trim_start_matches('0');
        if digits.len() > DIGITS {
            return Err(DecimalError::TooLong);
        }
        let value: u128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| DecimalError::NotANumber)? };
        if value == 0 {
            return Ok(Self { digits: 0, exponent: 0 });
        }
        if negative {
            return Err(DecimalError::Negative);
        }
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let zeros = i32::try_from(dropped).unwrap_or(i32::MAX);
        Ok(Self { digits: value, exponent: exponent.saturating_sub(places).saturating_add(zeros) })
    }

    /// Whether it is 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digits == 0
    }

    /// The number × 10^`by`, as a whole number, and whether it is one: otherwise it is rounded, half up.
    ///
    /// # Errors
    /// If it has no room in 64 bits.
    pub fn scaled(&self, by: i32) -> Result<(u64, bool), DecimalError> {
        let shift = self.exponent.saturating_add(by);
        let power = 10u128.checked_pow(shift.unsigned_abs());
        let (whole, exact) = match power {
            _ if self.digits == 0 => (0, true),
            Some(power) if shift >= 0 => (self.digits.checked_mul(power).ok_or(DecimalError::TooLarge)?, true),
            None if shift >= 0 => return Err(DecimalError::TooLarge),
            Some(power) => {
                let (quotient, rest) = (self.digits / power, self.digits % power);
                (quotient + u128::from(rest >= power.div_ceil(2)), rest == 0)
            }
            None => (0, false),
        };
        Ok((u64::try_from(whole).map_err(|_| DecimalError::TooLarge)?, exact))
    }
}

/// The exponent, up to which nothing that is a price is out of range.
fn parse_exponent(text: &str) -> Result<i32, DecimalError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::NotANumber);
    }
    let size = unsigned.parse().unwrap_or(1_000_000).min(1_000_000);
    Ok(if text.starts_with('-') { -size } else { size })
}

/// Nano-dollars as exact decimal dollars: `0.15`.
#[must_use]
pub fn usd(nano: u64) -> String {
    let (whole, rest) = (nano / 1_000_000_000, nano % 1_000_000_000);
    match rest {
        0 => whole.to_string(),
        rest => format!("{whole}.{}", format!("{rest:09}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scaled(text: &str, by: i32) -> Result<(u64, bool), DecimalError> {
        Decimal::parse(text)?.scaled(by)
    }

    #[test]
    fn numbers_are_read_as_files_write_them() {
        for (text, nano) in [
            ("3", 3_000_000_000),
            ("0.15", 150_000_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("+1", 1_000_000_000),
            ("15e-1", 1_500_000_000),
            ("1.5E+0", 1_500_000_000),
            ("100", 100_000_000_000),
            ("-0.0", 0),
            ("0e999999999999", 0),
            ("0.000000001", 1),
            ("1000000", 1_000_000_000_000_000),
        ] {
            assert_eq!(scaled(text, 9), Ok((nano, true)), "{text}");
        }
        // A price per token becomes one per million.
        assert_eq!(scaled("1.5e-07", 15), Ok((150_000_000, true)));
        assert_eq!(scaled("7.5e-08", 15), Ok((75_000_000, true)));
        assert_eq!(scaled("0.000000075", 15), Ok((75_000_000, true)));
    }

    #[test]
    fn what_is_finer_than_a_nano_dollar_is_rounded_and_said() {
        assert_eq!(scaled("0.0000000015", 9), Ok((2, false)));
        assert_eq!(scaled("0.0000000014", 9), Ok((1, false)));
        assert_eq!(scaled("1e-400", 9), Ok((0, false)));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        use DecimalError::{Negative, NotANumber, TooLarge, TooLong};
        for text in ["", ".", "-", "e5", "1e", "1e+", "1e1.5", "1,5", "$3", "nan", "inf", "1 2", "0x10", "1.2.3", "--1"]
        {
            assert_eq!(Decimal::parse(text), Err(NotANumber), "{text}");
        }
        assert_eq!(Decimal::parse("-0.1"), Err(Negative));
        assert_eq!(Decimal::parse(&"1".repeat(31)), Err(TooLong));
        assert_eq!(scaled("1e300", 9), Err(TooLarge));
        assert_eq!(scaled("20000000000", 9), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(nano in any::<u64>()) {
            prop_assert_eq!(scaled(&usd(nano), 9), Ok((nano, true)));
        }

        #[test]
        fn all_ways_to_write_a_number_mean_the_same(digits in 0..=u64::MAX / 1000, places in 0usize..12, shift in -12i32..12) {
            let plain = format!("{digits:0>width$}", width = places + 1);
            let (whole, fraction) = plain.split_at(plain.len() - places);
            let mantissa = format!("{whole}.{fraction}");
            let places = i32::try_from(places).unwrap_or(0);
            // DIGITS × 10^-places × 10^shift, scaled so that it is whole again.
            let by = places - shift;
            prop_assert_eq!(scaled(&format!("{mantissa}e{shift}"), by), Ok((digits, true)));
            prop_assert_eq!(scaled(&format!("{digits}e{}", shift - places), by), Ok((digits, true)));
            prop_assert_eq!(scaled(&format!("000{mantissa}000e{shift}"), by), Ok((digits, true)));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE ]{0,40}") {
            if let Ok(decimal) = Decimal::parse(&text) {
                let _ = decimal.scaled(15);
            }
        }
    }
}
