//! Times as people write them.

use jiff::Timestamp;
use wasmgate_base::time::UnixSeconds;

/// A time as in `2026-11-29T12:00:00Z`; `None` if it is none, or before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<UnixSeconds> {
    let time: Timestamp = text.parse().ok()?;
    UnixSeconds::try_from(time.as_second()).ok()
}

/// As in `2026-11-29T12:00:00Z`.
#[must_use]
pub fn format(at: UnixSeconds) -> String {
    let time = i64::try_from(at).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        assert_eq!(parse("2026-11-29T12:00:00Z"), Some(1_795_953_600));
        assert_eq!(format(1_795_953_600), "2026-11-29T12:00:00Z");
        assert_eq!(parse("2026-11-29T13:00:00+01:00"), Some(1_795_953_600));
        for wrong in ["", "2026-11-29", "2026-11-29T12:00:00", "2026-02-30T12:00:00Z", "1969-12-31T00:00:00Z", "soon"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(&format(u64::MAX)[..4], "9999");
    }
}
