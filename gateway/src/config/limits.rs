//! `[groups.NAME.limits]` and `[budgets]`: so many requests, tokens or dollars in a period, and what a request reserves.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use wasmgate_accounts::{Limit, Measure, Period, TimeZone, WhenSpent};
use wasmgate_base::money::{self, NanoDollars};
use wasmgate_base::range::Range;

const COUNT: Range = Range::Whole(1, 1_000_000_000_000);
const USD: Range = Range::Number(0.0, 1_000_000.0);

/// The limits that a group may have.
const LIMITS: [(&str, Measure, Period); 19] = [
    ("requests_per_minute", Measure::Requests, Period::Minute),
    ("requests_per_hour", Measure::Requests, Period::Hour),
    ("requests_per_day", Measure::Requests, Period::Day),
    ("requests_per_week", Measure::Requests, Period::Week),
    ("requests_per_month", Measure::Requests, Period::Month),
    ("requests_total", Measure::Requests, Period::Total),
    ("tokens_per_minute", Measure::Tokens, Period::Minute),
    ("tokens_per_hour", Measure::Tokens, Period::Hour),
    ("tokens_per_day", Measure::Tokens, Period::Day),
    ("tokens_per_week", Measure::Tokens, Period::Week),
    ("tokens_per_month", Measure::Tokens, Period::Month),
    ("tokens_total", Measure::Tokens, Period::Total),
    ("usd_per_minute", Measure::Money, Period::Minute),
    ("usd_per_hour", Measure::Money, Period::Hour),
    ("usd_per_day", Measure::Money, Period::Day),
    ("usd_per_week", Measure::Money, Period::Week),
    ("usd_per_month", Measure::Money, Period::Month),
    ("usd_total", Measure::Money, Period::Total),
    ("concurrent", Measure::Concurrent, Period::Total),
];

const KEYS: [&str; LIMITS.len()] = {
    let mut keys = [""; LIMITS.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = LIMITS[at].0;
        at += 1;
    }
    keys
};

/// The numbers of each limit.
pub(super) const RANGES: &[(&str, Range)] = &{
    let mut ranges = [("", COUNT); LIMITS.len()];
    let mut at = 0;
    while at < ranges.len() {
        ranges[at].0 = LIMITS[at].0;
        if matches!(LIMITS[at].1, Measure::Money) {
            ranges[at].1 = USD;
        }
        at += 1;
    }
    ranges
};

/// The table as written: places in `LIMITS`, and numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct LimitsFile(Vec<(usize, f64)>);

impl LimitsFile {
    /// Whether it has none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limits, with the zone of their days and what follows when a budget is spent.
    pub(super) fn mean(&self, zone: &TimeZone, when_spent: WhenSpent) -> Vec<Limit> {
        let limits = self.0.iter().map(|&(at, number)| {
            let (_, measure, period) = LIMITS[at];
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in its range")]
            let most = match measure {
                Measure::Money => money::from_usd(number).unwrap_or_default().0,
                Measure::Requests | Measure::Tokens | Measure::Concurrent => number as u64,
            };
            Limit { measure, most, period, zone: zone.clone(), when_spent }
        });
        limits.collect()
    }
}

/// A key: its place in `LIMITS`.
struct Key(usize);

/// Refused here, an unknown key has its own place in the file.
impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let key = String::deserialize(from)?;
        let known = KEYS.iter().position(|known| *known == key);
        known.map(Self).ok_or_else(|| D::Error::unknown_field(&key, &KEYS))
    }
}

impl<'de> Deserialize<'de> for LimitsFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = LimitsFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of limits")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitsFile, A::Error> {
                let mut limits = Vec::new();
                while let Some(Key(at)) = map.next_key()? {
                    limits.push((at, map.next_value()?));
                }
                Ok(LimitsFile(limits))
            }
        }
        from.deserialize_map(Table)
    }
}

impl Serialize for LimitsFile {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for &(at, number) in &self.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in its range")]
            match LIMITS[at].1 {
                Measure::Money => map.serialize_entry(KEYS[at], &number)?,
                _ => map.serialize_entry(KEYS[at], &(number as u64))?,
            }
        }
        map.end()
    }
}

/// What a request of a group with a budget reserves until its cost is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reserve {
    /// Times the expected cost, 1 to 100.
    pub factor: f64,
    /// Never more than this.
    pub most: NanoDollars,
}

impl Default for Reserve {
    fn default() -> Self {
        BudgetsFile::default().mean()
    }
}

/// `[budgets]` as written.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BudgetsFile {
    reserve_factor: f64,
    reserve_max_usd: f64,
}

impl Default for BudgetsFile {
    fn default() -> Self {
        Self { reserve_factor: 1.5, reserve_max_usd: 10.0 }
    }
}

/// The numbers of `[budgets]`.
pub(super) const BUDGETS: &[(&str, Range)] =
    &[("reserve_factor", Range::Number(1.0, 100.0)), ("reserve_max_usd", Range::Number(0.0, 1_000_000.0))];

impl BudgetsFile {
    pub(super) fn mean(&self) -> Reserve {
        Reserve { factor: self.reserve_factor, most: money::from_usd(self.reserve_max_usd).unwrap_or_default() }
    }
}
