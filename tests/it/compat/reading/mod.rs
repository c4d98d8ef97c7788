//! What backends answer, read as leniently as the official SDKs read it, and what clients are told of errors.

mod errors;
mod replies;
mod streams;

use serde_json::Value;
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::wire::Dialect;

/// A gateway with a model for each case, named after it, that its own script answers. The backend is asked again once.
fn serving<T: Send + Sync + 'static>(
    cases: Vec<(String, Dialect, T)>,
    reply: impl Fn(&T, &Request, usize) -> Reply + Send + Sync + 'static,
) -> (Gateway, Backend) {
    let names: Vec<_> = cases.iter().map(|(name, dialect, _)| (name.clone(), *dialect)).collect();
    let calls = std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new());
    let backend = Backend::start(move |request| {
        let name = request.path.split('/').nth(1).unwrap_or_default();
        let (_, _, case) = cases.iter().find(|(known, ..)| known == name).expect("a case");
        let call = {
            let mut calls = calls.lock().unwrap();
            let call = calls.entry(name.to_owned()).or_default();
            *call += 1;
            *call - 1
        };
        reply(case, request, call)
    });
    let setup = Gateway::setup().server("retry_budget_percent = 100");
    let setup = names.iter().fold(setup, |setup, (name, dialect)| model(setup, name, *dialect, &backend.url()));
    (setup.start(), backend)
}

fn model(setup: Setup, name: &str, dialect: Dialect, url: &str) -> Setup {
    let kind = dialect.kind();
    setup.models(&format!(
        "[backends.{name}]\nkind = \"{kind}\"\nurl = \"{url}/{name}\"\nprobe_interval_seconds = 0\n\
         breaker = {{ enabled = false }}\nretries = {{ attempts = 2, pause_ms = 1, busy_pause_ms = 1 }}\n\
         [models.{name}]\nbackend = \"{name}\"\nname = \"up\"\ncapabilities = [\"tools\"]\n\
         [models.{name}.price]\ninput_usd_per_million_tokens = 1.0\noutput_usd_per_million_tokens = 10.0\n"
    ))
}

/// All text of an answer or of a stream's data, in whichever form it is.
fn text_in(path: &str, data: &[Value]) -> String {
    let pointers: &[&str] = match path {
        "/api/v1/chat" if data.len() > 1 => &["/delta"],
        "/api/v1/chat" => &["/response"],
        "/v1/messages" => &["/content", "/delta/text"],
        "/v1/chat/completions" => &["/choices/0/message/content", "/choices/0/delta/content"],
        _ => &["/message/content"],
    };
    let of = |value: &Value| pointers.iter().find_map(|at| value.pointer(at)).map(joined).unwrap_or_default();
    data.iter().map(of).collect()
}

fn joined(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(joined).collect(),
        Value::Object(part) => part.get("text").map(joined).unwrap_or_default(),
        _ => String::new(),
    }
}

fn sse(data: &Value) -> String {
    format!("data: {data}\n\n")
}
