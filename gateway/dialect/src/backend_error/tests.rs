use super::*;
use wasmgate_base::overflow::Unit;

fn read(body: &str) -> BackendError {
    BackendError::read(body.as_bytes())
}

#[test]
fn errors_of_all_known_forms_are_read() {
    for (body, status, code, kind, param, message) in [
        (r#"{"error":{"message":"no","type":"t","param":"p","code":"c"}}"#, None, "c", "t", "p", "no"),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#,
            None,
            "",
            "overloaded_error",
            "",
            "no",
        ),
        (r#"{"error":"no"}"#, None, "", "", "", "no"),
        (r#"{"error":"no","code":529}"#, Some(529), "", "", "", "no"),
        (
            r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#,
            Some(400),
            "",
            "INVALID_ARGUMENT",
            "",
            "no",
        ),
        (
            r#"{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#,
            Some(400),
            "",
            "BadRequestError",
            "",
            "no",
        ),
        (
            r#"{"object":"error","message":{"detail":[{"loc":["body","stream_options"],"msg":"not permitted"}]},"type":"invalid_request_error"}"#,
            None,
            "",
            "invalid_request_error",
            "stream_options",
            "stream_options: not permitted",
        ),
        (r#"{"detail":[{"loc":["body","a",0],"msg":"one"},{"msg":"two"}]}"#, None, "", "", "a.0", "a.0: one; two"),
        (r#"{"detail":"no"}"#, None, "", "", "", "no"),
        (
            r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"no\",\"type\":\"t\",\"code\":\"c\"}}"}}}"#,
            Some(400),
            "c",
            "t",
            "",
            "no",
        ),
        (r#"{"statusCode":429,"message":"no"}"#, Some(429), "", "", "", "no"),
        (r#"{"errors":[{"code":7,"message":"no"}]}"#, None, "", "", "", "no"),
        ("no", None, "", "", "", "no"),
        ("<html>no</html>", None, "", "", "", ""),
        ("", None, "", "", "", ""),
        ("null", None, "", "", "", ""),
    ] {
        let error = read(body);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let seen = (error.status, text(&error.code), text(&error.kind), text(&error.param), error.message.clone());
        let expected = (status, code.to_owned(), kind.to_owned(), param.to_owned(), message.to_owned());
        assert_eq!(seen, expected, "{body}");
    }
}

#[test]
fn a_status_is_meant_by_words_too() {
    for (body, status) in [
        (r#"{"error":{"code":502,"type":"overloaded_error"}}"#, Some(502)),
        (r#"{"error":{"type":"overloaded_error"}}"#, Some(529)),
        (r#"{"error":{"type":"rate_limit_error"}}"#, Some(429)),
        (r#"{"error":{"code":"rate_limit_exceeded"}}"#, Some(429)),
        (r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#, Some(429)),
        (r#"{"error":{"type":"api_error"}}"#, Some(500)),
        (r#"{"error":{"code":"context_length_exceeded"}}"#, Some(400)),
        (r#"{"error":"words"}"#, None),
    ] {
        assert_eq!(read(body).status_meant(), status, "{body}");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_recognised_with_its_numbers() {
    for (said, prompt, output, limit) in [
        ("prompt is too long: 210000 tokens > 200000 maximum", Some(210_000), None, Some(200_000)),
        (
            "input length and `max_tokens` exceed context limit: 180000 + 32000 > 200000, decrease input length or `max_tokens` and try again",
            Some(180_000),
            Some(32_000),
            Some(200_000),
        ),
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            Some(9000),
            None,
            Some(8192),
        ),
        (
            "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (66000 in the messages, 4000 in the completion).",
            Some(66_000),
            Some(4000),
            Some(65_536),
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 4096 tokens and your request has 2104 input tokens (2000 > 4096 - 2104).",
            Some(2104),
            Some(2000),
            Some(4096),
        ),
        (
            "This endpoint's maximum context length is 163840 tokens. However, you requested about 172900 tokens (4429 of text input, 4631 of tool input, 163840 in the output).",
            Some(9060),
            Some(163_840),
            Some(163_840),
        ),
        (
            "Requested token count exceeds the model's maximum context length of 131,072 tokens. You requested a total of 140000 tokens: 130000 tokens from the input messages and 10000 tokens for the completion.",
            Some(130_000),
            Some(10_000),
            Some(131_072),
        ),
        (
            "The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).",
            Some(1_196_265),
            None,
            Some(1_048_576),
        ),
        (
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            Some(537_812),
            None,
            Some(131_072),
        ),
        (
            "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            Some(40_000),
            None,
            Some(32_768),
        ),
        ("the request exceeds the available context size, try increasing it", None, None, None),
        (
            "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
            Some(9000),
            None,
            Some(8192),
        ),
        (
            "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
            Some(9000),
            None,
            Some(8192),
        ),
        (
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            Some(5000),
            None,
            Some(4096),
        ),
        ("prompt too long; exceeded max context length by 1200 tokens", None, None, None),
        ("Your request exceeded model token limit: 262144 (requested: 291351)", Some(291_351), None, Some(262_144)),
        ("prompt token count of 200000 exceeds the limit of 128000", Some(200_000), None, Some(128_000)),
        (
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            None,
            None,
            None,
        ),
        (
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
            Some(5000),
            None,
            Some(4096),
        ),
        (
            "Input length 131,393 exceeds the maximum allowed input length of 131,040 tokens.",
            Some(131_393),
            None,
            Some(131_040),
        ),
    ] {
        let body = serde_json::json!({"error": {"message": said}}).to_string();
        let expected = Overflow { prompt, output, limit, unit: Unit::Tokens };
        assert_eq!(read(&body).overflow, Some(expected), "{said}");
    }
    let llama = r#"{"error":{"code":400,"message":"too big","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}"#;
    assert_eq!(read(llama).overflow.map(|o| (o.prompt, o.limit)), Some((Some(9000), Some(8192))));
    assert!(read(r#"{"error":{"code":"context_length_exceeded","message":"words"}}"#).overflow.is_some());
}

#[test]
fn other_limits_are_no_context_window() {
    for said in [
        "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 50000.",
        "rate limit: your prompt token count of 5 exceeds the limit of 4 per minute",
        "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens",
        "Unsupported value: 'temperature' does not support 0.2 with this model.",
        "messages.3: all messages must have non-empty content",
        "",
    ] {
        let body = serde_json::json!({"error": {"message": said, "type": "invalid_request_error"}}).to_string();
        assert_eq!(read(&body).overflow, None, "{said}");
    }
}
