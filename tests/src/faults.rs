//! What backends do wrong, and what becomes of it: one table, for the test that asks for each in turn and for the run
//! that mixes them.

use serde_json::{Value, json};

use crate::backend::Reply;
use crate::wire::{Dialect, Usage};

/// What the backends here say that an answer took.
pub const USAGE: Usage = Usage { input: 11, output: 3 };

/// A fault.
pub struct Fault {
    /// Its name, of which a path can be made.
    pub name: &'static str,
    /// What a call is answered.
    pub reply: fn(&Call) -> Reply,
    /// What becomes of a whole answer, and of a stream.
    pub outcomes: [Outcome; 2],
}

/// A call that a backend answers.
pub struct Call<'a> {
    /// What the backend speaks.
    pub dialect: Dialect,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Which call of its request it is, from 0.
    pub number: usize,
    /// The pieces of a good answer, two or more.
    pub texts: &'a [&'a str],
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    /// It fails before the client has seen anything: another model answers, or this is told.
    Before {
        /// After so many calls.
        calls: usize,
        /// The same where another model is left.
        calls_if_another: usize,
        /// The status.
        status: u16,
        /// The error's code.
        code: &'static str,
        /// Why the model was left, as metrics say it.
        reason: &'static str,
    },
    /// It fails when the client has seen the beginning: it ends in this error, whatever is behind.
    Within {
        /// The error's code.
        code: &'static str,
    },
    /// The client is told, whatever is behind.
    Told {
        /// The status.
        status: u16,
        /// The error's code.
        code: &'static str,
    },
    /// It is answered.
    Answered {
        /// After so many calls.
        calls: usize,
    },
}

impl Outcome {
    /// Whether a client may be told an error of that code.
    #[must_use]
    pub fn may_tell(self, told: &str) -> bool {
        match self {
            Before { code, .. } | Within { code } | Told { code, .. } => code == told,
            // The budget for attempts made again may be spent.
            Answered { calls } => calls > 1 && told == "backend_error",
        }
    }
}

use Outcome::{Answered, Before, Told, Within};

const fn both(outcome: Outcome) -> [Outcome; 2] {
    [outcome, outcome]
}

const fn before(calls: usize, status: u16, code: &'static str, reason: &'static str) -> Outcome {
    Before { calls, calls_if_another: calls, status, code, reason }
}

const REFUSED: [Outcome; 2] = both(before(1, 502, "backend_refused", "upstream_4xx"));
/// The server could not take the request just now.
const REFUSED_TWICE: [Outcome; 2] = both(before(2, 502, "backend_refused", "upstream_4xx"));
const UNAUTHORIZED: [Outcome; 2] = both(before(1, 502, "backend_unauthorized", "upstream_auth"));
const OVERLOADED_TWICE: [Outcome; 2] = both(before(2, 503, "backend_overloaded", "upstream_5xx"));
const BUSY_TWICE: [Outcome; 2] = both(before(2, 429, "backend_busy", "upstream_429"));
/// Without a word on when to come back, another model is called at once.
const BUSY: [Outcome; 2] =
    both(Before { calls: 2, calls_if_another: 1, status: 429, code: "backend_busy", reason: "upstream_429" });
const BUSY_ONCE: [Outcome; 2] = both(before(1, 429, "backend_busy", "upstream_429"));
const FAILED_TWICE: [Outcome; 2] = both(before(2, 502, "backend_error", "upstream_5xx"));
const UNREACHED: [Outcome; 2] = both(before(2, 502, "backend_unreachable", "connect"));
const LATE: Outcome = before(1, 504, "backend_timeout", "timeout");
const CUT: Outcome = before(1, 502, "stream_cut", "protocol");
const NONSENSE: Outcome = before(1, 502, "backend_protocol", "protocol");

fn status(status: u16) -> Reply {
    Reply::json(status, &json!({"error": {"message": "words of the backend", "type": "api_error"}}))
}

/// A refusal that names a parameter.
fn refused(status: u16, param: &str) -> Reply {
    let error = json!({"message": "it is of no use", "type": "invalid_request_error", "param": param, "code": null});
    Reply::json(status, &json!({ "error": error }))
}

const fn told(status: u16) -> [Outcome; 2] {
    both(Told { status, code: "request_refused" })
}

/// A refusal with a header and a body.
fn refusal(status: u16, header: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n{header}\r\n");
    Reply::raw(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

/// The first frames of a stream, up to and with so many texts; of a whole answer, half.
fn begun(call: &Call, texts: usize) -> Reply {
    let dialect = call.dialect;
    if call.stream {
        return Reply::stream(dialect.stream_type())
            .frames(&dialect.frames(call.texts, USAGE)[..dialect.opening() + texts]);
    }
    let body = dialect.answer(&call.texts.concat(), USAGE).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
    Reply::raw(format!("{head}\r\ncontent-length: {}\r\n\r\n{}", body.len(), &body[..body.len() / 2]).as_bytes())
}

/// The whole answer.
#[must_use]
pub fn good(call: &Call) -> Reply {
    match call.stream {
        true => Reply::stream(call.dialect.stream_type()).frames(call.dialect.frames(call.texts, USAGE)).end(),
        false => whole(call),
    }
}

fn whole(call: &Call) -> Reply {
    Reply::json(200, &call.dialect.answer(&call.texts.concat(), USAGE))
}

fn nonsense(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Ollama { "nonsense\n" } else { "data: nonsense\n\n" }
}

fn in_band(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "data: {\"error\": {\"message\": \"words of the backend\"}}\n\n",
        Dialect::Anthropic => {
            "event: error\ndata: {\"type\": \"error\", \"error\": {\"message\": \"words of the backend\"}}\n\n"
        }
        Dialect::Ollama => "{\"error\": \"words of the backend\"}\n",
    }
}

/// An error that names a status, as a body and as a frame.
fn coded(call: &Call, status: u16) -> (Value, String) {
    let kind = if status == 429 { "rate_limit_error" } else { "overloaded_error" };
    let message = "words of the backend";
    match call.dialect {
        Dialect::OpenAi => {
            let body = json!({"id": null, "choices": null, "error": {"message": message, "code": status}});
            (body.clone(), format!("data: {body}\n\n"))
        }
        Dialect::Anthropic => {
            let body = json!({"type": "error", "error": {"type": kind, "message": message}});
            (body.clone(), format!("event: error\ndata: {body}\n\n"))
        }
        Dialect::Ollama => {
            let body = json!({"error": message, "code": status});
            (body.clone(), format!("{body}\n"))
        }
    }
}

/// Status 200, and an error before any output.
fn denied(call: &Call, status: u16) -> Reply {
    let (body, frame) = coded(call, status);
    whole_or(call, Reply::json(200, &body), || begun(call, 0).frames([frame]).end())
}

/// Says nothing, as a frame.
fn ping(dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic => ": ping\n\n".into(),
        Dialect::Ollama => dialect.frames(&[""], USAGE).swap_remove(0),
    }
}

/// Without the frames that say why the model ended.
fn without_finish(call: &Call) -> Vec<String> {
    let says_why = |frame: &String| frame.contains("\"finish_reason\":\"stop\"") || frame.contains("\"message_delta\"");
    call.dialect.frames(call.texts, USAGE).into_iter().filter(|frame| !says_why(frame)).collect()
}

fn whole_or(call: &Call, whole: Reply, streamed: impl FnOnce() -> Reply) -> Reply {
    if call.stream { streamed() } else { whole }
}

/// All of them, and at the end none.
pub const FAULTS: &[Fault] = &[
    Fault { name: "status-400", reply: |_| refused(400, "tools"), outcomes: told(400) },
    Fault { name: "status-400-of-the-model", reply: |_| refused(400, "model"), outcomes: REFUSED },
    Fault { name: "status-400-of-a-proxy", reply: |_| Reply::whole(400, "text/html", b"<html>"), outcomes: told(400) },
    Fault { name: "status-401", reply: |_| status(401), outcomes: UNAUTHORIZED },
    Fault { name: "status-403", reply: |_| status(403), outcomes: UNAUTHORIZED },
    Fault { name: "status-404", reply: |_| status(404), outcomes: REFUSED },
    Fault { name: "status-404-of-a-parameter", reply: |_| refused(404, "tools"), outcomes: told(404) },
    Fault { name: "status-413", reply: |_| refused(413, "tools"), outcomes: told(413) },
    Fault { name: "status-422", reply: |_| refused(422, "tools"), outcomes: told(422) },
    Fault { name: "status-429", reply: |_| status(429), outcomes: BUSY },
    Fault { name: "status-429-at-once", reply: |_| refusal(429, "retry-after: 0", &json!({})), outcomes: BUSY_TWICE },
    Fault {
        name: "status-429-much-later",
        reply: |_| refusal(429, "retry-after: 3600", &json!({})),
        outcomes: BUSY_ONCE,
    },
    Fault {
        name: "status-429-at-a-date",
        reply: |_| refusal(429, "retry-after: Fri, 31 Dec 2100 23:59:59 GMT", &json!({})),
        outcomes: BUSY_ONCE,
    },
    Fault { name: "status-500", reply: |_| status(500), outcomes: FAILED_TWICE },
    Fault {
        name: "status-501",
        reply: |_| status(501),
        outcomes: both(before(1, 502, "backend_error", "upstream_5xx")),
    },
    Fault { name: "status-502", reply: |_| status(502), outcomes: FAILED_TWICE },
    Fault { name: "status-503", reply: |_| status(503), outcomes: FAILED_TWICE },
    Fault {
        name: "status-503-much-later",
        reply: |_| refusal(503, "retry-after: 3600", &json!({})),
        outcomes: both(before(1, 502, "backend_error", "upstream_5xx")),
    },
    Fault { name: "status-529", reply: |_| status(529), outcomes: OVERLOADED_TWICE },
    Fault {
        name: "context-too-long",
        reply: |_| {
            let error = json!({"message": "words", "type": "invalid_request_error", "code": "context_length_exceeded"});
            Reply::json(400, &json!({"error": error}))
        },
        outcomes: both(before(1, 400, "context_length_exceeded", "upstream_4xx")),
    },
    Fault {
        name: "prompt-too-long",
        reply: |_| {
            let error = json!({"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"});
            Reply::json(400, &json!({"type": "error", "error": error}))
        },
        outcomes: both(before(1, 400, "context_length_exceeded", "upstream_4xx")),
    },
    Fault {
        name: "content-filter",
        reply: |_| Reply::json(400, &json!({"error": {"message": "words", "code": "content_filter"}})),
        outcomes: both(Told { status: 400, code: "content_filtered" }),
    },
    Fault { name: "closes-at-once", reply: |_| Reply::silent().cut(), outcomes: UNREACHED },
    Fault { name: "closes-in-head", reply: |_| Reply::raw(b"HTTP/1.1 200 O").cut(), outcomes: UNREACHED },
    Fault {
        name: "head-without-end",
        reply: |_| Reply::raw(format!("HTTP/1.1 200 OK\r\nx-long: {}", "x".repeat(1 << 20)).as_bytes()).stall(),
        outcomes: UNREACHED,
    },
    Fault { name: "silent", reply: |_| Reply::silent().stall(), outcomes: both(LATE) },
    Fault { name: "no-first-token", reply: |call| begun(call, 0).stall(), outcomes: both(LATE) },
    Fault {
        name: "pings-for-ever",
        reply: |call| {
            whole_or(call, begun(call, 0).stall(), || {
                Reply::stream(call.dialect.stream_type()).frames(vec![ping(call.dialect); 1500]).stall()
            })
        },
        outcomes: both(LATE),
    },
    Fault {
        name: "stalls",
        reply: |call| begun(call, 1).stall(),
        outcomes: [LATE, Within { code: "backend_timeout" }],
    },
    Fault { name: "cut", reply: |call| begun(call, 1).cut(), outcomes: [CUT, Within { code: "stream_cut" }] },
    Fault { name: "cut-before-the-first-token", reply: |call| begun(call, 0).cut(), outcomes: both(CUT) },
    Fault {
        name: "cut-in-a-frame",
        reply: |call| {
            let frames = call.dialect.frames(call.texts, USAGE);
            let next = &frames[call.dialect.opening() + 1];
            let begun = begun(call, 1);
            if call.stream { begun.frames([&next[..next.len() / 2]]).cut() } else { begun.cut() }
        },
        outcomes: [CUT, Within { code: "stream_cut" }],
    },
    Fault {
        name: "nonsense",
        reply: |call| {
            whole_or(call, Reply::whole(200, "application/json", b"<html>"), || {
                let frames = call.dialect.frames(call.texts, USAGE);
                let rest = &frames[call.dialect.opening() + 1..];
                begun(call, 1).frames([nonsense(call.dialect)]).frames(rest).end()
            })
        },
        outcomes: [NONSENSE, Answered { calls: 1 }],
    },
    Fault {
        name: "nonsense-first",
        reply: |call| {
            whole_or(call, Reply::json(200, &json!([])), || {
                let frames = call.dialect.frames(call.texts, USAGE);
                Reply::stream(call.dialect.stream_type()).frames([nonsense(call.dialect)]).frames(frames).end()
            })
        },
        outcomes: [NONSENSE, Answered { calls: 1 }],
    },
    Fault {
        name: "nonsense-for-ever",
        reply: |call| {
            whole_or(call, Reply::json(200, &json!([])), || begun(call, 1).frames([nonsense(call.dialect); 40]).stall())
        },
        outcomes: [NONSENSE, Within { code: "backend_protocol" }],
    },
    Fault {
        name: "nonsense-alone",
        reply: |call| {
            whole_or(call, Reply::json(200, &json!([])), || {
                Reply::stream(call.dialect.stream_type()).frames([nonsense(call.dialect); 40]).stall()
            })
        },
        outcomes: both(NONSENSE),
    },
    Fault {
        name: "no-end-marker",
        reply: |call| match call.dialect {
            // The frame that ends it also says why.
            Dialect::Ollama => good(call),
            _ => whole_or(call, whole(call), || {
                let frames = call.dialect.frames(call.texts, USAGE);
                Reply::stream(call.dialect.stream_type()).frames(&frames[..frames.len() - 1]).end()
            }),
        },
        outcomes: both(Answered { calls: 1 }),
    },
    Fault {
        name: "no-end",
        reply: |call| whole_or(call, Reply::json(200, &json!({})), || begun(call, call.texts.len()).end()),
        outcomes: [NONSENSE, Within { code: "stream_cut" }],
    },
    Fault {
        name: "no-finish",
        reply: |call| {
            whole_or(call, whole(call), || match call.dialect {
                // Says why in the frame that ends it.
                Dialect::Ollama => begun(call, call.texts.len()).end(),
                _ => Reply::stream(call.dialect.stream_type()).frames(without_finish(call)).end(),
            })
        },
        outcomes: [Answered { calls: 1 }, Within { code: "stream_cut" }],
    },
    Fault {
        name: "error-in-band",
        reply: |call| whole_or(call, status(500), || begun(call, 1).frames([in_band(call.dialect)]).stall()),
        outcomes: [FAILED_TWICE[0], Within { code: "backend_error" }],
    },
    Fault {
        name: "error-in-band-first",
        reply: |call| whole_or(call, status(500), || begun(call, 0).frames([in_band(call.dialect)]).stall()),
        outcomes: [FAILED_TWICE[0], before(1, 502, "backend_error", "upstream_5xx")],
    },
    Fault { name: "overloaded-in-band-first", reply: |call| denied(call, 529), outcomes: OVERLOADED_TWICE },
    Fault { name: "busy-in-band-first", reply: |call| denied(call, 429), outcomes: BUSY },
    Fault {
        name: "overloaded-in-band",
        reply: |call| {
            let (body, frame) = coded(call, 529);
            whole_or(call, Reply::json(200, &body), || begun(call, 1).frames([frame]).stall())
        },
        outcomes: [OVERLOADED_TWICE[0], Within { code: "backend_overloaded" }],
    },
    Fault {
        name: "nothing-in-between",
        reply: |call| {
            let nothing = if call.dialect == Dialect::Ollama { "null\n" } else { "data: null\n\n" };
            let frames = call.dialect.frames(call.texts, USAGE);
            let rest = &frames[call.dialect.opening() + 1..];
            whole_or(call, whole(call), || begun(call, 1).frames([nothing; 40]).frames(rest).end())
        },
        outcomes: both(Answered { calls: 1 }),
    },
    Fault {
        // A document, also where a stream was asked for; it arrives in pieces.
        name: "never-streams",
        reply: |call| {
            let body = serde_json::to_string_pretty(&call.dialect.answer(&call.texts.concat(), USAGE)).expect("JSON");
            match call.dialect {
                // A line is a frame of such a stream.
                Dialect::Ollama => whole(call),
                _ => Reply::stream("application/json").frames(["\n  ", &body[..9], &body[9..]]).end(),
            }
        },
        outcomes: both(Answered { calls: 1 }),
    },
    Fault {
        name: "overloaded-in-a-document",
        reply: |call| Reply::whole(200, call.dialect.stream_type(), coded(call, 529).0.to_string().as_bytes()),
        outcomes: OVERLOADED_TWICE,
    },
    Fault {
        name: "overloaded-in-a-last-frame-without-end",
        reply: |call| {
            let (body, frame) = coded(call, 529);
            whole_or(call, Reply::json(200, &body), || begun(call, 0).frames([frame.trim_end()]).end())
        },
        outcomes: OVERLOADED_TWICE,
    },
    Fault {
        name: "a-page-of-pings-first",
        reply: |call| {
            whole_or(call, whole(call), || {
                let rest = &call.dialect.frames(call.texts, USAGE)[call.dialect.opening()..];
                begun(call, 0).frames([ping(call.dialect).repeat(1500)]).frames(rest).end()
            })
        },
        outcomes: both(Answered { calls: 1 }),
    },
    Fault { name: "status-408", reply: |_| status(408), outcomes: REFUSED_TWICE },
    Fault { name: "status-409", reply: |_| status(409), outcomes: REFUSED_TWICE },
    Fault {
        name: "wrong-content-type",
        reply: |_| Reply::whole(200, "text/html", b"<html>down for maintenance</html>"),
        outcomes: [NONSENSE, CUT],
    },
    Fault {
        name: "compressed-unasked",
        reply: |_| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
            let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1000]].concat();
            Reply::raw(&[format!("{head}content-length: {}\r\n\r\n", bomb.len()).as_bytes(), &bomb].concat())
        },
        outcomes: both(NONSENSE),
    },
    Fault {
        name: "fails-every-other-time",
        reply: |call| if call.number % 2 == 0 { status(500) } else { good(call) },
        outcomes: both(Answered { calls: 2 }),
    },
    Fault { name: "none", reply: |call| good(call), outcomes: both(Answered { calls: 1 }) },
];

/// The values of a body: one, or those of a stream in either form; null for `[DONE]`.
///
/// # Panics
/// Where something else is no JSON.
#[must_use]
#[track_caller]
pub fn values_of(text: &str, stream: bool) -> Vec<Value> {
    let value = |text: &str| match text {
        "[DONE]" => Value::Null,
        _ => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}")),
    };
    if !stream {
        return vec![value(text)];
    }
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("event:") && !line.starts_with(':'));
    lines.map(|line| value(line.strip_prefix("data: ").unwrap_or(line))).collect()
}
