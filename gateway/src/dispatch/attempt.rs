//! Calls one model, retrying retryable failures with backoff while the retry budget lasts. The model's circuit breaker
//! admits each attempt and counts its outcome. This module must not know: the content of a call, which model is next.

use std::time::{Duration, Instant};

use super::budgets::{Budgets, stopping};
use super::progress::{Progress, Watched};
use crate::backend::{Admission, CallOutcome, LiveModel, Pass};
use crate::error::{Failure, Fault, Kind, Reason, Recovery};
use crate::state::Snapshot;
use crate::telemetry::Record;
use crate::telemetry::record::FailedAttempt;

/// A call to a model that can be retried.
pub(crate) trait Attempt {
    /// The result of a successful call.
    type Answer;

    /// Calls the model at `index` of the catalog once.
    fn attempt(
        &self,
        record: &mut Record,
        index: usize,
        bounds: Bounds<'_>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Least time for an attempt. With less left of the request's time the model is not called, so that nobody blames it.
const LEAST_TIME: Duration = Duration::from_millis(100);

/// What bounds one attempt.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// Until when the attempt may be silent: the end of the request's time if no other model is left, else half of the time
    /// that is left, so that another model has time as well.
    pub by: Instant,
    /// Whether no other model is left.
    pub last: bool,
    /// Whether the backend may have to load the model first.
    pub loads: bool,
    /// How far the call has come.
    pub progress: &'a Progress,
}

/// The model to call, and what bounds the calls.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The retry budget, and the cutoff of a drain.
    pub budgets: &'a Budgets,
    /// The models and backends.
    pub snapshot: &'a Snapshot,
    /// The model, by position in the catalog.
    pub model: usize,
    /// Whether no other model is left.
    pub last: bool,
    /// How far the call has come.
    pub progress: &'a Progress,
}

/// Calls one model, retrying retryable failures with backoff while the retry budget lasts. Notes each failed attempt on
/// the record.
pub(crate) async fn with_retries<A: Attempt>(
    target: Target<'_>,
    record: &mut Record,
    call: &A,
) -> Result<A::Answer, Failure> {
    let Target { budgets, snapshot, model: index, last, progress } = target;
    let live = &snapshot.catalog.models()[index];
    let until = record.started + live.model.timeouts.total;
    let mut attempts = 0;
    // Why the call is repeated.
    let mut earlier: Option<Failure> = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let pass = match admit(live, left, last) {
            Ok(pass) => pass,
            // The call that failed says more than the one that was not made.
            Err(not_called) => {
                if let Some(failure) = earlier {
                    return Err(failure);
                }
                if not_called.kind == Kind::BreakerOpen {
                    let reason = Reason::BreakerOpen;
                    record.failed_attempts.push(FailedAttempt { model: index, reason, retried: false });
                }
                return Err(not_called);
            }
        };
        if let Some(last) = record.failed_attempts.last_mut().filter(|_| earlier.take().is_some()) {
            last.retried = true;
        }
        attempts += 1;
        let loads = live.backend.may_load(&live.model.backend_name);
        let watched = Watched::new(pass, progress, loads);
        let by = if last { until } else { Instant::now() + left / 2 };
        let failure = match call.attempt(record, index, Bounds { by, last, loads, progress }).await {
            Ok(answer) => {
                // A call that had to load the model never counts as slow.
                let took = if loads { Duration::ZERO } else { took(record) };
                watched.note(CallOutcome::Answered(took));
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        record.fail_attempt(&failure.kind);
        if failure.kind == Kind::Stopping {
            return Err(failure);
        }
        match outcome(&failure) {
            Some(outcome) => watched.note(outcome),
            None => watched.forget(),
        }
        tracing::debug!(request_id = record.id, %failure, detail = failure.detail, "attempt failed");
        let pause = match failure.kind.recovery() {
            _ if failure.is_final => None,
            // The backend wants less traffic and does not say for how long: another model answers sooner.
            Recovery::Retry if failure.kind == Kind::BackendBusy && failure.retry_after.is_none() => {
                live.backend.settings().retries.busy_pause(attempts).filter(|_| last)
            }
            Recovery::Retry => live.backend.settings().retries.pause(attempts, failure.retry_after),
            Recovery::Nothing | Recovery::Fallback | Recovery::FallbackLarger | Recovery::FallbackIfEnabled => None,
        };
        let reason = failure.kind.reason();
        let pause = pause.filter(|&pause| Instant::now() + pause < until).filter(|_| budgets.retries.withdraw());
        record.failed_attempts.push(FailedAttempt { model: index, reason, retried: false });
        let Some(pause) = pause else { return Err(failure) };
        earlier = Some(failure);
        tokio::select! {
            biased;
            () = budgets.cutoff.cancelled() => return Err(stopping()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Admits a call to a model, or says why it is not made.
fn admit(live: &LiveModel, left: Duration, last: bool) -> Result<Pass<'_>, Failure> {
    if left < LEAST_TIME {
        return Err(Failure::new(Kind::NoTimeLeft, "no time was left to call a model"));
    }
    match live.breaker.admit(Instant::now(), last) {
        Admission::Pass(pass) => Ok(pass),
        Admission::Wait(wait) => {
            let message = "the circuit breakers of all models that could answer are open; retry later";
            Err(Failure { retry_after: Some(wait), ..Failure::new(Kind::BreakerOpen, message) })
        }
    }
}

/// How long the model took to the first token of a stream, guarded or not, or to the end of an answer that is not streamed.
fn took(record: &Record) -> Duration {
    let came = record.first_token.unwrap_or_else(Instant::now);
    record.called.map_or(Duration::ZERO, |called| came.saturating_duration_since(called))
}

/// What the circuit breaker counts of a call that failed; `None`: nothing.
fn outcome(failure: &Failure) -> Option<CallOutcome> {
    match failure.kind.fault() {
        // The backend was not called, or it refused the request for what the client wrote.
        Fault::Rejected(_) => None,
        Fault::Error(_) if failure.kind == Kind::BackendBusy => Some(CallOutcome::Busy(failure.retry_after)),
        Fault::Error(_) if failure.kind.blames_backend() => Some(CallOutcome::Failed),
        Fault::Error(_) => Some(CallOutcome::Answered(Duration::ZERO)),
    }
}
