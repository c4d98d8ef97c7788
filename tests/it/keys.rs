//! Keys and groups: who is admitted, what a group may use, what policies, the log and the metrics learn of it, and that a key is
//! nowhere to be read.

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wait::until;

const ANNA: &str = "wg-anna-0123456789";
const BERT: &str = "wg-bert-0123456789";
const OLDER: &str = "wg-bert-before-its-rotation";

/// A table of a key.
fn key(id: &str, group: &str, text: &str) -> String {
    format!("[keys.{id}]\ngroup = \"{group}\"\nsha256 = \"{}\"\n", KeyHash::of(text.as_bytes()))
}

/// Anna and Bert, of the groups `team` and `narrow` in `acme`.
fn setup() -> Setup {
    let groups = r#"
[groups.acme]
denied_models = ["claude-sonnet"]
labels = { plan = "gold", region = "eu" }
[groups.team]
parent = "acme"
labels = { plan = "silver" }
[groups.narrow]
parent = "acme"
models = ["phi2", "claude-sonnet"]
"#;
    Gateway::setup().reloading().top(groups).top(&key("anna", "team", ANNA)).top(&key("bert", "narrow", BERT))
}

fn ask(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let headers = [&[("content-type", "application/json")], headers].concat();
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes()))
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn chat(gateway: &Gateway, key: &str, model: &str) -> Response {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    ask(gateway, "/v1/chat/completions", &[("authorization", &bearer(key))], &body)
}

fn read(gateway: &Gateway, path: &str, key: &str) -> Response {
    gateway.send(request("GET", path, &[("authorization", &bearer(key))], b""))
}

#[test]
fn a_request_without_a_valid_key_is_refused_in_the_form_of_its_dialect() {
    let older = format!(
        "{}blocked = true\n[keys.old]\ngroup = \"team\"\nsha256 = \"{}\"\ncreated = \"2020-01-01T00:00:00Z\"\nexpires_after_days = 1\n",
        key("cleo", "team", "wg-cleo"),
        KeyHash::of(b"wg-old")
    );
    let gateway = setup().top(&older).start();
    let said = [
        (vec![], "no API key"),
        (vec![("authorization", "Bearer wg-unknown")], "not valid"),
        (vec![("x-api-key", "sk-of-a-provider")], "not valid"),
        (vec![("authorization", "Bearer wg-cleo")], "blocked"),
        (vec![("authorization", "Bearer wg-old")], "expired"),
    ];
    let messages = json!([{"role": "user", "content": "hello"}]);
    let openai = json!({"model": "auto", "messages": messages});
    let mut refused = 0.0;
    for (headers, why) in said {
        let openai = ask(&gateway, "/v1/chat/completions", &headers, &openai).expect(401);
        let error = &openai.json()["error"];
        assert_eq!((&error["code"], &error["type"]), (&json!("invalid_api_key"), &json!("authentication_error")));
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
        assert_eq!((openai.header("www-authenticate"), openai.header("x-should-retry")), ("Bearer", "false"));
        refused += 1.0;
    }
    let count = json!({"model": "auto", "max_tokens": 9, "messages": messages});
    for (path, body, error) in [
        ("/v1/messages", &count, "/error/type=authentication_error"),
        ("/v1/messages/count_tokens", &count, "/error/type=authentication_error"),
        ("/v1/responses", &json!({"model": "auto", "input": "hello"}), "/error/code=invalid_api_key"),
        ("/v1/completions", &json!({"model": "auto", "prompt": "hello"}), "/error/code=invalid_api_key"),
        ("/v1/embeddings", &json!({"model": "phi2", "input": "hello"}), "/error/code=invalid_api_key"),
        ("/api/chat", &openai, "/error="),
        ("/api/generate", &json!({"model": "auto", "prompt": "hello"}), "/error="),
        ("/api/show", &json!({"model": "phi2"}), "/error="),
        ("/api/v1/chat", &json!({"prompt": "hello"}), "/error/code=invalid_api_key"),
        ("/api/v1/complexity", &json!({"prompt": "hello"}), "/error/code=invalid_api_key"),
    ] {
        let (pointer, expected) = error.split_once('=').unwrap();
        let answer = ask(&gateway, path, &[], body).expect(401).json();
        let found = answer.pointer(pointer).and_then(Value::as_str);
        assert!(found.is_some_and(|found| expected.is_empty() || found == expected), "{path}: {answer}");
        refused += 1.0;
    }
    for path in ["/v1/models", "/v1/models/phi2", "/api/tags", "/api/ps", "/api/v1/models", "/v1/responses/resp_1"] {
        let _ = gateway.get(path).expect(401);
        refused += 1.0;
    }
    for path in ["/", "/health", "/api/version", "/api/hello"] {
        let page = gateway.get(path).expect(200).text();
        let names = ["tinyllama", "phi2", "local-sim", "complexity", "team", "/metrics"];
        assert!(names.iter().all(|name| !page.contains(name)), "{path}: {page}");
    }
    assert_eq!(gateway.get("/health").json(), json!({"status": "healthy"}));
    assert_eq!(gateway.admin_get("/health").expect(200).json()["models"][1]["name"], "phi2");
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "unauthorized")], refused);
}

#[test]
fn a_key_admits_wherever_an_sdk_puts_it_and_is_nowhere_to_be_read() {
    let gateway = setup().start();
    let body = json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    for (path, headers) in [
        ("/v1/chat/completions", vec![("authorization", bearer(ANNA))]),
        ("/v1/messages", vec![("x-api-key", ANNA.to_owned())]),
        ("/v1/messages", vec![("authorization", "Bearer sk-other".to_owned()), ("x-api-key", ANNA.to_owned())]),
        ("/api/chat", vec![("authorization", bearer(ANNA))]),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _ = ask(&gateway, path, &headers, &body).expect(200);
    }
    let _ = chat(&gateway, ANNA, "no-such-model").expect(404);
    let labels = |ending| [("group", "team"), ("ending", ending)];
    gateway.wait_metric("api_gateway_group_requests_total", &labels("finished"), 4.0);
    gateway.wait_metric("api_gateway_group_requests_total", &labels("rejected"), 1.0);
    let metrics = gateway.metrics();
    assert!(metrics.value("api_gateway_group_tokens_total", &[("group", "team"), ("type", "output")]) > 0.0);
    assert_eq!(metrics.value("api_gateway_group_requests_total", &[("group", "narrow")]), 0.0);
    let line = gateway.wait_for_ending("finished");
    assert_eq!((&line["group"], &line["key"]), (&json!("team"), &json!("anna")));
    let page = gateway.admin_get("/metrics").expect(200).text();
    let log = gateway.log_to_its_end().join("\n");
    for text in [ANNA, &KeyHash::of(ANNA.as_bytes()).to_string(), "sk-other"] {
        assert!(!page.contains(text) && !log.contains(text), "{text}");
    }
}

#[test]
fn a_group_uses_and_sees_its_models_alone() {
    let gateway = setup().start();
    for (key, models) in [(ANNA, &["tinyllama", "phi2"][..]), (BERT, &["phi2"])] {
        let names = |list: Value, name: &str| -> Vec<String> {
            list.as_array().unwrap().iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
        };
        let with_auto = [&["auto"], models].concat();
        assert_eq!(names(read(&gateway, "/v1/models", key).json()["data"].clone(), "id"), with_auto);
        assert_eq!(names(read(&gateway, "/api/tags", key).json()["models"].clone(), "name"), with_auto);
        assert_eq!(names(read(&gateway, "/api/ps", key).json()["models"].clone(), "name"), models);
        assert_eq!(names(read(&gateway, "/api/v1/models", key).json()["models"].clone(), "model"), models);
        let body = json!({"prompt": "design and build: def f(x): return class"});
        let explained = ask(&gateway, "/api/v1/complexity", &[("x-api-key", key)], &body).expect(200).json();
        assert_eq!(names(explained["candidates"].clone(), "model"), models);
        let answered = chat(&gateway, key, "auto").expect(200).header("x-wasmgate-model").to_owned();
        assert!(models.contains(&&*answered), "{answered}");
    }
    // As at the providers: what is not for the key is not there, and no hint names it.
    for (key, model) in [(ANNA, "claude-sonnet"), (BERT, "tinyllama"), (BERT, "tinyllam")] {
        let refused = chat(&gateway, key, model).expect(404).text();
        assert!(refused.contains("unknown_model") && !refused.contains("did you mean"), "{refused}");
        let _ = read(&gateway, &format!("/v1/models/{model}"), key).expect(404);
        let _ =
            ask(&gateway, "/v1/embeddings", &[("x-api-key", key)], &json!({"model": model, "input": "x"})).expect(404);
        let _ = ask(&gateway, "/api/show", &[("x-api-key", key)], &json!({"model": model})).expect(404);
    }
    assert!(chat(&gateway, BERT, "ph2").expect(404).text().contains("phi2"));
    let _ = read(&gateway, "/v1/models/phi2", BERT).expect(200);
    let line = gateway.wait_for_log("the reason", |line| line["detail"] == "group narrow may not use tinyllama");
    assert_eq!(line["key"], "bert");
}

#[test]
fn policies_see_the_tenant_and_the_labels_of_its_group() {
    let script = r#"script = '''
fn route(request, candidates) {
    deny("seen", `${request.tenant} ${request.labels["plan"]} ${request.labels["region"]} ${request.labels["stage"]}`)
}
'''"#;
    let gateway = setup()
        .server("auth = \"optional\"\nlabel_headers = [\"plan\", \"stage\"]")
        .routing("builtin = \"script\"")
        .settings(script)
        .start();
    let body = json!({"prompt": "hello"});
    for (headers, seen) in [
        (vec![("x-api-key", ANNA), ("plan", "forged"), ("stage", "test")], "team silver eu test"),
        (vec![("x-api-key", BERT), ("stage", "test")], "narrow gold eu test"),
        (vec![("plan", "own"), ("stage", "test")], " own  test"),
        // Some key, which SDKs send in any case, is none of the gateway's.
        (vec![("x-api-key", "unused"), ("plan", "own"), ("stage", "test")], " own  test"),
    ] {
        let answer = ask(&gateway, "/api/v1/chat", &headers, &body).expect(403).json();
        assert_eq!(answer["error"]["message"], seen, "{answer}");
    }
    let _ = ask(&gateway, "/api/v1/chat", &[("x-api-key", "wg-unknown")], &body).expect(401);
}

#[test]
fn a_changed_key_counts_from_the_next_reload_on() {
    let gateway = setup().start();
    let _ = chat(&gateway, BERT, "auto").expect(200);
    let (bert, older) = (KeyHash::of(BERT.as_bytes()).to_string(), KeyHash::of(OLDER.as_bytes()));
    let rotated = format!("{bert}\"\nprevious_sha256 = \"{older}\"\nprevious_until = \"2999-01-01T00:00:00Z");
    let _ = chat(&gateway, OLDER, "auto").expect(401);
    gateway.edit_config(&bert, &rotated);
    until("the older key admits", || (chat(&gateway, OLDER, "auto").status() == 200).then_some(()));
    let _ = chat(&gateway, BERT, "auto").expect(200);
    gateway.edit_config("2999-01-01", "2020-01-01");
    until("the older key is over", || (chat(&gateway, OLDER, "auto").status() == 401).then_some(()));
    gateway.edit_config("2020-01-01T00:00:00Z\"", "2020-01-01T00:00:00Z\"\nblocked = true");
    until("the key is blocked", || (chat(&gateway, BERT, "auto").status() == 401).then_some(()));
    let _ = chat(&gateway, ANNA, "auto").expect(200);
}

#[test]
fn a_new_key_is_printed_once_and_its_table_makes_it_known() {
    let made = run(&["keys", "new", "dora", "--group", "team", "--expires-after-days", "30"]);
    assert_eq!(made.code(), Some(0), "{}", made.text());
    let key = made.stderr.split_whitespace().find(|word| word.starts_with("wg-")).unwrap().to_owned();
    assert_eq!(key.len(), 67, "{key}");
    assert!(!made.stdout.contains(&key[3..]), "{}", made.stdout);
    let gateway = setup().top(&made.stdout).start();
    let _ = chat(&gateway, &key, "auto").expect(200);
    let _ = chat(&gateway, &key.to_uppercase(), "auto").expect(401);
    run(&["keys", "new", "a b", "--group", "team"]).expect(2, &["letters, digits"]);
}

#[test]
fn a_gateway_that_others_reach_says_whether_it_needs_keys() {
    let reachable = || Gateway::setup().top("listen = \"0.0.0.0:0\"").without_listen();
    let said = ["listen: other machines can reach 0.0.0.0:0", "server.auth", "wasmgate keys new", "\"off\""];
    reachable().check().expect(2, &said);
    reachable().refused().expect(2, &said);
    let flag = Gateway::setup().argument("--listen").argument("0.0.0.0:0");
    flag.refused().expect(2, &["--listen or WASMGATE_LISTEN: other machines can reach 0.0.0.0:0"]);
    for auth in ["off", "optional"] {
        reachable().server(&format!("auth = \"{auth}\"")).check().expect(0, &["valid"]);
    }
    reachable().top("[groups.team]").top(&key("anna", "team", ANNA)).check().expect(0, &["valid"]);
    let unread = setup().server("auth = \"off\"");
    unread.check().expect(0, &["server.auth: \"off\", so that nobody reads the keys"]);
    let open = setup().server("auth = \"off\"").start();
    let _ = open.chat("hello").expect(200);
}

#[test]
fn each_mistake_in_groups_and_keys_is_named() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (text, said) in [
        ("[groups.a]\nparent = \"b\"", &["groups.a.parent: there is no group \"b\""][..]),
        ("[groups.a]\nparent = \"a\"", &["groups.a.parent: the group is above itself: a below a"]),
        ("[groups.a]\nmodels = [\"ph2\"]", &["groups.a.models: there is no model \"ph2\", did you mean \"phi2\"?"]),
        ("[groups.a]\nmodels = []", &["groups.a: this group and the groups above it together permit no"]),
        ("[groups.other]", &["groups.other: `none` and `other` are reserved"]),
        ("[groups.a]\nlabels = { Plan = \"x\" }", &["groups.a.labels.Plan: \"Plan\" is not a label"]),
        ("[keys.k]", &["keys.k.group: missing", "keys.k.sha256: missing"]),
        (&format!("[keys.k]\ngroup = \"a\"\nsha256 = \"{hash}\""), &["keys.k.group: there is no group \"a\""]),
        ("[groups.a]\n[keys.k]\ngroup = \"a\"\nsha256 = \"wg-1234\"", &["keys.k.sha256: not the hash of a key"]),
        (
            &format!("[groups.a]\n[keys.k]\ngroup = \"a\"\nsha256 = \"{hash}\"\nexpires_after_days = 0"),
            &["keys.k.expires_after_days: 0, expected 1 to 36500"],
        ),
        (
            &format!("[groups.a]\n[keys.k]\ngroup = \"a\"\nsha256 = \"{hash}\"\nexpires_after_days = 9"),
            &["keys.k.created: missing"],
        ),
        (
            &format!("[groups.a]\n[keys.k]\ngroup = \"a\"\nsha256 = \"{hash}\"\nprevious_sha256 = \"{hash}\""),
            &["keys.k.previous_until: missing"],
        ),
        (
            &format!("[groups.a]\n[keys.k]\ngroup = \"a\"\nsha256 = \"{hash}\"\ncreated = \"yesterday\""),
            &["keys.k.created: \"yesterday\" is not a time"],
        ),
        (
            &format!(
                "[groups.a]\n[keys.k]\ngroup = \"a\"\nsha256 = \"{hash}\"\n[keys.l]\ngroup = \"a\"\nsha256 = \"{hash}\""
            ),
            &["keys.l: the same hash as in [keys.k]"],
        ),
    ] {
        let checked = Gateway::setup().top(text).check();
        assert!(!checked.text().contains("wg-1234"), "an error repeats what may be a key");
        checked.expect(2, said);
    }
}
