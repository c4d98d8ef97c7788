//! Errors in each dialect, whole and in band.

use serde_json::json;

use super::super::{ErrorText, stream_error};
use super::{ALL, Dialect, json};

fn error(status: u16) -> ErrorText {
    ErrorText {
        status,
        code: "unknown_model".to_owned(),
        message: "no \"such\" model".to_owned(),
        param: None,
        request_id: "r1".to_owned(),
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
