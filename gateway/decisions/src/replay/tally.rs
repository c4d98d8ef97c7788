//! The tally of a replay: one request after the other is added, on several threads, and the tallies of the threads are merged.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::condition::{Condition, Measure};
use super::learned::Evidence;
use super::price::{self, NoCost};
use super::sums::Comparison;
use crate::models::ModelTable;
use crate::record::{Decision, Verdict};

/// The differences in cost that are kept, largest first.
pub const LARGEST: usize = 20;

/// A request with both answers.
#[derive(Debug)]
pub struct Case<'a> {
    /// What the log has of it.
    pub decision: &'a Decision,
    /// The models of that time.
    pub table: &'a ModelTable,
    /// The answer that it is compared with.
    pub before: Answer,
    /// The answer of the policy that is replayed.
    pub after: Answer,
}

/// Requests, before and after.
pub(super) type Pair = [u64; 2];

/// What a replay found.
#[derive(Debug, Default)]
pub struct Tally {
    /// Decisions that were asked again.
    pub asked: u64,
    /// Decisions that could not be asked again, by reason.
    pub not_askable: BTreeMap<&'static str, u64>,
    /// Decisions whose first choice changes.
    pub changed: u64,
    /// Decisions whose whole verdict is the same.
    pub identical: u64,
    /// Requests by the model that is to be called first; `None`: by none, because they are denied or fail.
    pub models: BTreeMap<Option<String>, Pair>,
    /// Requests by the tier in the verdict; `None`: without one.
    pub tiers: BTreeMap<Option<String>, Pair>,
    /// Failures of the policies by class.
    pub failures: BTreeMap<String, Pair>,
    /// In nano-dollars.
    pub cost: Comparison,
    /// Decisions without a cost before or after, by reason and model.
    no_cost: BTreeMap<NoCost, u64>,
    /// Those of them whose choice changes and that did cost something.
    pub unknown_costs: u64,
    /// In seconds.
    pub latency: Comparison,
    largest: Vec<Difference>,
}

/// A request whose cost differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The request's id.
    pub id: String,
    /// The expected cost after less that before, in nano-dollars.
    pub change: f64,
    /// Before.
    pub before: Side,
    /// After.
    pub after: Side,
}

/// One side of a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The model that is called first; `None` if the request is denied.
    pub model: Option<String>,
    /// The tier in the verdict.
    pub tier: Option<String>,
    /// The policy's reason.
    pub reason: String,
    /// The expected cost, in nano-dollars.
    pub cost: f64,
}

impl Tally {
    /// Counts a decision that cannot be asked again.
    pub fn skip(&mut self, reason: &'static str) {
        *self.not_askable.entry(reason).or_default() += 1;
    }

    /// Adds a request.
    pub fn add(&mut self, case: Case<'_>, evidence: &Evidence) {
        let Case { decision, table, before, after } = case;
        let changed = before.choice != after.choice;
        self.asked += 1;
        self.changed += u64::from(changed);
        self.identical += u64::from(before.verdict == after.verdict);
        for (at, answer) in [&before, &after].into_iter().enumerate() {
            self.models.entry(answer.choice.clone()).or_default()[at] += 1;
            self.tiers.entry(answer.verdict.tier.clone()).or_default()[at] += 1;
            if let Some(class) = &answer.failure {
                self.failures.entry(class.clone()).or_default()[at] += 1;
            }
        }
        let cost = |answer: &Answer| price::cost(decision, table, answer.choice.as_deref(), &evidence.outputs);
        // Nothing was billed: nobody knows what one that is denied now would have cost.
        let costs = match decision.outcome.calls.is_empty() {
            true => Err(NoCost::NoTokens),
            false => cost(&before).and_then(|before| Ok((before, cost(&after)?))),
        };
        match costs {
            Ok((cost_before, cost_after)) => {
                self.cost.add(&cost_before, &cost_after, changed);
                if changed {
                    let [cost_before, cost_after] = [cost_before, cost_after].map(|cost| cost.mean(&evidence.outputs));
                    let (before, after) = (Side::of(before.clone(), cost_before), Side::of(after.clone(), cost_after));
                    let change = cost_after - cost_before;
                    self.note(Difference { id: decision.id.clone(), change, before, after });
                }
            }
            Err(no_cost) => {
                // One that is not denied any more costs, and nobody knows how much.
                let is_new = before.choice.is_none() && after.choice.is_some();
                let is_known_gap = matches!(no_cost, NoCost::NoTokens | NoCost::NotWhole);
                self.unknown_costs += u64::from(changed && (is_new || !is_known_gap));
                *self.no_cost.entry(no_cost).or_default() += 1;
            }
        }
        let seconds = |answer: &Answer| price::seconds(decision, answer.choice.as_deref(), &evidence.seconds);
        if let Some((before, after)) = seconds(&before).zip(seconds(&after)) {
            self.latency.add(&before, &after, changed);
        }
    }

    fn note(&mut self, difference: Difference) {
        if difference.change != 0.0 {
            self.largest.push(difference);
        }
        if self.largest.len() > 2 * LARGEST {
            self.keep_largest();
        }
    }

    fn keep_largest(&mut self) {
        let by_size = |one: &Difference, other: &Difference| {
            other.change.abs().total_cmp(&one.change.abs()).then_with(|| one.id.cmp(&other.id))
        };
        self.largest.sort_by(by_size);
        self.largest.truncate(LARGEST);
    }

    /// Adds what another thread found.
    pub fn merge(&mut self, other: Self) {
        self.asked += other.asked;
        self.changed += other.changed;
        self.identical += other.identical;
        self.unknown_costs += other.unknown_costs;
        for (reason, count) in other.not_askable {
            *self.not_askable.entry(reason).or_default() += count;
        }
        for (reason, count) in other.no_cost {
            *self.no_cost.entry(reason).or_default() += count;
        }
        merge_pairs(&mut self.models, other.models);
        merge_pairs(&mut self.tiers, other.tiers);
        merge_pairs(&mut self.failures, other.failures);
        self.cost.merge(&other.cost);
        self.latency.merge(&other.latency);
        self.largest.extend(other.largest);
        self.keep_largest();
    }

    /// The largest differences in cost, the largest first.
    #[must_use]
    pub fn largest(&self) -> &[Difference] {
        &self.largest
    }

    /// Why decisions have no cost: the reason, its model, how many.
    pub fn no_cost(&self) -> impl Iterator<Item = (String, Option<&str>, u64)> {
        self.no_cost.iter().map(|(reason, count)| {
            let (said, model) = reason.in_words();
            (said, model, *count)
        })
    }

    /// The share of decisions that change, in percent; `None` if none was asked.
    #[must_use]
    pub fn changed_percent(&self) -> Option<f64> {
        (self.asked > 0).then(|| self.changed as f64 / self.asked as f64 * 100.0)
    }

    /// The figure of a condition, and whether the condition holds; `None` if the log does not tell. `cost_percent` is the expected
    /// change of the cost, `score` that of the mean score.
    #[must_use]
    pub fn judge(&self, condition: Condition, cost_percent: Option<f64>, score: Option<f64>) -> Option<(f64, bool)> {
        let found = match condition.measure {
            Measure::Changed => self.changed_percent(),
            // A change of unknown cost could be any.
            Measure::Cost => cost_percent.filter(|_| self.unknown_costs == 0),
            Measure::Score => score,
        }?;
        Some((found, condition.holds(found)))
    }
}

impl Side {
    fn of(answer: Answer, cost: f64) -> Self {
        let Verdict { tier, reason, .. } = answer.verdict;
        Self { model: answer.choice, tier, reason, cost }
    }
}

fn merge_pairs<K: Ord>(into: &mut BTreeMap<K, Pair>, from: BTreeMap<K, Pair>) {
    for (key, [before, after]) in from {
        let sums = into.entry(key).or_default();
        sums[0] += before;
        sums[1] += after;
    }
}

#[cfg(test)]
#[path = "../tests/tally.rs"]
mod tests;
