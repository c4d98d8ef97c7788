//! `[prices]`: which catalogue of prices the gateway goes by, as written and as meant.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wasmgate_base::range::Range;

use super::Place;
use super::problem::{Code, Problems, wrong};

/// Fewest digits of a digest that name a file.
const DIGITS: usize = 16;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PricesFile {
    file: Option<PathBuf>,
    builtin: bool,
    max_change: u64,
    accept: Option<String>,
}

impl Default for PricesFile {
    fn default() -> Self {
        Self { file: None, builtin: true, max_change: 3, accept: None }
    }
}

/// The numbers that each setting may have.
pub(super) const RANGES: &[(&str, Range)] = &[("max_change", Range::ZeroOrWhole("any change", 2, 1_000_000))];

/// Which catalogue of prices the gateway goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// Its location in the configuration, for messages.
    pub place: Place,
    /// Its file.
    pub file: Option<PathBuf>,
    /// Whether, without a file, the catalogue that ships with the gateway prices models.
    pub builtin: bool,
    /// How many times as much, or as little, a price may become when the file changes; `None`: any.
    pub max_change: Option<u64>,
    /// The beginning of the digest of a file that is applied whatever it changes.
    accept: Option<String>,
}

impl Prices {
    /// Whether the operator accepted the file with this digest, whatever it changes.
    #[must_use]
    pub fn accepts(&self, digest: &str) -> bool {
        self.accept.as_ref().is_some_and(|accepted| digest.starts_with(accepted.as_str()))
    }

    /// What `accept` must be for the file with this digest.
    #[must_use]
    pub fn acceptance(digest: &str) -> &str {
        digest.get(..DIGITS).unwrap_or(digest)
    }
}

impl PricesFile {
    pub(super) fn mean(self, folder: &Path, problems: &mut Problems) -> Prices {
        let path = ["prices", "accept"];
        let is_digest = |text: &String| text.len() >= DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(accept) = self.accept.as_ref().filter(|accept| !is_digest(accept)) {
            let expected = format!("the {DIGITS} digits that the refusal of the file names");
            problems.add(wrong(&path, Code::InvalidValue, format!("{accept:?}"), expected));
        } else if self.accept.is_some() && self.file.is_none() {
            problems.add(wrong(&path, Code::Conflict, "`file` is not set", "both or neither"));
        }
        Prices {
            place: Place::default(),
            file: self.file.map(|file| folder.join(file)),
            builtin: self.builtin,
            max_change: Some(self.max_change).filter(|&factor| factor != 0),
            accept: self.accept.map(|accept| accept.to_ascii_lowercase()),
        }
    }
}
