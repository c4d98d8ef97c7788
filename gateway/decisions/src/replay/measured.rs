//! The figure of a target, of all decisions of a part of a log that a policy was asked about again, with its interval.
//!
//! An interval (95 %) says what the figure is in the long run of such requests. It knows two errors: that the part has only so
//! many requests, and that what is expected of models was learned of so many answers. Of shares it is Wilson's interval (Wilson
//! 1927, Journal of the American Statistical Association 22). Of spending and of percentiles it is the normal approximation of
//! both variances' sum; that of a percentile is read from the distribution at the ranks that lie so far off (Woodruff 1952,
//! ibid. 47).

use std::collections::BTreeMap;

use super::answer::Answer;
use super::bootstrap::Figure;
use super::learned::{Evidence, LEAST, Learned};
use super::price::{self, NoCost};
use super::sums::{Amount, MILLION, Sum};
use super::target::Target;
use crate::models::ModelTable;
use crate::record::Decision;

/// Standard errors in half an interval.
const Z: f64 = 1.96;
/// Nano-dollars of a dollar.
const NANO: f64 = 1e9;

/// See the module. What is counted depends on the target, which is the same in all calls.
#[derive(Debug, Default)]
pub struct Measured {
    /// How many decisions there are, and of how many no figure is known.
    pub counted: Counted,
    /// Those that the model of the target is chosen for.
    chosen: u64,
    cost: Sum,
    /// The sum of the squares of expected costs, in nano-dollars.
    squares: u128,
    /// Measured times, in microseconds.
    times: Vec<u64>,
    /// How many times are to be expected like those of a cell.
    expected: BTreeMap<usize, usize>,
}

/// Decisions that are counted.
#[derive(Debug, Default)]
pub struct Counted {
    /// Those that were asked again.
    pub asked: u64,
    /// Those on which the policy failed, so that the default decides.
    pub failed: u64,
    /// Those whose figure is not known because the log has too few answers of a model, by model.
    pub too_few: BTreeMap<String, u64>,
    /// Those that are not in the spending because the model has no price, by model.
    pub unpriced: BTreeMap<String, u64>,
}

impl Measured {
    /// Adds a decision and what a policy answers to it now.
    pub fn add(
        &mut self,
        target: &Target,
        decision: &Decision,
        table: &ModelTable,
        answer: &Answer,
        evidence: &Evidence,
    ) {
        self.counted.asked += 1;
        self.counted.failed += u64::from(answer.failure.is_some());
        let choice = answer.choice.as_deref();
        match target {
            Target::Share { model, .. } => self.chosen += u64::from(choice == Some(model)),
            Target::Spend { .. } => match price::cost(decision, table, choice, &evidence.outputs) {
                Ok(amount) => self.spent(&amount, &evidence.outputs),
                // What was not billed costs nothing.
                Err(NoCost::NoTokens) => {}
                // How much of a whole answer another model would have given is not known: what it did cost.
                Err(NoCost::NotWhole) => {
                    let cost = u128::from(decision.outcome.cost.unwrap_or(0)) * 1_000_000;
                    self.spent(&Amount::known(cost), &evidence.outputs);
                }
                Err(NoCost::NoPrice(model)) => *self.counted.unpriced.entry(model).or_default() += 1,
                Err(NoCost::TooFew(model)) => *self.counted.too_few.entry(model).or_default() += 1,
            },
            Target::Latency { .. } => match (price::seconds(decision, choice, &evidence.seconds), choice) {
                (Some(Amount { expected: Some((cell, _)), .. }), _) => *self.expected.entry(cell).or_default() += 1,
                (Some(Amount { known, .. }), _) => self.times.push(u64::try_from(known).unwrap_or(u64::MAX)),
                (None, Some(model)) if is_unknown(decision, model, &evidence.seconds) => {
                    *self.counted.too_few.entry(model.to_owned()).or_default() += 1;
                }
                // Nobody answered it, or nobody would.
                (None, _) => {}
            },
        }
    }

    fn spent(&mut self, amount: &Amount, outputs: &Learned) {
        self.cost.add(amount);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "costs are finite and not negative"
        )]
        let nano = amount.mean(outputs).round() as u64;
        self.squares = self.squares.saturating_add(u128::from(nano).saturating_mul(nano.into()));
    }

    /// Adds what another thread measured.
    pub fn merge(&mut self, other: Self) {
        self.counted.asked += other.counted.asked;
        self.counted.failed += other.counted.failed;
        self.chosen += other.chosen;
        self.cost.merge(&other.cost);
        self.squares = self.squares.saturating_add(other.squares);
        self.times.extend(other.times);
        for (cell, count) in other.expected {
            *self.expected.entry(cell).or_default() += count;
        }
        for (counts, others) in
            [(&mut self.counted.too_few, other.counted.too_few), (&mut self.counted.unpriced, other.counted.unpriced)]
        {
            for (model, count) in others {
                *counts.entry(model).or_default() += count;
            }
        }
    }

    /// The figure, in the target's unit; `None` if the log does not tell. Requests come as many in a month as `per_month`.
    #[must_use]
    pub fn figure(&self, target: &Target, evidence: &Evidence, per_month: f64) -> Option<Figure> {
        if self.counted.asked == 0 || !self.counted.too_few.is_empty() {
            return None;
        }
        match target {
            Target::Share { .. } => Some(share(self.chosen as f64, self.counted.asked as f64)),
            Target::Spend { .. } => Some(self.spending(&evidence.outputs, per_month)),
            Target::Latency { percentile, .. } => self.percentile(&evidence.seconds, percentile / 100.0),
        }
    }

    fn spending(&self, outputs: &Learned, per_month: f64) -> Figure {
        let count = self.counted.asked as f64;
        let mean = self.cost.mean(outputs) / MILLION / count;
        let mut variance = (self.squares as f64 / count - mean * mean).max(0.0) / count;
        for (cell, weight) in self.cost.weights() {
            let share = weight / MILLION / count;
            let cell = &outputs.cells()[cell];
            variance += share * share * cell.variance() / cell.samples.len() as f64;
        }
        let [mean, error] = [mean, Z * variance.sqrt()].map(|nano| nano / NANO * per_month);
        Figure { expected: mean, low: (mean - error).max(0.0), high: mean + error }
    }

    fn percentile(&self, seconds: &Learned, rank: f64) -> Option<Figure> {
        let mut times: Vec<(f64, f64)> = self.times.iter().map(|&micros| (micros as f64 / MILLION, 1.0)).collect();
        for (&cell, &count) in &self.expected {
            let samples = &seconds.cells()[cell].samples;
            let weight = count as f64 / samples.len() as f64;
            times.extend(samples.iter().map(|&value| (value, weight)));
        }
        times.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let count: f64 = self.times.len() as f64 + self.expected.values().sum::<usize>() as f64;
        let at = |rank: f64| {
            let mut below = 0.0;
            let reaches = |(_, weight): &&(f64, f64)| {
                below += weight;
                below >= rank * count
            };
            times.iter().find(reaches).or(times.last()).map(|(value, _)| *value)
        };
        let expected = at(rank)?;
        let mut variance = rank * (1.0 - rank) / count;
        for (&cell, &times) in &self.expected {
            let samples = &seconds.cells()[cell].samples;
            let below = samples.partition_point(|value| *value <= expected) as f64 / samples.len() as f64;
            variance += (times as f64 / count).powi(2) * below * (1.0 - below) / samples.len() as f64;
        }
        let error = Z * variance.sqrt();
        Some(Figure { expected, low: at((rank - error).max(0.0))?, high: at((rank + error).min(1.0))? })
    }
}

/// Whether it would answer, and nobody can tell how fast.
fn is_unknown(decision: &Decision, model: &str, seconds: &Learned) -> bool {
    decision.outcome.calls.iter().any(|call| call.answered) && seconds.records(model) < LEAST
}

/// A share of `count`, in percent.
fn share(chosen: f64, count: f64) -> Figure {
    let (part, z2) = (chosen / count, Z * Z);
    let middle = (part + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let error = Z / (1.0 + z2 / count) * (part * (1.0 - part) / count + z2 / (4.0 * count * count)).sqrt();
    let [expected, low, high] = [part, middle - error, middle + error].map(|share| 100.0 * share);
    Figure { expected, low: low.max(0.0), high: high.min(100.0) }
}

#[cfg(test)]
#[path = "../tests/measured.rs"]
mod tests;
