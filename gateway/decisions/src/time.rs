//! Moments: milliseconds since 1970, in lines as RFC 3339 in UTC, as in `2026-11-28T20:25:28.123Z`, which databases read as
//! timestamps.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// When a request arrived, as its id says: ids are UUIDs of version 7, which begin with the time. 1970 if it is no such id.
    #[must_use]
    pub fn of_id(id: &str) -> Self {
        arrival(id).unwrap_or_default()
    }

    /// This moment less `by`.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago it was at `now`; 0 if it is later.
    #[must_use]
    pub fn age(self, now: Self) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }

    /// Reads RFC 3339, as in `2026-11-28T20:25:28Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_millisecond()).ok().map(Self)
    }

    fn timestamp(self) -> jiff::Timestamp {
        i64::try_from(self.0)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .unwrap_or(jiff::Timestamp::MAX)
    }

    /// For names of files: without colons, as in `20261128T202528.123Z`.
    pub(crate) fn in_name(self) -> String {
        self.to_string().replace(['-', ':'], "")
    }

    /// Reads what `in_name` writes.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let part = |range| name.get(range);
        let text =
            format!("{}-{}-{}:{}:{}", part(0..4)?, part(4..6)?, part(6..11)?, part(11..13)?, part(13..name.len())?);
        Self::parse(&text)
    }
}

/// When a request arrived; `None` if this is no id of a request.
pub(crate) fn arrival(id: &str) -> Option<Moment> {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    let fits = id.len() == 32 && id.bytes().all(is_hex) && id.as_bytes()[12] == b'7';
    fits.then(|| u64::from_str_radix(&id[..12], 16).ok()).flatten().map(Moment)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("this is no RFC 3339 timestamp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        let moment = Moment(1_795_900_000_120);
        assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
        assert_eq!(Moment::of_name(&moment.in_name()), Some(moment));
        assert_eq!(Moment(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Moment(1).in_name(), "19700101T000000.001Z");
        for wrong in ["", "2026", "é0260101T000000.000Z", "20260101T000000", "yesterday"] {
            assert_eq!((Moment::parse(wrong), Moment::of_name(wrong)), (None, None), "{wrong}");
        }
    }
}
