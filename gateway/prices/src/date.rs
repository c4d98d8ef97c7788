//! Days of UTC, as catalogues date themselves and their changes.

use std::fmt;

use jiff::civil;
use wasmgate_base::time::UnixSeconds;

const DAY: u64 = 24 * 60 * 60;

/// A day of UTC since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u64);

impl Date {
    /// Reads a date as in `2026-11-29`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // No time of day, and no other way to write a date.
        if text.len() != 10 {
            return None;
        }
        let date: civil::Date = text.parse().ok()?;
        let days = date.duration_since(civil::date(1970, 1, 1)).as_hours() / 24;
        u64::try_from(days).ok().map(Self)
    }

    /// The day in which a time lies.
    #[must_use]
    pub fn of(at: UnixSeconds) -> Self {
        Self(at / DAY)
    }

    /// Its first second.
    #[must_use]
    pub fn begins(self) -> UnixSeconds {
        self.0 * DAY
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = jiff::SignedDuration::from_hours(i64::try_from(self.0).unwrap_or(0).saturating_mul(24));
        let date = civil::date(1970, 1, 1).checked_add(days).unwrap_or(civil::Date::MAX);
        write!(f, "{date}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_of_utc() {
        for (text, days) in [("1970-01-01", 0), ("2026-12-01", 20_788), ("2024-02-29", 19_782)] {
            let date = Date::parse(text).expect("a date");
            assert_eq!((date.0, &*date.to_string()), (days, text));
            assert_eq!(Date::of(date.begins() + DAY - 1), date);
        }
        for wrong in ["", "2026-13-01", "2026-02-30", "1969-12-31", "2026-12-01T00:00", "20261201", "01.12.2026"] {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
    }
}
