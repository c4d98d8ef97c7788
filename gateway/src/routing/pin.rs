//! Requests that only one backend can answer, because it made a part of them that no other understands: they continue an
//! answer that the backend has stored, or hold text that it encrypted.
//!
//! This module must not know: what such a part looks like, how a model is called.

use crate::error::{Failure, Kind, ProviderError};
use crate::state::Snapshot;
use wasmgate_dialect::chat::{Chat, Pin, PinReason};

/// What ties a request to a backend. Thinking does not if the operator lets other backends answer without it.
fn pins<'a>(snapshot: &Snapshot, chat: &'a Chat) -> impl Iterator<Item = &'a Pin> {
    let strip = snapshot.limits.strip_reasoning;
    chat.pins.iter().filter(move |pin| !strip || pin.reason != PinReason::Reasoning)
}

/// Why only one backend can answer; `None` if others can as well.
pub(super) fn reason(snapshot: &Snapshot, chat: &Chat) -> Option<PinReason> {
    pins(snapshot, chat).map(|pin| pin.reason).min_by_key(|reason| *reason as usize)
}

/// Those of the `permitted` models whose backend made what ties the request to it.
///
/// # Errors
/// If there is none, or if it is not the model that the client named.
pub(super) fn pinned(
    snapshot: &Snapshot,
    chat: &Chat,
    mut permitted: Vec<usize>,
    named: Option<usize>,
) -> Result<Vec<usize>, Failure> {
    for pin in pins(snapshot, chat) {
        permitted.retain(|&index| snapshot.catalog.models()[index].backend.made(pin));
        if named.map_or(permitted.is_empty(), |named| permitted.first() != Some(&named)) {
            let message = format!(
                "`{}` was made by a backend that does not serve a model which may answer this request; only that backend \
                 understands it",
                pin.field
            );
            let mut failure = Failure::new(Kind::NoCapableModel, message);
            failure.provider =
                Some(Box::new(ProviderError { param: Some(pin.field.clone()), ..ProviderError::default() }));
            return Err(failure);
        }
    }
    Ok(permitted)
}
