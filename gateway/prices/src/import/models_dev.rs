//! The JSON of models.dev: providers with their models, prices in dollars per million tokens.

use std::collections::BTreeMap;

use super::rates::{self, INPUT, Names, OUTPUT, Stated};
use super::{Found, Read};
use crate::catalogue::Entry;
use crate::node::Node;

/// A dollar is 10^9 nano-dollars.
const SCALE: i32 = 9;

const NAMES: Names = ["input", "output", "cache_read", "cache_write", "reasoning"];

/// The older form of a band.
const LONG: &str = "context_over_200k";

/// All entries, as `PROVIDER/MODEL`, with what was read.
pub(super) fn entries(root: &Node) -> Result<Vec<(String, Read)>, String> {
    let providers =
        root.table().ok_or_else(|| format!("found {}, expected an object of providers", root.in_words()))?;
    let mut entries = Vec::new();
    for (provider, node) in providers {
        let Some(models) = node.get("models").and_then(Node::table) else {
            entries.push((provider.clone(), Err("it has no object `models`".to_owned())));
            continue;
        };
        for (model, node) in models {
            let name = format!("{provider}/{model}");
            entries.push((name.clone(), entry(&name, provider, node)));
        }
    }
    Ok(entries)
}

fn entry(name: &str, provider: &str, node: &Node) -> Read {
    let cost = node.get("cost").ok_or("it has no price")?;
    let members = cost.table().ok_or_else(|| format!("its cost is {}, not an object", cost.in_words()))?;
    let mut reasons = Vec::new();
    let mut ordinary = rates::stated(cost, &NAMES, SCALE, &mut reasons)?;
    let family = node.get("family").and_then(Node::text).unwrap_or_default();
    if ordinary[INPUT].is_some() && ordinary[OUTPUT].is_none() && family.contains("embed") {
        ordinary[OUTPUT] = Some(wasmgate_base::money::NanoDollars(0));
    }
    let mut above: BTreeMap<u64, Stated> = BTreeMap::new();
    let tiers = cost.get("tiers").map_or(Some(&[][..]), Node::list).ok_or("its tiers are no list")?;
    for tier in tiers {
        let of = tier.get("tier").and_then(|tier| tier.get("type")).and_then(Node::text);
        if let Some(other) = of.filter(|of| *of != "context") {
            reasons.push(format!("not kept: the prices by {other}"));
            continue;
        }
        let tokens = tokens(tier).ok_or("a tier has no number of tokens")?;
        above.insert(tokens, rates::stated(tier, &NAMES, SCALE, &mut reasons)?);
    }
    // The older form repeats the newer one, where that is there.
    if let Some(long) = cost.get(LONG).filter(|_| tiers.is_empty()) {
        above.insert(200_000, rates::stated(long, &NAMES, SCALE, &mut reasons)?);
    }
    let above: Vec<(u64, Stated)> = above.into_iter().collect();
    let first = rates::price(ordinary, &above, &mut reasons)?;
    let known = |key: &str| NAMES.contains(&key) || key == "tiers" || key == LONG;
    let others: Vec<&str> =
        members.iter().filter(|(key, node)| !known(key) && *node != Node::Null).map(|(key, _)| key.as_str()).collect();
    if !others.is_empty() {
        reasons.push(format!("not kept: {}", others.join(", ")));
    }
    let modes = node.get("experimental").and_then(|node| node.get("modes")).and_then(Node::table).unwrap_or_default();
    let priced: Vec<&str> =
        modes.iter().filter(|(_, mode)| mode.get("cost").is_some()).map(|(mode, _)| mode.as_str()).collect();
    if !priced.is_empty() {
        reasons.push(format!("not kept: the prices of the modes {}", priced.join(", ")));
    }
    let entry =
        Entry { name: name.to_owned(), aliases: Vec::new(), kind: None, note: None, first, changes: Vec::new() };
    Ok(Found { entry, provider: Some(provider.to_owned()), reasons })
}

/// The number of input tokens above which a tier applies.
fn tokens(tier: &Node) -> Option<u64> {
    let at = tier.get("tier").and_then(|tier| tier.get("size")).or_else(|| tier.get("size"))?;
    let (Node::Number(text) | Node::Text(text)) = at else { return None };
    let (tokens, exact) = crate::Decimal::parse(text).ok()?.scaled(0).ok()?;
    (exact && tokens > 0).then_some(tokens)
}
