//! Streams: relayed frame by frame, and ended in exactly one of four ways.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Stream, post_json, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, ends_well, error_code, text_of};

const USAGE: Usage = Usage { input: 11, output: 3 };
const TEXTS: [&str; 3] = ["one ", "two ", "three"];

/// A backend of each dialect that answers with `reply`, each behind a model named like its dialect.
fn each_dialect(reply: impl Fn(Dialect) -> Reply + Copy + Send + Sync + 'static) -> (Setup, Vec<Backend>) {
    let mut setup = Gateway::setup();
    let mut backends = Vec::new();
    for dialect in Dialect::ALL {
        let backend = Backend::start(move |_| reply(dialect));
        setup = setup.model(dialect.kind(), dialect, &backend);
        backends.push(backend);
    }
    (setup, backends)
}

/// Reads data until the text so far is `text`.
fn read_until(stream: &mut Stream, path: &str, seen: &mut Vec<Value>, text: &str) {
    while streamed_text(path, seen) != text {
        let data = stream.data();
        seen.push(data.unwrap_or_else(|| panic!("{path}: the stream ended after {seen:?}")));
    }
}

/// As `text_of`, for what may still be one event long.
fn streamed_text(path: &str, seen: &[Value]) -> String {
    let padded: Vec<Value> = seen.iter().cloned().chain([json!({}), json!({})]).collect();
    text_of(path, &padded)
}

#[test]
fn each_frame_is_relayed_before_the_next_is_sent() {
    for dialect in Dialect::ALL {
        for path in CLIENT_PATHS {
            let gates: [Gate; 3] = Default::default();
            let script_gates = gates.clone();
            let backend = Backend::start(move |_| {
                let frames = dialect.frames(&TEXTS, USAGE);
                let (opening, rest) = frames.split_at(dialect.opening());
                let (texts, ending) = rest.split_at(TEXTS.len());
                Reply::stream(dialect.stream_type())
                    .frames(opening)
                    .gated_frames(texts, &script_gates)
                    .frames(ending)
                    .end()
            });
            let gateway = Gateway::setup().model("only", dialect, &backend).start();
            // The head comes with the first text.
            gates[0].open();
            let mut stream = gateway.stream(path, &ask(path, "only", "hello", true));
            assert_eq!(stream.head.status, 200);
            let (mut seen, mut text) = (Vec::new(), String::new());
            for (gate, piece) in gates.iter().zip(TEXTS) {
                gate.open();
                text += piece;
                read_until(&mut stream, path, &mut seen, &text);
            }
            seen.extend(stream.all());
            assert!(ends_well(path, &seen), "{path} from {dialect:?}: {seen:?}");
            assert_eq!(streamed_text(path, &seen), "one two three", "{path} from {dialect:?}");
        }
    }
}

#[test]
fn a_finished_stream_is_counted_with_the_usage_that_the_backend_reported() {
    let (setup, _backends) =
        each_dialect(|dialect| Reply::stream(dialect.stream_type()).frames(dialect.frames(&TEXTS, USAGE)).end());
    let gateway = setup.start();
    for (count, path) in CLIENT_PATHS.iter().enumerate() {
        for model in ["openai", "anthropic", "ollama"] {
            let mut stream = gateway.stream(path, &ask(path, model, "hello", true));
            let head = stream.head.clone();
            let expected = if *path == "/api/chat" { "application/x-ndjson" } else { "text/event-stream" };
            assert_eq!(head.header("content-type"), Some(expected));
            assert_eq!(head.header("x-wasmgate-model"), Some(model));
            let data = stream.all();
            assert!(ends_well(path, &data), "{path}: {data:?}");
            if *path == "/api/v1/chat" {
                let last = data.last().unwrap();
                let told = [&last["response"], &last["input_tokens"], &last["output_tokens"], &last["model"]];
                assert_eq!(told, [&json!("one two three"), &json!(11), &json!(3), &json!(model)]);
            }
            let finished = count as f64 + 1.0;
            gateway.wait_metric("api_gateway_requests_total", &[("model", model), ("status", "success")], finished);
            let metrics = gateway.metrics();
            let tokens = |kind| metrics.value("api_gateway_tokens_total", &[("model", model), ("type", kind)]);
            assert_eq!((tokens("input"), tokens("output")), (11.0 * finished, 3.0 * finished), "{path} {model}");
            assert_eq!(metrics.value("api_gateway_time_to_first_token_seconds_count", &[("model", model)]), finished);
        }
    }
    assert_eq!(gateway.metrics().value("api_gateway_estimated_tokens_total", &[]), 0.0);
    gateway.wait_for_ending("finished");
}

/// Asks for a stream of each backend in each client dialect; its last event must be the in-band error `code` in that
/// dialect's form, after the text that came before.
fn ends_in_error(gateway: &Gateway, text: &str, code: &str) {
    for path in CLIENT_PATHS {
        for model in ["openai", "anthropic", "ollama"] {
            let mut stream = gateway.stream(path, &ask(path, model, "hello", true));
            assert_eq!(stream.head.status, 200, "the head was sent before it broke");
            let data = stream.all();
            assert!(!ends_well(path, &data), "{path} from {model} must not end like a whole answer: {data:?}");
            assert_eq!(streamed_text(path, &data), text, "{path} from {model}");
            assert_eq!(error_code(path, data.last().unwrap()), code, "{path} from {model}");
        }
    }
}

#[test]
fn a_cut_stream_ends_in_the_dialects_error_and_never_in_a_normal_end() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        Reply::stream(dialect.stream_type()).frames(&frames[..dialect.opening() + 2]).cut()
    });
    let gateway = setup.start();
    ends_in_error(&gateway, "one two ", "stream_cut");
    gateway.wait_metric("api_gateway_errors_total", &[("reason", "protocol")], 12.0);
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_requests_total", &[("status", "error")]), 12.0);
    assert_eq!(metrics.value("api_gateway_requests_total", &[("status", "success")]), 0.0);
    gateway.wait_for_ending("failed");
}

#[test]
fn a_stream_that_ends_without_its_end_marker_is_cut() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        Reply::stream(dialect.stream_type()).frames(&frames[..dialect.opening() + 2]).end()
    });
    ends_in_error(&setup.start(), "one two ", "stream_cut");
}

#[test]
fn a_frame_cut_in_half_is_not_relayed() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        let (whole, half) = frames.split_at(dialect.opening() + 1);
        Reply::stream(dialect.stream_type()).frames(whole).frames([&half[0][..half[0].len() / 2]]).cut()
    });
    ends_in_error(&setup.start(), "one ", "stream_cut");
}

fn nonsense(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Ollama { "nonsense\n" } else { "data: nonsense\n\n" }
}

/// A frame that is JSON and of no dialect.
fn unknown(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "data: {\"id\": 7}\n\n",
        Dialect::Anthropic => "data: [7]\n\n",
        Dialect::Ollama => "{\"model\": \"backend-model\"}\n",
    }
}

#[test]
fn frames_that_are_not_of_the_dialect_are_skipped_and_counted() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        let (before, after) = frames.split_at(dialect.opening() + 1);
        let skipped = [nonsense(dialect), unknown(dialect)];
        Reply::stream(dialect.stream_type()).frames([skipped[0]]).frames(before).frames(skipped).frames(after).end()
    });
    let gateway = setup.start();
    for path in CLIENT_PATHS {
        for model in ["openai", "anthropic", "ollama"] {
            let data = gateway.stream(path, &ask(path, model, "hello", true)).all();
            assert!(ends_well(path, &data), "{path} from {model}: {data:?}");
            assert_eq!(streamed_text(path, &data), "one two three", "{path} from {model}");
        }
    }
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 12.0);
    let metrics = gateway.metrics();
    for upstream in ["openai", "anthropic", "ollama"] {
        assert_eq!(metrics.value("api_gateway_skipped_frames_total", &[("upstream", upstream)]), 12.0, "{upstream}");
    }
    assert_eq!(gateway.wait_for_ending("finished")["skipped_frames"], 3);
}

#[test]
fn a_stream_of_nothing_but_such_frames_ends_in_an_error() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        let begun = &frames[..dialect.opening() + 1];
        Reply::stream(dialect.stream_type()).frames(begun).frames([nonsense(dialect); 33]).stall()
    });
    ends_in_error(&setup.start(), "one ", "backend_protocol");
}

/// An OpenAI-compatible backend of which the gateway accepts nothing that is not of the dialect.
fn strict(backend: &Backend) -> Gateway {
    let url = backend.url();
    let text = format!(
        "[backends.only]\nkind = \"openai\"\nurl = {url:?}\nstrict_streams = true\nprobe_interval_seconds = 0\n\
         [models.only]\nbackend = \"only\"\n"
    );
    Gateway::setup().models(&text).start()
}

#[test]
fn strict_streams_take_neither_such_a_frame_nor_an_end_without_its_marker() {
    let path = "/v1/chat/completions";
    for (skipped, code) in [(Some(nonsense(Dialect::OpenAi)), "backend_protocol"), (None, "stream_cut")] {
        let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
        let backend = Backend::start(move |_| {
            let begun = Reply::stream("text/event-stream").frames(&frames[..2]).frames(skipped);
            begun.frames(&frames[2..frames.len() - 1]).end()
        });
        let data = strict(&backend).stream(path, &ask(path, "only", "hello", true)).all();
        assert!(!ends_well(path, &data), "{data:?}");
        assert_eq!(error_code(path, data.last().unwrap()), code);
    }
}

#[test]
fn an_answer_with_a_finish_reason_is_complete_without_its_end_marker() {
    // In Ollama's dialect the end marker is the line with the finish reason. `left`: frames behind the finish reason that
    // still come, of usage and the end marker; the last may come in part only, or without its terminator.
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let frames = dialect.frames(&TEXTS, USAGE);
        let finish = frames
            .iter()
            .position(|frame| frame.contains("\"finish_reason\":\"stop\"") || frame.contains("message_delta"));
        let finish = finish.unwrap() + 1;
        let mut endings = vec![frames[..frames.len() - 1].to_vec(), frames[..finish].to_vec()];
        let mut unterminated = frames[..finish].to_vec();
        let last = unterminated.pop().unwrap();
        unterminated.push(last.trim_end().to_owned());
        endings.push(unterminated);
        let mut half = frames[..=finish].to_vec();
        let last = half.pop().unwrap();
        half.push(last[..last.len() / 2].to_owned());
        endings.push(half);
        for (number, ending) in endings.into_iter().enumerate() {
            let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&ending).end());
            let gateway = Gateway::setup().model("only", dialect, &backend).start();
            for path in CLIENT_PATHS {
                let data = gateway.stream(path, &ask(path, "only", "hello", true)).all();
                assert!(ends_well(path, &data), "{path} from {dialect:?}, {number}: {data:?}");
                assert_eq!(streamed_text(path, &data), "one two three", "{path} from {dialect:?}, {number}");
            }
            gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 4.0);
            assert_eq!(gateway.metrics().value("api_gateway_errors_total", &[]), 0.0);
        }
    }
}

#[test]
fn a_backend_that_reports_its_own_failure_ends_the_stream() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        let error = match dialect {
            Dialect::OpenAi => "data: {\"error\": {\"message\": \"secret words\"}}\n\n",
            Dialect::Anthropic => {
                "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"api_error\", \"message\": \"secret words\"}}\n\n"
            }
            Dialect::Ollama => "{\"error\": \"secret words\"}\n",
        };
        Reply::stream(dialect.stream_type()).frames(&frames[..dialect.opening() + 1]).frames([error]).stall()
    });
    let gateway = setup.start();
    ends_in_error(&gateway, "one ", "backend_error");
    let mut stream = gateway.stream("/v1/chat/completions", &ask("/v1/chat/completions", "openai", "hello", true));
    assert!(!format!("{:?}", stream.all()).contains("secret words"));
}

#[test]
fn a_backend_that_falls_silent_is_given_up() {
    let backend = Backend::start(|_| {
        let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
        Reply::stream("text/event-stream").frames(&frames[..2]).stall()
    });
    let gateway = Gateway::setup()
        .model("only", Dialect::OpenAi, &backend)
        .models("[backends.only.timeouts]\nidle_seconds = 0.2\n")
        .start();
    let path = "/v1/chat/completions";
    let data = gateway.stream(path, &ask(path, "only", "hello", true)).all();
    assert_eq!(error_code(path, data.last().unwrap()), "backend_timeout");
    backend.wait_abandoned(1);
    gateway.wait_metric("api_gateway_errors_total", &[("reason", "timeout")], 1.0);
}

#[test]
fn a_client_that_leaves_cancels_the_call_at_the_backend() {
    for (path, stream) in [
        ("/v1/chat/completions", true),
        ("/v1/chat/completions", false),
        ("/v1/messages", true),
        ("/api/v1/chat", false),
    ] {
        // In the middle of the answer for a stream, before its head otherwise.
        let backend = Backend::start(move |_| {
            let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
            if stream {
                Reply::stream("text/event-stream").frames(&frames[..2]).stall()
            } else {
                Reply::silent().stall()
            }
        });
        let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
        let request = ask(path, "only", "hello", stream);
        if stream {
            let mut stream = gateway.stream(path, &request);
            read_until(&mut stream, path, &mut Vec::new(), "one ");
            stream.abandon();
        } else {
            let mut client = gateway.connect();
            client.send(post_json(path, &request));
            backend.wait_requests(1);
            client.abandon();
        }
        backend.wait_abandoned(1);
        gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
        gateway.wait_metric("api_gateway_abandoned_requests_total", &[("model", "only"), ("backend", "local")], 1.0);
        let metrics = gateway.metrics();
        assert_eq!(metrics.value("api_gateway_requests_total", &[]), 0.0, "neither a success nor an error");
        assert_eq!(metrics.value("api_gateway_errors_total", &[]), 0.0);
        gateway.wait_for_ending("abandoned");
    }
}

#[test]
fn a_stream_that_hangs_at_shutdown_ends_in_the_dialects_error() {
    let (setup, _backends) = each_dialect(|dialect| {
        let frames = dialect.frames(&TEXTS, USAGE);
        Reply::stream(dialect.stream_type()).frames(&frames[..dialect.opening() + 1]).stall()
    });
    let mut gateway = setup.server("drain_timeout_seconds = 1").start();
    let mut streams = Vec::new();
    for path in CLIENT_PATHS {
        for model in ["openai", "anthropic", "ollama"] {
            let mut stream = gateway.stream(path, &ask(path, model, "hello", true));
            let mut seen = Vec::new();
            read_until(&mut stream, path, &mut seen, "one ");
            streams.push((path, model, stream));
        }
    }
    gateway.sigterm();
    for (path, model, mut stream) in streams {
        let data = stream.all();
        assert!(!ends_well(path, &data), "{path} from {model}: {data:?}");
        assert_eq!(error_code(path, data.last().unwrap()), "stopping", "{path} from {model}");
    }
    gateway.wait_exit().expect(0, &[r#""ending":"shutdown""#]);
}

#[test]
fn a_request_in_flight_at_shutdown_may_finish() {
    let gate = Gate::default();
    let script_gate = gate.clone();
    let backend = Backend::start(move |_| {
        let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
        let (before, after) = frames.split_at(2);
        Reply::stream("text/event-stream").frames(before).gate(&script_gate).frames(after).end()
    });
    let mut gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    let mut stream = gateway.stream(path, &ask(path, "only", "hello", true));
    let mut seen = Vec::new();
    read_until(&mut stream, path, &mut seen, "one ");
    gateway.sigterm();
    gateway.wait_for_log("that it drains", |line| line["message"].as_str().is_some_and(|m| m.starts_with("stopping")));
    gate.open();
    seen.extend(stream.all());
    assert!(ends_well(path, &seen), "{seen:?}");
    gateway.wait_exit().expect(0, &[]);
}

#[test]
fn a_stop_under_load_loses_no_answer() {
    let gate = Gate::default();
    let waits = gate.clone();
    let backend = Backend::start(move |request| {
        let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
        let (before, after) = frames.split_at(2);
        match request.json()["stream"] == true {
            true => Reply::stream("text/event-stream").frames(before).gate(&waits).frames(after).end(),
            false => Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("whole", USAGE))),
        }
    });
    let mut gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    let mut streams: Vec<_> = (0..12).map(|_| gateway.stream(path, &ask(path, "only", "hello", true))).collect();
    let mut clients: Vec<_> = (0..12).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(post_json(path, &ask(path, "only", "hello", false)));
    }
    backend.wait_requests(24);
    gateway.sigterm();
    gateway.wait_for_log("that it drains", |line| line["message"].as_str().is_some_and(|m| m.starts_with("stopping")));
    gate.open();
    for stream in &mut streams {
        let data = stream.all();
        assert!(ends_well(path, &data), "{data:?}");
    }
    for client in &mut clients {
        assert_eq!(client.response().expect(200).json()["choices"][0]["message"]["content"], "whole");
    }
    until("all are on record", || {
        (gateway.log().iter().filter(|line| line["ending"] == "finished").count() == 24).then_some(())
    });
    gateway.wait_exit().expect(0, &[]);
}

#[test]
fn an_idle_connection_does_not_hold_up_the_shutdown() {
    let mut gateway = Gateway::setup().start();
    let mut client = gateway.connect();
    let _ = client.send(post_json("/api/v1/chat", &json!({"prompt": "hello"}))).response().expect(200);
    gateway.sigterm();
    assert!(client.rest().is_empty());
    gateway.wait_exit().expect(0, &[]);
}

#[test]
fn usage_is_shown_to_openai_clients_who_asked_for_it_and_to_no_others() {
    let backend =
        Backend::start(|_| Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&TEXTS, USAGE)).end());
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    for (asked, shown) in [(None, false), (Some(false), false), (Some(true), true)] {
        let mut request = ask(path, "only", "hello", true);
        if let Some(asked) = asked {
            request["stream_options"] = json!({"include_usage": asked});
        }
        let data = gateway.stream(path, &request).all();
        let usage = data.iter().any(|chunk| chunk["usage"]["prompt_tokens"] == 11);
        assert_eq!(usage, shown, "{asked:?}: {data:?}");
    }
    let seen = backend.requests();
    assert!(seen.iter().all(|request| request.json()["stream_options"]["include_usage"] == true));
}

#[test]
fn the_permit_lives_as_long_as_the_stream() {
    let gate = Gate::default();
    let script_gate = gate.clone();
    let backend = Backend::start(move |_| {
        let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
        let (before, after) = frames.split_at(2);
        Reply::stream("text/event-stream").frames(before).gate(&script_gate).frames(after).end()
    });
    let gateway = Gateway::setup().server("max_in_flight = 1").model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    let mut stream = gateway.stream(path, &ask(path, "only", "hello", true));
    let refused = gateway.post(path, &ask(path, "only", "hello", true)).expect(503);
    assert_eq!(error_code(path, &refused.json()), "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "overloaded")], 1.0);
    gate.open();
    assert!(ends_well(path, &stream.all()));
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    assert!(ends_well(path, &gateway.stream(path, &ask(path, "only", "hello", true)).all()));
}

#[test]
fn a_client_that_stops_reading_frees_its_backend() {
    let usage = Usage { input: 1, output: 1 };
    // More than the sockets on the way hold.
    let text = "x".repeat(1 << 20);
    let texts = vec![text.as_str(); 64];
    let frames = Dialect::OpenAi.frames(&texts, usage);
    let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames).stall());
    let gateway =
        Gateway::setup().server("write_timeout_seconds = 0.3\n").model("only", Dialect::OpenAi, &backend).start();
    let mut client = gateway.connect();
    client.send(post_json("/v1/chat/completions", &ask("/v1/chat/completions", "only", "hello", true)));
    backend.wait_abandoned(1);
    gateway.wait_for_ending("abandoned");
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
}

#[test]
fn a_backend_that_closes_behind_its_end_marker_has_said_all() {
    let usage = Usage { input: 1, output: 1 };
    for path in CLIENT_PATHS {
        let mut frames = Dialect::OpenAi.frames(&["a", "b"], usage);
        let last = frames.last_mut().unwrap();
        *last = last.trim_end().to_owned();
        let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames).end());
        let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
        let response = gateway.post(path, &ask(path, "only", "hello", true)).expect(200);
        if path == "/api/chat" {
            for line in response.text().lines() {
                serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
            }
        }
        gateway.wait_for_ending("finished");
    }
}

#[test]
fn a_request_behind_a_stream_does_not_hold_up_the_stream() {
    let gate = Gate::default();
    let script_gate = gate.clone();
    let backend = Backend::start(move |_| {
        let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
        let (before, after) = frames.split_at(2);
        Reply::stream("text/event-stream").frames(before).gate(&script_gate).frames(after).end()
    });
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    let both = [post_json(path, &ask(path, "only", "hello", true)), request("GET", "/health", &[], b"")].concat();
    let mut stream = Stream::open(gateway.address, &both);
    read_until(&mut stream, path, &mut Vec::new(), "one ");
    gate.open();
    assert!(ends_well(path, &stream.all()));
}

#[test]
fn simulated_models_stream_and_fail_as_told() {
    let models = r#"
        [backends.cut]
        kind = "sim"
        sim = { latency_ms = 0, tokens_per_second = inf, fault = { every = 1, kind = "cut" } }
        [models.cut]
        backend = "cut"
    "#;
    let gateway = Gateway::setup().models(models).start();
    for path in CLIENT_PATHS {
        let data = gateway.stream(path, &ask(path, "cut", "hello", true)).all();
        assert_eq!(error_code(path, data.last().unwrap()), "stream_cut", "{path}");
    }
}

#[test]
fn a_malformed_piece_of_the_answer_is_not_skipped() {
    let chunk = |delta: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let frames = [
        chunk(
            r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"pay","arguments":"{\"amount\": 10"}}]}"#,
        ),
        // It broke off.
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"0"}}]}"#).replace("}}]", "}"),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#),
        "data: [DONE]\n\n".to_owned(),
    ];
    let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames).end());
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    let data = gateway.stream(path, &ask(path, "only", "hello", true)).all();
    assert_eq!(error_code(path, data.last().expect("an end")), "backend_protocol");
}
