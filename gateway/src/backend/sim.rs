//! A simulated model, so that a first run, a demonstration or a test needs no model server. It speaks OpenAI's dialect,
//! and its answers say that they are simulated.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::Call;
use crate::error::{Failure, Kind};
use wasmgate_base::range::Range;
use wasmgate_dialect::chat::{Chat, Part, Role};

/// How a simulated model behaves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimSettings {
    /// Time from the request to the first token, in milliseconds, 0 to 600,000.
    pub latency_ms: u64,
    /// Output tokens per second, above 0; `inf`: all at once.
    pub tokens_per_second: f64,
    /// Tokens of an answer, 1 to 100,000; fewer if the client's limit is lower.
    pub output_tokens: u32,
    /// An injected fault, and how often it occurs.
    pub fault: Option<Fault>,
}

impl Default for SimSettings {
    fn default() -> Self {
        Self { latency_ms: 20, tokens_per_second: 500.0, output_tokens: 24, fault: None }
    }
}

impl SimSettings {
    /// The numbers that each setting may have.
    pub const RANGES: &[(&str, Range)] = &[
        ("latency_ms", Range::Whole(0, 600_000)),
        ("tokens_per_second", Range::Above0(f64::INFINITY)),
        ("output_tokens", Range::Whole(1, 100_000)),
        ("fault.every", Range::Whole(1, u32::MAX as u64)),
    ];
}

/// A fault of a simulated model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The fault occurs on every Nth call, from 1 (every call).
    pub every: u32,
    /// Which fault occurs.
    pub kind: FaultKind,
}

/// The faults of a simulated model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Status 500.
    Error,
    /// Status 429.
    Busy,
    /// No connection.
    Unreachable,
    /// The answer breaks off in the middle.
    Cut,
    /// The answer is not JSON.
    Malformed,
}

/// The body of a simulated answer: pieces with a pause between them.
#[derive(Debug)]
pub(super) struct SimBody {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
    cut: bool,
}

const WORDS: [&str; 12] =
    ["This", "is", "a", "simulated", "answer:", "no", "model", "was", "asked.", "It", "stands", "for"];

/// Answers the `number`th call.
pub(super) async fn answer(sim: &SimSettings, number: u32, call: &Call<'_>) -> Result<SimBody, Failure> {
    let Call { model, chat, sent, .. } = call;
    let fault = sim.fault.as_ref().filter(|fault| number.is_multiple_of(fault.every)).map(|fault| fault.kind);
    if fault != Some(FaultKind::Unreachable) {
        sent.note();
    }
    sleep(Duration::from_millis(sim.latency_ms)).await;
    match fault {
        Some(FaultKind::Error) => return Err(simulated(Kind::BackendStatus(500), "the backend failed")),
        Some(FaultKind::Busy) => return Err(simulated(Kind::BackendBusy, "the backend is rate limiting the gateway")),
        Some(FaultKind::Unreachable) => return Err(simulated(Kind::Connect, "the backend cannot be reached")),
        Some(FaultKind::Malformed) => {
            return Ok(SimBody { pieces: [Bytes::from_static(b"{\n\n")].into(), ..SimBody::empty() });
        }
        Some(FaultKind::Cut) | None => {}
    }
    let wanted = chat.max_tokens.unwrap_or(u32::MAX);
    let tokens = sim.output_tokens.min(wanted);
    let finish = if wanted < sim.output_tokens { "length" } else { "stop" };
    let words = WORDS.iter().copied().chain([*model]).chain(std::iter::repeat("and so on"));
    let texts: Vec<String> = words
        .take(tokens as usize)
        .enumerate()
        .map(|(i, word)| if i == 0 { word.into() } else { format!(" {word}") })
        .collect();
    let prompt = prompt_words(chat);
    let usage =
        json!({"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + u64::from(tokens)});
    let pause = Duration::try_from_secs_f64(1.0 / sim.tokens_per_second).unwrap_or(Duration::ZERO);
    let mut pieces: VecDeque<Bytes>;
    if chat.stream {
        let event = |value: serde_json::Value| Bytes::from(format!("data: {value}\n\n"));
        let chunk = |delta: serde_json::Value, finish: serde_json::Value| {
            event(json!({"id": "sim", "object": "chat.completion.chunk", "created": 0, "model": model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
        };
        pieces = texts.iter().map(|text| chunk(json!({"role": "assistant", "content": text}), json!(null))).collect();
        pieces.push_back(chunk(json!({}), json!(finish)));
        pieces.push_back(event(json!({"id": "sim", "object": "chat.completion.chunk", "created": 0, "model": model,
            "choices": [], "usage": usage})));
        pieces.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    } else {
        sleep(pause.saturating_mul(tokens)).await;
        let message = json!({"role": "assistant", "content": texts.concat()});
        let body = json!({"id": "sim", "object": "chat.completion", "created": 0, "model": model, "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
        pieces = [Bytes::from(body.to_string())].into();
    }
    let cut = fault == Some(FaultKind::Cut);
    if cut {
        pieces.truncate(pieces.len() / 2);
    }
    Ok(SimBody { pieces, pause: if chat.stream { pause } else { Duration::ZERO }, waiting: None, cut })
}

/// A vector for each input: short, and the same each time.
pub(super) fn embeddings(inputs: usize) -> SimBody {
    let data: Vec<_> = (0..inputs)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.5, 0.5, 0.5, 0.5]}))
        .collect();
    let body = json!({"object": "list", "model": "sim", "data": data,
        "usage": {"prompt_tokens": inputs, "total_tokens": inputs}});
    SimBody { pieces: [Bytes::from(body.to_string())].into(), ..SimBody::empty() }
}

async fn sleep(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn simulated(kind: Kind, message: &str) -> Failure {
    Failure::new(kind, message).with_detail("simulated fault")
}

fn prompt_words(chat: &Chat) -> u64 {
    let texts =
        chat.messages.iter().filter(|message| message.role != Role::Assistant).flat_map(|message| &message.parts);
    texts.map(|part| if let Part::Text(text) = part { text.split_whitespace().count() as u64 } else { 0 }).sum()
}

impl SimBody {
    fn empty() -> Self {
        Self { pieces: VecDeque::new(), pause: Duration::ZERO, waiting: None, cut: false }
    }

    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(waiting) = &mut self.waiting {
            std::task::ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            if std::mem::take(&mut self.cut) {
                return Poll::Ready(Some(Err(simulated(Kind::Cut, "the backend's answer broke off"))));
            }
            return Poll::Ready(None);
        };
        if !self.pause.is_zero() && !self.pieces.is_empty() {
            self.waiting = Some(Box::pin(tokio::time::sleep(self.pause)));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}
