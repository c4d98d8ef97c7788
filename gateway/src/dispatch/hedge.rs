//! Hedging: if a model is slow to its first token, the dispatcher also calls the next model of the ranking. The first
//! to send a token answers; the other call is cancelled ("hedged requests" in Dean and Barroso, "The Tail at Scale",
//! Communications of the ACM 56(2), 2013). The hedge budget bounds hedges to a share of the requests that may be
//! hedged.

use std::pin::pin;
use std::time::Duration;

use super::failures::{Failures, Next};
use super::{Answer, Dispatch};
use crate::metrics::labels::HedgeResult;
use crate::telemetry::Record;
use crate::telemetry::record::Hedge;

/// The two models of a hedge, by position in the catalog, and the delay before the second is called.
pub(super) struct Pair {
    first: usize,
    second: usize,
    after: Duration,
}

impl Dispatch<'_> {
    /// The pair if the call to the model at `first` may be hedged: only streams, whose first token shows which model is
    /// faster; no guarded stream, since nothing is sent before its end; none with tools, whose calls may have side
    /// effects; at most one hedge per request.
    pub(super) fn pair(&self, record: &Record, first: usize, others: &[usize]) -> Option<Pair> {
        let after = self.snapshot.catalog.models()[first].model.timeouts.hedge?;
        let chat = &self.call.chat;
        let suits = chat.stream && chat.tools.is_empty() && !self.call.guarded && record.hedge.is_none();
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
        let mut second_record = record.fork();
        let (answer, result) = self.race(record, &mut second_record, &pair, last, failures).await;
        match result {
            Some(HedgeResult::Won) => record.replace_with(second_record),
            Some(HedgeResult::Lost) => record.absorb(second_record),
            None => {}
        }
        record.hedge = result.map(|result| Hedge { model: pair.first, result });
        answer
    }

    /// Runs the pair, each call with its own record. The result is `None` if the second model was not called.
    async fn race(
        &self,
        record: &mut Record,
        second_record: &mut Record,
        pair: &Pair,
        last: bool,
        failures: &mut Failures,
    ) -> (Result<Answer, Next>, Option<HedgeResult>) {
        let mut first = pin!(self.model(record, pair.first, false));
        let early = tokio::select! {
            biased;
            answer = &mut first => Some(answer),
            () = tokio::time::sleep(pair.after) => None,
        };
        if early.is_some() || !self.budgets.hedges.withdraw() {
            let answer = match early {
                Some(answer) => answer,
                None => first.await,
            };
            return (answer.map_err(|failure| failures.note(self.snapshot, pair.first, failure)), None);
        }
        let mut second = pin!(self.model(second_record, pair.second, last));
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
