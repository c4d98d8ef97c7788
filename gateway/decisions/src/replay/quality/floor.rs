//! When the log does not tell what answers would have been worth.

use std::collections::BTreeMap;
use std::fmt;

use super::gathered::{Choice, Observation};

/// The fewest decisions with scores, and the smallest effective sample size, of which an estimate is made: below it, intervals of a
/// bootstrap are too narrow.
pub const LEAST_SCORES: u64 = 30;
/// The largest part of the decisions, from 0 to 1, that the log may say nothing of: intervals are wider by this part, and beyond it they
/// would say little.
pub const MOST_LOST: f64 = 0.05;

/// Why there is no estimate.
#[derive(Debug, Clone, PartialEq)]
pub enum NoQuality {
    /// No decision has a score.
    NoFeedback,
    /// Too few decisions have one.
    FewScores(u64),
    /// The log could not have chosen what a policy chooses in too large a part of the decisions.
    NoOverlap {
        /// The part, from 0 to 1.
        lost: f64,
        /// Decisions that change and could not have been chosen so, by reason.
        reasons: BTreeMap<&'static str, u64>,
    },
    /// The decisions of which the log tells something weigh as much as too few equal ones.
    FewMatches {
        /// Whether only those are meant whose choice changes.
        changed: bool,
        /// Those of which the log tells something.
        matched: u64,
        /// The effective sample size.
        effective: f64,
    },
}

impl NoQuality {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoFeedback => "no_feedback",
            Self::FewScores(_) => "few_scores",
            Self::NoOverlap { .. } => "no_overlap",
            Self::FewMatches { .. } => "few_matches",
        }
    }
}

impl fmt::Display for NoQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFeedback => {
                f.write_str("no decision that was asked again has feedback (POST /v1/feedback); expected at least ")?;
                write!(f, "{LEAST_SCORES} that do")
            }
            Self::FewScores(found) => write!(
                f,
                "{found} decisions that were asked again have feedback; expected at least {LEAST_SCORES}, and more for a useful interval"
            ),
            Self::NoOverlap { lost, reasons } => {
                let (lost, most) = (lost * 100.0, MOST_LOST * 100.0);
                write!(
                    f,
                    "in {lost:.1} % of the decisions with feedback the log could not, or hardly, have chosen what the policy \
                     chooses; expected at most {most} %"
                )?;
                for (reason, count) in reasons {
                    write!(f, "; {count} {}", words(reason))?;
                }
                f.write_str("; set `explore`, and wait until it has chosen these models, too")
            }
            Self::FewMatches { changed, matched, effective } => {
                let which =
                    if *changed { "the decisions with feedback that change" } else { "the decisions with feedback" };
                write!(
                    f,
                    "of {which}, the gateway made {matched} as the policy would; they weigh as much as {effective:.0} equal ones; \
                     expected at least {LEAST_SCORES}"
                )
            }
        }
    }
}

fn words(reason: &str) -> &str {
    match reason {
        "denied" => "are denied by a policy",
        "not_open_to_exploration" => "were not open to exploration",
        "not_among_the_drawn" => "have a choice that was not among the models drawn",
        other => other,
    }
}

/// How many equal decisions weigh as much as these (L. Kish, "Survey Sampling", 1965), and how many have a weight at all.
pub(super) fn effective<'a>(choices: impl Iterator<Item = &'a Choice>) -> (u64, f64) {
    let weights = choices.map(|choice| choice.weight).filter(|weight| *weight > 0.0);
    let (count, sum, squares) = weights.fold((0, 0.0, 0.0), |(count, sum, squares), weight| {
        (count + 1, sum + weight, weight.mul_add(weight, squares))
    });
    (count, if squares > 0.0 { sum * sum / squares } else { 0.0 })
}

/// The part of the decisions, from 0 to 1, of which the log says nothing: before, after, and of the change.
pub(super) fn lost(decisions: &[Observation]) -> [f64; 3] {
    let mut lost = [0.0; 3];
    for decision in decisions {
        let [before, after] = [0, 1].map(|side: usize| decision.choices[side].lost);
        let change = if decision.changes() { (before + after).min(1.0) } else { 0.0 };
        lost.iter_mut().zip([before, after, change]).for_each(|(sum, one)| *sum += one);
    }
    lost.map(|sum| sum / decisions.len().max(1) as f64)
}

/// Checks that the log tells enough. `lost`: of which part it says nothing.
pub(super) fn check(
    decisions: &[Observation],
    lost: [f64; 3],
    reasons: &BTreeMap<&'static str, u64>,
) -> Result<(), NoQuality> {
    let count = decisions.len() as u64;
    if count == 0 {
        return Err(NoQuality::NoFeedback);
    }
    if count < LEAST_SCORES {
        return Err(NoQuality::FewScores(count));
    }
    let lost = lost.into_iter().fold(0.0, f64::max);
    if lost > MOST_LOST {
        return Err(NoQuality::NoOverlap { lost, reasons: reasons.clone() });
    }
    // What does not change says nothing about the change.
    let changed = decisions.iter().any(Observation::changes);
    let counted = || decisions.iter().filter(|decision| !changed || decision.changes());
    let sides = [0, 1].map(|side: usize| effective(counted().map(|decision| &decision.choices[side])));
    let (matched, effective) = if sides[0].1 < sides[1].1 { sides[0] } else { sides[1] };
    if effective < LEAST_SCORES as f64 {
        return Err(NoQuality::FewMatches { changed, matched, effective });
    }
    Ok(())
}
