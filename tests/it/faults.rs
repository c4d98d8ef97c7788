//! What backends do wrong, and what becomes of it: each fault, in each dialect, streamed and not, with no other model and
//! with one behind it. What the client gets, what the metrics count, and how often the backend was called.

use std::fmt::Write;
use std::sync::Mutex;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::wire::{Dialect, Usage, ask, ends_well, error_code, text_of};

const USAGE: Usage = Usage { input: 11, output: 3 };
const TEXTS: [&str; 3] = ["one ", "two ", "three"];

/// A fault: its name is part of the path that the backend is called at.
struct Fault {
    name: &'static str,
    /// What is answered to call number so-and-so, from 0.
    reply: fn(Dialect, bool, usize) -> Reply,
    /// What becomes of a whole answer, and of a stream.
    outcomes: [Outcome; 2],
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Outcome {
    /// It fails before the client has seen anything, after so many calls: another model answers, or this is told.
    Before { calls: usize, status: u16, code: &'static str, reason: &'static str },
    /// It fails when the client has seen the beginning: it ends in this error, whatever is behind.
    Within { code: &'static str },
    /// The client is told, whatever is behind.
    Told { status: u16, code: &'static str },
    /// It is answered, after so many calls.
    Answered { calls: usize },
}

use Outcome::{Answered, Before, Told, Within};

const fn both(outcome: Outcome) -> [Outcome; 2] {
    [outcome, outcome]
}

const fn before(calls: usize, status: u16, code: &'static str, reason: &'static str) -> Outcome {
    Before { calls, status, code, reason }
}

const REFUSED: [Outcome; 2] = both(before(1, 502, "backend_refused", "upstream_4xx"));
const BUSY_TWICE: [Outcome; 2] = both(before(2, 503, "backend_busy", "upstream_429"));
const BUSY_ONCE: [Outcome; 2] = both(before(1, 503, "backend_busy", "upstream_429"));
const FAILED_TWICE: [Outcome; 2] = both(before(2, 502, "backend_error", "upstream_5xx"));
const UNREACHED: [Outcome; 2] = both(before(2, 502, "backend_unreachable", "connect"));
const LATE: Outcome = before(1, 504, "backend_timeout", "timeout");
const CUT: Outcome = before(1, 502, "stream_cut", "protocol");
const NONSENSE: Outcome = before(1, 502, "backend_protocol", "protocol");

fn status(status: u16) -> Reply {
    Reply::json(status, &json!({"error": {"message": "words of the backend", "type": "api_error"}}))
}

/// A refusal with a header and a body.
fn refusal(status: u16, header: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n{header}\r\n");
    Reply::raw(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

/// The first frames of a stream, up to and with so many texts; of a whole answer, half.
fn begun(dialect: Dialect, stream: bool, texts: usize) -> Reply {
    if stream {
        return Reply::stream(dialect.stream_type())
            .frames(&dialect.frames(&TEXTS, USAGE)[..dialect.opening() + texts]);
    }
    let body = dialect.answer("one two three", USAGE).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
    Reply::raw(format!("{head}\r\ncontent-length: {}\r\n\r\n{}", body.len(), &body[..body.len() / 2]).as_bytes())
}

fn good(dialect: Dialect, stream: bool) -> Reply {
    match stream {
        true => Reply::stream(dialect.stream_type()).frames(dialect.frames(&TEXTS, USAGE)).end(),
        false => Reply::json(200, &dialect.answer("one two three", USAGE)),
    }
}

fn nonsense(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Ollama { "nonsense\n" } else { "data: nonsense\n\n" }
}

fn in_band(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "data: {\"error\": {\"message\": \"words of the backend\"}}\n\n",
        Dialect::Anthropic => {
            "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"words of the backend\"}}\n\n"
        }
        Dialect::Ollama => "{\"error\": \"words of the backend\"}\n",
    }
}

/// Says nothing, as a frame.
fn ping(dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic => ": ping\n\n".into(),
        Dialect::Ollama => dialect.frames(&[""], USAGE).swap_remove(0),
    }
}

/// Without the frames that say why the model ended.
fn without_finish(dialect: Dialect) -> Vec<String> {
    let says_why = |frame: &String| frame.contains("\"finish_reason\":\"stop\"") || frame.contains("\"message_delta\"");
    dialect.frames(&TEXTS, USAGE).into_iter().filter(|frame| !says_why(frame)).collect()
}

fn whole_or(stream: bool, whole: Reply, streamed: impl FnOnce() -> Reply) -> Reply {
    if stream { streamed() } else { whole }
}

const FAULTS: &[Fault] = &[
    Fault { name: "status-400", reply: |_, _, _| status(400), outcomes: REFUSED },
    Fault { name: "status-401", reply: |_, _, _| status(401), outcomes: REFUSED },
    Fault { name: "status-403", reply: |_, _, _| status(403), outcomes: REFUSED },
    Fault { name: "status-404", reply: |_, _, _| status(404), outcomes: REFUSED },
    Fault { name: "status-429", reply: |_, _, _| status(429), outcomes: BUSY_TWICE },
    Fault {
        name: "status-429-at-once",
        reply: |_, _, _| refusal(429, "retry-after: 0", &json!({})),
        outcomes: BUSY_TWICE,
    },
    Fault {
        name: "status-429-much-later",
        reply: |_, _, _| refusal(429, "retry-after: 3600", &json!({})),
        outcomes: BUSY_ONCE,
    },
    Fault {
        name: "status-429-at-a-date",
        reply: |_, _, _| refusal(429, "retry-after: Fri, 31 Dec 2100 23:59:59 GMT", &json!({})),
        outcomes: BUSY_ONCE,
    },
    Fault { name: "status-500", reply: |_, _, _| status(500), outcomes: FAILED_TWICE },
    Fault {
        name: "status-501",
        reply: |_, _, _| status(501),
        outcomes: both(before(1, 502, "backend_error", "upstream_5xx")),
    },
    Fault { name: "status-502", reply: |_, _, _| status(502), outcomes: FAILED_TWICE },
    Fault { name: "status-503", reply: |_, _, _| status(503), outcomes: FAILED_TWICE },
    Fault {
        name: "status-503-much-later",
        reply: |_, _, _| refusal(503, "retry-after: 3600", &json!({})),
        outcomes: both(before(1, 502, "backend_error", "upstream_5xx")),
    },
    Fault { name: "status-529", reply: |_, _, _| status(529), outcomes: FAILED_TWICE },
    Fault {
        name: "context-too-long",
        reply: |_, _, _| {
            let error = json!({"message": "words", "type": "invalid_request_error", "code": "context_length_exceeded"});
            Reply::json(400, &json!({"error": error}))
        },
        outcomes: both(before(1, 400, "context_too_long", "upstream_4xx")),
    },
    Fault {
        name: "prompt-too-long",
        reply: |_, _, _| {
            let error = json!({"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"});
            Reply::json(400, &json!({"type": "error", "error": error}))
        },
        outcomes: both(before(1, 400, "context_too_long", "upstream_4xx")),
    },
    Fault {
        name: "content-filter",
        reply: |_, _, _| Reply::json(400, &json!({"error": {"message": "words", "code": "content_filter"}})),
        outcomes: both(Told { status: 400, code: "content_filtered" }),
    },
    Fault { name: "closes-at-once", reply: |_, _, _| Reply::silent().cut(), outcomes: UNREACHED },
    Fault { name: "closes-in-head", reply: |_, _, _| Reply::raw(b"HTTP/1.1 200 O").cut(), outcomes: UNREACHED },
    Fault {
        name: "head-without-end",
        reply: |_, _, _| Reply::raw(format!("HTTP/1.1 200 OK\r\nx-long: {}", "x".repeat(1 << 20)).as_bytes()).stall(),
        outcomes: UNREACHED,
    },
    Fault { name: "silent", reply: |_, _, _| Reply::silent().stall(), outcomes: both(LATE) },
    Fault {
        name: "no-first-token",
        reply: |dialect, stream, _| begun(dialect, stream, 0).stall(),
        outcomes: both(LATE),
    },
    Fault {
        name: "pings-for-ever",
        reply: |dialect, stream, _| {
            whole_or(stream, begun(dialect, false, 0).stall(), || {
                Reply::stream(dialect.stream_type()).frames(vec![ping(dialect); 1500]).stall()
            })
        },
        outcomes: [LATE, NONSENSE],
    },
    Fault {
        name: "stalls",
        reply: |dialect, stream, _| begun(dialect, stream, 1).stall(),
        outcomes: [LATE, Within { code: "backend_timeout" }],
    },
    Fault {
        name: "cut",
        reply: |dialect, stream, _| begun(dialect, stream, 1).cut(),
        outcomes: [CUT, Within { code: "stream_cut" }],
    },
    Fault {
        name: "cut-before-the-first-token",
        reply: |dialect, stream, _| begun(dialect, stream, 0).cut(),
        outcomes: both(CUT),
    },
    Fault {
        name: "cut-in-a-frame",
        reply: |dialect, stream, _| {
            let frames = dialect.frames(&TEXTS, USAGE);
            let next = &frames[dialect.opening() + 1];
            let begun = begun(dialect, stream, 1);
            if stream { begun.frames([&next[..next.len() / 2]]).cut() } else { begun.cut() }
        },
        outcomes: [CUT, Within { code: "stream_cut" }],
    },
    Fault {
        name: "nonsense",
        reply: |dialect, stream, _| {
            whole_or(stream, Reply::whole(200, "application/json", b"<html>"), || {
                begun(dialect, true, 1).frames([nonsense(dialect)]).stall()
            })
        },
        outcomes: [NONSENSE, Within { code: "backend_protocol" }],
    },
    Fault {
        name: "nonsense-first",
        reply: |dialect, stream, _| {
            whole_or(stream, Reply::json(200, &json!([])), || {
                Reply::stream(dialect.stream_type()).frames([nonsense(dialect)]).stall()
            })
        },
        outcomes: both(NONSENSE),
    },
    Fault {
        name: "no-end",
        reply: |dialect, stream, _| {
            whole_or(stream, Reply::json(200, &json!({})), || begun(dialect, true, TEXTS.len()).end())
        },
        outcomes: [NONSENSE, Within { code: "stream_cut" }],
    },
    Fault {
        name: "no-finish",
        reply: |dialect, stream, _| {
            whole_or(stream, good(dialect, false), || match dialect {
                // Says why in the frame that ends it.
                Dialect::Ollama => begun(dialect, true, TEXTS.len()).end(),
                _ => Reply::stream(dialect.stream_type()).frames(without_finish(dialect)).end(),
            })
        },
        outcomes: [Answered { calls: 1 }, Within { code: "stream_cut" }],
    },
    Fault {
        name: "error-in-band",
        reply: |dialect, stream, _| {
            whole_or(stream, status(500), || begun(dialect, true, 1).frames([in_band(dialect)]).stall())
        },
        outcomes: [FAILED_TWICE[0], Within { code: "backend_error" }],
    },
    Fault {
        name: "error-in-band-first",
        reply: |dialect, stream, _| {
            whole_or(stream, status(500), || begun(dialect, true, 0).frames([in_band(dialect)]).stall())
        },
        outcomes: [FAILED_TWICE[0], before(1, 502, "backend_error", "upstream_5xx")],
    },
    Fault {
        name: "wrong-content-type",
        reply: |_, _, _| Reply::whole(200, "text/html", b"<html>down for maintenance</html>"),
        outcomes: [NONSENSE, CUT],
    },
    Fault {
        name: "compressed-unasked",
        reply: |_, _, _| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
            let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1000]].concat();
            Reply::raw(&[format!("{head}content-length: {}\r\n\r\n", bomb.len()).as_bytes(), &bomb].concat())
        },
        outcomes: [NONSENSE, CUT],
    },
    Fault {
        name: "fails-every-other-time",
        reply: |dialect, stream, number| if number % 2 == 0 { status(500) } else { good(dialect, stream) },
        outcomes: both(Answered { calls: 2 }),
    },
    Fault { name: "none", reply: |dialect, stream, _| good(dialect, stream), outcomes: both(Answered { calls: 1 }) },
];

/// The model that a prompt names, and the good one behind it.
const ROUTE: &str = r#"fn route(request, candidates) {
    if request.requested_model != "auto" { return pass(); }
    let ranked = [];
    for candidate in candidates { if candidate.model == request.prompt { ranked.push(candidate); } }
    for candidate in candidates { if candidate.model == "good" { ranked.push(candidate); } }
    if ranked.is_empty() { pass() } else { route_to(ranked, "as asked") }
}"#;

/// A model of that name; the address of its backend ends in it.
fn model(text: &mut String, name: &str, dialect: Dialect, url: &str, window: u32) {
    let kind = dialect.kind();
    let _ = write!(
        text,
        r#"
        [backends.{name}]
        kind = "{kind}"
        url = "{url}/{name}"
        probe_interval_seconds = 0
        breaker = {{ enabled = false }}
        retries = {{ attempts = 2, pause_ms = 1 }}
        [models.{name}]
        backend = "{name}"
        name = "backend-model"
        context_window = {window}
        "#
    );
}

fn setup(backend: &Backend, faults: &[Fault]) -> Setup {
    let mut text = String::new();
    for fault in faults {
        for dialect in Dialect::ALL {
            let name = format!("{}-{}", fault.name, dialect.kind());
            model(&mut text, &name, dialect, &backend.url(), 100);
            // Others may be slow on a machine that is busy.
            if fault.outcomes.iter().any(|outcome| matches!(outcome, Before { code: "backend_timeout", .. })) {
                text += &format!(
                    "[models.{name}.timeouts]\nfirst_token_seconds = 0.2\nidle_seconds = 0.2\ntotal_seconds = 2\nhead_seconds = 0.2\n"
                );
            }
        }
    }
    model(&mut text, "good", Dialect::OpenAi, &backend.url(), 1000);
    Gateway::setup()
        .server("retry_budget_percent = 100")
        .models(&text)
        .file("route.rhai", ROUTE.as_bytes())
        .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
}

/// The backend of all models: the path says which fault is asked for.
fn backend(faults: &'static [Fault]) -> Backend {
    let calls = Mutex::new(std::collections::HashMap::<String, usize>::new());
    Backend::start(move |request| {
        let name = named(request);
        let stream = request.json()["stream"] == true;
        let Some((fault, dialect)) = name.rsplit_once('-') else { return good(Dialect::OpenAi, stream) };
        let dialect = Dialect::ALL.into_iter().find(|known| known.kind() == dialect).unwrap();
        let fault = faults.iter().find(|known| known.name == fault).unwrap();
        let number = {
            let mut calls = calls.lock().unwrap();
            let calls = calls.entry(name).or_default();
            *calls += 1;
            *calls - 1
        };
        (fault.reply)(dialect, stream, number)
    })
}

fn named(request: &Request) -> String {
    request.path.split('/').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn each_fault_comes_to_what_it_should_in_each_dialect() {
    let backend = backend(FAULTS);
    let gateway = setup(&backend, FAULTS).start();
    let cells = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for part in FAULTS.chunks(FAULTS.len().div_ceil(8)) {
            let (gateway, backend, cells) = (&gateway, &backend, &cells);
            scope.spawn(move || {
                for fault in part {
                    for dialect in Dialect::ALL {
                        let cell = Cell { gateway, backend, fault, dialect };
                        let failed: Vec<String> = [false, true]
                            .into_iter()
                            .flat_map(|stream| [cell.alone(stream), cell.followed(stream)])
                            .filter_map(Result::err)
                            .collect();
                        cells.lock().unwrap().extend(failed);
                    }
                }
            });
        }
    });
    let failed = cells.into_inner().unwrap();
    assert!(failed.is_empty(), "{} cells:\n{}", failed.len(), failed.join("\n"));
    the_metrics_agree(&gateway);
}

struct Cell<'a> {
    gateway: &'a Gateway,
    backend: &'a Backend,
    fault: &'a Fault,
    dialect: Dialect,
}

impl Cell<'_> {
    fn name(&self) -> String {
        format!("{}-{}", self.fault.name, self.dialect.kind())
    }

    fn calls(&self) -> usize {
        let name = self.name();
        self.backend.requests().iter().filter(|request| named(request) == name).count()
    }

    /// Asks for it by name, so that no other model may answer.
    fn alone(&self, stream: bool) -> Result<(), String> {
        self.asked(stream, &self.name(), "hello")
    }

    /// Lets the policy choose it, with a good model behind it.
    fn followed(&self, stream: bool) -> Result<(), String> {
        self.asked(stream, "auto", &self.name())
    }

    fn asked(&self, stream: bool, model: &str, prompt: &str) -> Result<(), String> {
        let (path, before) = (self.dialect.path(), self.calls());
        let response = self.gateway.post(path, &ask(path, model, prompt, stream));
        let data = data(&response.text(), stream && response.status() == 200);
        let seen =
            format!("{} {:?} {}", response.status(), response.header("x-wasmgate-failed-attempts"), response.text());
        let calls = self.calls() - before;
        let check = |what: &str, is: bool| match is {
            true => Ok(()),
            false => Err(format!("{} of {}, stream {stream}: not {what}: {calls} calls, {seen}", self.name(), model)),
        };
        let answered = || response.status() == 200 && text_of(path, &data) == "one two three";
        check("without the backend's words", !response.text().contains("words of the backend"))?;
        match self.fault.outcomes[usize::from(stream)] {
            Before { calls: expected, reason, .. } if model == "auto" => {
                let attempts = vec![format!("{prompt} {reason}"); expected].join(", ");
                check("answered by the next model", answered() && response.header("x-wasmgate-model") == "good")?;
                check("told", response.header("x-wasmgate-failed-attempts") == attempts)?;
                check("called as often", calls == expected)
            }
            Before { calls: expected, status, code, .. } => {
                check("told", response.status() == status && error_code(path, &data[0]) == code)?;
                check("called as often", calls == expected)
            }
            Told { status, code } => {
                check("told", response.status() == status && error_code(path, &data[0]) == code && calls == 1)
            }
            Within { code } => {
                check("cut in the middle", response.status() == 200 && text_of(path, &data).starts_with("one"))?;
                check("ended in an error", !ends_well(path, &data) && error_code(path, data.last().unwrap()) == code)?;
                check("called once", calls == 1)
            }
            Answered { calls: expected } => check("answered", answered() && calls == expected),
        }
    }
}

/// The values of a body: one, or those of a stream in either form.
fn data(text: &str, stream: bool) -> Vec<Value> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    if !stream {
        return vec![value(text)];
    }
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("event:") && !line.starts_with(':'));
    lines.map(|line| value(line.strip_prefix("data: ").unwrap_or(line))).collect()
}

/// What was counted is what was asked for: each fault twice streamed and twice not, once by name and once with another
/// model behind it.
fn the_metrics_agree(gateway: &Gateway) {
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    let metrics = gateway.metrics();
    for fault in FAULTS {
        for dialect in Dialect::ALL {
            let name = format!("{}-{}", fault.name, dialect.kind());
            let (mut fell_back, mut repeated) = (0, 0);
            for outcome in fault.outcomes {
                match outcome {
                    Before { calls, .. } => (fell_back, repeated) = (fell_back + 1, repeated + 2 * (calls - 1)),
                    Answered { calls } => repeated += 2 * (calls - 1),
                    Told { .. } | Within { .. } => {}
                }
            }
            let labels = [("from_model", &*name), ("to_model", "good")];
            let counted = metrics.find("api_gateway_fallbacks_total", &labels).unwrap_or(0.0);
            assert_eq!(counted, f64::from(fell_back), "{name}: fallbacks");
            let counted = metrics.value("api_gateway_retries_total", &[("upstream", &name)]);
            assert_eq!(counted, repeated as f64, "{name}: calls made again");
        }
    }
}
