//! `[decisions]`: whether and where the gateway keeps the decision log, what of prompts it keeps, and how often it explores. A group
//! may choose the latter two for itself and the groups below it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmgate_accounts::Accounts;
use wasmgate_base::range::Range;
use wasmgate_decisions::{Keep, Retention};

use super::explore::{self, ExploreFile};
use super::problem::{Code, Problems, wrong};

/// The decision log.
#[derive(Debug, Clone, PartialEq)]
pub struct Decisions {
    /// Its folder; `None`: none is kept.
    pub dir: Option<PathBuf>,
    /// How decisions are kept.
    pub decisions: Retention,
    /// How texts are kept.
    pub content: Retention,
}

/// What of prompts' texts the decision log keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeepContent {
    /// Of requests without a group.
    pub others: Keep,
    /// Of the requests of groups that choose for themselves, by name.
    pub groups: HashMap<String, Keep>,
}

impl KeepContent {
    /// What is kept of a request of the group at a position: as it or the nearest group above it chose.
    #[must_use]
    pub fn of(&self, accounts: &Accounts, group: Option<usize>) -> Keep {
        if self.groups.is_empty() {
            return self.others;
        }
        let groups = accounts.groups();
        let chain = group.and_then(|group| groups.get(group)).map_or(&[][..], |group| &group.chain);
        let own = |at: &usize| self.groups.get(&*groups.get(*at)?.name).copied();
        chain.iter().find_map(own).unwrap_or(self.others)
    }

    /// Whether anything is kept of any request.
    #[must_use]
    pub fn any(&self) -> bool {
        self.others != Keep::None || self.groups.values().any(|keep| *keep != Keep::None)
    }
}

/// `content` as written.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ContentFile {
    None,
    Hash,
    Redacted,
    Full,
}

impl ContentFile {
    pub(super) fn mean(self) -> Keep {
        match self {
            Self::None => Keep::None,
            Self::Hash => Keep::Hash,
            Self::Redacted => Keep::Redacted,
            Self::Full => Keep::Full,
        }
    }
}

/// The table as written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DecisionsFile {
    dir: Option<PathBuf>,
    max_age_days: f64,
    max_bytes: u64,
    pub(super) content: ContentFile,
    content_max_age_days: f64,
    content_max_bytes: u64,
    pub(super) explore: Option<ExploreFile>,
}

impl Default for DecisionsFile {
    fn default() -> Self {
        Self {
            dir: None,
            max_age_days: 30.0,
            max_bytes: 10 << 30,
            content: ContentFile::None,
            content_max_age_days: 7.0,
            content_max_bytes: 10 << 30,
            explore: None,
        }
    }
}

/// Days that lines may be kept.
const DAYS: Range = Range::Number(0.01, 3650.0);
/// Bytes that segments may have together.
const BYTES: Range = Range::Whole(1 << 20, 1 << 50);

/// The numbers of the table.
pub(super) const RANGES: &[(&str, Range)] = &[
    ("max_age_days", DAYS),
    ("max_bytes", BYTES),
    ("content_max_age_days", DAYS),
    ("content_max_bytes", BYTES),
    ("explore.percent", explore::PERCENT),
];

impl DecisionsFile {
    pub(super) fn mean(self, folder: &Path, problems: &mut Problems) -> Decisions {
        let dir = self.dir.filter(|dir| {
            let is_empty = dir.as_os_str().is_empty();
            if is_empty {
                let path = ["decisions", "dir"];
                problems.add(wrong(&path, Code::InvalidValue, "an empty text", "the path of a folder"));
            }
            !is_empty
        });
        let keep = |days: f64, max_bytes| Retention { max_age: Duration::from_secs_f64(days * 86_400.0), max_bytes };
        Decisions {
            dir: dir.map(|dir| folder.join(dir)),
            decisions: keep(self.max_age_days, self.max_bytes),
            content: keep(self.content_max_age_days, self.content_max_bytes),
        }
    }
}
