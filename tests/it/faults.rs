//! What backends do wrong, and what becomes of it: each fault, in each dialect, streamed and not, with no other model and
//! with one behind it. What the client gets, what the metrics count, and how often the backend was called.

use std::fmt::Write;
use std::sync::Mutex;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::faults::Outcome::{Answered, Before, Told, Within};
use wasmgate_tests::faults::{Call, FAULTS, Fault, USAGE, good, values_of};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, ask, ends_well, error_code, text_of};

const TEXTS: [&str; 3] = ["one ", "two ", "three"];

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
        retries = {{ attempts = 2, pause_ms = 1, busy_pause_ms = 1 }}
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
        let call = |dialect, number| Call { dialect, stream, number, texts: &TEXTS };
        let Some((fault, dialect)) = name.rsplit_once('-') else { return good(&call(Dialect::OpenAi, 0)) };
        let dialect = Dialect::ALL.into_iter().find(|known| known.kind() == dialect).unwrap();
        let fault = faults.iter().find(|known| known.name == fault).unwrap();
        let number = {
            let mut calls = calls.lock().unwrap();
            let calls = calls.entry(name).or_default();
            *calls += 1;
            *calls - 1
        };
        (fault.reply)(&call(dialect, number))
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
        let data = values_of(&response.text(), stream && response.status() == 200);
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
            Before { calls_if_another: expected, reason, .. } if model == "auto" => {
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
                    Before { calls, calls_if_another, .. } => {
                        (fell_back, repeated) = (fell_back + 1, repeated + calls - 1 + calls_if_another - 1);
                    }
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

#[test]
fn a_refused_request_is_told_in_the_clients_dialect_and_blames_nobody() {
    let schema = Backend::start(|_| {
        let message = "Invalid schema for function 'f': secret-key-7 and sk-abcdefghijkl";
        let error = json!({"message": message, "type": "invalid_request_error", "param": "tools[0].function.parameters",
            "code": "invalid_function_parameters"});
        Reply::json(400, &json!({ "error": error }))
    });
    let spare = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("spare", USAGE)));
    let url = schema.url();
    let gateway = Gateway::setup()
        .models(&format!(
            "[backends.first]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
             api_key_env = \"FIRST_KEY\"\nbreaker = {{ min_calls = 1 }}\n[models.first]\nbackend = \"first\"\n"
        ))
        .variable("FIRST_KEY", "secret-key-7")
        .model("spare", Dialect::OpenAi, &spare)
        .start();
    for stream in [false, true] {
        for path in CLIENT_PATHS {
            let response = gateway.post(path, &ask(path, "auto", "hello", stream)).expect(400);
            let (body, text) = (response.json(), response.text());
            assert_eq!(error_code(path, &body), "invalid_function_parameters", "{path}");
            assert!(text.contains("Invalid schema for function 'f': [removed] and [removed]"), "{path}: {text}");
            if path == "/v1/chat/completions" {
                assert_eq!(body["error"]["param"], "tools[0].function.parameters");
            }
        }
    }
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 8.0);
    let metrics = gateway.metrics();
    assert_eq!((schema.requests().len(), spare.requests().len()), (8, 0), "each was sent once, to one model");
    assert_eq!(metrics.value("api_gateway_errors_total", &[]), 0.0);
    assert_eq!(metrics.value("api_gateway_policy_requests_total", &[("status", "error")]), 0.0);
    let closed = [("model", "first"), ("state", "closed")];
    assert_eq!(metrics.value("api_gateway_breaker_state", &closed), 1.0);
    assert!(!gateway.process.lines().join("\n").contains("Invalid schema"), "the log has no words of a request");
}

#[test]
fn one_request_reaches_so_many_models_and_no_more() {
    let backend = Backend::start(|_| Reply::json(500, &json!({})));
    for (most, called) in [("", 3), ("max_models_per_request = 5", 5), ("max_models_per_request = 1", 1)] {
        let before = backend.requests().len();
        let mut setup = Gateway::setup().server(most).routing("enabled = false");
        for number in 0..8 {
            setup = setup.model(&format!("model-{number}"), Dialect::OpenAi, &backend);
        }
        let gateway = setup.start();
        let response = gateway.post("/v1/chat/completions", &ask("/v1/chat/completions", "auto", "hello", false));
        assert_eq!(response.status(), 502, "{most}");
        assert_eq!(response.header("x-wasmgate-failed-attempts").split(", ").count(), called, "{most}");
        assert_eq!(backend.requests().len() - before, called, "{most}");
    }
}

#[test]
fn the_header_of_failed_attempts_is_bounded() {
    let backend = Backend::start(|_| Reply::json(500, &json!({})));
    let url = backend.url();
    let gateway = Gateway::setup()
        .server("max_models_per_request = 8\nretry_budget_percent = 100")
        .models(&(0..8).fold(String::new(), |text, number| {
            format!(
                "{text}[backends.b{number}]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
                 retries = {{ attempts = 4, pause_ms = 1 }}\n[models.m{number}]\nbackend = \"b{number}\"\n"
            )
        }))
        .routing("enabled = false")
        .start();
    let path = "/v1/chat/completions";
    let response = gateway.post(path, &ask(path, "auto", "hello", false)).expect(502);
    let attempts: Vec<&str> = response.header("x-wasmgate-failed-attempts").split(", ").collect();
    let called = backend.requests().len();
    assert!(called > 16, "{called} calls");
    assert_eq!(attempts.len(), 17, "{attempts:?}");
    assert_eq!(attempts[16], format!("{} more", called - 16));
}

#[test]
fn a_rate_limit_that_refuses_one_request_for_its_size_concerns_no_other_request() {
    let backend = Backend::start(|request| {
        if request.json().to_string().contains("oversized") {
            let message = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 50000.";
            let error = json!({"message": message, "type": "tokens", "param": null, "code": "rate_limit_exceeded"});
            return Reply::json(429, &json!({"error": error}));
        }
        Reply::json(200, &Dialect::OpenAi.answer("well", USAGE))
    });
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    for _ in 0..10 {
        let refused = gateway.post(path, &ask(path, "only", "oversized", false));
        assert_eq!((refused.status(), &*error_code(path, &refused.json())), (413, "rate_limit_exceeded"));
    }
    assert_eq!(backend.requests().len(), 10, "none is sent again");
    let other = gateway.post(path, &ask(path, "only", "hello", false));
    assert_eq!(other.status(), 200);
}
