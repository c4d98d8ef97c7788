//! What model servers answer, in each dialect: whole answers, and streams as lists of frames.

use serde_json::{Value, json};

/// A dialect as a backend's `kind` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/v1/chat/completions`.
    OpenAi,
    /// `/v1/messages`.
    Anthropic,
    /// `/api/chat`.
    Ollama,
}

impl Dialect {
    /// All that backends speak.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Ollama];

    /// The word in configuration.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
        }
    }

    /// The path of its chat route.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
            Self::Ollama => "/api/chat",
        }
    }

    /// The content type of its streams.
    #[must_use]
    pub fn stream_type(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "text/event-stream",
            Self::Ollama => "application/x-ndjson",
        }
    }

    /// A whole answer of a text.
    #[must_use]
    pub fn answer(self, text: &str, usage: Usage) -> Value {
        match self {
            Self::OpenAi => {
                json!({"id": "chatcmpl-b", "object": "chat.completion", "created": 1, "model": "backend-model",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": usage.openai()})
            }
            Self::Anthropic => {
                json!({"id": "msg_b", "type": "message", "role": "assistant", "model": "backend-model",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": usage.input, "output_tokens": usage.output}})
            }
            Self::Ollama => json!({"model": "backend-model", "created_at": "2026-01-01T00:00:00Z",
                "message": {"role": "assistant", "content": text}, "done": true, "done_reason": "stop",
                "total_duration": 1, "load_duration": 1, "prompt_eval_duration": 1, "eval_duration": 1,
                "prompt_eval_count": usage.input, "eval_count": usage.output}),
        }
    }

    /// A whole answer that calls the tool `weather` for Paris.
    #[must_use]
    pub fn tool_call(self, usage: Usage) -> Value {
        let arguments = json!({"city": "Paris"});
        match self {
            Self::OpenAi => {
                json!({"id": "chatcmpl-b", "object": "chat.completion", "created": 1, "model": "backend-model",
                "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null,
                    "tool_calls": [{"id": "call_1", "type": "function",
                        "function": {"name": "weather", "arguments": arguments.to_string()}}]}}],
                "usage": usage.openai()})
            }
            Self::Anthropic => {
                json!({"id": "msg_b", "type": "message", "role": "assistant", "model": "backend-model",
                "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": arguments}],
                "stop_reason": "tool_use", "stop_sequence": null,
                "usage": {"input_tokens": usage.input, "output_tokens": usage.output}})
            }
            Self::Ollama => {
                json!({"model": "backend-model", "created_at": "2026-01-01T00:00:00Z", "done": true,
                "message": {"role": "assistant", "content": "", "tool_calls": [
                    {"function": {"name": "weather", "arguments": arguments}}]},
                "done_reason": "stop", "prompt_eval_count": usage.input, "eval_count": usage.output})
            }
        }
    }

    /// A stream of texts: its frames, the last of which end it normally. The first `texts.len()` content frames hold
    /// one text each, after `self.opening()` frames.
    #[must_use]
    pub fn frames(self, texts: &[&str], usage: Usage) -> Vec<String> {
        match self {
            Self::OpenAi => openai_frames(texts, usage),
            Self::Anthropic => anthropic_frames(texts, usage),
            Self::Ollama => ollama_frames(texts, usage),
        }
    }

    /// How many frames of a stream come before its first text.
    #[must_use]
    pub fn opening(self) -> usize {
        match self {
            Self::OpenAi => 1,
            Self::Anthropic => 2,
            Self::Ollama => 0,
        }
    }
}

/// Tokens as a backend reports them.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

impl Usage {
    fn openai(self) -> Value {
        json!({"prompt_tokens": self.input, "completion_tokens": self.output, "total_tokens": self.input + self.output})
    }
}

fn openai_frames(texts: &[&str], usage: Usage) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "chatcmpl-b", "object": "chat.completion.chunk", "created": 1,
            "model": "backend-model", "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let mut frames = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
    frames.extend(texts.iter().map(|text| delta(json!({"content": text}), Value::Null)));
    frames.push(delta(json!({}), json!("stop")));
    frames.push(chunk(json!([]), usage.openai()));
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}

fn anthropic_frames(texts: &[&str], usage: Usage) -> Vec<String> {
    let event = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let mut frames = vec![
        event(json!({"type": "message_start", "message": {"id": "msg_b", "type": "message", "role": "assistant",
            "model": "backend-model", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": usage.input, "output_tokens": 1}}})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
    ];
    frames.extend(texts.iter().map(|text| {
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}))
    }));
    frames.push(event(json!({"type": "content_block_stop", "index": 0})));
    frames.push(event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": usage.output}})));
    frames.push(event(json!({"type": "message_stop"})));
    frames
}

fn ollama_frames(texts: &[&str], usage: Usage) -> Vec<String> {
    let line = |text: &str, done: bool| {
        let mut line = json!({"model": "backend-model", "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": text}, "done": done});
        if done {
            line["done_reason"] = json!("stop");
            line["prompt_eval_count"] = json!(usage.input);
            line["eval_count"] = json!(usage.output);
        }
        format!("{line}\n")
    };
    let mut frames: Vec<_> = texts.iter().map(|text| line(text, false)).collect();
    frames.push(line("", true));
    frames
}

/// The chat routes, one for each dialect that clients speak.
pub const CLIENT_PATHS: [&str; 4] = ["/api/v1/chat", "/v1/chat/completions", "/v1/messages", "/api/chat"];

/// A request of a client in each of the four dialects, for `model`, with `text` as its prompt.
#[must_use]
pub fn ask(path: &str, model: &str, text: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    match path {
        "/api/v1/chat" => json!({"prompt": text, "model": model, "stream": stream}),
        "/v1/messages" => {
            json!({"model": model, "messages": messages, "max_tokens": 64, "stream": stream})
        }
        _ => json!({"model": model, "messages": messages, "stream": stream}),
    }
}

/// The text that an answer, or a stream's data together, holds, in the dialect of `path`.
#[must_use]
pub fn text_of(path: &str, data: &[Value]) -> String {
    let pointers: &[&str] = match path {
        // The last event of a native stream repeats the whole text.
        "/api/v1/chat" if data.len() > 1 => &["/delta"],
        "/api/v1/chat" => &["/response"],
        "/v1/messages" => &["/content/0/text", "/delta/text"],
        "/v1/chat/completions" => &["/choices/0/message/content", "/choices/0/delta/content"],
        _ => &["/message/content"],
    };
    let text =
        |value: &Value| pointers.iter().find_map(|at| value.pointer(at).and_then(Value::as_str).map(str::to_owned));
    data.iter().filter_map(text).collect()
}

/// Whether a stream's data end as a whole answer does in the dialect of `path`.
#[must_use]
pub fn ends_well(path: &str, data: &[Value]) -> bool {
    let Some(last) = data.last() else { return false };
    match path {
        "/v1/messages" => last["type"] == "message_stop",
        "/v1/chat/completions" => last.is_null(),
        _ => last["done"] == true,
    }
}

/// The code of an error, whose object must have the form that the dialect of `path` gives it.
///
/// # Panics
/// Where it has not.
#[must_use]
#[track_caller]
pub fn error_code(path: &str, body: &Value) -> String {
    let (outer, inner): (&[&str], &[&str]) = if path.starts_with("/v1/messages") {
        (&["type", "error", "request_id"], &["type", "message", "code"])
    } else if path.starts_with("/v1/") {
        (&["error"], &["message", "type", "param", "code", "request_id"])
    } else if path.starts_with("/api/") && !path.starts_with("/api/v1/") {
        (&["error", "code", "request_id"], &[])
    } else {
        (&["error"], &["code", "message", "request_id"])
    };
    assert_eq!(keys(body), outer, "{body}");
    let message = if inner.is_empty() {
        &body["error"]
    } else {
        assert_eq!(keys(&body["error"]), inner, "{body}");
        &body["error"]["message"]
    };
    assert!(message.as_str().is_some_and(|text| !text.is_empty()), "{body}");
    let code = if inner.is_empty() { &body["code"] } else { &body["error"]["code"] };
    code.as_str().unwrap_or_else(|| panic!("no code in {body}")).to_owned()
}

/// The names of an object's members, in order; none for anything else.
#[must_use]
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
}
