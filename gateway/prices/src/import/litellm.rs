//! LiteLLM's map of prices: one object by model, prices in dollars per token.

use std::collections::BTreeMap;

use super::rates::{self, CACHE_READ, INPUT, Names, OUTPUT, Stated};
use super::{Found, Read};
use crate::catalogue::Entry;
use crate::node::Node;

/// A dollar a token is 10^15 nano-dollars for a million tokens.
const SCALE: i32 = 15;

const NAMES: Names = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_reasoning_token",
];

/// An older name of the price of cached input.
const CACHE_HIT: &str = "input_cost_per_token_cache_hit";

/// Kinds of models that have no output tokens.
const NO_OUTPUT: [&str; 3] = ["embedding", "rerank", "moderation"];

/// All entries with what was read.
pub(super) fn entries(root: &Node) -> Result<Vec<(String, Read)>, String> {
    let models = root.table().ok_or_else(|| format!("found {}, expected an object of models", root.in_words()))?;
    // It documents the format.
    let models = models.iter().filter(|(name, _)| name != "sample_spec");
    Ok(models.map(|(name, node)| (name.clone(), entry(name, node))).collect())
}

fn entry(name: &str, node: &Node) -> Read {
    let members = node.table().ok_or_else(|| format!("it is {}, not an object", node.in_words()))?;
    let mut reasons = Vec::new();
    let mut ordinary = rates::stated(node, &NAMES, SCALE, &mut reasons)?;
    if ordinary[CACHE_READ].is_none() {
        ordinary[CACHE_READ] = rates::rate(node.get(CACHE_HIT), CACHE_HIT, SCALE, &mut reasons)?;
    }
    let mode = node.get("mode").and_then(Node::text);
    if ordinary[INPUT].is_some() && ordinary[OUTPUT].is_none() && mode.is_some_and(|mode| NO_OUTPUT.contains(&mode)) {
        ordinary[OUTPUT] = Some(wasmgate_base::money::NanoDollars(0));
    }
    let mut above = long(node, members, &mut reasons)?;
    if let Some(tiers) = node.get("tiered_pricing") {
        if !above.is_empty() {
            return Err("it has bands in two forms".to_owned());
        }
        above = tiered(tiers, &mut ordinary, &mut reasons)?;
    }
    let not_kept = not_kept(members);
    if ordinary[INPUT].is_none() && !not_kept.is_empty() {
        return Err(format!("it is not priced by tokens of input: {}", not_kept.join(", ")));
    }
    let above: Vec<(u64, Stated)> = above.into_iter().collect();
    let first = rates::price(ordinary, &above, &mut reasons)?;
    if !not_kept.is_empty() {
        reasons.push(format!("not kept: {}", not_kept.join(", ")));
    }
    let entry =
        Entry { name: name.to_owned(), aliases: Vec::new(), kind: None, note: None, first, changes: Vec::new() };
    let provider = node.get("litellm_provider").and_then(Node::text).map(str::to_owned);
    Ok(Found { entry, provider, reasons })
}

/// The rates above numbers of input tokens, as in `input_cost_per_token_above_200k_tokens`.
fn long(node: &Node, members: &[(String, Node)], reasons: &mut Vec<String>) -> Result<BTreeMap<u64, Stated>, String> {
    let mut above: BTreeMap<u64, Stated> = BTreeMap::new();
    for (key, _) in members {
        if let Some((which, tokens)) = band_of(key)
            && let Some(rate) = rates::rate(node.get(key), key, SCALE, reasons)?
        {
            above.entry(tokens).or_default()[which] = Some(rate);
        }
    }
    Ok(above)
}

/// The rate and the number of tokens of a key with a band.
fn band_of(key: &str) -> Option<(usize, u64)> {
    NAMES.iter().enumerate().find_map(|(which, name)| {
        let thousands = key.strip_prefix(name)?.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
        Some((which, thousands.parse::<u64>().ok()?.checked_mul(1000)?))
    })
}

/// The rates by ranges of input tokens: the first are the ordinary ones.
fn tiered(tiers: &Node, ordinary: &mut Stated, reasons: &mut Vec<String>) -> Result<BTreeMap<u64, Stated>, String> {
    let list = tiers.list().ok_or("its tiered_pricing is no list")?;
    let mut above = BTreeMap::new();
    for tier in list {
        let from = tier.get("range").and_then(Node::list).and_then(|range| range.first());
        let from = match from {
            Some(Node::Number(text) | Node::Text(text)) => crate::Decimal::parse(text).and_then(|from| from.scaled(0)),
            _ => return Err("its tiered_pricing has no range of tokens".to_owned()),
        };
        let (from, _) = from.map_err(|error| format!("its tiered_pricing has a range that is {error}"))?;
        let stated = rates::stated(tier, &NAMES, SCALE, reasons)?;
        if from == 0 {
            for (slot, stated) in ordinary.iter_mut().zip(stated) {
                *slot = stated.or(*slot);
            }
        } else {
            above.insert(from, stated);
        }
    }
    Ok(above)
}

/// The keys of other prices that are not 0. Batches are not among them: the gateway sends none.
fn not_kept(members: &[(String, Node)]) -> Vec<&str> {
    let is_price = |key: &str| ["cost", "price", "pricing"].iter().any(|word| key.contains(word));
    let is_zero = |node: &Node| match node {
        Node::Number(text) | Node::Text(text) => crate::Decimal::parse(text).is_ok_and(|number| number.is_zero()),
        Node::Null | Node::Bool(_) => true,
        Node::List(_) | Node::Table(_) => false,
    };
    let known =
        |key: &str| NAMES.contains(&key) || band_of(key).is_some() || [CACHE_HIT, "tiered_pricing"].contains(&key);
    let others = members.iter().filter(|(key, node)| {
        is_price(key) && !known(key) && !key.contains("batch") && !key.starts_with("supports_") && !is_zero(node)
    });
    others.map(|(key, _)| key.as_str()).collect()
}
