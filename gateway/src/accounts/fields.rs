//! Reads the values that operators give for keys.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use wasmgate_accounts::Labels;

use super::api::NotDone;
use crate::config::check_key_labels;

/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Most labels of a key.
const MAX_LABELS: usize = 16;
/// Longest validity of a key, in seconds: a hundred years.
const MAX_VALID_SECONDS: u64 = 36_500 * 86_400;
/// Longest time for which a rotated key stays valid, in seconds: ninety days.
pub(super) const MAX_GRACE_SECONDS: u64 = 90 * 86_400;

/// Changes an object as a JSON merge patch says (RFC 7396): `null` removes, an object changes the entries that it names, anything
/// else replaces.
pub(super) fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(key)),
            Value::Object(inner) => {
                let entry = target.entry(key.clone()).or_insert(Value::Null);
                if !entry.is_object() {
                    *entry = Value::Object(Map::new());
                }
                if let Value::Object(entry) = entry {
                    merge(entry, inner);
                }
            }
            other => drop(target.insert(key.clone(), other.clone())),
        }
    }
}

/// The fields of a request. Whether there are unknown ones was checked.
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

/// What a request says of a field.
pub(super) enum Given<T> {
    /// Nothing: it stays as it is.
    Nothing,
    /// `null`: it has none.
    None,
    /// This.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if it is one.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::None => None,
        }
    }
}

impl Fields<'_> {
    fn read<T>(&self, name: &str, expected: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<Given<T>, NotDone> {
        match self.0.get(name) {
            None => Ok(Given::Nothing),
            Some(Value::Null) => Ok(Given::None),
            Some(value) => {
                read(value).map(Given::Value).ok_or_else(|| NotDone::Invalid(format!("`{name}`: expected {expected}")))
            }
        }
    }

    /// The name of a group.
    pub(super) fn group(&self) -> Result<Option<&str>, NotDone> {
        let expected = "the name of a group, as in {\"group\": \"team\"}";
        let group = self.0.get("group").map(|group| group.as_str().filter(|group| !group.is_empty()));
        match group {
            None => Ok(None),
            Some(Some(group)) => Ok(Some(group)),
            Some(None) => Err(NotDone::Invalid(format!("`group`: expected {expected}"))),
        }
    }

    /// What operators call a key.
    pub(super) fn name(&self) -> Result<Given<Box<str>>, NotDone> {
        self.read("name", "a text of 1 to 128 bytes without control characters", |value| {
            let name = value.as_str()?;
            let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
            fits.then(|| name.into())
        })
    }

    /// Labels that policies see.
    pub(super) fn labels(&self) -> Result<Given<Box<Labels>>, NotDone> {
        let expected = "at most 16 texts by name, as in {\"labels\": {\"plan\": \"gold\"}}";
        let given = self.read("labels", expected, |value| {
            let object = value.as_object().filter(|object| object.len() <= MAX_LABELS)?;
            let labels = object.iter().map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())));
            labels.collect::<Option<IndexMap<_, _>>>()
        })?;
        Ok(match given {
            Given::Nothing => Given::Nothing,
            Given::None => Given::None,
            Given::Value(labels) if labels.is_empty() => Given::None,
            Given::Value(labels) => {
                check_key_labels(&labels).map_err(NotDone::Invalid)?;
                Given::Value(Box::new(Labels(labels.into_iter().collect())))
            }
        })
    }

    /// For how many seconds after it was made a key is valid.
    pub(super) fn expires_after(&self) -> Result<Given<u64>, NotDone> {
        let expected = "a whole number of seconds from the key's creation on, 1 to 3153600000";
        let fits = |seconds: &u64| (1..=MAX_VALID_SECONDS).contains(seconds);
        self.read("expires_after_seconds", expected, |value| value.as_u64().filter(fits))
    }

    /// For how many seconds a rotated key stays valid.
    pub(super) fn grace(&self) -> Result<u64, NotDone> {
        let expected = "for how many seconds the old key stays valid, a whole number from 0 to 7776000";
        let given = self
            .read("grace_seconds", expected, |value| value.as_u64().filter(|seconds| *seconds <= MAX_GRACE_SECONDS))?;
        // Whoever rotates a key that others know, and whoever rotates one that is in use, must not get what the other wants.
        given.value().ok_or_else(|| NotDone::Invalid(format!("`grace_seconds`: missing, expected {expected}")))
    }
}
