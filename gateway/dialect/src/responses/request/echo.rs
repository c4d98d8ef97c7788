//! The members of a response object that repeat the request's settings, or the API's defaults.

use std::collections::HashMap;
use std::fmt::Write;

use crate::echo::{Echo, EchoedTool};
use crate::json::Fields;

/// Members and defaults. `store` is not the request's: only the provider stores answers, and then it writes the object.
const MEMBERS: [(&str, &str); 17] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// What the answer to a request with these fields needs of it.
pub(super) fn echo(fields: &Fields<'_>, tools: HashMap<String, EchoedTool>) -> Echo {
    let mut members = r#""service_tier":"default","store":false"#.to_owned();
    for (key, default) in MEMBERS {
        let value = fields.get(key).map_or(default, |raw| raw.get());
        // Writing to memory does not fail.
        let _ = write!(members, ",\"{key}\":{value}");
    }
    // An event is one line of JSON.
    if members.contains(['\n', '\r']) {
        members = members.replace(['\n', '\r'], " ");
    }
    Echo { members, tools }
}
