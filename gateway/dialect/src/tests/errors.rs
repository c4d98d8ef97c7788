//! Errors in each dialect, whole and in band.

use serde_json::json;

use super::super::{ErrorText, stream_error};
use super::{ALL, Dialect, json};
use wasmgate_base::overflow::{Overflow, Unit};

fn error(status: u16) -> ErrorText {
    ErrorText {
        status,
        code: "unknown_model".to_owned(),
        message: "no \"such\" model".to_owned(),
        request_id: "r1".to_owned(),
        ..ErrorText::default()
    }
}

#[test]
fn bodies_have_the_shape_of_their_dialect() {
    let message = "no \"such\" model";
    for (dialect, expected) in [
        (Dialect::Native, json!({"error": {"code": "unknown_model", "message": message, "request_id": "r1"}})),
        (
            Dialect::OpenAi,
            json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": "unknown_model", "request_id": "r1"}}),
        ),
        (
            Dialect::Anthropic,
            json!({"type": "error", "error": {"type": "not_found_error", "message": message, "code": "unknown_model"}, "request_id": "r1"}),
        ),
        (Dialect::Ollama, json!({"error": message, "code": "unknown_model", "request_id": "r1"})),
    ] {
        assert_eq!(json(&dialect.error_body(&error(404))), expected);
    }
}

#[test]
fn types_follow_the_status() {
    for (status, openai, anthropic) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "insufficient_quota", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "server_error", "timeout_error"),
    ] {
        assert_eq!(json(&Dialect::OpenAi.error_body(&error(status)))["error"]["type"], openai);
        assert_eq!(json(&Dialect::Anthropic.error_body(&error(status)))["error"]["type"], anthropic);
    }
}

#[test]
fn in_band_errors_are_one_frame_with_the_same_object() {
    for dialect in ALL {
        let frame = String::from_utf8(stream_error(dialect, &error(502))).expect("text");
        let body = String::from_utf8(dialect.error_body(&error(502))).expect("text");
        let expected = match dialect {
            Dialect::Anthropic => format!("event: error\ndata: {body}\n\n"),
            Dialect::Ollama | Dialect::Generate => format!("{body}\n"),
            Dialect::Native | Dialect::OpenAi | Dialect::Completions => format!("data: {body}\n\n"),
            // Its error is an event of the answer, and has an own test.
            Dialect::Responses => continue,
        };
        assert_eq!(frame, expected);
    }
}

#[test]
fn a_prompt_that_is_too_long_is_told_in_the_words_by_which_agents_compact() {
    let overflow = |prompt, output, limit, unit| Overflow { prompt, output, limit, unit };
    let of_tokens = |prompt, output, limit| overflow(prompt, output, limit, Unit::Tokens);
    let sum = "input length and `max_tokens` exceed context limit: 180000 + 32000 > 200000, decrease it";
    for (said, overflow, anthropic, others) in [
        (
            "prompt is too long: 9 tokens > 8 maximum",
            of_tokens(Some(9), None, Some(8)),
            "prompt is too long: 9 tokens > 8 maximum",
            "This model's maximum context length is 8 tokens. However, your messages resulted in 9 tokens. Please reduce the length of the messages.",
        ),
        (
            "This model's maximum context length is 8 tokens. However, your messages resulted in 9 tokens.",
            of_tokens(Some(9), None, Some(8)),
            "prompt is too long: 9 tokens > 8 maximum",
            "This model's maximum context length is 8 tokens. However, your messages resulted in 9 tokens.",
        ),
        (
            sum,
            of_tokens(Some(180_000), Some(32_000), Some(200_000)),
            sum,
            "This model's maximum context length is 200000 tokens. However, you requested 212000 tokens (180000 in the messages, 32000 in the completion). Please reduce the length of the messages or completion.",
        ),
        (
            "This model's maximum context length is 8 tokens. However, you requested 9 tokens (7 in the messages, 2 in the completion).",
            of_tokens(Some(7), Some(2), Some(8)),
            "input length and `max_tokens` exceed context limit: 7 + 2 > 8, decrease input length or `max_tokens` and try again",
            "This model's maximum context length is 8 tokens. However, you requested 9 tokens (7 in the messages, 2 in the completion).",
        ),
        (
            "the request exceeds the available context size",
            of_tokens(None, None, None),
            "prompt is too long: the request exceeds the available context size",
            "The request exceeds the model's maximum context length: the request exceeds the available context size",
        ),
        (
            "words",
            overflow(Some(9), None, Some(8), Unit::Characters),
            "prompt is too long: 9 characters > 8 maximum",
            "The gateway's maximum context length is 8 characters. However, your messages resulted in 9 characters. Please reduce the length of the messages.",
        ),
    ] {
        let error = ErrorText { message: said.to_owned(), overflow: Some(overflow), ..error(400) };
        for dialect in ALL {
            let body = json(&dialect.error_body(&error));
            let whole = matches!(dialect, Dialect::Ollama | Dialect::Generate);
            let message = if whole { &body["error"] } else { &body["error"]["message"] };
            assert_eq!(message, if dialect == Dialect::Anthropic { anthropic } else { others }, "{dialect:?}: {said}");
        }
        assert_eq!(json(&Dialect::OpenAi.error_body(&error))["error"]["param"], "messages");
    }
}

#[test]
fn a_type_of_the_provider_is_told_where_the_dialect_has_it() {
    for (kind, openai, anthropic) in [
        ("image_parse_error", "image_parse_error", "invalid_request_error"),
        ("overloaded_error", "overloaded_error", "overloaded_error"),
    ] {
        let error = ErrorText { kind: Some(kind.to_owned()), ..error(400) };
        assert_eq!(json(&Dialect::OpenAi.error_body(&error))["error"]["type"], openai);
        assert_eq!(json(&Dialect::Anthropic.error_body(&error))["error"]["type"], anthropic);
    }
}
