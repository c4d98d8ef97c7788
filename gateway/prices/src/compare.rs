//! What another catalogue changes for the models in use: whether it may replace the one that is in force without an operator's
//! word. A broken or mistaken file must neither make calls free nor multiply their cost.

use std::fmt;

use wasmgate_base::money::{NanoDollars, Price, Rates};
use wasmgate_base::time::UnixSeconds;

use super::catalogue::Catalogue;
use super::date::Date;
use super::decimal::usd;

/// A model in use, by the name that is looked up, and the kind of its backend.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// The name.
    pub name: &'a str,
    /// The kind.
    pub kind: &'a str,
}

/// A change for a model that needs an operator's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It had a price and would have none.
    Lost {
        /// The name that is looked up.
        name: String,
    },
    /// A price would move by more than the factor.
    Moved {
        /// The name that is looked up.
        name: String,
        /// What the price is of, as in `input`.
        what: &'static str,
        /// The band: it applies above this number of input tokens; 0: to all.
        above: u64,
        /// From when on; `None`: at once.
        from: Option<Date>,
        /// The price in force, for a million tokens.
        before: NanoDollars,
        /// The new price.
        after: NanoDollars,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { name } => write!(f, "{name} would have no price any more"),
            Self::Moved { name, what, above, from, before, after } => {
                write!(
                    f,
                    "{name}: {what} would cost ${} in place of ${} a million tokens",
                    usd(after.0),
                    usd(before.0)
                )?;
                if *above > 0 {
                    write!(f, " above {above} input tokens")?;
                }
                from.map_or(Ok(()), |from| write!(f, " from {from} on"))
            }
        }
    }
}

/// The changes that an operator must accept if `after` replaces `before` at `now`: each model in use that would lose its price, and the
/// first price of each that would be more than `factor` times the present one, or less than that part of it, now or at any
/// change to come. `None` as a factor permits any move.
#[must_use]
pub fn compare(
    before: &Catalogue,
    after: &Catalogue,
    used: &[Sought<'_>],
    now: UnixSeconds,
    factor: Option<u64>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for &Sought { name, kind } in used {
        // What had no price may get any.
        let Some((old, _)) = before.find(name, kind) else { continue };
        let Some((new, _)) = after.find(name, kind) else {
            changes.push(Change::Lost { name: name.to_owned() });
            continue;
        };
        let Some(factor) = factor else { continue };
        let dates = old.changes.iter().chain(&new.changes).map(|(date, _)| *date);
        let mut dates: Vec<Date> = dates.filter(|date| date.begins() > now).collect();
        dates.sort_unstable();
        let times = std::iter::once((now, None)).chain(dates.into_iter().map(|date| (date.begins(), Some(date))));
        let moved = times.into_iter().find_map(|(at, from)| moved(&old.price(at), &new.price(at), factor, from, name));
        changes.extend(moved);
    }
    changes
}

fn moved(old: &Price, new: &Price, factor: u64, from: Option<Date>, name: &str) -> Option<Change> {
    let above = old.bands.iter().chain(&new.bands).flatten().map(|band| band.above);
    std::iter::once(0).chain(above).find_map(|above| {
        let (old, new) = (old.rates(above.saturating_add(1)), new.rates(above.saturating_add(1)));
        let pairs = all(old).into_iter().zip(all(new));
        pairs.into_iter().find_map(|((what, before), (_, after))| {
            let moves =
                |one: NanoDollars, other: NanoDollars| u128::from(one.0) * u128::from(factor) < u128::from(other.0);
            let far = moves(before, after) || moves(after, before);
            far.then(|| Change::Moved { name: name.to_owned(), what, above, from, before, after })
        })
    })
}

fn all(rates: &Rates) -> [(&'static str, NanoDollars); 5] {
    [
        ("input", rates.input),
        ("output", rates.output),
        ("cached input", rates.cache_read),
        ("input written to the cache", rates.cache_write),
        ("thinking", rates.reasoning),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::any_catalogue;
    use proptest::prelude::*;

    const NAMES: [Sought<'static>; 3] = [
        Sought { name: "a", kind: "openai" },
        Sought { name: "b/c", kind: "openai" },
        Sought { name: "gone", kind: "" },
    ];

    /// The same rule by trying: all times and sizes around which something may change, all rates.
    fn is_far(before: &Catalogue, after: &Catalogue, name: &str, now: UnixSeconds, factor: u64) -> bool {
        let (Some((old, _)), Some((new, _))) = (before.find(name, "openai"), after.find(name, "openai")) else {
            return false;
        };
        let days = (0..20_001u64).map(|day| day * 86_400).filter(|&at| at > now).chain([now]);
        // Only days on which one of the two changes, to keep the test short.
        let starts = |at: u64| old.changes.iter().chain(&new.changes).any(|(date, _)| date.begins() == at);
        let mut times = days.filter(|&at| at == now || starts(at));
        times.any(|at| {
            let (old, new) = (old.price(at), new.price(at));
            (0..=10_001).any(|tokens| {
                let (old, new) = (*old.rates(tokens), *new.rates(tokens));
                let pairs = [
                    (old.input, new.input),
                    (old.output, new.output),
                    (old.cache_read, new.cache_read),
                    (old.cache_write, new.cache_write),
                    (old.reasoning, new.reasoning),
                ];
                pairs.iter().any(|(old, new)| {
                    let (low, high) = (old.0.min(new.0), old.0.max(new.0));
                    high > 0 && (low == 0 || u128::from(high) > u128::from(low) * u128::from(factor))
                })
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_random_difference_is_judged_by_its_definition(
            before in any_catalogue(),
            other in any_catalogue(),
            keep in any::<[bool; 3]>(),
            day in 0..20_000u64,
            factor in 1..1_000_000_000u64,
        ) {
            // Some entries stay, some are replaced.
            let mixed = before.entries().iter().zip(other.entries()).zip(keep);
            let mixed: Vec<_> = mixed.map(|((old, new), keep)| if keep { old } else { new }.clone()).collect();
            let after = Catalogue::new("v2".into(), other.date(), None, mixed).expect("valid");
            let now = day * 86_400 + 5;
            let changes = compare(&before, &after, &NAMES, now, Some(factor));
            for name in ["a", "b/c"] {
                let found = changes.iter().any(|change| matches!(change, Change::Moved { name: of, .. } if of == name));
                prop_assert_eq!(found, is_far(&before, &after, name, now, factor), "{}", name);
            }
            prop_assert!(compare(&before, &before, &NAMES, now, Some(1)).is_empty(), "nothing changed");
        }

        #[test]
        fn each_model_in_use_that_is_lost_is_named(before in any_catalogue(), keep in any::<[bool; 3]>()) {
            let kept = before.entries().iter().zip(keep).filter(|(_, keep)| *keep).map(|(entry, _)| entry.clone());
            let after = Catalogue::new("v2".into(), before.date(), None, kept.collect()).expect("valid");
            let lost = compare(&before, &after, &NAMES, 0, Some(2));
            let expected: Vec<Change> = [("a", keep[0]), ("b/c", keep[1])]
                .into_iter()
                .filter(|(_, keep)| !keep)
                .map(|(name, _)| Change::Lost { name: name.to_owned() })
                .collect();
            prop_assert_eq!(lost, expected);
        }
    }

    #[test]
    fn changes_are_said_in_dollars() {
        let date = Date::parse("2026-12-01");
        let (before, after) = (NanoDollars(3_000_000_000), NanoDollars(300_000_000_000));
        let moved = Change::Moved { name: "gpt".into(), what: "input", above: 200_000, from: date, before, after };
        let expected =
            "gpt: input would cost $300 in place of $3 a million tokens above 200000 input tokens from 2026-12-01 on";
        assert_eq!(moved.to_string(), expected);
    }
}
