//! Hedging: if a model is slow to its first token, the dispatcher also calls the next model of the ranking. The first
//! to send a token answers, or the first to complete a guarded stream; the other call is cancelled ("hedged requests" in Dean and Barroso, "The Tail at Scale",
//! Communications of the ACM 56(2), 2013). The hedge budget bounds hedges to a share of the requests that may be
//! hedged.
//!
//! The call that is cancelled was silent for some time. If that is longer than its model's breaker takes for slow, it counts
//! as slow, because its answer would have been; else it says nothing of the model.

use std::pin::pin;
use std::time::Duration;

use super::failures::{Failures, Next};
use super::progress::Progress;
use super::{Answer, Dispatch};
use crate::metrics::labels::{HedgeResult, Unaccounted};
use crate::telemetry::Record;
use crate::telemetry::record::Hedge;

/// The two models of a hedge, by position in the catalog, and the delay before the second is called.
pub(super) struct Pair {
    first: usize,
    second: usize,
    after: Duration,
}

/// The records of both calls. If the client leaves while both run, what the second used joins the request's record.
struct Records<'a> {
    request: &'a mut Record,
    second: Record,
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        self.request.absorb(&mut self.second, Unaccounted::Abandoned);
    }
}

impl Dispatch<'_> {
    /// The pair if the call to the model at `first` may be hedged: only streams, whose first token shows whether a model is
    /// slow; none with tools, whose calls may have side effects; at most one hedge per request.
    pub(super) fn pair(&self, record: &Record, first: usize, others: &[usize]) -> Option<Pair> {
        let after = self.snapshot.catalog.models()[first].model.timeouts.hedge?;
        let chat = &self.call.chat;
        let suits = chat.stream && chat.tools.is_empty() && record.hedge.is_none();
        others.first().filter(|_| suits).map(|&second| Pair { first, second, after })
    }

    /// Calls the first model of a pair, and also the second if the first is slow; then the record gets a `hedge`.
    /// `last`: no third model is left.
    pub(super) async fn hedged(
        &self,
        record: &mut Record,
        pair: Pair,
        last: bool,
        failures: &mut Failures,
    ) -> Result<Answer, Next> {
        self.budgets.hedges.deposit(self.snapshot.limits.hedge_budget_percent);
        let mut records = Records { second: record.fork(), request: record };
        let (answer, result) = self.race(&mut records, &pair, last, failures).await;
        if result == Some(HedgeResult::Won) {
            records.request.swap_with(&mut records.second);
        }
        records.request.absorb(&mut records.second, Unaccounted::HedgeLost);
        records.request.hedge = result.map(|result| Hedge { model: pair.first, result });
        answer
    }

    /// Runs the pair, each call with its own record. The result is `None` if the second model was not called.
    async fn race(
        &self,
        records: &mut Records<'_>,
        pair: &Pair,
        last: bool,
        failures: &mut Failures,
    ) -> (Result<Answer, Next>, Option<HedgeResult>) {
        let progress = [Progress::default(), Progress::default()];
        let mut first = pin!(self.model(records.request, pair.first, false, &progress[0]));
        let early = tokio::select! {
            biased;
            answer = &mut first => Some(answer),
            () = tokio::time::sleep(pair.after) => None,
        };
        // A guarded stream is not slow because it is long.
        if early.is_some() || progress[0].has_begun() || !self.budgets.hedges.withdraw() {
            let answer = match early {
                Some(answer) => answer,
                None => first.await,
            };
            return (answer.map_err(|failure| failures.note(self.snapshot, pair.first, failure)), None);
        }
        let mut second = pin!(self.model(&mut records.second, pair.second, last, &progress[1]));
        let (answer, result) = tokio::select! {
            biased;
            answer = &mut first => match answer.map_err(|failure| failures.note(self.snapshot, pair.first, failure)) {
                Err(Next::Model) => {
                    let answer = second.await.map_err(|failure| failures.note(self.snapshot, pair.second, failure));
                    let result = if answer.is_ok() { HedgeResult::Won } else { HedgeResult::Lost };
                    (answer, result)
                }
                answer => (answer, HedgeResult::Lost),
            },
            answer = &mut second => match answer {
                Ok(answer) => (Ok(answer), HedgeResult::Won),
                Err(failure) => {
                    // The first may still answer, so what would follow this failure does not matter.
                    let _ = failures.note(self.snapshot, pair.second, failure);
                    let answer = first.await.map_err(|failure| failures.note(self.snapshot, pair.first, failure));
                    (answer, HedgeResult::Lost)
                }
            },
        };
        (answer, Some(result))
    }
}
