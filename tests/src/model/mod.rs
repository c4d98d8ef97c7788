//! A scripted model that speaks every API of its kind, so that a program can be run at it and at a gateway before it, and
//! get the same: what the model says depends on what it heard alone, whatever the API.
//!
//! `backend` has servers that misbehave in each byte. This one is a good server: it is there for real clients.

mod anthropic;
mod heard;
mod ollama;
mod openai;
mod responses;

use serde_json::{Value, json};

use crate::backend::{Backend, Reply, Request};

pub use heard::{Heard, Turn, Who};

/// Tokens of each prompt and of each answer, as it reports them.
const USAGE: (u64, u64) = (20, 5);

/// What the model says.
#[derive(Debug, Clone)]
pub enum Said {
    /// A text.
    Text(String),
    /// Calls of tools.
    Calls(Vec<Call>),
    /// The prompt has so many tokens, and may have so many.
    TooLong(usize, usize),
    /// Too many requests of others.
    Overloaded,
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// An object. A tool that takes text has it as `input`.
    pub arguments: Value,
}

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct Model(Backend);

impl Model {
    /// Says what `script` says.
    #[must_use]
    pub fn start(script: impl Fn(&Heard) -> Said + Send + Sync + 'static) -> Self {
        Self(Backend::with_pages(move |request| answer(request, &script), page))
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The paths that it was asked at, without their queries, but for GETs.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.0.requests().iter().map(|request| path_of(&request.path).to_owned()).collect()
    }
}

/// Does what the prompt says: it calls each tool that the last prompt names as `CALL name {arguments}`, one after the
/// other, or all at once where the prompt says `TOGETHER`; where it must call a tool or answer in a form, it does; else it
/// tells what it heard.
#[must_use]
pub fn obey(heard: &Heard) -> Said {
    let prompt = heard.prompt();
    let (asked, results) = (asked(&prompt.text), heard.results());
    if results.len() < asked.len() {
        let together = prompt.text.contains("TOGETHER");
        return Said::Calls(if together { asked } else { vec![asked[results.len()].clone()] });
    }
    let weather = json!({"city": "Paris", "celsius": 21});
    match &heard.forced {
        Some(tool) if results.is_empty() => {
            return Said::Calls(vec![Call { name: tool.clone(), arguments: weather }]);
        }
        _ => {}
    }
    if heard.in_a_form {
        return Said::Text(weather.to_string());
    }
    let mut results: Vec<String> = results.iter().map(|result| short(&result.text)).collect();
    if prompt.text.contains("TOGETHER") {
        // Clients send them in the order in which they came.
        results.sort();
    }
    Said::Text(format!(
        "You said {:?}, instructed by {:?}. Pictures: {}. Results: {results:?}.",
        short(&prompt.text),
        short(&heard.instructions),
        heard.images()
    ))
}

/// The calls that a prompt asks for.
fn asked(prompt: &str) -> Vec<Call> {
    let call = |rest: &str| {
        let (name, rest) = rest.split_once(' ')?;
        let arguments = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()?.ok()?;
        Some(Call { name: name.to_owned(), arguments })
    };
    prompt.split("CALL ").skip(1).filter_map(call).collect()
}

/// A text, or where it is long its length and a sum of it.
fn short(text: &str) -> String {
    let length = text.chars().count();
    if length <= 200 {
        return text.to_owned();
    }
    let sum = text.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("{length} characters with the sum {sum:08x}")
}

fn path_of(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn answer(request: &Request, script: &(impl Fn(&Heard) -> Said + Send + Sync)) -> Reply {
    if request.method == "HEAD" {
        return Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
    let body = request.json();
    let path = path_of(&request.path);
    match path {
        "/v1/chat/completions" => {
            let heard = openai::heard(&body);
            openai::answer(&heard, &script(&heard))
        }
        "/v1/responses" => {
            let heard = responses::heard(&body);
            responses::answer(&heard, &script(&heard))
        }
        "/v1/messages" => {
            let heard = anthropic::heard(&body);
            anthropic::answer(&heard, &script(&heard))
        }
        "/api/chat" | "/api/generate" => {
            let heard = ollama::heard(&body);
            ollama::answer(&heard, &script(&heard))
        }
        "/v1/messages/count_tokens" => Reply::json(200, &json!({"input_tokens": request.body.len() / 4})),
        "/v1/embeddings" => openai::embeddings(&body),
        "/api/embed" => ollama::embeddings(&body),
        "/api/show" => Reply::json(200, &ollama::shown()),
        _ => Reply::json(404, &json!({"error": {"message": format!("nothing is at {path}")}})),
    }
}

fn page(path: &str) -> Reply {
    Reply::json(
        200,
        &match path_of(path) {
            "/api/version" => json!({"version": "0.12.6"}),
            "/api/ps" => json!({"models": []}),
            "/api/tags" => ollama::known(),
            _ => json!({"object": "list", "data": []}),
        },
    )
}

/// The vector of each text of an `input`, which is one text or several.
fn vectors(input: &Value) -> Vec<Value> {
    let texts = input.as_array().cloned().unwrap_or_else(|| vec![input.clone()]);
    texts.iter().map(|text| json!([text.as_str().unwrap_or_default().len(), 0.5, -1.0])).collect()
}

/// A text in pieces, as a stream brings it.
fn pieces(text: &str) -> Vec<&str> {
    let pieces: Vec<&str> = text.split_inclusive(' ').collect();
    if pieces.is_empty() { vec![""] } else { pieces }
}
