//! What a policy would have changed: compares the answers of two policies to the requests of a log, and estimates what the other
//! choices would have cost and taken. It estimates from what the log measured, with intervals, and gives no figure where the log
//! measured too little. What answers would have been worth is in `quality`, which needs feedback and exploration.
//!
//! This folder must not know: how a policy is asked, how the comparison is shown.

mod answer;
mod bootstrap;
mod condition;
mod learned;
mod measured;
mod price;
mod quality;
#[cfg(test)]
mod sample;
mod sums;
mod sweep;
mod tally;
mod target;

pub use answer::Answer;
pub use bootstrap::{Figure, mean_figure};
pub use condition::{Condition, Measure};
pub use learned::{Evidence, Gathered, LEAST, Learned};
pub use measured::{Counted, Measured};
pub use quality::{CLIP, Estimate, LEAST_SCORES, MOST_LOST, NoQuality, Quality, Scored, Scores};
pub use sums::{Compared, Comparison};
pub use sweep::Range;
pub use tally::{Case, Difference, LARGEST, Side, Tally};
pub use target::{Fold, Target};
