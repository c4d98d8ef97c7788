//! Timestamps of lines: RFC 3339 in UTC with microseconds, as in `2026-11-28T20:25:28.123456Z`.

use std::cell::Cell;
use std::time::Duration;

/// `2026-11-28T20:25:28.`
type Prefix = [u8; 20];

/// Writes a timestamp, given as the time since 1970. What is before the fraction is kept for a thread's next lines in
/// the same second.
pub(super) fn write(since_1970: Duration, bytes: &mut Vec<u8>) {
    thread_local! {
        static LAST: Cell<(u64, Prefix)> = const { Cell::new((0, *b"1970-01-01T00:00:00.")) };
    }
    let seconds = since_1970.as_secs();
    let (second, mut prefix) = LAST.get();
    if second != seconds {
        prefix = prefix_of(seconds);
        LAST.set((seconds, prefix));
    }
    bytes.extend_from_slice(&prefix);
    bytes.extend_from_slice(&digits::<6>(since_1970.subsec_micros()));
    bytes.push(b'Z');
}

fn prefix_of(seconds: u64) -> Prefix {
    let (days, second) = (seconds / 86_400, (seconds % 86_400) as u32);
    let (year, month, day) = date_of(days);
    let mut prefix = *b"0000-00-00T00:00:00.";
    prefix[..4].copy_from_slice(&digits::<4>(year));
    let parts = [month, day, second / 3600, second / 60 % 60, second % 60];
    for (at, part) in [5, 8, 11, 14, 17].into_iter().zip(parts) {
        prefix[at..at + 2].copy_from_slice(&digits::<2>(part));
    }
    prefix
}

/// Year, month and day of a day since 1970-01-01, up to the year 9999.
fn date_of(days: u64) -> (u32, u32, u32) {
    // Years begin in March here, so that the day that a leap year adds is its last. They are counted from the year 0
    // in cycles of 400 years, which have 146,097 days.
    let days = days.min(2_932_896) + 719_468;
    let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// The last digits of a number, zeros before it.
pub(super) fn digits<const COUNT: usize>(mut number: u32) -> [u8; COUNT] {
    let mut digits = [b'0'; COUNT];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn written(since_1970: Duration) -> String {
        let mut bytes = Vec::new();
        write(since_1970, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn known_moments_are_written_as_people_know_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000007Z"),
            (951_782_399, "2000-02-28T23:59:59.000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000007Z"),
        ] {
            assert_eq!(written(Duration::from_micros(seconds * 1_000_000 + 7)), text);
        }
    }

    proptest! {
        #[test]
        fn any_moment_is_written_as_another_library_does(micros in 0_u64..253_402_300_799_000_000) {
            let since_1970 = Duration::from_micros(micros);
            let date: SystemTime = UNIX_EPOCH + since_1970;
            // `Sun, 06 Nov 1994 08:49:37 GMT`
            let http = httpdate::fmt_http_date(date);
            let text = written(since_1970);
            let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
                [text[5..7].parse::<usize>().unwrap() - 1];
            prop_assert_eq!(
                &http[5..25],
                format!("{} {month} {} {}", &text[8..10], &text[..4], &text[11..19])
            );
            prop_assert_eq!(&text[19..], format!(".{:06}Z", micros % 1_000_000));
        }
    }
}
