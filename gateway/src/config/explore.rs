//! `explore`: how often another model of the ranking is called first, in `[groups.NAME]` and, for requests of no group that says
//! so, in `[decisions]`.

use serde::{Deserialize, Serialize};
use wasmgate_accounts::{Explore, LEAST_PERCENT, MOST_PERCENT};
use wasmgate_base::range::Range;

/// The table as written.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExploreFile {
    percent: f64,
    #[serde(default)]
    among: AmongFile,
}

/// Which models may be called first.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum AmongFile {
    /// Those that the policy ranked.
    #[default]
    Ranking,
}

/// The share of requests, in percent.
pub(super) const PERCENT: Range = Range::ZeroOr("never", LEAST_PERCENT, MOST_PERCENT);

impl ExploreFile {
    pub(super) fn mean(self) -> Explore {
        let AmongFile::Ranking = self.among;
        Explore::percent(self.percent)
    }
}
