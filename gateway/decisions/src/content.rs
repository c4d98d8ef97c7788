//! Texts of prompts, if the operator keeps them: a line of `content-TIME.jsonl`, joined to its decision by the request's id.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use wasmgate_base::digest::sha256;
use wasmgate_policy_host as host;

use crate::input::role;
use crate::redact::redact;
use crate::time::Moment;

/// The file of the key that texts are hashed with.
const KEY_FILE: &str = "content.key";
const KEY_BYTES: usize = 32;

/// What of a prompt's text is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Nothing.
    #[default]
    None,
    /// A keyed hash of each message: it tells equal texts, and nobody without the key can guess a text from it.
    Hash,
    /// The text without what looks like a secret, an e-mail address or a long number (`redact`).
    Redacted,
    /// The whole text.
    Full,
}

impl Keep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Hash, Self::Redacted, Self::Full];

    /// The word in the configuration and in lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hash => "hash",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }
}

/// What is kept of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The request's id.
    pub id: String,
    /// When the request arrived.
    pub time: Moment,
    /// How the texts were kept.
    pub keep: Keep,
    /// The conversation, oldest message first.
    pub messages: Vec<ContentMessage>,
}

/// What is kept of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentMessage {
    /// Who said it: `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// The length of its text, in bytes.
    pub bytes: u64,
    /// Its text; `null` if only the hash is kept.
    pub text: Option<String>,
    /// The keyed hash of its text, in hex; `null` if the text is kept.
    pub hash: Option<String>,
}

impl Content {
    /// What is kept of messages; `None` if nothing is, or if hashes are and there is no key.
    #[must_use]
    pub(crate) fn of(
        id: &str,
        time: Moment,
        keep: Keep,
        messages: Vec<(host::Role, String)>,
        key: Option<&HashKey>,
    ) -> Option<Self> {
        if keep == Keep::None || (keep == Keep::Hash && key.is_none()) {
            return None;
        }
        let message = |(said_by, text): (host::Role, String)| ContentMessage {
            role: role(said_by),
            bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            hash: key.filter(|_| keep == Keep::Hash).map(|key| key.hash(&text)),
            text: match keep {
                Keep::None | Keep::Hash => None,
                Keep::Redacted => Some(redact(&text)),
                Keep::Full => Some(text),
            },
        };
        Some(Self { id: id.to_owned(), time, keep, messages: messages.into_iter().map(message).collect() })
    }
}

/// The key that texts are hashed with. It stays in the folder of the log, readable by its owner only.
#[derive(Clone)]
pub(crate) struct HashKey([u8; KEY_BYTES]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// The key of a folder, made if there is none.
    ///
    /// # Errors
    /// If it can neither be read nor written.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(KEY_FILE);
        let mut key = [0; KEY_BYTES];
        if let Ok(mut file) = File::open(&path)
            && file.read_exact(&mut key).is_ok()
        {
            return Ok(Self(key));
        }
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(&key)?;
        file.sync_all()?;
        Ok(Self(key))
    }

    /// The hash of a text, in hex.
    #[must_use]
    pub(crate) fn hash(&self, text: &str) -> String {
        // The outer hash keeps anybody from prolonging a text whose hash is known.
        let inner = sha256(&[&self.0[..], text.as_bytes()].concat());
        sha256(&[&self.0[..], inner.as_bytes()].concat())
    }
}
