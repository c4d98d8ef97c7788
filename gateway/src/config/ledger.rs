//! `[ledger]`: what requests with a key used, how much of it is kept.

use std::time::Duration;

use serde::Deserialize;
use wasmgate_base::range::Range;
use wasmgate_ledger::Options;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The ledger's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// Whether the gateway keeps a ledger.
    pub enabled: bool,
    /// Bytes after which a new file begins.
    pub segment_bytes: u64,
    /// How long closed files are kept; `None`: for ever.
    pub max_age: Option<Duration>,
    /// How many bytes all files may have; `None`: any number.
    pub max_bytes: Option<u64>,
}

impl Ledger {
    /// The options with which the ledger is opened.
    #[must_use]
    pub fn options(&self) -> Options {
        let Self { segment_bytes, max_age, max_bytes, .. } = *self;
        Options { segment_bytes, max_age, max_bytes, ..Options::default() }
    }
}

/// The table as written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LedgerFile {
    enabled: bool,
    segment_bytes: u64,
    max_age_days: u64,
    max_bytes: u64,
}

impl Default for LedgerFile {
    fn default() -> Self {
        Self { enabled: true, segment_bytes: 16 << 20, max_age_days: 0, max_bytes: 0 }
    }
}

/// Its numbers.
pub(super) const LEDGER: &[(&str, Range)] = &[
    ("segment_bytes", Range::Whole(1 << 10, 1 << 30)),
    ("max_age_days", Range::ZeroOrWhole("for ever", 1, 36_500)),
    ("max_bytes", Range::ZeroOrWhole("any number", 1 << 10, 1 << 50)),
];

impl LedgerFile {
    pub(super) fn mean(&self) -> Ledger {
        Ledger {
            enabled: self.enabled,
            segment_bytes: self.segment_bytes,
            max_age: (self.max_age_days > 0).then(|| Duration::from_secs(self.max_age_days * DAY)),
            max_bytes: Some(self.max_bytes).filter(|bytes| *bytes > 0),
        }
    }
}
