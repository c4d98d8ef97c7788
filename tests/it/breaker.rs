//! Backends that keep failing: they are left alone, tried by one call, and come back little by little; attempts that are
//! made again stay a share of the traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::post_json;
use wasmgate_tests::wait::{until, until_slowly};
use wasmgate_tests::wire::{Dialect, Usage, ask, ends_well, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };
const PATH: &str = "/v1/chat/completions";

fn good() -> Backend {
    Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)))
}

/// A backend that fails as long as it is told to.
fn failing() -> (Backend, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(true));
    let does_fail = Arc::clone(&fails);
    let backend = Backend::start(move |_| match does_fail.load(Ordering::Relaxed) {
        true => Reply::json(500, &json!({})),
        false => Reply::json(200, &Dialect::OpenAi.answer("well again", USAGE)),
    });
    (backend, fails)
}

/// The first of two models, with these rules.
fn ruled(first: &Backend, second: &Backend, rules: &str) -> Setup {
    Gateway::setup()
        .model("first", Dialect::OpenAi, first)
        .models(&format!("[backends.first.breaker]\n{rules}\n"))
        .model("second", Dialect::OpenAi, second)
        // The first first, whatever is known of it.
        .file("route.rhai", b"fn route(request, candidates) { route_to(candidates, \"in order\") }")
        .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
}

fn is(gateway: &Gateway, state: &str) -> bool {
    let labels = [("upstream", "first"), ("model", "first"), ("state", state)];
    gateway.metrics().value("api_gateway_breaker_state", &labels) == 1.0
}

#[test]
fn an_open_breaker_is_passed_over_until_one_call_finds_the_backend_well() {
    let ((first, fails), second) = (failing(), good());
    let rules = "min_calls = 4\nretry_seconds = 0.3\nramp_seconds = 0";
    let gateway = ruled(&first, &second, rules).start();
    for _ in 0..4 {
        let response = gateway.chat("hello").expect(200);
        assert_eq!(response.header("x-wasmgate-failed-attempts"), "first upstream_5xx");
    }
    assert!(is(&gateway, "open"));
    let health = gateway.get("/health").json();
    assert_eq!((&health["models"][0]["name"], &health["models"][0]["breaker"]), (&json!("first"), &json!("open")));
    fails.store(false, Ordering::Relaxed);
    let calls = first.requests().len();
    let tried = until("a call that tries", || {
        let response = gateway.chat("hello").expect(200);
        if response.header("x-wasmgate-model") == "first" {
            return Some(response);
        }
        assert_eq!(response.header("x-wasmgate-failed-attempts"), "first breaker_open");
        None
    });
    assert_eq!((&tried.json()["response"], first.requests().len()), (&json!("well again"), calls + 1));
    assert!(is(&gateway, "closed"));
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-model"), "first");
    let labels = [("from_model", "first"), ("to_model", "second"), ("reason", "breaker_open")];
    assert!(gateway.metrics().find("api_gateway_fallbacks_total", &labels).is_none_or(|count| count >= 1.0));
}

/// The breaker opens between two attempts of one request: the failure that opened it says more than that it is open.
#[test]
fn a_retry_that_the_breaker_holds_back_leaves_the_failure_as_it_was() {
    let (first, _) = failing();
    let gateway = Gateway::setup()
        .server("retry_budget_percent = 100")
        .models(&format!(
            "[backends.first]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0\n\
             breaker = {{ min_calls = 2 }}\nretries = {{ attempts = 3, pause_ms = 1 }}\n\
             [models.first]\nbackend = \"first\"\n",
            first.url()
        ))
        .start();
    let response = gateway.chat("hello").expect(502);
    assert_eq!(error_code("/api/v1/chat", &response.json()), "backend_error");
    assert_eq!(response.header("x-wasmgate-failed-attempts"), "first upstream_5xx, first upstream_5xx");
    assert_eq!(first.requests().len(), 2);
    gateway.wait_metric("api_gateway_retries_total", &[], 1.0);
    assert_eq!(error_code("/api/v1/chat", &gateway.chat("hello").expect(503).json()), "breaker_open");
}

/// Only a call can show that a backend has recovered that no probe asks. If the default or a policy avoided it for good, none
/// would be made.
#[test]
fn an_unprobed_backend_that_was_down_is_called_again_after_a_while() {
    let ((first, fails), second) = (failing(), good());
    let gateway = Gateway::setup()
        .model("first", Dialect::OpenAi, &first)
        .models("[backends.first.breaker]\nenabled = false\n")
        .model("second", Dialect::OpenAi, &second)
        .routing("enabled = false")
        .start();
    let health = || gateway.get("/health").json()["backends"][0]["health"].clone();
    until("a backend that is down", || {
        let _ = gateway.chat("hello").expect(200);
        (health() == "down").then_some(())
    });
    fails.store(false, Ordering::Relaxed);
    let calls = first.requests().len();
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-model"), "second");
    assert_eq!(first.requests().len(), calls, "the default avoids what is down");
    until_slowly("the failures to be forgotten", || (health() == "unknown").then_some(()));
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-model"), "first");
    assert_eq!(health(), "healthy");
}

#[test]
fn where_no_other_model_is_left_the_client_is_told_when_to_come_back() {
    let first = Backend::start(|_| Reply::json(500, &json!({})));
    let second = good();
    let gateway = ruled(&first, &second, "min_calls = 2\nretry_seconds = 100").start();
    for path in [PATH, "/v1/messages"] {
        let told = gateway.post(path, &ask(path, "first", "hello", true)).expect(502);
        assert_eq!(error_code(path, &told.json()), "backend_error");
    }
    // On a slow machine a second may have passed, after which one call tries.
    let told = until("a call is held back", || {
        let response = gateway.post(PATH, &ask(PATH, "first", "hello", false));
        (response.status() == 503).then_some(response)
    });
    assert_eq!(error_code(PATH, &told.json()), "breaker_open");
    assert_eq!(told.header("retry-after"), "1", "the next call tries after a second, as no other model is left");
    gateway.wait_metric("api_gateway_errors_total", &[("backend", "none"), ("reason", "breaker_open")], 1.0);
}

#[test]
fn where_no_other_model_is_left_calls_go_on_trying() {
    let (first, fails) = failing();
    let second = good();
    let gateway = ruled(&first, &second, "min_calls = 2\nretry_seconds = 3600").start();
    let call = || gateway.post(PATH, &ask(PATH, "first", "hello", false));
    for _ in 0..2 {
        let _ = call().expect(502);
    }
    assert!(is(&gateway, "open"));
    fails.store(false, Ordering::Relaxed);
    until("a call finds the backend well", || (call().status() == 200).then_some(()));
    assert!(is(&gateway, "closed"));
}

#[test]
fn a_call_that_tries_and_hangs_does_not_keep_the_next_away() {
    let fails = Arc::new(AtomicBool::new(true));
    let does_fail = Arc::clone(&fails);
    let first = Backend::start(move |request| {
        match (does_fail.load(Ordering::Relaxed), request.json()["messages"][0]["content"] == "hang") {
            (true, _) => Reply::json(500, &json!({})),
            (false, true) => Reply::silent().stall(),
            (false, false) => Reply::json(200, &Dialect::OpenAi.answer("well again", USAGE)),
        }
    });
    let second = good();
    let gateway = ruled(&first, &second, "min_calls = 2\nretry_seconds = 0.2\nramp_seconds = 0").start();
    for _ in 0..2 {
        let _ = gateway.chat("hello").expect(200);
    }
    fails.store(false, Ordering::Relaxed);
    let calls = first.requests().len();
    let hangs = until("a call tries, and hangs", || {
        let mut client = gateway.connect();
        client.send(post_json("/api/v1/chat", &json!({"prompt": "hang"})));
        until("it is answered or hangs", || {
            let in_flight = gateway.get("/health").json()["backends"][0]["in_flight"] == 1;
            (in_flight || gateway.metrics().value("api_gateway_requests_in_progress", &[]) == 0.0).then_some(())
        });
        (first.requests().len() > calls).then_some(client)
    });
    until("the next try finds the backend well", || {
        (gateway.chat("hello").expect(200).header("x-wasmgate-model") == "first").then_some(())
    });
    assert!(is(&gateway, "closed"));
    hangs.abandon();
}

#[test]
fn a_model_that_is_always_busy_is_left_alone() {
    let first = Backend::start(|_| Reply::json(429, &json!({})));
    let second = good();
    let models = format!(
        "[backends.first]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0\n\
         breaker = {{ min_calls = 4, retry_seconds = 3600 }}\n[models.first]\nbackend = \"first\"\n",
        first.url()
    );
    let gateway = Gateway::setup()
        .models(&models)
        .model("second", Dialect::OpenAi, &second)
        .file("route.rhai", b"fn route(request, candidates) { route_to(candidates, \"in order\") }")
        .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
        .start();
    for _ in 0..4 {
        // It does not say for how long it is busy, and another model is there: no second attempt.
        assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-failed-attempts"), "first upstream_429");
    }
    assert!(is(&gateway, "open"));
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-failed-attempts"), "first breaker_open");
    assert_eq!(first.requests().len(), 4);
    assert_eq!(gateway.metrics().value("api_gateway_retries_total", &[]), 0.0);
}

#[test]
fn a_stream_that_breaks_off_counts_against_its_backend() {
    let first = Backend::start(|_| {
        Reply::stream("text/event-stream").frames(&Dialect::OpenAi.frames(&["one"], USAGE)[..2]).cut()
    });
    let second = good();
    let gateway = ruled(&first, &second, "min_calls = 2\nretry_seconds = 100").start();
    for _ in 0..2 {
        let data = gateway.stream(PATH, &ask(PATH, "first", "hello", true)).all();
        assert!(!ends_well(PATH, &data));
    }
    until("it opens", || is(&gateway, "open").then_some(()));
}

#[test]
fn a_slow_backend_is_passed_over_unless_it_is_the_last() {
    let usage = USAGE;
    let gate = Gate::default();
    let waits = gate.clone();
    let first = Backend::start(move |_| {
        Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("at last", usage)))
    });
    let second = good();
    let gateway = ruled(&first, &second, "min_calls = 1\nslow_seconds = 0.05\nretry_seconds = 100").start();
    let mut client = gateway.connect();
    client.send(post_json("/api/v1/chat", &json!({"prompt": "hello"})));
    first.wait_requests(1);
    // Long enough that it was slow: a stream that times out, of a model that is not asked otherwise.
    let silent = Backend::start(|_| Reply::silent().stall());
    let other = Gateway::setup()
        .model("silent", Dialect::OpenAi, &silent)
        .models("[backends.silent.timeouts]\nhead_seconds = 0.1\n")
        .start();
    let _ = other.post(PATH, &ask(PATH, "silent", "hello", true)).expect(504);
    gate.open();
    let _ = client.response().expect(200);
    assert!(is(&gateway, "open"));
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-model"), "second");
    let _ = gateway.post(PATH, &ask(PATH, "first", "hello", false)).expect(200);
}

#[test]
fn policies_see_the_breaker() {
    let first = Backend::start(|_| Reply::json(500, &json!({})));
    let second = good();
    let script =
        r#"fn route(request, candidates) { route_to([candidates[candidates.len() - 1]], candidates[0].breaker) }"#;
    let gateway = Gateway::setup()
        .model("first", Dialect::OpenAi, &first)
        .models("[backends.first.breaker]\nmin_calls = 1\nretry_seconds = 100\n")
        .model("second", Dialect::OpenAi, &second)
        .file("route.rhai", script.as_bytes())
        .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
        .start();
    let reason =
        || gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200).json()["reasoning"].clone();
    assert_eq!(reason(), "closed");
    let _ = gateway.post(PATH, &ask(PATH, "first", "hello", false));
    until("it is open", || is(&gateway, "open").then_some(()));
    assert_eq!(reason(), "open");
}

#[test]
fn attempts_made_again_stay_within_their_budget() {
    let first = Backend::start(|_| Reply::json(503, &json!({})));
    let models = format!(
        "[backends.first]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0\n\
         retries = {{ attempts = 3, pause_ms = 1 }}\nbreaker = {{ enabled = false }}\n\
         [models.first]\nbackend = \"first\"\n",
        first.url()
    );
    let gateway = Gateway::setup().models(&models).server("retry_budget_percent = 20").start();
    for _ in 0..40 {
        let _ = gateway.chat("hello").expect(502);
    }
    // Ten to begin with, and a fifth of what came.
    let again = first.requests().len() - 40;
    assert!((10..=18).contains(&again), "{again}");
    let counted = gateway.metrics().value("api_gateway_retries_total", &[("upstream", "first")]);
    assert_eq!(counted, again as f64);
}

#[test]
fn a_client_that_leaves_while_another_attempt_is_waited_for_ends_it() {
    let first = Backend::start(|_| Reply::raw(b"HTTP/1.1 503 Scripted\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n"));
    let models = format!(
        "[backends.first]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0\n[models.first]\nbackend = \"first\"\n",
        first.url()
    );
    let gateway = Gateway::setup().models(&models).start();
    let mut client = gateway.connect();
    client.send(post_json("/api/v1/chat", &json!({"prompt": "hello"})));
    first.wait_requests(1);
    client.abandon();
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    gateway.wait_metric("api_gateway_abandoned_requests_total", &[("model", "first")], 1.0);
    assert_eq!(first.requests().len(), 1);
}

#[test]
fn a_model_that_is_being_loaded_has_more_time_for_its_first_token() {
    let gate = Gate::default();
    let waits = gate.clone();
    let ollama = Backend::with_pages(
        move |request| match request.json()["model"] == "cold" {
            true => Reply::silent()
                .gate(&waits)
                .and(Reply::stream("application/x-ndjson").frames(Dialect::Ollama.frames(&["warm"], USAGE)).end()),
            false => Reply::silent().stall(),
        },
        |_| Reply::json(200, &json!({"models": [{"name": "loaded:latest"}]})),
    );
    let models = format!(
        "[backends.ollama]\nkind = \"ollama\"\nurl = {:?}\nprobe_interval_seconds = 0.05\n\
         timeouts = {{ head_seconds = 0.2, first_token_seconds = 0.2, loading_seconds = 100 }}\n\
         [models.cold]\nbackend = \"ollama\"\n[models.loaded]\nbackend = \"ollama\"\n",
        ollama.url()
    );
    let gateway = Gateway::setup().models(&models).start();
    gateway.wait_metric("ollama_models_loaded", &[], 1.0);
    let mut client = gateway.connect();
    client.send(post_json(PATH, &ask(PATH, "cold", "hello", true)));
    ollama.wait_requests(1);
    // The one in memory has no excuse; by the time that it is given up the other would be, too.
    let told = gateway.post(PATH, &ask(PATH, "loaded", "hello", true)).expect(504);
    assert_eq!(error_code(PATH, &told.json()), "backend_timeout");
    gate.open();
    let _ = client.response().expect(200);
}
