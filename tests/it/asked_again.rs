//! A policy that serves nobody is asked about a logged request: one that a request to the admin API carries, or a file of the command.

use std::fs;

use serde_json::{Value, json};
use wasmgate_policy_host::builtin;
use wasmgate_tests::gateway::{Gateway, run};
use wasmgate_tests::guests;
use wasmgate_tests::http::Response;

/// Chooses the last candidate. It reads no text.
const LAST: &str = "// name: last\n// version: 1.2.3\n\
    fn route(request, candidates) { route_to([candidates[candidates.len() - 1]], \"the last one\") }\n";

/// A gateway with a log, and the id of a request in it.
fn logged() -> (Gateway, String) {
    let setup = Gateway::setup().top("[decisions]\ndir = \"log\"\n").routing("builtin = \"cheapest-healthy\"");
    let gateway = setup.file("last.rhai", LAST.as_bytes()).start();
    let answer = gateway.chat("Which heron is the largest?").expect(200);
    gateway.wait_metric("api_gateway_decision_log_lines_total", &[("result", "written")], 1.0);
    (gateway, answer.header("x-wasmgate-request-id").to_owned())
}

fn ask(gateway: &Gateway, id: &str, query: &str, content_type: &str, body: &[u8]) -> Response {
    let path = format!("/decisions/{id}/ask{query}");
    gateway.admin_send("POST", &path, &[("content-type", content_type)], body)
}

#[test]
fn an_uploaded_policy_is_asked_and_not_kept() {
    let (gateway, id) = logged();
    let state = || {
        let status = gateway.admin_get("/policies").expect(200).json();
        (status["generation"].clone(), status["policies"].as_array().unwrap().len(), status["history"].clone())
    };
    let before = state();
    let asked = |query: &str, body: &[u8]| ask(&gateway, &id, query, "application/wasm", body);
    // The policy that decided decides the same, from its bytes.
    let cheapest = builtin::component("cheapest-healthy").unwrap();
    let same = asked("", cheapest).expect(200).json();
    assert_eq!((&same["slot"], &same["same_first_choice"]), (&Value::Null, &json!(true)), "{same}");
    assert!(same["policy"].as_str().unwrap().starts_with("cheapest-healthy@"));
    let other = asked("?name=from-a-file", LAST.as_bytes()).expect(200).json();
    assert_eq!((&other["policy"], &other["same_first_choice"]), (&json!("last@1.2.3"), &json!(false)), "{other}");
    assert_eq!(other["verdict"]["reason"], "the last one");
    let failing = asked("", b"fn route(request, candidates) { 1 / 0 }");
    let told = failing.text();
    assert!(failing.status() == 422 || failing.json()["failure"] == "guest_error", "{told}");
    assert_eq!(state(), before, "nothing of it serves or is kept");

    for (query, content_type, body, status) in [
        ("", "application/wasm", &b""[..], 400),
        ("", "application/wasm", b"\0asm junk", 422),
        ("", "application/octet-stream", b"\xff\xfe", 409),
        ("", "text/plain", LAST.as_bytes(), 415),
        ("?settings=1", "application/wasm", cheapest, 400),
        ("?settings=%7B%22no-such%22:1%7D", "application/wasm", cheapest, 422),
        ("?percent=1", "application/wasm", cheapest, 400),
        ("?name=x", "application/json", b"{\"slot\": \"routing\"}", 400),
    ] {
        let _ = ask(&gateway, &id, query, content_type, body).expect(status);
    }
    let _ = asked("", &guests::build("cost-decides")).expect(422);
    let _ = ask(&gateway, "0123", "", "application/wasm", cheapest).expect(404);
    // One that reads text, which this log does not have.
    let complexity = builtin::component("complexity").unwrap();
    assert!(asked("?settings=%7B%7D", complexity).expect(409).text().contains("was not kept"));
    assert_eq!(state(), before);
}

#[test]
fn the_command_that_explains_a_request_asks_another_policy() {
    let (gateway, id) = logged();
    let (log, last) = (gateway.path("log"), gateway.path("last.rhai"));
    let explain = |more: &[&str]| run(&[&["explain", &id, "--folder", log.to_str().unwrap()], more].concat());
    let words = explain(&["--ask", last.to_str().unwrap()]);
    words.expect(0, &["verdict   route to", "asked now last@1.2.3: route to", "the last one; another choice"]);
    let all: Value = serde_json::from_str(&explain(&["--ask", "cheapest-healthy", "--json"]).stdout).unwrap();
    let again = &all["asked_again"];
    assert_eq!((&again["same_choice"], &again["verdict"]), (&json!(true), &all["decision"]["verdict"]), "{all:#}");
    explain(&["--ask", "complexity"]).expect(2, &["it reads text"]);
    explain(&["--ask", "no-such.wasm"]).expect(2, &["no-such.wasm", "cannot be read"]);
    explain(&["--settings", "x.json"]).expect(2, &["--ask"]);
    fs::write(gateway.path("settings.toml"), "no-such = 1\n").unwrap();
    let settings = gateway.path("settings.toml");
    explain(&["--ask", "cheapest-healthy", "--settings", settings.to_str().unwrap()]).expect(2, &["no-such"]);
    let without: Value = serde_json::from_str(&explain(&["--json"]).stdout).unwrap();
    assert_eq!(without["asked_again"], Value::Null);
}
