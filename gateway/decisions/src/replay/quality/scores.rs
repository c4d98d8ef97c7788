//! Scores by request.

use std::collections::HashMap;

use crate::record::Feedback;

/// What clients said of requests. If several said something of one, its score is the mean of all that they said, each line of
/// feedback as much as the others, whoever sent it.
#[derive(Debug, Default)]
pub struct Scores {
    /// The sum of the scores and their number, by the request's id.
    by_id: HashMap<String, (f64, u32)>,
}

impl Scores {
    /// Adds a line of feedback. The gateway takes scores from 0 to 1; one out of range counts as the nearest in it.
    pub fn note(&mut self, feedback: Feedback) {
        let (sum, count) = self.by_id.entry(feedback.id).or_default();
        *sum += feedback.score.clamp(0.0, 1.0);
        *count = count.saturating_add(1);
    }

    /// The score of a request, from 0 to 1; `None` if nobody said anything of it.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<f64> {
        self.by_id.get(id).map(|(sum, count)| sum / f64::from(*count))
    }

    /// How many requests have a score.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.by_id.len()
    }
}
