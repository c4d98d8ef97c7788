//! The windows of limits: from when to when what is used counts together. Minutes and hours are those of UTC. Days, weeks (from
//! Monday) and calendar months are those of the operator's time zone, so that some have an hour more or less.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use wasmgate_base::time::UnixSeconds;

/// How long what is used counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A calendar month.
    Month,
    /// For ever.
    Total,
}

impl Period {
    /// All.
    pub const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The word in settings, messages and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The window around a time.
    #[must_use]
    pub fn window(self, zone: &TimeZone, at: UnixSeconds) -> Window {
        let even = |seconds: u64| Window { start: at - at % seconds, end: at - at % seconds + seconds };
        match self {
            Self::Minute => even(60),
            Self::Hour => even(3600),
            Self::Total => Window { start: 0, end: UnixSeconds::MAX },
            // Beyond the calendar, which no clock shows, a window is as long as it is elsewhere at most.
            Self::Day => calendar(zone, at, |day| Some((day, day.tomorrow().ok()?))).unwrap_or_else(|| even(86_400)),
            Self::Week => calendar(zone, at, |day| {
                let monday = day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok()?;
                Some((monday, monday.checked_add(7.days()).ok()?))
            })
            .unwrap_or_else(|| even(7 * 86_400)),
            Self::Month => calendar(zone, at, |day| Some((day.first_of_month(), day.last_of_month().tomorrow().ok()?)))
                .unwrap_or_else(|| even(31 * 86_400)),
        }
    }
}

/// From when to when what is used counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first second.
    pub start: UnixSeconds,
    /// The first second after it; the largest number if it never ends.
    pub end: UnixSeconds,
}

impl Window {
    /// Whether a time is in it.
    #[must_use]
    pub fn contains(&self, at: UnixSeconds) -> bool {
        (self.start..self.end).contains(&at)
    }
}

/// The window between the beginnings of two days, which `days` gives for the day of a time.
fn calendar(zone: &TimeZone, at: UnixSeconds, days: impl Fn(Date) -> Option<(Date, Date)>) -> Option<Window> {
    let now = Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
    let (first, next) = days(now.to_zoned_datetime(zone.clone()).date())?;
    let begins = |day: Date| {
        let begins = day.to_zoned_datetime(zone.clone()).ok()?.start_of_day().ok()?;
        UnixSeconds::try_from(begins.timestamp().as_second()).ok()
    };
    Some(Window { start: begins(first)?, end: begins(next)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{format, parse};

    const ZONES: [&str; 4] = ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone")
    }

    #[test]
    fn windows_are_those_of_the_calendar_in_the_zone() {
        for (name, period, at, start, end) in [
            // The clocks go forward: the day has 23 hours, and the week and the month an hour less.
            ("America/New_York", Period::Day, "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("America/New_York", Period::Week, "2026-03-05T00:00:00Z", "2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("America/New_York", Period::Month, "2026-03-31T23:59:59Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"),
            // Back: 25 hours.
            ("America/New_York", Period::Day, "2026-11-01T23:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            // The last hours of a month elsewhere are the next month here.
            ("Asia/Kolkata", Period::Month, "2026-01-31T18:29:59Z", "2025-12-31T18:30:00Z", "2026-01-31T18:30:00Z"),
            ("Asia/Kolkata", Period::Month, "2026-01-31T18:30:00Z", "2026-01-31T18:30:00Z", "2026-02-28T18:30:00Z"),
            ("Asia/Kolkata", Period::Month, "2028-02-29T12:00:00Z", "2028-01-31T18:30:00Z", "2028-02-29T18:30:00Z"),
            // Half an hour of daylight saving.
            (
                "Australia/Lord_Howe",
                Period::Day,
                "2026-10-03T20:00:00Z",
                "2026-10-03T13:30:00Z",
                "2026-10-04T13:00:00Z",
            ),
            (
                "Australia/Lord_Howe",
                Period::Month,
                "2026-04-10T00:00:00Z",
                "2026-03-31T13:00:00Z",
                "2026-04-30T13:30:00Z",
            ),
            // A day that begins at one o'clock, because midnight is left out.
            ("America/Sao_Paulo", Period::Day, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
            ("UTC", Period::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("Asia/Kolkata", Period::Hour, "2026-01-01T00:10:00Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
            ("UTC", Period::Minute, "2026-01-01T00:00:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
        ] {
            let window = period.window(&zone(name), parse(at).expect("a time"));
            assert_eq!((&*format(window.start), &*format(window.end)), (start, end), "{name} {period:?} {at}");
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_has_a_window_too() {
        for period in Period::ALL {
            let window = period.window(&zone("UTC"), u64::MAX / 2);
            assert!(window.start <= u64::MAX / 2 && u64::MAX / 2 < window.end, "{period:?}");
        }
    }

    proptest! {
        /// Windows follow one another without a gap, and each time is in the one that is given for it.
        #[test]
        fn windows_follow_one_another(at in 0_u64..4_000_000_000, period in 0..5_usize, name in 0..ZONES.len()) {
            let (period, zone) = (Period::ALL[period], zone(ZONES[name]));
            let window = period.window(&zone, at);
            prop_assert!(window.start <= at && at < window.end);
            prop_assert_eq!(period.window(&zone, window.start), window);
            prop_assert_eq!(period.window(&zone, window.end - 1), window);
            prop_assert_eq!(period.window(&zone, window.end).start, window.end);
        }
    }
}
