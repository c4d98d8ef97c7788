//! A count of tokens, or an index.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The largest count that is believed: no answer has 2^40 tokens, and a server that counts below zero may show a number
/// close to 2^64.
const MOST: f64 = (1_u64 << 40) as f64;

/// A number of at least 0, also as a float or as text. `None` for anything else: odd usage never costs an answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

impl Count {
    fn read(text: &str) -> Self {
        let text = text.trim_matches('"').trim();
        let number = text.parse::<u64>().map(|number| number as f64).or_else(|_| text.parse::<f64>());
        // `as` truncates within the range.
        Self(number.ok().filter(|number| (0.0..=MOST).contains(number)).map(|number| number as u64))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not as a number: serde refuses those that no float can hold.
        <&RawValue>::deserialize(deserializer).map(|raw| Self::read(raw.get()))
    }
}
