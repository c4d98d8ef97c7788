//! `POST /v1/responses`: what agents that speak OpenAI's Responses dialect send, and what they read, whatever the backend
//! speaks.

mod state;
mod translated;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::Response;
use wasmgate_tests::wire::{Dialect, Usage};

const PATH: &str = "/v1/responses";
const USAGE: Usage = Usage { input: 17, output: 9 };

/// A gateway whose only model `only` is served by a backend of this dialect, which answers each request with `reply`.
fn gateway_at(dialect: Dialect, reply: impl Fn(bool) -> Reply + Send + Sync + 'static) -> (Backend, Gateway) {
    let backend = Backend::start(move |request| reply(request.json()["stream"] == true));
    let gateway = Gateway::setup().model("only", dialect, &backend).start();
    (backend, gateway)
}

/// The events of a streamed answer: each as its name and its data.
fn events(response: &Response) -> Vec<(String, Value)> {
    let text = response.text();
    let event = |event: &str| {
        let mut lines = event.lines();
        let name = lines.next().and_then(|line| line.strip_prefix("event: ")).unwrap_or_else(|| panic!("{event}"));
        let data = lines.next().and_then(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{event}"));
        (name.to_owned(), serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}")))
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// What Codex reads of a stream: the items that are done, and the last event.
fn read_as_codex(response: &Response) -> (Vec<Value>, (String, Value)) {
    let mut events = events(response);
    for (number, (name, event)) in events.iter().enumerate() {
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(number)));
    }
    let ids: Vec<Value> =
        events.iter().filter_map(|(_, event)| event.get("response")).map(|r| r["id"].clone()).collect();
    assert!(ids.iter().all(|id| id.is_string() && *id == ids[0]), "{ids:?}");
    assert_eq!((events[0].0.as_str(), events[1].0.as_str()), ("response.created", "response.in_progress"));
    let last = events.pop().unwrap();
    let items = events.into_iter().filter(|(name, _)| name == "response.output_item.done");
    (items.map(|(_, mut event)| event["item"].take()).collect(), last)
}

/// An answer of a client: streamed or whole, its items, its status, and the response object.
fn answer(gateway: &Gateway, mut request: Value, stream: bool) -> (Vec<Value>, Value) {
    request["stream"] = json!(stream);
    let response = gateway.post(PATH, &request).expect(200);
    if !stream {
        let whole = response.json();
        return (whole["output"].as_array().unwrap().clone(), whole);
    }
    let (items, (_, mut last)) = read_as_codex(&response);
    let object = last["response"].take();
    if object["status"] == "completed" {
        assert_eq!(object["output"], json!(items));
    }
    (items, object)
}
