//! Tests across the dialects.

mod calls;
mod errors;
mod fields;
mod own;
mod properties;
mod reading;
mod replies;
mod requests;
mod responses;
mod spellings;
mod streams;
mod usage;

use serde_json::Value;

use super::{Bounds, Dialect, Facts, Quirks, Routing, Target, Total};

const ALL: [Dialect; 7] = [
    Dialect::Native,
    Dialect::OpenAi,
    Dialect::Anthropic,
    Dialect::Ollama,
    Dialect::Responses,
    Dialect::Completions,
    Dialect::Generate,
];

/// The model of a backend without quirks.
const TARGET: Target<'_> = Target { model: "m", max_tokens: 1000, quirks: Quirks::NONE };

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("what we write is JSON")
}

fn facts() -> Facts {
    Facts {
        request_id: "0198-ab".to_owned(),
        model: "small".to_owned(),
        backend: "local".to_owned(),
        created: 1_767_225_600,
        include_usage: true,
        estimated_input_tokens: 11,
        routing: Routing {
            complexity: Some(0.25),
            tier: "low",
            reasoning: "short".to_owned(),
            estimated_cost: None,
            policy: "complexity".to_owned(),
            version: "1.0.0".to_owned(),
        },
        echo: None,
        tool_names: None,
        seal: None,
    }
}

fn total() -> Total {
    Total { input_tokens: 12, output_tokens: 5, cost: Some(0.25), latency_seconds: 0.5 }
}
