//! Affinity: what tells one conversation from another, the model that policies learn of, and the version that a canary keeps.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wire::{Dialect, Usage};

const OPENAI: &str = "/v1/chat/completions";
const ANTHROPIC: &str = "/v1/messages";

/// Each way to name a conversation: path, a header, members of the body; `NAME` is the name.
const WAYS: [(&str, Option<&str>, &str); 6] = [
    (OPENAI, Some("x-claude-code-session-id"), "{}"),
    (OPENAI, Some("x-mine"), "{}"),
    (OPENAI, None, r#"{"prompt_cache_key": "NAME", "user": "everyone"}"#),
    (OPENAI, None, r#"{"user": "NAME"}"#),
    (ANTHROPIC, None, r#"{"metadata": {"user_id": "NAME"}}"#),
    (ANTHROPIC, None, r#"{"system": "You help NAME."}"#),
];

/// The canary tells the gateway the operator's header.
const CANARY: &str = "canary = { file = \"other.wasm\", percent = PERCENT, sticky_header = \"x-mine\" }";

fn two_models() -> (Setup, Backend) {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Yes.", Usage { input: 1, output: 1 })));
    let setup = Gateway::setup().model("a", Dialect::OpenAi, &backend).model("b", Dialect::OpenAi, &backend);
    (setup, backend)
}

/// A policy that shows the hint: it prefers the model that did not answer before.
fn alternating() -> (Setup, Backend) {
    let script = "script = 'fn route(request, candidates) { \
                  route_to(prefer(candidates, if request.hints[\"last-model\"] == \"a\" { [\"b\"] } else { [\"a\"] }), \"\") }'";
    let (setup, backend) = two_models();
    (setup.routing("builtin = \"script\"").settings(script).limits("call_time_ms = 5000"), backend)
}

/// One turn of a conversation of this name, which asks `turn` last.
fn turn(gateway: &Gateway, way: usize, name: &str, turn: usize) -> Response {
    let (path, header, members) = WAYS[way];
    let mut body: Value = serde_json::from_str(&members.replace("NAME", name)).unwrap();
    let mut messages = vec![json!({"role": "user", "content": "hello"})];
    for number in 0..turn {
        messages.push(json!({"role": "assistant", "content": "Yes."}));
        messages.push(json!({"role": "user", "content": format!("question {number}")}));
    }
    body["messages"] = json!(messages);
    body["model"] = json!("auto");
    body["max_tokens"] = json!(10);
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(header.map(|header| (header, name)));
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).expect(200)
}

fn model(response: &Response) -> String {
    response.header("x-wasmgate-model").to_owned()
}

#[test]
fn a_policy_learns_which_model_answered_the_conversation_before() {
    // The operator's header is one that a canary names; this one decides nothing.
    let canary = CANARY.replace("PERCENT", "0");
    let (setup, _backend) = alternating();
    let gateway = setup.file("other.wasm", &guests::build("second")).routing(&canary).start();
    for (way, sent) in WAYS.iter().enumerate() {
        let (one, other) = (format!("one-{way}"), format!("other-{way}"));
        let answered = [turn(&gateway, way, &one, 0), turn(&gateway, way, &one, 1), turn(&gateway, way, &one, 2)];
        assert_eq!(answered.each_ref().map(model), ["a", "b", "a"], "{:?}", sent);
        assert_eq!(model(&turn(&gateway, way, &other, 1)), "a", "another conversation: {:?}", sent);
    }
    let (setup, _backend) = alternating();
    let gateway = setup.server("affinity = false").start();
    assert_eq!([0, 1].map(|number| model(&turn(&gateway, 2, "one", number))), ["a", "a"]);
}

#[test]
fn a_canary_keeps_each_conversation_by_its_key() {
    let start = |server: &str| {
        let (setup, backend) = two_models();
        let gateway = setup
            .server(server)
            .file("other.wasm", &guests::build("second"))
            .component("live", &guests::build("decides"))
            .routing(&CANARY.replace("PERCENT", "50"))
            .start();
        (gateway, backend)
    };
    let policy = |response: &Response| response.header("x-wasmgate-policy").to_owned();
    let (gateway, _backend) = start("");
    for (way, sent) in WAYS.iter().enumerate() {
        let mut versions = BTreeSet::new();
        for name in 0..30 {
            let of = [0, 1, 2].map(|number| policy(&turn(&gateway, way, &format!("name-{name}"), number)));
            assert!(of.iter().all(|version| *version == of[0]), "{:?}: {of:?}", sent);
            versions.insert(of[0].clone());
        }
        assert_eq!(versions.len(), 2, "{:?}", sent);
    }
    let (gateway, _backend) = start("affinity = false");
    let versions: BTreeSet<String> = (0..60).map(|_| policy(&turn(&gateway, 3, "one", 0))).collect();
    assert_eq!(versions.len(), 2, "without it each request draws anew");
}
