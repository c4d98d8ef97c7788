//! The content: what the client asks, and the form of the answer.

use super::{Class, Field};

const fn content(
    label: &'static str,
    [openai, anthropic, ollama]: [&'static [&'static str]; 3],
    responses: &'static [&'static str],
    written: [Option<&'static str>; 3],
    says_nothing: &'static [&'static str],
) -> Field {
    Field { label, class: Class::Content, read: [openai, anthropic, ollama, responses], written, says_nothing }
}

const NOWHERE: [Option<&str>; 3] = [None; 3];

/// The table. A request with content that the backend's dialect cannot express goes to no backend of that dialect.
pub static CONTENT: &[Field] = &[
    content(
        "system",
        [&["messages[].role"], &["system", "messages[].role"], &["messages[].role"]],
        &["instructions", "input[].role"],
        [Some("messages[].role"), Some("system"), Some("messages[].role")],
        &[],
    ),
    content(
        "messages",
        [&["messages"], &["messages"], &["messages"]],
        &["input"],
        [Some("messages"), Some("messages"), Some("messages")],
        &[],
    ),
    content(
        "images",
        [&["messages[].content[].image_url"], &["messages[].content[].source"], &["messages[].images"]],
        &["input[].content[].image_url"],
        [Some("messages[].content[].image_url"), Some("messages[].content[].source"), Some("messages[].images")],
        &[],
    ),
    content(
        "tools",
        [&["tools"], &["tools"], &["tools"]],
        &["tools"],
        [Some("tools"), Some("tools"), Some("tools")],
        &[],
    ),
    content(
        "tool_choice",
        [&["tool_choice"], &["tool_choice"], &[]],
        &["tool_choice"],
        [Some("tool_choice"), Some("tool_choice"), None],
        &[],
    ),
    content(
        "schema",
        [&["response_format.json_schema.schema"], &["output_config.format"], &["format"]],
        &["text.format.schema"],
        [Some("response_format.json_schema.schema"), Some("output_config.format"), Some("format")],
        &[],
    ),
    content(
        "json",
        [&["response_format"], &[], &["format"]],
        &["text.format"],
        [Some("response_format"), Some("system"), Some("format")],
        &[],
    ),
    content("choices", [&["n"], &[], &[]], &[], NOWHERE, &["1"]),
    content(
        "logprobs",
        [&["logprobs", "top_logprobs", "prompt_logprobs"], &[], &["logprobs", "top_logprobs"]],
        &["top_logprobs"],
        NOWHERE,
        &["false", "0"],
    ),
    content("audio", [&["audio", "modalities", "messages[].audio"], &[], &[]], &[], NOWHERE, &["[\"text\"]"]),
    content("functions", [&["functions", "function_call"], &[], &[]], &[], NOWHERE, &["[]", "\"none\"", "\"auto\""]),
    content("stored", [&[], &[], &[]], &["previous_response_id", "conversation", "prompt"], NOWHERE, &[]),
    content("web_search", [&["web_search_options"], &[], &[]], &[], NOWHERE, &[]),
    content("mcp", [&[], &["mcp_servers", "container"], &[]], &[], NOWHERE, &["[]"]),
    content("inference_geo", [&[], &["inference_geo"], &[]], &[], NOWHERE, &[]),
    content("raw", [&[], &[], &["raw", "template", "system", "suffix"]], &[], NOWHERE, &["false", "\"\""]),
];
