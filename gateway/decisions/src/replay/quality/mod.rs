//! What the answers of another policy would have been worth: estimated from the scores that clients gave (feedback), and from the
//! probabilities with which the gateway chose as it did.
//!
//! A decision whose logged choice is also the choice of the policy tells what that choice is worth. It stands for all decisions like
//! it: it counts as often as the inverse of its probability says. Without exploration only one choice has a probability, so that
//! nothing can be said about another. Three estimators of the mean score, each with its source:
//!
//! - **IPS**, the mean of the weighted scores: D. G. Horvitz and D. J. Thompson, "A Generalization of Sampling Without Replacement
//!   From a Finite Universe", Journal of the American Statistical Association 47 (1952). Unbiased, and the widest.
//! - **SNIPS**, the weighted scores over the weights: A. Swaminathan and T. Joachims, "The Self-Normalized Estimator for
//!   Counterfactual Learning", Advances in Neural Information Processing Systems 28 (2015).
//! - **Doubly robust**, what a model of the scores expects, corrected by the weighted errors of that model: M. Dudík, J. Langford and
//!   L. Li, "Doubly Robust Policy Evaluation and Learning", International Conference on Machine Learning (2011).
//!
//! The probability of a choice is that of the version that decided: whichever version a request went to, the chosen model tells
//! what it is worth. The share of a canary is not in the weight, because the log does not know what the other version would
//! have chosen.
//!
//! This folder must not know: how a policy is asked, how the estimates are shown.

mod estimate;
mod floor;
mod gathered;
mod reward;
mod scores;

pub use estimate::{Estimate, Quality};
pub use floor::{LEAST_SCORES, MOST_LOST, NoQuality};
pub use gathered::{CLIP, Scored};
pub use scores::Scores;

#[cfg(test)]
#[path = "../../tests/quality.rs"]
mod tests;
