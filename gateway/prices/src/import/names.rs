//! Names of models as clients of one provider know them. Public formats put the provider in front, as in `mistral/codestral`; the
//! part behind it becomes an alias where it can mean only one model.

use std::collections::{HashMap, HashSet};

use super::Found;
use crate::catalogue::Entry;

/// Providers that sell their own models. A name that several providers have means the one of its maker: the others resell.
const MAKERS: [&str; 14] = [
    "openai",
    "anthropic",
    "google",
    "gemini",
    "mistral",
    "deepseek",
    "xai",
    "cohere",
    "alibaba",
    "moonshotai",
    "moonshot",
    "zai",
    "minimax",
    "perplexity",
];

/// The entries, with aliases where a name without its provider means one model.
pub(super) fn with_aliases(found: Vec<Found>) -> Vec<Entry> {
    let own: HashSet<String> = found.iter().map(|one| one.entry.name.clone()).collect();
    // Those who claim a name, and how many do: makers first.
    let mut claims: HashMap<String, [Vec<usize>; 2]> = HashMap::new();
    for (index, one) in found.iter().enumerate() {
        let Some(provider) = &one.provider else { continue };
        let bare = one.entry.name.strip_prefix(provider.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let Some(bare) = bare.filter(|bare| !bare.is_empty() && !own.contains(*bare)) else { continue };
        let by = claims.entry(bare.to_owned()).or_default();
        by[usize::from(!MAKERS.contains(&&**provider))].push(index);
    }
    let mut entries: Vec<Entry> = found.into_iter().map(|one| one.entry).collect();
    for (bare, [makers, resellers]) in claims {
        let claimants = if makers.is_empty() { resellers } else { makers };
        if let [only] = claimants[..] {
            entries[only].aliases.push(bare);
        }
    }
    entries
}
