//! Reads complete answers and writes them anew; large ones off the worker.

use bytes::Bytes;

use crate::backend::{self, Redaction};
use crate::error::{Failure, Kind};
use crate::offload;
use crate::telemetry::Record;
use wasmgate_dialect::chat::Reply;
use wasmgate_dialect::{Dialect, Encoder, Facts, NoReply, Seal, Total, mark_response};

/// Reads a backend's complete answer. `forwarded`: it goes to the client as it came, so that not all of it has to be
/// understood. One that is not valid may report usage all
/// the same: the record notes it.
pub(super) async fn read(
    dialect: Dialect,
    forwarded: bool,
    body: &Bytes,
    redaction: &Redaction,
    record: &mut Record,
) -> Result<Reply, Failure> {
    let (bytes, body) = (body.len(), body.clone());
    let read = move || {
        let read = if forwarded { dialect.decode_forwarded_reply(&body) } else { dialect.decode_reply(&body) };
        read.map_err(|error| (error, dialect.usage_in(&body)))
    };
    match offload::run(bytes, read).await? {
        Ok(reply) => {
            record.note_usage(reply.usage, reply.usage_is_whole);
            Ok(reply)
        }
        Err((error, reported)) => {
            record.note_usage(reported.map(|reported| reported.usage), reported.is_some_and(|it| it.has_output));
            Err(match error {
                NoReply::Failed(error) => backend::failed_in_band(&error, redaction),
                NoReply::Malformed(error) => {
                    let message = "the backend's answer is not valid in its dialect";
                    Failure::new(Kind::Protocol, message).with_detail(error)
                }
            })
        }
    }
}

/// A backend's answer in the Responses dialect for a client of the same: unchanged, except for marks on what only the backend
/// understands. `seal`: that of the client's group.
pub(super) async fn mark(body: Bytes, backend: String, seal: Option<Seal>) -> Result<Bytes, Failure> {
    let bytes = body.len();
    let mark = move || mark_response(&body, &backend, seal.as_ref()).map_or(body, Bytes::from);
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

/// Writes an answer as a whole stream for a client that asked for one. `bytes` is the length of the backend's answer.
pub(super) async fn write_stream(
    dialect: Dialect,
    reply: Reply,
    facts: Facts,
    total: Total,
    bytes: usize,
) -> Result<Bytes, Failure> {
    let write = move || {
        let (mut encoder, mut written) = (Encoder::new(dialect, facts), Vec::new());
        reply.into_deltas().for_each(|delta| encoder.delta(delta, &mut written));
        encoder.end(&total, &mut written);
        written
    };
    Ok(offload::run(bytes, write).await?.into())
}
