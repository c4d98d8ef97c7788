//! The deadlines of an answer that arrives in pieces. This module must not know: what an answer carries.

use std::time::{Duration, Instant};

/// The deadlines of an answer that arrives in pieces.
///
/// While another model could answer, no silence may take more than half of the time that is left, so that there is time
/// for that model. Pieces that keep arriving never end an attempt before the request's own time is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// When the first token is due.
    pub(crate) first_token: Instant,
    /// How long the backend may send nothing after the first token.
    pub(crate) idle: Duration,
    /// When the answer must have ended.
    pub(crate) total: Instant,
    /// Whether another model could still answer.
    pub(crate) leaves_time: bool,
}

impl Deadlines {
    /// When the first token, or the end once that has come, must have arrived, however steadily pieces arrive.
    pub(super) fn end(&self, begun: bool) -> Instant {
        if begun { self.total } else { self.first_token.min(self.total) }
    }

    /// When the next piece is due if the last one arrived at `now`. `begun`: the first token has arrived.
    pub(super) fn next(&self, now: Instant, begun: bool) -> Instant {
        let left = self.total.saturating_duration_since(now);
        let silence = if self.leaves_time { left / 2 } else { left };
        let silence = if begun { silence.min(self.idle) } else { silence };
        self.end(begun).min(now + silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn deadlines(start: Instant, leaves_time: bool) -> Deadlines {
        Deadlines { first_token: start + 60 * SECOND, idle: 30 * SECOND, total: start + 600 * SECOND, leaves_time }
    }

    #[test]
    fn pieces_that_keep_arriving_may_use_all_of_the_time_whoever_else_could_answer() {
        let start = Instant::now();
        for leaves_time in [false, true] {
            let deadlines = deadlines(start, leaves_time);
            for second in 0..600 {
                let now = start + second * SECOND;
                assert!(deadlines.next(now, true) > now, "second {second}");
            }
            assert_eq!(deadlines.next(start + 600 * SECOND, true), deadlines.total);
            // Pieces without a token move nothing beyond the time of the first token.
            assert_eq!(deadlines.next(start + 50 * SECOND, false), deadlines.first_token);
        }
    }

    #[test]
    fn whenever_pieces_stop_another_model_has_half_of_what_was_left() {
        let start = Instant::now();
        let deadlines = deadlines(start, true);
        for begun in [false, true] {
            for second in 0..600 {
                let now = start + second * SECOND;
                let left_when_it_stopped = deadlines.total - now;
                let left = deadlines.total.saturating_duration_since(deadlines.next(now, begun));
                assert!(left >= left_when_it_stopped / 2, "second {second}, begun {begun}");
            }
        }
    }

    #[test]
    fn the_last_model_may_be_silent_for_its_idle_time() {
        let start = Instant::now();
        let deadlines = deadlines(start, false);
        assert_eq!(deadlines.next(start + 560 * SECOND, true), start + 590 * SECOND);
        assert_eq!(deadlines.next(start + 590 * SECOND, true), deadlines.total);
    }
}
