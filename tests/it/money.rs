//! What calls cost: what the backends report is billed as reported, the rest as an estimate, and each call once, whatever
//! becomes of its answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::post_json;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const PATH: &str = "/v1/chat/completions";
const USAGE: Usage = Usage { input: 11, output: 3 };

fn says(text: &str) -> Reply {
    Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&[text], USAGE)).end()
}

fn only(backend: &Backend) -> Setup {
    Gateway::setup().model("only", Dialect::OpenAi, backend).routing("enabled = false")
}

/// Reported input and output, estimated input and output, and unaccounted calls of a model.
fn tokens(gateway: &Gateway, model: &str) -> [f64; 5] {
    let metrics = gateway.metrics();
    let of = |name, kind| metrics.value(name, &[("model", model), ("type", kind)]);
    let (reported, estimated) = ("api_gateway_tokens_total", "api_gateway_estimated_tokens_total");
    [
        of(reported, "input"),
        of(reported, "output"),
        of(estimated, "input"),
        of(estimated, "output"),
        metrics.value("api_gateway_unaccounted_calls_total", &[("model", model)]),
    ]
}

fn unaccounted(gateway: &Gateway, model: &str, reason: &str) -> f64 {
    gateway.metrics().value("api_gateway_unaccounted_calls_total", &[("model", model), ("reason", reason)])
}

#[test]
fn a_stream_that_anthropic_did_not_end_is_billed_for_what_was_seen() {
    let texts = vec!["token "; 500];
    let frames = Dialect::Anthropic.frames(&texts, USAGE);
    let begun = frames[..Dialect::Anthropic.opening() + texts.len()].to_vec();
    let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&begun).stall());
    let gateway = Gateway::setup().model("only", Dialect::Anthropic, &backend).start();
    let mut stream = gateway.stream("/v1/messages", &ask("/v1/messages", "only", "hello", true));
    for _ in 0..Dialect::Anthropic.opening() + texts.len() {
        let _ = stream.event();
    }
    stream.abandon();
    gateway.wait_metric("api_gateway_abandoned_requests_total", &[("model", "only")], 1.0);
    let line = gateway.wait_for_ending("abandoned");
    let [reported_input, reported_output, estimated_input, estimated_output, unaccounted] = tokens(&gateway, "only");
    assert_eq!([reported_input, reported_output, estimated_input, unaccounted], [11.0, 0.0, 0.0, 0.0]);
    assert!(estimated_output >= 500.0, "{estimated_output}");
    assert_eq!(line["usage_reported"], false);
}

#[test]
fn a_failed_attempt_before_a_hedge_is_billed_once() {
    let failing = Backend::start(|_| {
        let usage = Usage { input: 1000, output: 1 };
        let start = Dialect::Anthropic.frames(&[], usage).swap_remove(0);
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "words"}});
        Reply::stream("text/event-stream").frames([start, format!("event: error\ndata: {error}\n\n")]).end()
    });
    let slow = Backend::start(|_| Reply::silent().stall());
    let good = Backend::start(|_| says("good"));
    let gateway = Gateway::setup()
        .model("failing", Dialect::Anthropic, &failing)
        .model("slow", Dialect::OpenAi, &slow)
        .models("[models.slow.timeouts]\nhedge_seconds = 0.02\n")
        .model("good", Dialect::OpenAi, &good)
        .routing("enabled = false")
        .start();
    let mut stream = gateway.stream(PATH, &ask(PATH, "auto", "hello", true));
    assert_eq!(stream.head.header("x-wasmgate-hedge"), Some("won"));
    let _ = stream.all();
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "good"), ("type", "output")], 3.0);
    assert_eq!(tokens(&gateway, "failing")[0], 1000.0, "one call was made");
    let slow = tokens(&gateway, "slow");
    assert!(slow[2] > 0.0, "the loser's prompt was sent: {slow:?}");
    assert_eq!(unaccounted(&gateway, "slow", "hedge_lost"), 1.0);
}

#[test]
fn a_client_that_leaves_a_hedge_leaves_two_calls_to_pay() {
    let (first, second) = (Backend::start(|_| Reply::silent().stall()), Backend::start(|_| Reply::silent().stall()));
    let gateway = Gateway::setup()
        .model("first", Dialect::OpenAi, &first)
        .models("[models.first.timeouts]\nhedge_seconds = 0.02\n")
        .model("second", Dialect::OpenAi, &second)
        .routing("enabled = false")
        .start();
    let mut client = gateway.connect();
    client.send(post_json(PATH, &ask(PATH, "auto", "hello", true)));
    second.wait_requests(1);
    client.abandon();
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    for model in ["first", "second"] {
        assert!(tokens(&gateway, model)[2] > 0.0, "{model}");
        assert_eq!(unaccounted(&gateway, model, "abandoned"), 1.0, "{model}");
    }
}

#[test]
fn what_was_sent_and_not_answered_is_billed_by_an_estimate() {
    for (reason, wait) in [("abandoned", false), ("timeout", true)] {
        let backend = Backend::start(|_| Reply::silent().stall());
        let gateway = only(&backend).models("[models.only.timeouts]\ntotal_seconds = 1\n").start();
        let mut client = gateway.connect();
        client.send(post_json(PATH, &ask(PATH, "only", &"word ".repeat(2000), false)));
        backend.wait_requests(1);
        if wait {
            let _ = client.response().expect(504);
        } else {
            client.abandon();
        }
        gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
        let tokens = tokens(&gateway, "only");
        assert!(tokens[2] >= 2000.0, "{reason}: {tokens:?}");
        assert_eq!(unaccounted(&gateway, "only", reason), 1.0, "{reason}: {tokens:?}");
        assert!(gateway.metrics().value("api_gateway_cost_total", &[("model", "only")]) > 0.0, "{reason}");
    }
}

#[test]
fn an_answer_that_is_no_answer_is_billed_by_what_it_says_of_usage() {
    for dialect in Dialect::ALL {
        let backend = Backend::start(move |_| {
            let mut answer = dialect.answer("text", USAGE);
            for field in ["choices", "content", "message"] {
                answer.as_object_mut().unwrap().remove(field);
            }
            Reply::json(200, &answer)
        });
        let gateway = Gateway::setup().model("only", dialect, &backend).start();
        let _ = gateway.post(PATH, &ask(PATH, "only", "hello", false)).expect(502);
        gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
        assert_eq!(tokens(&gateway, "only"), [11.0, 3.0, 0.0, 0.0, 0.0], "{dialect:?}");
    }
}

#[test]
fn an_error_status_and_a_call_that_reached_nobody_cost_nothing() {
    let backend = Backend::start(|_| Reply::json(500, &json!({})));
    let gateway = only(&backend).start();
    let _ = gateway.post(PATH, &ask(PATH, "only", "hello", false)).expect(502);
    let nowhere = Gateway::setup().model_at("only", Dialect::OpenAi, &Backend::nowhere()).start();
    let _ = nowhere.post(PATH, &ask(PATH, "only", "hello", false)).expect(502);
    for gateway in [gateway, nowhere] {
        gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
        assert_eq!(tokens(&gateway, "only"), [0.0; 5]);
    }
}

#[test]
fn a_stream_that_fell_back_names_the_cost_of_the_model_that_answers() {
    let dear = Backend::start(|_| Reply::json(503, &json!({})));
    let free = Backend::start(|_| says("free"));
    let url = free.url();
    let gateway = Gateway::setup()
        .model("dear", Dialect::OpenAi, &dear)
        .models(&format!(
            "[backends.free]\nkind = \"openai\"\nurl = {url:?}\nlocation = \"local\"\nprobe_interval_seconds = 0\n\
             [models.free]\nbackend = \"free\"\n"
        ))
        .routing("enabled = false")
        .start();
    let mut stream = gateway.stream(PATH, &ask(PATH, "auto", "hello", true));
    assert_eq!(stream.head.header("x-wasmgate-model"), Some("free"));
    assert_eq!(stream.head.header("x-wasmgate-cost-usd"), Some("0"));
    let _ = stream.all();
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// It is answered, with usage.
    Good,
    /// It is answered, without usage.
    NoUsage,
    /// A status says that it failed.
    Status,
    /// The answer breaks off before its first token.
    CutAtOnce,
    /// The answer is none, but has usage.
    NoAnswer,
    /// The stream breaks off after so many tokens.
    Cut(usize),
    /// Nothing comes, and the client leaves.
    Left,
}

const MODELS: [&str; 3] = ["first", "second", "third"];

fn reply(fate: Fate, stream: bool) -> Reply {
    let frames = || Dialect::OpenAi.frames(&["a", "b", "c", "d", "e"], USAGE);
    let begun = |count: usize| Reply::stream("text/event-stream").frames(&frames()[..count]);
    let mut answer = Dialect::OpenAi.answer("abcde", USAGE);
    match (fate, stream) {
        (Fate::Good, true) => begun(frames().len()).end(),
        (Fate::Good, false) => Reply::json(200, &answer),
        (Fate::NoUsage, true) => begun(7).frames(["data: [DONE]\n\n"]).end(),
        (Fate::NoUsage, false) => {
            answer.as_object_mut().unwrap().remove("usage");
            Reply::json(200, &answer)
        }
        (Fate::Status, _) => Reply::json(503, &json!({})),
        (Fate::CutAtOnce | Fate::NoAnswer, true) => begun(1).cut(),
        (Fate::CutAtOnce, false) => Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{").cut(),
        (Fate::NoAnswer, false) => {
            answer.as_object_mut().unwrap().remove("choices");
            Reply::json(200, &answer)
        }
        (Fate::Cut(count), _) => begun(1 + count).cut(),
        (Fate::Left, _) => Reply::silent().stall(),
    }
}

/// What a call costs by the rules; `input` is the gateway's estimate of the prompt.
fn owed(fate: Fate, stream: bool, input: f64) -> [f64; 5] {
    match (fate, stream) {
        (Fate::Good, _) | (Fate::NoAnswer, false) => [11.0, 3.0, 0.0, 0.0, 0.0],
        // Five pieces of a stream; five bytes of a whole answer.
        (Fate::NoUsage, true) => [0.0, 0.0, input, 5.0, 0.0],
        (Fate::NoUsage, false) => [0.0, 0.0, input, 2.0, 0.0],
        (Fate::Status, _) => [0.0; 5],
        (Fate::Cut(count), _) => [0.0, 0.0, input, count as f64, 0.0],
        (Fate::CutAtOnce | Fate::NoAnswer | Fate::Left, _) => [0.0, 0.0, input, 0.0, 1.0],
    }
}

/// Random numbers that a seed repeats.
fn random(state: &mut u64, below: u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % below) as usize
}

/// Random sequences of attempts, fallbacks, cuts and leavings, each call with a fate of its own: what the gateway bills is
/// what the backends say that they served, and a labelled estimate elsewhere, each call once.
#[test]
fn whatever_happens_each_call_is_billed_once() {
    let plan: Arc<Mutex<VecDeque<Fate>>> = Arc::default();
    let script = Arc::clone(&plan);
    let backend = Backend::start(move |request: &Request| {
        let fate = script.lock().unwrap().pop_front().expect("a call that was planned");
        reply(fate, request.json()["stream"] == true)
    });
    let mut models = String::new();
    for model in MODELS {
        let url = backend.url();
        models += &format!(
            "[backends.{model}]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
             retries = {{ attempts = 1 }}\nbreaker = {{ enabled = false }}\n[models.{model}]\nbackend = \"{model}\"\n"
        );
    }
    let gateway = Gateway::setup().models(&models).routing("enabled = false").start();
    let ask = |stream| ask(PATH, "auto", "the same prompt each time", stream);
    // The gateway's estimate of the prompt.
    plan.lock().unwrap().push_back(Fate::NoUsage);
    let _ = gateway.post(PATH, &ask(false)).expect(200);
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    let input = tokens(&gateway, "first")[2];
    assert!(input > 0.0);
    let mut expected: BTreeMap<&str, [f64; 5]> = MODELS.map(|model| (model, [0.0; 5])).into();
    let mut owe = |model: usize, fate: Fate, stream: bool| {
        let sum = expected.get_mut(MODELS[model]).unwrap();
        sum.iter_mut().zip(owed(fate, stream, input)).for_each(|(sum, more)| *sum += more);
    };
    owe(0, Fate::NoUsage, false);
    let mut state = 7;
    for number in 0..80 {
        let stream = random(&mut state, 2) == 0;
        let mut fates = Vec::new();
        for _ in 0..random(&mut state, 3) {
            fates.push([Fate::Status, Fate::CutAtOnce, Fate::NoAnswer][random(&mut state, 3)]);
        }
        let within = Fate::Cut(1 + random(&mut state, 4));
        fates.push(
            [Fate::Good, Fate::NoUsage, Fate::Left, if stream { within } else { Fate::Good }][random(&mut state, 4)],
        );
        fates.iter().enumerate().for_each(|(model, fate)| owe(model, *fate, stream));
        let seen = backend.requests().len();
        plan.lock().unwrap().extend(&fates);
        if fates.last() == Some(&Fate::Left) {
            let mut client = gateway.connect();
            client.send(post_json(PATH, &ask(stream)));
            backend.wait_requests(seen + fates.len());
            client.abandon();
        } else {
            let _ = gateway.post(PATH, &ask(stream)).expect(200);
        }
        gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
        assert_eq!(backend.requests().len(), seen + fates.len(), "request {number}: {fates:?}, stream {stream}");
    }
    let billed: BTreeMap<&str, [f64; 5]> = MODELS.map(|model| (model, tokens(&gateway, model))).into();
    assert_eq!(billed, expected);
}
