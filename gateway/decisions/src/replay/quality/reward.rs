//! A simple model of scores: the mean score of a model's answers to prompts of about the same length.
//!
//! It is cross-fitted: what it expects of a decision comes from the decisions of other folds, so that a score never predicts itself
//! (V. Chernozhukov and others, "Double/Debiased Machine Learning for Treatment and Structural Parameters", The Econometrics
//! Journal 21 (2018)).

use std::collections::HashMap;

use super::gathered::Observation;

/// Folds of the decisions. Five leave four fifths to learn from.
const FOLDS: usize = 5;
/// With fewer scores than this, a mean is taken of more decisions.
const LEAST: u32 = 5;

/// A sum of scores and their number.
#[derive(Debug, Clone, Copy, Default)]
struct Sum(f64, u32);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reward<'a> {
    /// By model and length, by model, and of all; of each fold.
    cells: HashMap<(&'a str, usize), [Sum; FOLDS]>,
    models: HashMap<&'a str, [Sum; FOLDS]>,
    all: [Sum; FOLDS],
}

impl<'a> Reward<'a> {
    /// Learns from decisions, in their order.
    pub(super) fn of(decisions: &'a [Observation]) -> Self {
        let mut reward = Self::default();
        for (at, Observation { chosen, bucket, score, .. }) in decisions.iter().enumerate() {
            let cell = reward.cells.entry((chosen, *bucket)).or_default();
            let model = reward.models.entry(chosen).or_default();
            for sums in [cell, model, &mut reward.all] {
                let Sum(sum, count) = &mut sums[at % FOLDS];
                *sum += score;
                *count += 1;
            }
        }
        reward
    }

    /// The score to expect of a model's answer to the decision at a position; `None`: of any model's.
    pub(super) fn expected(&self, at: usize, bucket: usize, model: Option<&'a str>) -> f64 {
        let cell = model.and_then(|model| self.cells.get(&(model, bucket)));
        let whole = model.and_then(|model| self.models.get(model));
        let enough = [cell, whole].into_iter().flatten().filter_map(|sums| mean(sums, at % FOLDS, LEAST)).next();
        enough.or_else(|| mean(&self.all, at % FOLDS, 1)).unwrap_or(0.5)
    }
}

/// The mean of the other folds; `None` if they have fewer than `least` scores.
fn mean(sums: &[Sum; FOLDS], fold: usize, least: u32) -> Option<f64> {
    let others = sums.iter().enumerate().filter(|(of, _)| *of != fold);
    let Sum(sum, count) = others.fold(Sum::default(), |all, (_, one)| Sum(all.0 + one.0, all.1 + one.1));
    (count >= least).then(|| sum / f64::from(count))
}
