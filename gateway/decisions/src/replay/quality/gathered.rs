//! The decisions that have a score, and what each says of the two policies that are compared.

use std::collections::BTreeMap;

use crate::record::Decision;
use crate::replay::answer::Answer;
use crate::replay::learned::bucket;

/// The largest weight of a decision. A larger one is clipped to it, and the intervals are wider by what that may hide. A choice
/// of a probability of 1 / 200 needs 6,000 decisions for 30 that tell something of it; rarer ones would let single scores decide.
pub const CLIP: f64 = 200.0;

/// Decisions with scores, gathered in any order and on several threads.
#[derive(Debug, Default)]
pub struct Scored {
    pub(super) decisions: Vec<Observation>,
    /// Decisions of which a policy's choice had no probability in the log, by reason.
    pub(super) unlikely: BTreeMap<&'static str, u64>,
}

/// A decision with a score.
#[derive(Debug)]
pub(super) struct Observation {
    /// The request's id, by which decisions have an order that no thread changes.
    id: String,
    /// The model that the gateway chose.
    pub(super) chosen: String,
    /// The class of the prompt's length.
    pub(super) bucket: usize,
    /// From 0 to 1.
    pub(super) score: f64,
    /// What the two policies choose: before and after.
    pub(super) choices: [Choice; 2],
}

/// A policy's choice.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    /// The model; `None` if the policy denies the request.
    pub(super) model: Option<String>,
    /// As how many decisions this one counts: 0 if the gateway chose another model.
    pub(super) weight: f64,
    /// Which part of the expected weight, from 0 to 1, is missing: all if the choice had no probability, else what is clipped.
    pub(super) lost: f64,
    /// Whether the weight is clipped.
    pub(super) clipped: bool,
}

impl Observation {
    /// Whether the two policies choose differently.
    pub(super) fn changes(&self) -> bool {
        self.choices[0].model != self.choices[1].model
    }
}

impl Choice {
    fn of(decision: &Decision, answer: &Answer) -> Self {
        let model = answer.choice.clone();
        let probability = model.as_deref().map_or(0.0, |model| decision.probability_of(model));
        let is_chosen = model.is_some() && model == decision.chosen;
        // Also of a line that somebody wrote by hand.
        let has_weight = is_chosen && probability > 0.0;
        Self {
            weight: if has_weight { (1.0 / probability).min(CLIP) } else { 0.0 },
            lost: (1.0 - CLIP * probability).clamp(0.0, 1.0),
            clipped: has_weight && probability * CLIP < 1.0,
            model,
        }
    }

    /// Why the choice had no probability; `None` if it had one.
    fn unlikely(&self, decision: &Decision) -> Option<&'static str> {
        match (&self.model, &decision.exploration) {
            _ if self.lost < 1.0 => None,
            (None, _) => Some("denied"),
            (Some(_), None) => Some("not_open_to_exploration"),
            (Some(_), Some(_)) => Some("not_among_the_drawn"),
        }
    }
}

impl Scored {
    /// Adds a decision that has a score: what was answered before, and what is answered after.
    pub fn add(&mut self, decision: &Decision, before: &Answer, after: &Answer, score: f64) {
        // A denied request has no answer of which somebody could say anything.
        let Some(chosen) = decision.chosen.clone() else { return };
        let choices = [before, after].map(|answer| Choice::of(decision, answer));
        // If both choose the same, what it is worth makes no difference.
        if choices[0].model != choices[1].model
            && let Some(reason) = choices.iter().find_map(|choice| choice.unlikely(decision))
        {
            *self.unlikely.entry(reason).or_default() += 1;
        }
        let (id, bucket) = (decision.id.clone(), bucket(decision.request.prompt_tokens));
        self.decisions.push(Observation { id, chosen, bucket, score, choices });
    }

    /// Adds what another thread gathered.
    pub fn merge(&mut self, other: Self) {
        self.decisions.extend(other.decisions);
        for (reason, count) in other.unlikely {
            *self.unlikely.entry(reason).or_default() += count;
        }
    }

    /// Brings the decisions into the order of their ids: the order in which threads read the log must not change an estimate.
    pub(super) fn sort(&mut self) {
        self.decisions.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    }
}
