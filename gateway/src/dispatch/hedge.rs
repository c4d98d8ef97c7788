//! Hedging: where a model takes long to its first token, the next of the ranking is asked beside it, and the one that
//! says a token first answers; the call to the other ends ("hedged requests" in Dean and Barroso, "The Tail at Scale",
//! Communications of the ACM 56(2), 2013). Requests that are asked twice stay a share of all that may be.

use std::pin::pin;
use std::time::Duration;

use super::failures::{Failures, Next};
use super::{Answer, Dispatch};
use crate::metrics::labels::HedgeResult;
use crate::telemetry::Record;
use crate::telemetry::record::Hedge;

/// Which two models are asked, by position in the catalog, and how long the first has before the second is asked.
pub(super) struct Pair {
    first: usize,
    second: usize,
    after: Duration,
}

impl Dispatch<'_> {
    /// The models to ask where the one at `first` is hedged: only streams, whose first token tells who is faster; none
    /// that is guarded, of which nothing is sent before its end; none with tools, whose calls may have effects; none twice.
    pub(super) fn pair(&self, record: &Record, first: usize, others: &[usize]) -> Option<Pair> {
        let after = self.snapshot.catalog.models()[first].model.timeouts.hedge?;
        let chat = &self.call.chat;
        let suits = chat.stream && chat.tools.is_empty() && !self.call.guarded && record.hedge.is_none();
        others.first().filter(|_| suits).map(|&second| Pair { first, second, after })
    }

    /// Asks the first of a pair, and the second beside it where the first takes long: then the record has a `hedge`.
    /// `last`: there is no third.
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

    /// What comes of a pair, each noted in its own record; no result where the second was not asked.
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
                    // The first may still answer: what comes after this failure is not asked.
                    let _ = failures.note(self.snapshot, pair.second, failure);
                    let answer = first.await.map_err(|failure| failures.note(self.snapshot, pair.first, failure));
                    (answer, HedgeResult::Lost)
                }
            },
        };
        (answer, Some(result))
    }
}
