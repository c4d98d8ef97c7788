//! The ranges of all numbers in the file, by their path. The type that has a setting states its range; this module lists them.

use wasmgate_base::range::Range;
use wasmgate_policy_host::GivenLimits;

use super::{access, backends, cors, decisions, file, ledger, limits, models, policies, prices, shared};
use crate::backend::retry::Retries;
use crate::backend::{BreakerSettings, QueueSettings, SimSettings, TimeoutsFile};
use crate::rollout::analysis::{AbortRules, BreakerRules};

type Ranges = &'static [(&'static str, Range)];

/// The ranges of each table. `*` stands for any name.
const TABLES: &[(&str, Ranges)] = &[
    ("server", file::SERVER),
    ("server.cors", cors::RANGES),
    ("reload", file::RELOAD),
    ("decisions", decisions::RANGES),
    ("backends.*", backends::RANGES),
    ("backends.*.timeouts", TimeoutsFile::RANGES),
    ("backends.*.retries", Retries::RANGES),
    ("backends.*.breaker", BreakerSettings::RANGES),
    ("backends.*.queue", QueueSettings::RANGES),
    ("backends.*.sim", SimSettings::RANGES),
    ("models.*", models::RANGES),
    ("models.*.timeouts", TimeoutsFile::RANGES),
    ("models.*.price", models::PRICES),
    ("prices", prices::RANGES),
    ("groups.*", access::GROUPS),
    ("groups.*.limits", limits::RANGES),
    ("budgets", limits::BUDGETS),
    ("shared", shared::RANGES),
    ("ledger", ledger::LEDGER),
    ("keys.*", access::KEYS),
    ("policies.*.breaker", BreakerRules::RANGES),
    ("policies.*.limits", GivenLimits::RANGES),
    ("policies.*.canary", policies::CANARY),
    ("policies.*.canary.abort", AbortRules::RANGES),
    ("policies.*.canary.limits", GivenLimits::RANGES),
    ("policies.*.shadows.*.limits", GivenLimits::RANGES),
];

/// The range of the number at the path; `None` if no number belongs there.
pub(super) fn of(path: &[String]) -> Option<Range> {
    TABLES.iter().find_map(|(table, ranges)| {
        let rest = below(table, path)?.join(".");
        ranges.iter().find(|(key, _)| *key == rest).map(|(_, range)| *range)
    })
}

/// The unit that the name of a key says.
pub(super) fn unit(key: &str) -> &'static str {
    let units = [("_seconds", " seconds"), ("_ms", " milliseconds"), ("_bytes", " bytes"), ("_percent", " percent")];
    match units.into_iter().find(|(end, _)| key.ends_with(end)) {
        Some((_, unit)) => unit,
        None if key.contains("_usd_per_") => " US dollars",
        None => "",
    }
}

/// The rest of the path below a table.
fn below<'a>(table: &str, path: &'a [String]) -> Option<&'a [String]> {
    let mut rest = path;
    for part in table.split('.') {
        let (first, more) = rest.split_first()?;
        if part != "*" && part != first {
            return None;
        }
        rest = more;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use toml::de::{DeTable, DeValue};

    use super::*;

    fn numbers(table: &DeTable<'_>, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            match value.get_ref() {
                DeValue::Table(inner) => numbers(inner, path, found),
                DeValue::Integer(_) | DeValue::Float(_) => found.push(path.clone()),
                _ => {}
            }
            path.pop();
        }
    }

    #[test]
    fn each_number_of_the_example_has_a_range_and_is_in_it() {
        let text = crate::config::elsewhere::example();
        let (root, _) = DeTable::parse_recoverable(&text);
        let mut found = Vec::new();
        numbers(root.get_ref(), &mut Vec::new(), &mut found);
        assert!(found.len() > 60, "{}", found.len());
        let without: Vec<_> = found.iter().filter(|path| of(path).is_none()).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn a_place_is_found_below_any_name() {
        let of = |path: &str| of(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("backends.b.sim.fault.every"), Some(Range::Whole(1, u32::MAX.into())));
        assert!(of("policies.cost.shadows.x.limits.call_time_ms").is_some());
        assert!(of("policies.cost.settings.call_time_ms").is_none());
        assert_eq!((unit("call_time_ms"), unit("max_tools")), (" milliseconds", ""));
    }
}
