//! Formats sizes, times and counts for people.

use std::time::Duration;

/// Formats a size: 812 B, 99.1 KiB, 11.7 MiB.
pub(super) fn bytes(bytes: usize) -> String {
    let float = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", float / 1024.0),
        _ => format!("{:.1} MiB", float / 1_048_576.0),
    }
}

/// Formats a time: 3.4 µs, 1.25 ms, 9.1 s.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_nanos() {
        0..1_000_000 => format!("{:.1} µs", seconds * 1e6),
        1_000_000..1_000_000_000 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// Formats a count in groups of three digits: 1,234,567.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let grouped: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    grouped.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!([812, 101_478, 12_268_339].map(bytes), ["812 B", "99.1 KiB", "11.7 MiB"]);
        let times = [3_400, 1_250_000, 9_100_000_000].map(|nanos| time(Duration::from_nanos(nanos)));
        assert_eq!(times, ["3.4 µs", "1.25 ms", "9.1 s"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
