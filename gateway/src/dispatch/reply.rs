//! Reads complete answers and writes them anew; large ones off the worker.

use bytes::Bytes;

use crate::error::{Failure, Kind};
use crate::offload;
use crate::telemetry::Record;
use wasmgate_dialect::chat::Reply;
use wasmgate_dialect::{Dialect, Facts, Total, mark_response};

/// Reads a backend's complete answer. One that is not valid may report usage all the same: the record notes it.
pub(super) async fn read(dialect: Dialect, body: &Bytes, record: &mut Record) -> Result<Reply, Failure> {
    let (bytes, body) = (body.len(), body.clone());
    let read = move || dialect.decode_reply(&body).map_err(|error| (error, dialect.usage_in(&body)));
    offload::run(bytes, read).await?.map_err(|(error, usage)| {
        record.note_usage(usage, true);
        Failure::new(Kind::Protocol, "the backend's answer is not valid in its dialect").with_detail(error)
    })
}

/// A backend's answer in the Responses dialect for a client of the same: unchanged, except for marks on what only the backend
/// understands.
pub(super) async fn mark(body: Bytes, backend: String) -> Result<Bytes, Failure> {
    let bytes = body.len();
    let mark = move || mark_response(&body, &backend).map_or(body, Bytes::from);
    offload::run(bytes, mark).await
}

/// Writes an answer for a client. `bytes` is the length of the backend's answer.
pub(super) async fn write(
    dialect: Dialect,
    reply: Reply,
    facts: Facts,
    total: Total,
    bytes: usize,
) -> Result<Bytes, Failure> {
    Ok(offload::run(bytes, move || dialect.encode_reply(&reply, &facts, &total)).await?.into())
}
