//! The estimators, with bootstrap intervals.

use super::floor::{self, NoQuality, effective};
use super::gathered::{Observation, Scored};
use super::reward::Reward;
use crate::replay::bootstrap::{Figure, REPLICATES, Random};

/// The most decisions drawn for one replicate. The spread of more is scaled from it.
const MOST_DRAWS: usize = 8192;
/// Estimators, and for each the mean score before and after, and the change.
const COLUMNS: usize = 9;

/// What the log says of the mean score.
#[derive(Debug)]
pub struct Quality {
    /// Decisions that were asked again and have a score.
    pub scored: u64,
    /// Those whose choice changes.
    pub changed: u64,
    /// Those that the gateway made as the policy would: before and after.
    pub matched: [u64; 2],
    /// As many equal decisions weigh as much as these: before and after.
    pub effective: [f64; 2],
    /// How many weights are clipped.
    pub clipped: u64,
    /// The part of the decisions of which the log says nothing about the change, from 0 to 1.
    pub lost: f64,
    /// The mean of all scores, as they were given; `None` if there is none.
    pub logged: Option<f64>,
    /// The estimates, or why there are none.
    pub estimates: Result<[Estimate; 3], NoQuality>,
}

/// One estimator's figures, in scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimator: `doubly_robust`, `snips` or `ips`.
    pub name: &'static str,
    /// The mean score before.
    pub before: Figure,
    /// After.
    pub after: Figure,
    /// After less before.
    pub change: Figure,
}

impl Quality {
    /// The change of the mean score to expect, by the doubly robust estimator; `None` if the log does not tell.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        self.estimates.as_ref().ok().map(|[doubly_robust, ..]| doubly_robust.change.expected)
    }
}

impl Scored {
    /// Estimates the mean scores. The same decisions and seed give the same figures.
    #[must_use]
    pub fn quality(mut self, seed: u64) -> Quality {
        self.sort();
        let Self { decisions, unlikely } = &self;
        let count = decisions.len() as u64;
        let sides = [0, 1].map(|side: usize| effective(decisions.iter().map(|decision| &decision.choices[side])));
        let lost = floor::lost(decisions);
        let sum: f64 = decisions.iter().map(|decision| decision.score).sum();
        let clipped = decisions.iter().filter(|decision| decision.choices.iter().any(|choice| choice.clipped));
        Quality {
            scored: count,
            changed: decisions.iter().filter(|decision| decision.changes()).count() as u64,
            matched: sides.map(|(matched, _)| matched),
            effective: sides.map(|(_, effective)| effective),
            clipped: clipped.count() as u64,
            lost: lost[2],
            logged: (count > 0).then(|| sum / count as f64),
            estimates: floor::check(decisions, lost, unlikely).map(|()| estimates(decisions, lost, seed)),
        }
    }
}

fn estimates(decisions: &[Observation], lost: [f64; 3], seed: u64) -> [Estimate; 3] {
    let rows = rows(decisions);
    let mut figures = figures(&rows, seed);
    // Of what the log says nothing, scores may be anything from 0 to 1.
    for (figure, lost) in figures.iter_mut().zip(lost.iter().cycle()) {
        figure.low -= lost;
        figure.high += lost;
    }
    let estimate =
        |name, at: usize| Estimate { name, before: figures[at], after: figures[at + 1], change: figures[at + 2] };
    [estimate("doubly_robust", 0), estimate("snips", 3), estimate("ips", 6)]
}

/// Of each decision what it adds to the estimates, so that each estimate is the mean of its column.
fn rows(decisions: &[Observation]) -> Vec<[f64; COLUMNS]> {
    let reward = Reward::of(decisions);
    let count = decisions.len() as f64;
    // What SNIPS divides by, and what comes out.
    let normal = [0, 1].map(|side: usize| {
        let weighted = decisions.iter().map(|decision| (decision.choices[side].weight, decision.score));
        let (sum, scores) =
            weighted.fold((0.0, 0.0), |(sum, scores), (weight, score)| (sum + weight, scores + weight * score));
        (sum / count, scores / sum)
    });
    let row = |(at, decision): (usize, &Observation)| {
        let [robust, snips, ips] = {
            let values = [0, 1].map(|side: usize| {
                let choice = &decision.choices[side];
                let weight = choice.weight;
                let expected = reward.expected(at, decision.bucket, choice.model.as_deref());
                let (mean_weight, value) = normal[side];
                [
                    weight.mul_add(decision.score - expected, expected),
                    // A ratio of means moves with each of its decisions like this (the delta method).
                    weight.mul_add((decision.score - value) / mean_weight, value),
                    weight * decision.score,
                ]
            });
            [0, 1, 2].map(|of: usize| [values[0][of], values[1][of]])
        };
        let mut row = [0.0; COLUMNS];
        for (at, [before, after]) in [robust, snips, ips].into_iter().enumerate() {
            row[3 * at..3 * at + 3].copy_from_slice(&[before, after, after - before]);
        }
        row
    };
    decisions.iter().enumerate().map(row).collect()
}

/// The means of the columns with their intervals, drawn row by row, so that what belongs together stays together.
fn figures(rows: &[[f64; COLUMNS]], seed: u64) -> [Figure; COLUMNS] {
    let sum = |rows: &mut dyn Iterator<Item = &[f64; COLUMNS]>| {
        let mut sums = [0.0; COLUMNS];
        for row in rows {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        sums
    };
    let means = sum(&mut rows.iter()).map(|sum| sum / rows.len() as f64);
    let draws = rows.len().min(MOST_DRAWS);
    let narrower = (draws as f64 / rows.len() as f64).sqrt();
    let mut random = Random::new(seed);
    let mut replicates: [Vec<f64>; COLUMNS] = Default::default();
    for _ in 0..REPLICATES {
        let drawn = sum(&mut (0..draws).map(|_| &rows[random.below(rows.len())]));
        for ((replicates, mean), sum) in replicates.iter_mut().zip(means).zip(drawn) {
            replicates.push((sum / draws as f64 - mean).mul_add(narrower, mean));
        }
    }
    let mut replicates = replicates.into_iter();
    means.map(|mean| Figure::of(mean, replicates.next().unwrap_or_default()))
}
