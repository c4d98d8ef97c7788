//! Keys and groups as the admin API shows them. The listener serializes these types and `wasmgate keys` and `wasmgate groups`
//! deserialize them. No type but `CreatedKey` has a key, and none has a hash.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wasmgate_base::time::UnixSeconds;

/// Who owns a key or a group, and where it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration file. The API only shows it.
    Configuration,
    /// The gateway, by its admin API.
    Api,
}

/// Whether a key admits requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It does.
    Valid,
    /// An operator blocked it.
    Blocked,
    /// It has expired.
    Expired,
    /// Its group is not there, or cannot be used with the configuration as it is.
    Suspended,
}

impl KeyState {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Blocked => "blocked",
            Self::Expired => "expired",
            Self::Suspended => "suspended",
        }
    }
}

/// A key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Its id, as in the log and the ledger.
    pub id: String,
    /// What operators call it; null if they call it nothing.
    pub name: Option<String>,
    /// The group that it belongs to.
    pub group: String,
    /// Labels that policies see; they replace those of its group.
    pub labels: IndexMap<String, String>,
    /// Who owns it.
    pub source: Source,
    /// Whether it admits requests now.
    pub state: KeyState,
    /// When it was made; null for a key of the configuration.
    pub created: Option<UnixSeconds>,
    /// When it expires; null: never.
    pub expires: Option<UnixSeconds>,
    /// Until when the key from before the last rotation is valid too; null if it is not.
    pub previous_until: Option<UnixSeconds>,
}

/// A key with its text, which nobody can show a second time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreatedKey {
    /// What clients send.
    pub key: String,
    /// The rest.
    #[serde(flatten)]
    pub status: KeyStatus,
}

/// Some of the keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPage {
    /// Those of the configuration first, then the others in the order in which they were made.
    pub keys: Vec<KeyStatus>,
    /// The id to give as `after` for the next page; null if this is the last.
    pub next: Option<String>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Who owns it.
    pub source: Source,
    /// How many keys belong to it, not counting those of groups below it.
    pub keys: usize,
    /// Why its keys are refused; null if they are not.
    pub suspended: Option<String>,
    /// Its settings, as in `[groups.NAME]` of the configuration.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// All groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupList {
    /// Those of the configuration first, then the others in the order in which they were made.
    pub groups: Vec<GroupStatus>,
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// There is no such key.
    NoSuchKey(String),
    /// There is no such group.
    NoSuchGroup(String),
    /// A value is not what it must be.
    Invalid(String),
    /// It conflicts with what there is, or the file owns it.
    Conflict(String),
    /// The gateway cannot keep it.
    NotSaved(String),
    /// The gateway is stopping.
    Stopping,
}
