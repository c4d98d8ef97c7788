//! Sums of what was measured and what is to be expected, before and after, and the interval of their difference. Amounts are in
//! millionths: of nano-dollars or of seconds.

use std::collections::BTreeMap;

use super::bootstrap::{Figure, REPLICATES, Random, deviation};
use super::learned::Learned;

/// Millionths of a unit.
pub(super) const MILLION: f64 = 1e6;

/// What one choice costs or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    /// What is known of it.
    pub(super) known: u128,
    /// A value that is to be expected like those of a cell, and what one of it weighs.
    pub(super) expected: Option<(usize, u64)>,
}

impl Amount {
    pub(super) fn known(known: u128) -> Self {
        Self { known, expected: None }
    }

    /// What to expect of it, in units.
    pub(super) fn mean(&self, learned: &Learned) -> f64 {
        let expected = self.expected.map_or(0.0, |(cell, weight)| learned.cells()[cell].mean * weight as f64);
        (self.known as f64 + expected) / MILLION
    }
}

/// A sum of amounts.
#[derive(Debug, Default)]
pub(super) struct Sum {
    known: u128,
    /// How many values are to be expected like those of a cell, by what one weighs.
    expected: BTreeMap<(usize, u64), usize>,
}

impl Sum {
    pub(super) fn add(&mut self, amount: &Amount) {
        self.known = self.known.saturating_add(amount.known);
        if let Some(expected) = amount.expected {
            *self.expected.entry(expected).or_default() += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.known = self.known.saturating_add(other.known);
        for (expected, count) in &other.expected {
            *self.expected.entry(*expected).or_default() += count;
        }
    }

    /// What to expect of it, in millionths.
    pub(super) fn mean(&self, learned: &Learned) -> f64 {
        let expected = |(&(cell, weight), &count): (&(usize, u64), &usize)| {
            learned.cells()[cell].mean * weight as f64 * count as f64
        };
        self.known as f64 + self.expected.iter().map(expected).sum::<f64>()
    }

    /// What all values of a cell weigh together, by cell.
    pub(super) fn weights(&self) -> BTreeMap<usize, f64> {
        let mut weights = BTreeMap::new();
        for (&(cell, weight), &count) in &self.expected {
            *weights.entry(cell).or_default() += weight as f64 * count as f64;
        }
        weights
    }

    /// What the sum may turn out to be if the means of cells are off by `shifts`.
    fn replicate(&self, learned: &Learned, shifts: &[f64], random: &mut Random) -> f64 {
        let mut sum = self.known as f64;
        for (&(cell, weight), &count) in &self.expected {
            let values = &learned.cells()[cell];
            let mean = (values.mean + shifts[cell]) * count as f64;
            sum += weight as f64 * (mean + deviation(&values.samples, values.mean, count, random));
        }
        sum
    }
}

/// What all requests cost or take, before and after.
#[derive(Debug, Default)]
pub struct Comparison {
    records: u64,
    /// Requests whose choice is the same.
    same: Sum,
    /// Those whose choice changes.
    before: Sum,
    after: Sum,
}

/// A comparison in figures, in units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// The requests that are compared.
    pub records: u64,
    /// Before.
    pub before: Figure,
    /// After.
    pub after: Figure,
    /// After less before.
    pub change: Figure,
    /// The same as a share of before, in percent; `None` if before is 0.
    pub percent: Option<Figure>,
}

impl Comparison {
    /// Adds a request whose choice changes, or is the same.
    pub(super) fn add(&mut self, before: &Amount, after: &Amount, changed: bool) {
        self.records += 1;
        if changed {
            self.before.add(before);
            self.after.add(after);
        } else {
            self.same.add(before);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.same.merge(&other.same);
        self.before.merge(&other.before);
        self.after.merge(&other.after);
    }

    /// The figures; `None` if there is nothing to compare. An interval holds what the same requests may turn out to cost or take:
    /// the uncertainty of what was learned, and that of each answer.
    #[must_use]
    pub fn compared(&self, learned: &Learned, seed: u64) -> Option<Compared> {
        if self.records == 0 {
            return None;
        }
        let [same, before, after] = [&self.same, &self.before, &self.after].map(|sum| sum.mean(learned));
        let mut random = Random::new(seed);
        let mut used = vec![false; learned.cells().len()];
        for sum in [&self.same, &self.before, &self.after] {
            sum.expected.keys().for_each(|&(cell, _)| used[cell] = true);
        }
        let [mut befores, mut afters, mut changes, mut percents]: [Vec<f64>; 4] = Default::default();
        for _ in 0..REPLICATES {
            let shift = |(cell, used): (&super::learned::Cell, &bool)| match used {
                true => {
                    deviation(&cell.samples, cell.mean, cell.samples.len(), &mut random) / cell.samples.len() as f64
                }
                false => 0.0,
            };
            let shifts: Vec<f64> = learned.cells().iter().zip(&used).map(shift).collect();
            let [same, before, after] =
                [&self.same, &self.before, &self.after].map(|sum| sum.replicate(learned, &shifts, &mut random));
            befores.push((same + before) / MILLION);
            afters.push((same + after) / MILLION);
            changes.push((after - before) / MILLION);
            percents.push(percent(same + before, after - before).unwrap_or(0.0));
        }
        Some(Compared {
            records: self.records,
            before: Figure::of((same + before) / MILLION, befores),
            after: Figure::of((same + after) / MILLION, afters),
            change: Figure::of((after - before) / MILLION, changes),
            percent: percent(same + before, after - before).map(|expected| Figure::of(expected, percents)),
        })
    }
}

fn percent(whole: f64, change: f64) -> Option<f64> {
    (whole > 0.0).then(|| change / whole * 100.0)
}

#[cfg(test)]
#[path = "../tests/sums.rs"]
mod tests;
