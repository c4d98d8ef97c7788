//! Asks a backend how many tokens a prompt has. Such a call is free: no bill, no retry, and a model that fails at it is not
//! replaced by another. A model whose circuit breaker is not closed is not asked, and the breaker does not count the call: a
//! server can count and not answer, or answer and not count. This module must not know: where the prompt came from.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;
use serde::Deserialize;

use super::budgets::{Budgets, stopping};
use super::whole;
use crate::backend::{BreakerState, Sent};
use crate::error::{Failure, Kind};
use crate::state::Snapshot;

/// Longest wait for a count. Programs ask before they send their prompt.
const MAX_WAIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Counted {
    input_tokens: u64,
}

/// The tokens of the prompt in `body` for the model at `index` of the catalog. `headers`: those of the client's dialect.
///
/// # Errors
/// If the backend does not say.
pub(crate) async fn count(
    budgets: &Budgets,
    snapshot: &Snapshot,
    index: usize,
    body: Bytes,
    headers: &HeaderMap,
) -> Result<u64, Failure> {
    let live = &snapshot.catalog.models()[index];
    if live.breaker.state(Instant::now()) != BreakerState::Closed {
        return Err(Failure::new(Kind::BreakerOpen, "the circuit breaker of the model is open"));
    }
    let by = Instant::now() + live.model.timeouts.head.min(MAX_WAIT);
    let until = by.into();
    let counted = async {
        let permit = live.backend.permit(until).await?;
        let answer = live.backend.count_tokens(permit, body, headers, until, Sent::default()).await?;
        let body = whole(answer, |_| by).await?;
        let counted = serde_json::from_slice::<Counted>(&body).map_err(|error| {
            Failure::new(Kind::Protocol, "the backend's count is not valid in its dialect").with_detail(error)
        })?;
        Ok(counted.input_tokens)
    };
    tokio::select! {
        biased;
        () = budgets.cutoff.cancelled() => Err(stopping()),
        counted = tokio::time::timeout_at(until, counted) => counted.unwrap_or_else(|_elapsed| {
            Err(Failure::new(Kind::Timeout, "the backend did not count in time"))
        }),
    }
}
