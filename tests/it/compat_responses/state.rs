//! Backends that speak the Responses dialect themselves: requests and events pass as they are, except for marks on what only
//! the backend that made it understands. A request that holds a mark is answered by that backend or refused.

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::request;
use wasmgate_tests::wire::Dialect;

use super::{PATH, USAGE, events};

/// A model at a backend of kind `openai` with a Responses API; both called `name`.
fn with_responses(setup: Setup, name: &str, backend: &Backend) -> Setup {
    setup.models(&format!(
        "[backends.{name}]\nkind = \"openai\"\nurl = {:?}\nresponses = true\nprobe_interval_seconds = 0\n\
         retries = {{ attempts = 1 }}\n[models.{name}]\nbackend = {name:?}\nname = \"backend-model\"\n\
         capabilities = [\"tools\", \"images\", \"structured-output\"]\n\
         price = {{ input_usd_per_million_tokens = 1.0, output_usd_per_million_tokens = 2.0 }}\n",
        backend.url()
    ))
}

/// The items of an answer: a search of the provider's, encrypted thinking, text.
fn output() -> Value {
    json!([
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA=="},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hi \"wg1\"", "annotations": []}]}])
}

fn response(status: &str, output: &Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "backend-model", "status": status,
        "previous_response_id": null, "output": output, "unknown": {"a": [1, 2.50]},
        "usage": {"input_tokens": 17, "output_tokens": 9, "total_tokens": 26}})
}

/// The frames of that answer, in forms that servers use.
fn frames() -> Vec<String> {
    let item = &output()[1];
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    vec![
        event(&json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", &json!([]))})),
        ": ping\n\n".to_owned(),
        event(&json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": output()[0]})),
        format!("data: {}\n\n", json!({"type": "response.output_item.done", "sequence_number": 2, "output_index": 1, "item": item})),
        "data: {\"type\": \"response.output_text.delta\",  \"delta\":\"Hi \\\"wg1\\\"\", \"sequence_number\":3}\r\n\r\n".to_owned(),
        event(&json!({"type": "response.brand_new", "sequence_number": 4, "x": 1})),
        event(&json!({"type": "response.completed", "sequence_number": 5, "response": response("completed", &output())})),
    ]
}

/// The answer of a backend: as `frames`, or whole.
fn script(stream: bool) -> Reply {
    match stream {
        true => Reply::stream("text/event-stream").frames(frames()).end(),
        false => Reply::whole(200, "application/json", format!("{:#}", response("completed", &output())).as_bytes()),
    }
}

fn backend() -> Backend {
    Backend::start(|request| script(request.json()["stream"] == true))
}

/// The mark in a text: all up to the second dot.
fn mark(text: &Value) -> String {
    let text = text.as_str().unwrap();
    let end = text.match_indices('.').nth(1).unwrap_or_else(|| panic!("no mark in {text}")).0;
    assert!(text.starts_with("wg1."), "{text}");
    text[..=end].to_owned()
}

#[test]
fn requests_and_answers_pass_as_they_are() {
    let backend = backend();
    let gateway = with_responses(Gateway::setup(), "first", &backend).start();
    for (number, stream) in [false, true].into_iter().enumerate() {
        let body = format!(
            "{{\"input\": [{{\"type\":\"item_reference\",\"id\":\"msg_1\"}}, {{\"type\": \"brand_new\", \"x\": 1.50}}],\
             \"tools\":[{{\"type\":\"web_search\"}}],  \"model\":\"first\",\"new_field\":{{\"a\": [1]}},\"stream\":{stream}}}"
        );
        let answer = gateway.send(request("POST", PATH, &[("content-type", "application/json")], body.as_bytes()));
        let answer = answer.expect(200);
        let asked = &backend.requests()[number];
        assert_eq!(asked.path, "/v1/responses");
        let values =
            "{\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}, {\"type\": \"brand_new\", \"x\": 1.50}]";
        assert!(String::from_utf8_lossy(&asked.body).starts_with(values), "{:?}", String::from_utf8_lossy(&asked.body));
        assert_eq!(asked.json()["model"], "backend-model");
        assert_eq!(asked.json()["new_field"], json!({"a": [1]}));
        // Without the marks the answer is what the backend wrote, byte for byte.
        let text = answer.text();
        let marked = match stream {
            false => answer.json()["id"].clone(),
            true => events_of(&text)[0]["response"]["id"].clone(),
        };
        let mark = mark(&marked);
        let original = if stream { frames().concat() } else { format!("{:#}", response("completed", &output())) };
        assert_eq!(text.replace(&mark, ""), original);
        assert_eq!(text.matches(&mark).count(), if stream { 4 } else { 2 });
    }
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "first"), ("type", "output")], 18.0);
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "first"), ("type", "input")], 34.0);
}

/// The data of all events.
fn events_of(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn marked_parts_go_back_to_their_backend_only() {
    let (first, second) = (backend(), backend());
    let chat = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Hi", USAGE)));
    let setup = Gateway::setup().model("chat", Dialect::OpenAi, &chat);
    let gateway = with_responses(with_responses(setup, "first", &first), "second", &second).start();
    let answer = gateway.post(PATH, &json!({"model": "second", "input": "Hi"})).expect(200).json();
    let (id, secret) = (&answer["id"], &answer["output"][1]["encrypted_content"]);
    assert_eq!(mark(id), mark(secret));
    let thinking = json!({"type": "reasoning", "summary": [], "encrypted_content": secret});
    let turn = json!([{"role": "user", "content": "Hi"}, thinking, {"role": "user", "content": "Go on"}]);
    // The policy's choice is among the models of that backend.
    for (request, reason) in [
        (json!({"model": "auto", "input": "Go on", "previous_response_id": id}), "previous_response"),
        (json!({"model": "auto", "input": turn}), "reasoning"),
        (json!({"model": "auto", "input": [{"type": "compaction", "encrypted_content": secret}]}), "encrypted_content"),
    ] {
        let answer = gateway.post(PATH, &request).expect(200);
        assert_eq!(answer.header("x-wasmgate-model"), "second", "{reason}");
        gateway.wait_metric("api_gateway_pinned_requests_total", &[("reason", reason)], 1.0);
    }
    let asked: Vec<Value> = second.requests().iter().map(wasmgate_tests::backend::Request::json).collect();
    assert_eq!(asked[1]["previous_response_id"], "resp_1");
    assert_eq!(asked[2]["input"][1]["encrypted_content"], "gAAAA==");
    assert_eq!(asked[3]["input"][0]["encrypted_content"], "gAAAA==");
    // Another model cannot continue it.
    for (model, request, field) in [
        ("first", json!({"input": "Go on", "previous_response_id": id}), "previous_response_id"),
        ("chat", json!({"input": "Go on", "previous_response_id": id}), "previous_response_id"),
        ("first", json!({"input": turn}), "input[1].encrypted_content"),
        ("chat", json!({"input": turn}), "input[1].encrypted_content"),
    ] {
        let mut request = request;
        request["model"] = json!(model);
        let error = gateway.post(PATH, &request).expect(400).json();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{field}`")), "{model} {message}");
    }
    // A forged mark narrows the choice to nothing, and widens nothing.
    let forged = json!({"model": "auto", "input": "Hi", "previous_response_id": "wg1.0123456789ab.resp_1"});
    let error = gateway.post(PATH, &forged).expect(400).json();
    assert_eq!(error["error"]["param"], "previous_response_id");
    assert!(first.requests().is_empty() && chat.requests().is_empty());
}

#[test]
fn an_operator_may_strip_encrypted_thinking() {
    let (first, second) = (backend(), backend());
    let chat = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Hi", USAGE)));
    let setup = Gateway::setup().server("strip_reasoning = true").model("chat", Dialect::OpenAi, &chat);
    let gateway = with_responses(with_responses(setup, "first", &first), "second", &second).start();
    let answer = gateway.post(PATH, &json!({"model": "second", "input": "Hi"})).expect(200).json();
    let thinking = &answer["output"][1];
    let input = json!([{"role": "user", "content": "Hi"}, thinking, {"role": "user", "content": "Go on"}]);
    for model in ["first", "chat", "second"] {
        let answer = gateway.post(PATH, &json!({"model": model, "input": input})).expect(200);
        assert_eq!(answer.header("x-wasmgate-model"), model);
    }
    let kinds = |backend: &Backend| -> Vec<Value> {
        let asked = backend.requests().pop().unwrap().json();
        asked["input"].as_array().unwrap().iter().map(|item| item["encrypted_content"].clone()).collect()
    };
    assert_eq!(kinds(&first), [Value::Null, Value::Null]);
    assert_eq!(kinds(&second), [Value::Null, json!("gAAAA=="), Value::Null]);
    assert_eq!(chat.requests()[0].json()["messages"].as_array().unwrap().len(), 2);
    // What an answer continues is no thinking.
    let request = json!({"model": "first", "input": "Go on", "previous_response_id": answer["id"]});
    let _ = gateway.post(PATH, &request).expect(400);
}

#[test]
fn a_forwarded_stream_that_breaks_off_fails_within_the_same_response() {
    let some: Vec<String> = frames()[..5].to_vec();
    let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&some).cut());
    let gateway = with_responses(Gateway::setup(), "first", &backend).start();
    let answer = gateway.post(PATH, &json!({"model": "first", "input": "Hi", "stream": true})).expect(200);
    let events = events_of(&answer.text());
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(last["response"]["id"], events[0]["response"]["id"]);
    assert_eq!(last["sequence_number"], 4);
}

#[test]
fn other_clients_of_such_a_backend_are_served_in_its_chat_dialect() {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Hi", USAGE)));
    let gateway = with_responses(Gateway::setup(), "first", &backend).start();
    let _ = gateway.chat("Hi").expect(200);
    let body = json!({"model": "first", "messages": [{"role": "user", "content": "Hi"}]});
    let _ = gateway.post("/v1/chat/completions", &body).expect(200);
    assert!(backend.requests().iter().all(|request| request.path == "/v1/chat/completions"));
    let refused = Gateway::setup()
        .whole("[backends.a]\nkind = \"anthropic\"\nresponses = true\n[models.a]\nbackend = \"a\"\n")
        .check();
    assert!(refused.stderr.contains("responses") && refused.stderr.contains("openai"), "{}", refused.stderr);
}

#[test]
fn a_failure_of_such_a_backend_before_its_answer_is_recovered_from() {
    let failed = json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed",
        "error": {"code": "server_error", "message": "no"}}});
    let frame = format!("data: {failed}\n\n");
    let broken = Backend::start(move |_| Reply::stream("text/event-stream").frames([&frame]).end());
    let chat =
        Backend::start(|_| Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["Hi"], USAGE)).end());
    let setup = with_responses(Gateway::setup(), "first", &broken).model("second", Dialect::OpenAi, &chat);
    let gateway = setup.start();
    let answer = gateway.post(PATH, &json!({"model": "auto", "input": "Hi", "stream": true})).expect(200);
    assert_eq!(answer.header("x-wasmgate-model"), "second");
    assert_eq!(events(&answer).last().unwrap().0, "response.completed");
}

#[test]
fn stored_answers_are_asked_of_their_backend() {
    let backend = Backend::with_pages(
        |request| match request.method.as_str() {
            "DELETE" => Reply::json(200, &json!({"id": "resp_1", "object": "response", "deleted": true})),
            _ => script(false),
        },
        |path| match path {
            "/v1/responses/resp_1?include=x" => script(false),
            "/v1/responses/resp_1/input_items" => Reply::json(200, &json!({"object": "list", "data": []})),
            _ => {
                Reply::json(404, &json!({"error": {"message": "Response not found", "type": "invalid_request_error"}}))
            }
        },
    );
    let chat = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Hi", USAGE)));
    let gateway = with_responses(Gateway::setup().model("chat", Dialect::OpenAi, &chat), "first", &backend).start();
    let answer = gateway.post(PATH, &json!({"model": "first", "input": "Hi"})).expect(200).json();
    let id = answer["id"].as_str().unwrap();
    assert_eq!(gateway.get(&format!("{PATH}/{id}?include=x")).expect(200).json(), answer);
    assert_eq!(gateway.get(&format!("{PATH}/{id}/input_items")).expect(200).json()["object"], "list");
    let deleted = gateway.send(request("DELETE", &format!("{PATH}/{id}"), &[], b"")).expect(200).json();
    assert_eq!((&deleted["deleted"], &deleted["id"]), (&json!(true), &json!(id)));
    let own = gateway.post(PATH, &json!({"model": "chat", "input": "Hi"})).expect(200).json();
    let other = id.replace("resp_1", "resp_2");
    let escaping = id.replace("resp_1", "..%2f..%2fmodels");
    for unknown in ["resp_1", "wg1.0123456789ab.resp_1", own["id"].as_str().unwrap(), &other, &escaping] {
        let error = gateway.get(&format!("{PATH}/{unknown}")).expect(404).json();
        assert_eq!(error["error"]["code"], "unknown_response", "{unknown}");
    }
    let _ = gateway.get(&format!("{PATH}/{id}/cancel")).expect(405);
    let _ = gateway.get(&format!("{PATH}/{id}?stream=true")).expect(400);
    let _ = gateway.post(&format!("{PATH}/compact"), &json!({})).expect(404);
}

/// Two groups with a key each, and a third key of the first group.
#[test]
fn stored_answers_are_for_the_group_that_asked_for_them() {
    let backend = Backend::with_pages(
        |request| match request.method.as_str() {
            "DELETE" => Reply::json(200, &json!({"id": "resp_1", "object": "response", "deleted": true})),
            _ => script(request.json()["stream"] == true),
        },
        |_| script(false),
    );
    let table = |id: &str, group: &str| {
        let hash = KeyHash::of(format!("wg-{id}").as_bytes());
        format!("[keys.{id}]\ngroup = \"{group}\"\nsha256 = \"{hash}\"\n")
    };
    let groups = format!(
        "[groups.acme]\n[groups.rival]\n{}{}{}",
        table("anna", "acme"),
        table("bert", "rival"),
        table("cleo", "acme")
    );
    let setup = Gateway::setup().top(&groups).server("auth = \"optional\"");
    let gateway = with_responses(setup, "first", &backend).start();
    let send = |method: &str, path: &str, key: &str, body: &Value| {
        let mut headers = vec![("content-type", "application/json"), ("x-api-key", key)];
        headers.truncate(if key.is_empty() { 1 } else { 2 });
        let body = if body.is_null() { String::new() } else { body.to_string() };
        gateway.send(request(method, path, &headers, body.as_bytes()))
    };
    let ask = |key: &str, stream: bool| {
        let answer = send("POST", PATH, key, &json!({"model": "first", "input": "Hi", "stream": stream})).expect(200);
        match stream {
            true => events_of(&answer.text()).last().unwrap()["response"]["id"].as_str().unwrap().to_owned(),
            false => answer.json()["id"].as_str().unwrap().to_owned(),
        }
    };
    let (ids, others, nobodys) = ([ask("wg-anna", false), ask("wg-anna", true)], ask("wg-bert", false), ask("", false));
    assert_eq!(ids[0], ids[1], "whole or streamed");
    let id = &*ids[0];
    let continues = |key: &str, id: &str| {
        send("POST", PATH, key, &json!({"model": "first", "input": "Hi", "previous_response_id": id}))
    };
    for key in ["wg-anna", "wg-cleo"] {
        assert_eq!(send("GET", &format!("{PATH}/{id}"), key, &Value::Null).expect(200).json()["id"], *id);
        let _ = continues(key, id).expect(200);
    }
    assert_eq!(backend.requests().last().unwrap().json()["previous_response_id"], "resp_1");
    let before = backend.requests().len();
    // Their own mark and seal around the id of another answer.
    let forged = others.replace("resp_1", "resp_9");
    for (key, id) in [("wg-bert", id), ("", id), ("wg-anna", &*others), ("wg-anna", &*nobodys), ("wg-bert", &*forged)] {
        for (method, below) in [("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")] {
            let refused = send(method, &format!("{PATH}/{id}{below}"), key, &Value::Null).expect(404).json();
            assert_eq!(refused["error"]["code"], "unknown_response", "{key} {method} {id}{below}");
        }
        assert_eq!(continues(key, id).expect(404).json()["error"]["code"], "unknown_response", "{key} {id}");
    }
    // The backend's own id, which nobody can tell whose it is.
    assert_eq!(continues("wg-bert", "resp_1").expect(404).json()["error"]["code"], "unknown_response");
    assert_eq!(backend.requests().len(), before, "the backend was not asked");
    assert_eq!(send("DELETE", &format!("{PATH}/{id}"), "wg-anna", &Value::Null).expect(200).json()["id"], *id);
    let _ = continues("", &nobodys).expect(200);
}

#[test]
fn a_websocket_is_refused_in_a_way_that_agents_understand() {
    let gateway = Gateway::setup().start();
    let headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let error = gateway.send(request("GET", PATH, &headers, b"")).expect(426).json();
    assert_eq!(error["error"]["code"], "no_websocket");
    let _ = gateway.get(PATH).expect(405);
}

#[test]
fn policies_are_told_that_a_request_is_pinned() {
    let backend = backend();
    let script = b"fn route(request, candidates) {
        let why = request.hints[\"pinned\"];
        deny(if why == () { \"free\" } else { why }, request.dialect)
    }";
    let routing = "builtin = \"script\"\nsetting_files = { script = \"told.rhai\" }";
    let setup = Gateway::setup().file("told.rhai", script).routing(routing);
    let gateway = with_responses(setup, "first", &backend).start();
    let id = marked_by("first");
    for (request, code) in [
        (json!({"model": "first", "input": "Hi"}), "free"),
        (json!({"model": "first", "input": "Hi", "previous_response_id": id}), "previous_response"),
        (
            json!({"model": "first", "input": [{"role": "user", "content": "Hi"}, {"type": "reasoning", "summary": [],
            "encrypted_content": id}]}),
            "reasoning",
        ),
    ] {
        let error = gateway.post(PATH, &request).expect(403).json();
        assert_eq!((&error["error"]["code"], &error["error"]["message"]), (&json!(code), &json!("responses")));
    }
}

/// A text marked as made by the backend of this name.
fn marked_by(backend: &str) -> String {
    let scripted = self::backend();
    let gateway = with_responses(Gateway::setup(), backend, &scripted).start();
    gateway.post(PATH, &json!({"model": backend, "input": "Hi"})).expect(200).json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_guarded_stream_of_such_a_backend_is_held_back() {
    let some: Vec<String> = frames()[..5].to_vec();
    let broken = Backend::start(move |_| Reply::stream("text/event-stream").frames(&some).cut());
    let whole = backend();
    let gateway = with_responses(with_responses(Gateway::setup(), "first", &broken), "second", &whole).start();
    let body = json!({"model": "auto", "input": "Hi", "stream": true}).to_string();
    let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
    let answer = gateway.send(request("POST", PATH, &headers, body.as_bytes())).expect(200);
    assert_eq!((answer.header("x-wasmgate-model"), answer.header("x-wasmgate-whole")), ("second", "true"));
    let events = events_of(&answer.text());
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    let mark = mark(&events[0]["response"]["id"]);
    assert_eq!(answer.text().replace(&mark, ""), frames().concat());
}
