//! A change of keys or groups: what the log on the disk has line by line, and what gateways tell each other. It is the whole of
//! what it concerns, so that it can be applied twice, and the same changes in the same order end in the same state anywhere.
//! It has hashes of keys, never a key.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use wasmgate_accounts::{Key, KeyHash, KeyId, Labels, NEVER, Previous};
use wasmgate_base::time::UnixSeconds;

use super::mark::{Mark, Marked, Name};
use crate::config::ManagedGroup;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The key is this from now on; it may be new.
    Key(Key),
    /// The group is this from now on; it may be new.
    Group(ManagedGroup),
    /// There is no key of this id any more.
    DeletedKey(KeyId),
    /// There is no group of this name any more.
    DeletedGroup(String),
}

impl Change {
    /// The line of `changes.log` for it, if nothing of its name was there before.
    #[must_use]
    pub fn to_line(self) -> Vec<u8> {
        Marked { change: self, mark: Mark::NEW }.to_line()
    }

    /// What it concerns.
    pub(super) fn name(&self) -> Name {
        match self {
            Self::Key(key) => Name::Key(key.id.clone()),
            Self::Group(group) => Name::Group(group.name.as_str().into()),
            Self::DeletedKey(id) => Name::Key(id.clone()),
            Self::DeletedGroup(name) => Name::Group(name.as_str().into()),
        }
    }

    /// Whether it deletes what it concerns.
    pub(super) fn is_deletion(&self) -> bool {
        matches!(self, Self::DeletedKey(_) | Self::DeletedGroup(_))
    }

    /// As JSON on one line.
    #[must_use]
    pub(super) fn to_json(&self) -> String {
        // It has only texts, numbers and maps of texts, so that it can be written.
        serde_json::to_string(&Line::of(self)).unwrap_or_default()
    }

    /// The change that a JSON text is.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(serde_json::from_slice::<Line<'_>>(text)?.meant())
    }
}

impl Marked {
    /// As a line of `changes.log`: the length of the text and its CRC-32, each as eight hexadecimal digits, then the text: the mark,
    /// if it is not that of a new change, and the change as JSON.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let text = self.mark.text() + &self.change.to_json();
        format!("{:08x} {:08x} {text}\n", text.len(), crc32fast::hash(text.as_bytes())).into_bytes()
    }

    /// The change that the text of a line is; `None` if it is none.
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let (mark, json) = Mark::split(text)?;
        Some(Self { change: Change::from_json(json).ok()?, mark })
    }
}

/// The form of a change.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    #[serde(borrow)]
    Key(KeyLine<'a>),
    Group {
        name: Cow<'a, str>,
        settings: Cow<'a, Map<String, Value>>,
    },
    DeletedKey(Id),
    DeletedGroup(Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
struct KeyLine<'a> {
    id: Id,
    #[serde(borrow)]
    group: Cow<'a, str>,
    sha256: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_sha256: Option<Hash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_until: Option<UnixSeconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<UnixSeconds>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<IndexMap<String, String>>,
}

impl<'a> Line<'a> {
    fn of(change: &'a Change) -> Self {
        match change {
            Change::Key(key) => Self::Key(KeyLine {
                id: Id(key.id.clone()),
                group: Cow::Borrowed(&key.group),
                sha256: Hash(key.hash),
                previous_sha256: key.previous.as_ref().map(|previous| Hash(previous.hash)),
                previous_until: key.previous.as_ref().map(|previous| previous.until),
                expires: Some(key.expires).filter(|expires| *expires != NEVER),
                blocked: key.blocked,
                name: key.name.as_deref().map(Cow::Borrowed),
                labels: key.labels.as_ref().map(|labels| labels.0.iter().cloned().collect()),
            }),
            Change::Group(group) => {
                Self::Group { name: Cow::Borrowed(&group.name), settings: Cow::Borrowed(&group.settings) }
            }
            Change::DeletedKey(id) => Self::DeletedKey(Id(id.clone())),
            Change::DeletedGroup(name) => Self::DeletedGroup(Cow::Borrowed(name)),
        }
    }

    fn meant(self) -> Change {
        match self {
            Self::Key(key) => Change::Key(Key {
                id: key.id.0,
                group: key.group.into(),
                hash: key.sha256.0,
                previous: (key.previous_sha256.zip(key.previous_until))
                    .map(|(Hash(hash), until)| Box::new(Previous { hash, until })),
                expires: key.expires.unwrap_or(NEVER),
                blocked: key.blocked,
                name: key.name.map(|name| name.into_owned().into_boxed_str()),
                labels: key.labels.map(|labels| Box::new(Labels(labels.into_iter().collect()))),
            }),
            Self::Group { name, settings } => {
                Change::Group(ManagedGroup { name: name.into_owned(), settings: settings.into_owned() })
            }
            Self::DeletedKey(Id(id)) => Change::DeletedKey(id),
            Self::DeletedGroup(name) => Change::DeletedGroup(name.into_owned()),
        }
    }
}

/// An id as text.
struct Id(KeyId);

/// A hash as text.
struct Hash(KeyHash);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(KeyId::of(&Text::deserialize(from)?.0)))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let hash = KeyHash::parse(&Text::deserialize(from)?.0);
        hash.map(Self).ok_or_else(|| serde::de::Error::custom("not the hash of a key"))
    }
}

/// A text that is not copied: a start reads a million of them.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_read_as_it_is_written() {
        let id = KeyId::new(1_795_953_600, 7);
        let hash = KeyHash::of(b"text");
        let plain = Key {
            id: id.clone(),
            group: "team".into(),
            hash,
            previous: None,
            expires: NEVER,
            blocked: false,
            name: None,
            labels: None,
        };
        let full = Key {
            previous: Some(Box::new(Previous { hash: KeyHash::of(b"older"), until: 9 })),
            expires: 100,
            blocked: true,
            name: Some("Anna's \"laptop\"".into()),
            labels: Some(Box::new(Labels(vec![("plan".into(), "gold".into())]))),
            ..plain.clone()
        };
        let Value::Object(settings) = json!({"parent": "acme", "limits": {"usd_per_month": 0.5}}) else { return };
        for change in [
            Change::Key(plain.clone()),
            Change::Key(full),
            Change::Group(ManagedGroup { name: "team".into(), settings }),
            Change::DeletedKey(id),
            Change::DeletedGroup("team".into()),
        ] {
            let text = change.to_json();
            assert!(!text.contains('\n'));
            assert_eq!(Change::from_json(text.as_bytes()).expect("a change"), change, "{text}");
        }
        // The form is on disks: a later version must read it.
        let text = Change::Key(plain).to_json();
        assert_eq!(
            text,
            format!("{{\"key\":{{\"id\":\"key-6b0c13c000000007\",\"group\":\"team\",\"sha256\":\"{hash}\"}}}}")
        );
        assert!(Change::from_json(b"{\"key\":{\"id\":\"a\",\"group\":\"team\",\"sha256\":\"wg-1\"}}").is_err());
    }
}
