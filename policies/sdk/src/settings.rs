//! Settings: the name, meaning, allowed values, default and reader of each in one place.
//!
//! A policy defines each setting as a constant, puts its `entry()` into the manifest and calls its `read()` in
//! `configure`. The default is written once. An invalid value is refused with a sentence that names the setting, what
//! it should be and what it is.

use crate::{Meaning, Setting, Value};
use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// The operator's settings.
pub struct Settings {
    /// The values of a test; `None` asks the host.
    given: Option<Vec<(String, Value)>>,
}

impl Settings {
    /// The operator's settings. In native builds there is no operator, and every setting has its default.
    pub fn host() -> Self {
        Self { given: if cfg!(target_family = "wasm") { None } else { Some(Vec::new()) } }
    }

    /// These values and no others: for tests.
    pub fn of<const N: usize>(values: [(&str, Value); N]) -> Self {
        Self { given: Some(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()) }
    }

    /// The value of a setting; `None` if the operator gave none.
    pub fn get(&self, name: &str) -> Option<Value> {
        match &self.given {
            Some(values) => values.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone()),
            None => crate::bindings::routing::wasmgate::policy::settings::get(name),
        }
    }
}

/// A setting that is true or false.
pub struct Boolean {
    /// Its name: letters, digits, `-` and `_`, at most 64.
    pub name: &'static str,
    /// One sentence for operators: what it does, its unit and range.
    pub summary: &'static str,
    /// The value if the operator gives none.
    pub default: bool,
}

impl Boolean {
    /// Its entry in the manifest.
    pub fn entry(&self) -> Setting {
        entry(self.name, self.summary, Value::Boolean(self.default), Meaning::Plain)
    }

    /// The operator's value or the default.
    pub fn read(&self, settings: &Settings) -> Result<bool, String> {
        match settings.get(self.name) {
            None => Ok(self.default),
            Some(Value::Boolean(value)) => Ok(value),
            Some(other) => Err(refusal(self.name, "true or false", &other)),
        }
    }
}

/// A setting that is a whole number within a range.
pub struct Integer {
    /// Its name: letters, digits, `-` and `_`, at most 64.
    pub name: &'static str,
    /// One sentence for operators: what it does, its unit and range.
    pub summary: &'static str,
    /// The smallest and the largest value allowed.
    pub range: RangeInclusive<u32>,
    /// The value if the operator gives none; within the range.
    pub default: u32,
}

impl Integer {
    /// Its entry in the manifest.
    pub fn entry(&self) -> Setting {
        let (from, to) = (f64::from(*self.range.start()), f64::from(*self.range.end()));
        entry(self.name, self.summary, Value::Integer(self.default.into()), Meaning::Range((from, to)))
    }

    /// The operator's value or the default.
    pub fn read(&self, settings: &Settings) -> Result<u32, String> {
        let Some(given) = settings.get(self.name) else { return Ok(self.default) };
        let value = if let Value::Integer(value) = given { u32::try_from(value).ok() } else { None };
        value.filter(|value| self.range.contains(value)).ok_or_else(|| {
            refusal(self.name, &format!("a whole number from {} to {}", self.range.start(), self.range.end()), &given)
        })
    }
}

/// A setting that is any number within a range.
pub struct Number {
    /// Its name: letters, digits, `-` and `_`, at most 64.
    pub name: &'static str,
    /// One sentence for operators: what it does, its unit and range.
    pub summary: &'static str,
    /// The smallest and the largest value allowed.
    pub range: RangeInclusive<f64>,
    /// The value if the operator gives none; within the range.
    pub default: f64,
}

impl Number {
    /// Its entry in the manifest.
    pub fn entry(&self) -> Setting {
        let range = (*self.range.start(), *self.range.end());
        entry(self.name, self.summary, Value::Number(self.default), Meaning::Range(range))
    }

    /// The operator's value or the default. A whole number is valid too.
    pub fn read(&self, settings: &Settings) -> Result<f64, String> {
        let Some(given) = settings.get(self.name) else { return Ok(self.default) };
        let value = match given {
            Value::Number(value) => Some(value),
            Value::Integer(value) => Some(value as f64),
            _ => None,
        };
        // NaN is in no range.
        value.filter(|value| self.range.contains(value)).ok_or_else(|| {
            refusal(self.name, &format!("a number from {} to {}", self.range.start(), self.range.end()), &given)
        })
    }
}

/// A setting that is one of a few words.
pub struct Text {
    /// Its name: letters, digits, `-` and `_`, at most 64.
    pub name: &'static str,
    /// One sentence for operators: what it does and what it may be.
    pub summary: &'static str,
    /// What it means: `Plain`, or `Models` if it names one.
    pub meaning: Meaning,
    /// The words it may be; none at all lets it be any text.
    pub words: &'static [&'static str],
    /// The value if the operator gives none; one of the words.
    pub default: &'static str,
}

impl Text {
    /// Its entry in the manifest.
    pub fn entry(&self) -> Setting {
        entry(self.name, self.summary, Value::Text(self.default.into()), self.meaning)
    }

    /// The operator's value or the default.
    pub fn read(&self, settings: &Settings) -> Result<String, String> {
        match settings.get(self.name) {
            None => Ok(self.default.into()),
            Some(Value::Text(value)) if self.words.is_empty() || self.words.contains(&&*value) => Ok(value),
            Some(other) if self.words.is_empty() => Err(refusal(self.name, "a text", &other)),
            Some(other) => Err(refusal(self.name, &format!("one of {}", self.words.join(", ")), &other)),
        }
    }
}

/// A setting that is a list of texts.
pub struct Texts {
    /// Its name: letters, digits, `-` and `_`, at most 64.
    pub name: &'static str,
    /// One sentence for operators: what it does and what its texts are.
    pub summary: &'static str,
    /// What it means: `Plain`, `Models` if its texts name models, or `Tier` if they are the models of a tier.
    pub meaning: Meaning,
    /// The value if the operator gives none.
    pub default: &'static [&'static str],
}

impl Texts {
    /// Its entry in the manifest.
    pub fn entry(&self) -> Setting {
        let default = self.default.iter().map(|&text| text.to_owned()).collect();
        entry(self.name, self.summary, Value::Texts(default), self.meaning)
    }

    /// The operator's value or the default. The default is not copied, which keeps fresh instances cheap.
    pub fn read(&self, settings: &Settings) -> Result<Vec<Cow<'static, str>>, String> {
        match settings.get(self.name) {
            None => Ok(self.default.iter().map(|&text| Cow::Borrowed(text)).collect()),
            Some(Value::Texts(value)) => Ok(value.into_iter().map(Cow::Owned).collect()),
            Some(other) => Err(refusal(self.name, "a list of texts", &other)),
        }
    }
}

/// The sentence that refuses a setting: `setting low-below should be a number from 0 to 1, but is 1.5`.
pub fn refusal(name: &str, should: &str, is: &Value) -> String {
    let is = match is {
        Value::Boolean(value) => format!("{value}"),
        Value::Integer(value) => format!("{value}"),
        Value::Number(value) => format!("{value}"),
        Value::Text(value) => format!("{value:?}"),
        Value::Texts(value) => format!("{value:?}"),
    };
    format!("setting {name} should be {should}, but is {is}")
}

fn entry(name: &str, summary: &str, default: Value, meaning: Meaning) -> Setting {
    Setting { name: name.into(), summary: summary.into(), default, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const SHARE: Number = Number { name: "share", summary: "", range: 0.0..=1.0, default: 0.25 };
    const COUNT: Integer = Integer { name: "count", summary: "", range: 1..=9, default: 5 };
    const MODE: Text =
        Text { name: "mode", summary: "", meaning: Meaning::Plain, words: &["fast", "slow"], default: "fast" };
    const WORDS: Texts = Texts { name: "words", summary: "", meaning: Meaning::Plain, default: &["a"] };
    const ON: Boolean = Boolean { name: "on", summary: "", default: true };

    #[test]
    fn defaults_are_the_manifests() {
        let none = Settings::of([]);
        assert_eq!(SHARE.entry().default, Value::Number(SHARE.read(&none).unwrap()));
        assert_eq!(COUNT.entry().default, Value::Integer(COUNT.read(&none).unwrap().into()));
        assert_eq!(MODE.entry().default, Value::Text(MODE.read(&none).unwrap()));
        assert_eq!((WORDS.entry().default, WORDS.read(&none)), (Value::Texts(vec!["a".into()]), Ok(vec!["a".into()])));
        assert_eq!(ON.entry().default, Value::Boolean(ON.read(&none).unwrap()));
        assert!(Settings::host().get("share").is_none());
    }

    #[test]
    fn values_in_range_are_taken() {
        assert_eq!(SHARE.read(&Settings::of([("share", Value::Integer(1))])), Ok(1.0));
        assert_eq!(SHARE.read(&Settings::of([("share", Value::Number(0.0))])), Ok(0.0));
        assert_eq!(COUNT.read(&Settings::of([("count", Value::Integer(9))])), Ok(9));
        assert_eq!(MODE.read(&Settings::of([("mode", Value::Text("slow".into()))])), Ok("slow".into()));
        assert_eq!(WORDS.read(&Settings::of([("words", Value::Texts(vec![]))])), Ok(vec![]));
        assert_eq!(ON.read(&Settings::of([("on", Value::Boolean(false))])), Ok(false));
    }

    #[test]
    fn others_are_refused_in_a_sentence() {
        let refused = |name, value| {
            let given = Settings::of([(name, value)]);
            match name {
                "share" => SHARE.read(&given).map(|_| ()),
                "count" => COUNT.read(&given).map(|_| ()),
                "mode" => MODE.read(&given).map(|_| ()),
                "words" => WORDS.read(&given).map(|_| ()),
                _ => ON.read(&given).map(|_| ()),
            }
            .unwrap_err()
        };
        let table = [
            ("share", Value::Number(1.5), "setting share should be a number from 0 to 1, but is 1.5"),
            ("share", Value::Number(f64::NAN), "setting share should be a number from 0 to 1, but is NaN"),
            ("share", Value::Boolean(true), "setting share should be a number from 0 to 1, but is true"),
            ("count", Value::Integer(-1), "setting count should be a whole number from 1 to 9, but is -1"),
            ("count", Value::Integer(10), "setting count should be a whole number from 1 to 9, but is 10"),
            ("count", Value::Number(2.0), "setting count should be a whole number from 1 to 9, but is 2"),
            ("mode", Value::Text("late".into()), "setting mode should be one of fast, slow, but is \"late\""),
            ("words", Value::Text("a".into()), "setting words should be a list of texts, but is \"a\""),
            ("on", Value::Texts(vec!["a".into()]), "setting on should be true or false, but is [\"a\"]"),
        ];
        for (name, value, sentence) in table {
            assert_eq!(refused(name, value), sentence);
        }
    }
}
