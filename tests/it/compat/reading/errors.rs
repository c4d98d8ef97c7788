//! Errors of backends, as the programs that read them need them.

use serde_json::{Value, json};
use wasmgate_tests::backend::Reply;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, ends_well, error_code};

use super::{serving, sse, text_in};

const USAGE: Usage = Usage { input: 12, output: 5 };

/// An error before any output, with status 200, is a failure by its code: another attempt is made.
#[test]
fn an_error_in_place_of_an_answer_is_tried_again_by_its_code() {
    let coded = |code: Value| json!({"id": null, "choices": null, "error": {"message": "words", "code": code}});
    let typed = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "words"}});
    let cases: Vec<(&str, Dialect, Value)> = vec![
        ("busy", Dialect::OpenAi, coded(json!(429))),
        ("busy-text", Dialect::OpenAi, coded(json!("429"))),
        ("failed", Dialect::OpenAi, coded(json!(502))),
        ("overloaded", Dialect::OpenAi, json!({"error": {"message": "words", "type": "overloaded_error"}})),
        (
            "listed",
            Dialect::OpenAi,
            json!([{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}]),
        ),
        ("vllm", Dialect::OpenAi, json!({"object": "error", "message": "words", "type": "x", "code": 500})),
        ("anthropic-overloaded", Dialect::Anthropic, typed("overloaded_error")),
        ("anthropic-busy", Dialect::Anthropic, typed("rate_limit_error")),
        ("anthropic-failed", Dialect::Anthropic, typed("api_error")),
        ("ollama", Dialect::Ollama, json!({"error": "words", "code": 503})),
    ];
    let names: Vec<_> = cases.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let cases = cases.into_iter().map(|(name, dialect, body)| (name.to_owned(), dialect, (dialect, body))).collect();
    let (gateway, _backend) = serving(cases, |(dialect, body), request, call| {
        let stream = request.json()["stream"] == true;
        match (call % 2, stream) {
            (0, false) => Reply::json(200, body),
            (0, true) if *dialect == Dialect::Ollama => {
                Reply::stream(dialect.stream_type()).frames([format!("{body}\n")]).end()
            }
            (0, true) if *dialect == Dialect::Anthropic => {
                let opening = &dialect.frames(&["x"], USAGE)[..1];
                Reply::stream(dialect.stream_type())
                    .frames(opening)
                    .frames([format!("event: error\n{}", sse(body))])
                    .end()
            }
            (0, true) => Reply::stream(dialect.stream_type()).frames([sse(body)]).end(),
            (_, false) => Reply::json(200, &dialect.answer("Hello", USAGE)),
            (_, true) => Reply::stream(dialect.stream_type()).frames(dialect.frames(&["Hello"], USAGE)).end(),
        }
    });
    for name in names {
        for path in CLIENT_PATHS {
            let answer = gateway.post(path, &ask(path, &name, "hello", false)).expect(200);
            assert_eq!(text_in(path, &[answer.json()]), "Hello", "{name} to {path}");
            let data = gateway.stream(path, &ask(path, &name, "hello", true)).all();
            assert!(ends_well(path, &data) && text_in(path, &data) == "Hello", "{name} to {path}: {data:?}");
        }
    }
}

/// What a client reads of each status: its own status, the code, the type in Anthropic's dialect, and whether it may try again.
#[test]
fn a_status_keeps_its_meaning() {
    let cases: [(u16, &str, u16, &str, &str, bool); 9] = [
        (529, "", 503, "backend_overloaded", "overloaded_error", true),
        (503, "The model is overloaded. Please try again later.", 503, "backend_overloaded", "overloaded_error", true),
        (500, "", 502, "backend_error", "api_error", true),
        (501, "", 502, "backend_error", "api_error", false),
        (429, "", 429, "backend_busy", "rate_limit_error", true),
        (401, "", 502, "backend_unauthorized", "api_error", false),
        (403, "", 502, "backend_unauthorized", "api_error", false),
        (402, "", 502, "backend_refused", "api_error", false),
        (422, "words", 422, "request_refused", "invalid_request_error", false),
    ];
    let name = |status: u16, words: &str| format!("s{status}-{}", words.len());
    let models =
        cases.iter().map(|(status, words, ..)| (name(*status, words), Dialect::OpenAi, (*status, *words))).collect();
    let (gateway, _backend) = serving(models, |(status, words), _, _| {
        let body = json!({"error": {"message": words}}).to_string();
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\nretry-after-ms: 1500\r\nretry-after: 9"
        );
        Reply::raw(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())
    });
    for (status, words, told, code, kind, again) in cases {
        for path in CLIENT_PATHS {
            let response = gateway.post(path, &ask(path, &name(status, words), "hello", true)).expect(told);
            assert_eq!(error_code(path, &response.json()), code, "{status} to {path}");
            let header = if again { "" } else { "false" };
            assert_eq!(response.header("x-should-retry"), header, "{status} to {path}");
            if told == 429 || told == 503 {
                assert_eq!(response.header("retry-after"), "2", "{status} to {path}");
            }
            if path == "/v1/messages" {
                assert_eq!(response.json()["error"]["type"], kind, "{status}");
            }
        }
    }
}

#[test]
fn a_backend_that_says_that_no_retry_helps_is_not_asked_again() {
    let models = vec![("final".to_owned(), Dialect::OpenAi, ())];
    let (gateway, backend) = serving(models, |(), _, _| {
        Reply::raw(b"HTTP/1.1 500 Scripted\r\nx-should-retry: false\r\ncontent-length: 0\r\n\r\n")
    });
    let path = "/v1/chat/completions";
    let response = gateway.post(path, &ask(path, "final", "hello", false)).expect(502);
    assert_eq!((response.header("x-should-retry"), backend.requests().len()), ("false", 1));
}

/// How a provider says that a prompt is too long: its name, dialect, status and body, and the prompt's tokens and the limit if
/// the sentence has them.
type TooLong = (&'static str, Dialect, u16, Value, Option<(u64, u64)>);

#[test]
fn a_full_context_is_told_in_the_words_at_which_agents_compact() {
    let openai = |message: &str| json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    let anthropic =
        |message: &str| json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
    let cases: Vec<TooLong> = vec![
        (
            "openai",
            Dialect::OpenAi,
            400,
            json!({"error": {"message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}),
            Some((9000, 8192)),
        ),
        (
            "newer",
            Dialect::OpenAi,
            400,
            json!({"error": {"message": "Your input exceeds the context window of this model.", "code": "context_length_exceeded"}}),
            None,
        ),
        (
            "anthropic",
            Dialect::Anthropic,
            400,
            anthropic("prompt is too long: 210000 tokens > 200000 maximum"),
            Some((210_000, 200_000)),
        ),
        (
            "gemini",
            Dialect::OpenAi,
            400,
            json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT",
            "message": "The input token count (1196265) exceeds the maximum number of tokens allowed (1048576)."}}]),
            Some((1_196_265, 1_048_576)),
        ),
        (
            "vllm",
            Dialect::OpenAi,
            400,
            json!({"object": "error", "type": "BadRequestError", "param": null, "code": 400,
            "message": "This model's maximum context length is 4096 tokens. However, you requested 9100 tokens (9000 in the messages, 100 in the completion)."}),
            Some((9000, 4096)),
        ),
        (
            "mistral",
            Dialect::OpenAi,
            400,
            json!({"object": "error", "type": "invalid_request_error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}),
            Some((40_000, 32_768)),
        ),
        (
            "llama",
            Dialect::OpenAi,
            400,
            json!({"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192,
            "message": "the request exceeds the available context size, try increasing it"}}),
            Some((9000, 8192)),
        ),
        (
            "ollama",
            Dialect::Ollama,
            400,
            json!({"error": "prompt too long; exceeded max context length by 1200 tokens"}),
            None,
        ),
        ("ollama-500", Dialect::Ollama, 500, json!({"error": "the input length exceeds the context length"}), None),
        (
            "openrouter",
            Dialect::OpenAi,
            400,
            json!({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw":
            "{\"error\":{\"message\":\"prompt is too long: 9000 tokens > 8192 maximum\"}}"}}}),
            Some((9000, 8192)),
        ),
        ("too-large", Dialect::OpenAi, 413, openai("Please reduce the length of the messages or completion."), None),
        (
            "in-band",
            Dialect::OpenAi,
            200,
            openai(
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            ),
            Some((9000, 8192)),
        ),
    ];
    let models = cases
        .iter()
        .map(|(name, dialect, status, body, _)| ((*name).to_owned(), *dialect, (*status, body.clone())))
        .collect();
    let (gateway, backend) = serving(models, |(status, body), _, _| {
        let mut body = body.clone();
        if *status == 200 {
            body["error"]["code"] = json!("context_length_exceeded");
        }
        Reply::json(*status, &body)
    });
    let count = cases.len();
    for (name, _, _, _, numbers) in cases {
        for path in CLIENT_PATHS {
            let response = gateway.post(path, &ask(path, name, "hello", false)).expect(400);
            let (body, text) = (response.json(), response.text());
            assert_eq!(error_code(path, &body), "context_length_exceeded", "{name} to {path}");
            assert_eq!(response.header("x-should-retry"), "false");
            if path == "/v1/messages" {
                assert_eq!(body["error"]["type"], "invalid_request_error", "{name}");
                let words = numbers.map_or("prompt is too long".to_owned(), |(prompt, limit)| {
                    format!("prompt is too long: {prompt} tokens > {limit} maximum")
                });
                assert!(text.contains(&words), "{name}: {text}");
            } else {
                assert!(text.contains("maximum context length"), "{name} to {path}: {text}");
            }
        }
    }
    assert_eq!(backend.requests().len(), count * CLIENT_PATHS.len(), "none is sent again");
}

/// Claude Code reads the three numbers and asks again with a smaller limit.
#[test]
fn a_sum_that_exceeds_the_context_keeps_its_numbers() {
    let said = "input length and `max_tokens` exceed context limit: 180000 + 32000 > 200000, decrease input length or `max_tokens` and try again";
    let other = "This model's maximum context length is 200000 tokens. However, you requested 212000 tokens (180000 in the messages, 32000 in the completion). Please reduce the length of the messages or completion.";
    let models = vec![
        (
            "anthropic".to_owned(),
            Dialect::Anthropic,
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": said}}),
        ),
        (
            "openai".to_owned(),
            Dialect::OpenAi,
            json!({"error": {"message": other, "type": "invalid_request_error", "code": "context_length_exceeded"}}),
        ),
    ];
    let (gateway, _backend) = serving(models, |body, _, _| Reply::json(400, body));
    for name in ["anthropic", "openai"] {
        let told = gateway.post("/v1/messages", &ask("/v1/messages", name, "hello", false)).expect(400).json();
        assert_eq!(told["error"]["message"], said, "{name}");
        let path = "/v1/chat/completions";
        let told = gateway.post(path, &ask(path, name, "hello", false)).expect(400).json();
        assert_eq!(told["error"]["message"], other, "{name}");
    }
}

#[test]
fn a_refusal_of_the_request_is_told_as_the_provider_said_it_but_for_secrets() {
    let models = vec![("refusing".to_owned(), Dialect::OpenAi, ())];
    let (gateway, backend) = serving(models, |(), request, _| {
        let host = request.header("host").to_owned();
        let error = json!({"message": format!("Unsupported value at http://{host}/v1: temperature; key=sk-abcdefghijkl"), "type": "a_new_error",
            "param": "temperature", "code": "unsupported_value"});
        Reply::json(400, &json!({ "error": error }))
    });
    for path in CLIENT_PATHS {
        let response = gateway.post(path, &ask(path, "refusing", "hello", false)).expect(400);
        let text = response.text();
        assert_eq!(error_code(path, &response.json()), "unsupported_value", "{path}");
        assert!(text.contains("Unsupported value at [removed] temperature; [removed]"), "{path}: {text}");
        assert_eq!(response.header("x-should-retry"), "false");
        let error = &response.json()["error"];
        match path {
            "/v1/chat/completions" => {
                assert_eq!((&error["type"], &error["param"]), (&json!("a_new_error"), &json!("temperature")))
            }
            "/v1/messages" => assert_eq!(error["type"], "invalid_request_error"),
            _ => {}
        }
    }
    assert_eq!(backend.requests().len(), CLIENT_PATHS.len());
}

#[test]
fn an_overload_after_the_first_words_ends_the_stream_as_one() {
    let models = vec![("overloaded".to_owned(), Dialect::Anthropic, ())];
    let (gateway, backend) = serving(models, |(), _, _| {
        let frames = Dialect::Anthropic.frames(&["Hel", "lo"], USAGE);
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        Reply::stream("text/event-stream").frames(&frames[..3]).frames([format!("event: error\n{}", sse(&error))]).end()
    });
    for path in CLIENT_PATHS {
        let data = gateway.stream(path, &ask(path, "overloaded", "hello", true)).all();
        let last = data.last().unwrap();
        assert_eq!((text_in(path, &data).as_str(), &*error_code(path, last)), ("Hel", "backend_overloaded"), "{path}");
        if path == "/v1/messages" {
            assert_eq!(last["error"]["type"], "overloaded_error");
        }
    }
    assert_eq!(backend.requests().len(), CLIENT_PATHS.len(), "none is sent again");
}
