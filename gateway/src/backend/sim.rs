//! A simulated model, so that a first run, a demonstration or a test needs no model server. It speaks OpenAI's dialect. It never
//! looks like a real one: its texts, its ids and a header of the gateway's answer say that it is simulated.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::sim_script::{Said, Script};
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
    /// What it answers; by default a sentence that says that it is simulated.
    pub answer: Script,
}

impl Default for SimSettings {
    fn default() -> Self {
        Self { latency_ms: 20, tokens_per_second: 500.0, output_tokens: 24, fault: None, answer: Script::default() }
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

/// The id of its answers.
const ID: &str = "simulated";

const WORDS: [&str; 12] =
    ["This", "is", "a", "simulated", "answer:", "no", "model", "was", "asked.", "It", "stands", "for"];

/// Answers the `number`th call.
pub(super) async fn answer(sim: &SimSettings, number: u32, call: &Call<'_>) -> Result<SimBody, Failure> {
    let Call { model, chat, sent, script, .. } = call;
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
    let Said { text, thinking, calls, cut } = sim.answer.answer(*script, chat);
    let cut = cut || fault == Some(FaultKind::Cut);
    let limit = chat.max_tokens.unwrap_or(u32::MAX);
    // A word counts as a token. Thinking comes first, and all of it counts.
    let thought = thinking.as_deref().map(pieces).unwrap_or_default();
    let left = (limit as usize).saturating_sub(thought.len());
    let (mut texts, whole) = match text {
        Some(text) => (pieces(&text), true),
        None if !calls.is_empty() => (Vec::new(), true),
        None => {
            let words = WORDS.iter().copied().chain([*model]).chain(std::iter::repeat("and so on"));
            let words = words.take((sim.output_tokens as usize).min(left)).enumerate();
            let texts = words.map(|(i, word)| if i == 0 { word.into() } else { format!(" {word}") }).collect();
            (texts, sim.output_tokens as usize <= left)
        }
    };
    let finish = match whole && texts.len() <= left {
        false => "length",
        true if !calls.is_empty() => "tool_calls",
        true => "stop",
    };
    texts.truncate(left);
    let tokens = u32::try_from(thought.len() + texts.len() + calls.len()).unwrap_or(u32::MAX).min(limit);
    let prompt = prompt_words(chat);
    let usage =
        json!({"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + u64::from(tokens)});
    let pause = Duration::try_from_secs_f64(1.0 / sim.tokens_per_second).unwrap_or(Duration::ZERO);
    let calls: Vec<_> = calls
        .into_iter()
        .enumerate()
        .map(|(index, (name, arguments))| {
            let id = format!("call_simulated_{number}_{index}");
            json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    let calls = if finish == "length" { Vec::new() } else { calls };
    let mut pieces: VecDeque<Bytes>;
    if chat.stream {
        let event = |value: serde_json::Value| Bytes::from(format!("data: {value}\n\n"));
        let chunk = |delta: serde_json::Value, finish: serde_json::Value| {
            event(json!({"id": ID, "object": "chat.completion.chunk", "created": 0, "model": model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
        };
        let thought = thought.iter().map(|text| json!({"role": "assistant", "reasoning_content": text}));
        let texts = texts.iter().map(|text| json!({"role": "assistant", "content": text}));
        let calls = calls.iter().map(|call| json!({"role": "assistant", "tool_calls": [call]}));
        pieces = thought.chain(texts).chain(calls).map(|delta| chunk(delta, json!(null))).collect();
        pieces.push_back(chunk(json!({}), json!(finish)));
        pieces.push_back(event(json!({"id": ID, "object": "chat.completion.chunk", "created": 0, "model": model,
            "choices": [], "usage": usage})));
        pieces.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    } else {
        sleep(pause.saturating_mul(tokens)).await;
        let mut message = json!({"role": "assistant", "content": texts.concat()});
        if !thought.is_empty() {
            message["reasoning_content"] = thought.concat().into();
        }
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let body = json!({"id": ID, "object": "chat.completion", "created": 0, "model": model, "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
        let body = body.to_string();
        pieces = [Bytes::copy_from_slice(&body.as_bytes()[..if cut { body.len() / 2 } else { body.len() }])].into();
    }
    if cut && chat.stream {
        pieces.truncate((pieces.len() / 2).max(1));
    }
    Ok(SimBody { pieces, pause: if chat.stream { pause } else { Duration::ZERO }, waiting: None, cut })
}

/// A text in words, each with the white space before it.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut after_space = true;
    for character in text.chars() {
        match pieces.last_mut() {
            Some(last) if !character.is_whitespace() || after_space => last.push(character),
            _ => pieces.push(character.into()),
        }
        after_space = character.is_whitespace();
    }
    pieces
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
