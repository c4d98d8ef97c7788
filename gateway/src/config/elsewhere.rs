//! The tables to which a key belongs that is in a wrong one. `examples/wasmgate.toml` has every key, most of them in comments, so
//! it is the list.

use toml::de::{DeTable, DeValue};

use super::EMBEDDED;

/// Stands for the name of a backend, a model or a shadow.
const NAME: &str = "NAME";

/// Maximum of tables that a message lists.
const MOST: usize = 3;

/// The example as if its settings in comments were none.
pub(super) fn example() -> String {
    let setting = |line: &'static str| {
        let setting = line.strip_prefix("# ").unwrap_or(line);
        let is_setting = setting.starts_with('[')
            || setting.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '.', '`']));
        if is_setting { setting } else { "" }
    };
    EMBEDDED.lines().flat_map(|line| [setting(line), "\n"]).collect()
}

/// Whether a key is in any table.
pub(super) fn is_known(key: &str) -> bool {
    !holders(key).is_empty()
}

/// The tables that have a key which is not in the table `parent`: those that are nearest to it, as in `policies.routing.breaker`.
/// Empty if there is none, or too many.
pub(super) fn tables(key: &str, parent: &[&str]) -> Vec<String> {
    let mut near: Vec<(usize, Vec<String>)> = holders(key).into_iter().map(|table| adapted(table, parent)).collect();
    let nearest = near.iter().map(|(common, _)| *common).max().unwrap_or_default();
    near.retain(|(common, _)| *common == nearest);
    let mut tables: Vec<String> = near.into_iter().map(|(_, table)| table.join(".")).collect();
    tables.sort();
    tables.dedup();
    if tables.len() > MOST { Vec::new() } else { tables }
}

/// The paths of all tables of the example that have the key; those of the configuration's own words.
fn holders(key: &str) -> Vec<Vec<String>> {
    let text = example();
    let (root, _) = DeTable::parse_recoverable(&text);
    let mut found = Vec::new();
    visit(root.get_ref(), key, &mut Vec::new(), &mut found);
    found
}

fn visit(table: &DeTable<'_>, key: &str, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let own_names = path.last().is_some_and(|table| ["backends", "models", "shadows"].contains(&table.as_str()));
    // What is in these tables is named by others: operators, servers, agents.
    if path.last().is_some_and(|table| ["headers", "setting_files", "answer"].contains(&table.as_str())) {
        return;
    }
    for (name, value) in table {
        if name.get_ref() == key && !own_names && !path.is_empty() {
            found.push(path.clone());
        }
        if let DeValue::Table(inner) = value.get_ref() {
            path.push(if own_names { NAME.to_owned() } else { name.get_ref().to_string() });
            visit(inner, key, path, found);
            path.pop();
        }
    }
}

/// A table with the names of `parent` where both are the same, and how many parts they have in common. What the example has
/// in one policy's table, each policy's table has.
fn adapted(table: Vec<String>, parent: &[&str]) -> (usize, Vec<String>) {
    let slot = match parent {
        ["policies", hook, "canary", ..] => vec!["policies", hook, "canary"],
        ["policies", hook, "shadows", name, ..] => vec!["policies", hook, "shadows", name],
        ["policies", hook, ..] => vec!["policies", hook],
        _ => Vec::new(),
    };
    let of_any_slot = |table: &str| ["limits", "settings"].contains(&table);
    let table: Vec<String> = match &table[..] {
        [policies, _, rest @ ..] if policies == "policies" && !slot.is_empty() => {
            let any = rest.first().is_some_and(|table| of_any_slot(table));
            let begin = if any { &slot[..] } else { &slot[..2] };
            begin.iter().map(|&part| part.to_owned()).chain(rest.iter().cloned()).collect()
        }
        _ => table,
    };
    let common = table.iter().zip(parent).take_while(|(ours, theirs)| *ours == *theirs || *ours == NAME).count();
    let named = table.into_iter().enumerate().map(|(at, part)| match parent.get(at) {
        Some(name) if at < common => (*name).to_owned(),
        _ => part,
    });
    (common, named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_the_tables_that_have_it_nearest_first() {
        let of = |key: &str, parent: &str| {
            let parent: Vec<&str> = parent.split('.').filter(|part| !part.is_empty()).collect();
            tables(key, &parent).join(" ")
        };
        assert_eq!(of("max_in_flight", ""), "backends.NAME.queue server");
        assert_eq!(of("context_window", "backends.openai"), "models.NAME");
        assert_eq!(of("api_key_env", "models.small"), "backends.NAME");
        assert_eq!(of("input_usd_per_million_tokens", "models.small"), "models.small.price");
        assert_eq!(of("min_calls", "policies.cost"), "policies.cost.breaker");
        assert_eq!(of("call_time_ms", "policies.cost.canary"), "policies.cost.canary.limits");
        assert_eq!(of("low-models", "policies.routing"), "policies.routing.settings");
        assert_eq!(of("routing", ""), "policies");
        assert_eq!(of("colour", "policies.routing"), "");
        // Names that an operator gives are no keys.
        assert!(is_known("price") && !is_known("phi2") && !is_known("ollama") && !is_known("1"));
    }
}
