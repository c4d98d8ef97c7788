//! What operators read about versions: two that differ look different in lists, history, headers, logs and metrics.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::guests;
use wasmgate_tests::http::Response;
use wasmgate_tests::wait::until;

const NAMED: &str = "// name: mine\n// version: 1.0.0\n// summary: As given.\n\
                     fn route(request, candidates) { route_to(candidates, \"as given\") }";
const UNNAMED: &str = "fn route(request, candidates) { route_to(candidates, \"unnamed\") }";

fn scripted(script: &str) -> Setup {
    Gateway::setup().reloading().file("My Route.rhai", script.as_bytes()).routing("file = \"My Route.rhai\"")
}

fn policy_of(response: &Response) -> String {
    response.header("x-wasmgate-policy").to_owned()
}

fn label(version: &Value) -> String {
    format!("{}@{}", version["policy"].as_str().unwrap(), version["version"].as_str().unwrap())
}

fn revision(version: &Value) -> String {
    version["revision"].as_str().unwrap().to_owned()
}

/// The digest that an operator finds with `sha256sum`.
fn digest(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    fs::write(&file, text).unwrap();
    let printed = Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    String::from_utf8(printed).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_script_is_named_by_its_comments_its_file_or_its_content() {
    let gateway = scripted(NAMED).start();
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "mine@1.0.0");
    let line = gateway.wait_for_log("the request", |line| line["message"] == "request");
    assert_eq!(line["policy"], "mine@1.0.0");
    let place = gateway.place("routing");
    assert!(place["source"].as_str().unwrap().ends_with("/My Route.rhai"), "{place}");
    let first = revision(&place["serving"]);
    assert_eq!(place["serving"]["digest"], digest(NAMED));

    // Another text under the same version has its digest after it.
    let changed = NAMED.replace("\"as given\"", "\"changed\"");
    let digits = |script: &str| digest(script)[..8].to_owned();
    gateway.put("My Route.rhai", changed.as_bytes());
    gateway.wait_policy(&format!("mine@1.0.0+{}", digits(&changed)));
    // A script without such comments has the name of its file and the digits of its content.
    gateway.put("My Route.rhai", UNNAMED.as_bytes());
    let unnamed = format!("my-route@{}", digits(UNNAMED));
    gateway.wait_policy(&unnamed);
    let place = gateway.place("routing");
    assert_ne!(revision(&place["serving"]), first);
    let previous = place["previous"].as_array().unwrap();
    assert_eq!(previous.iter().map(label).collect::<Vec<_>>()[1], "mine@1.0.0");
    let labels = [("policy", "my-route"), ("version", &*digits(UNNAMED)), ("mode", "active")];
    gateway.wait_metric("api_gateway_policy_info", &labels, 1.0);

    // After a rollback, what serves and what is held back do not look alike.
    gateway.policies(&["rollback", "routing", "--to", &first[..12]]).expect(0, &["mine@1.0.0 ", "held back", &unnamed]);
    let shown = gateway.policies(&["show", "routing"]);
    assert!(!shown.stdout.contains("refused"), "{}", shown.stdout);
}

#[test]
fn a_refused_script_is_named_in_the_log_the_list_and_the_history() {
    let gateway = scripted(NAMED).start();
    gateway.put("My Route.rhai", b"// name: other\n// version: 2.0.0\nfn route(request, candidates) {\n  let = 1;\n}");
    let place = gateway.wait_place("routing", "refused", |place| place["refused"]["policy"] == "other@2.0.0");
    assert_eq!(label(&place["serving"]), "mine@1.0.0");
    let rejected = place["history"].as_array().unwrap().iter().find(|event| event["event"] == "rejected").unwrap();
    assert_eq!(rejected["policy"], "other@2.0.0");
    assert_eq!(
        (&rejected["digest"], &rejected["revision"]),
        (&place["refused"]["digest"], &place["refused"]["revision"])
    );
    gateway.wait_for_log("the refusal", |line| line["policy"] == "other@2.0.0" && line["stage"] == "compiled");
    // The origin identifies a script whose comments are wrong.
    gateway.put("My Route.rhai", b"// version: not one\nfn route(request, candidates) { pass() }");
    let place =
        gateway.wait_place("routing", "refused", |place| place["refused"]["reason"].to_string().contains("not one"));
    assert_eq!(place["refused"]["policy"], Value::Null);
    assert!(place["history"][0]["detail"].as_str().unwrap().contains("My Route.rhai: not configured"), "{place}");
}

#[test]
fn a_script_is_uploaded_like_a_component() {
    let gateway = Gateway::setup().reloading().guest("decides").start();
    fs::write(gateway.path("quick.rhai"), UNNAMED).unwrap();
    let file = gateway.path("quick.rhai").display().to_string();
    gateway.policies(&["upload", "routing", &file]).expect(0, &["quick@"]);
    assert!(policy_of(&gateway.chat("hello").expect(200)).starts_with("quick@"));
    let put = |query: &str, body: &[u8]| gateway.admin_send("PUT", &format!("/policies/routing{query}"), &[], body);
    let done = put("?name=by-hand", UNNAMED.as_bytes()).expect(200).json();
    assert_eq!(done["serving"]["policy"], "by-hand");
    assert_eq!(label(&put("", NAMED.as_bytes()).expect(200).json()["serving"]), "mine@1.0.0");
    let component = guests::build("second");
    for (query, body, code, words) in [
        ("", "fn route(".as_bytes(), 422, "line 1"),
        ("", b"\xff\xfe", 409, "neither a component nor a script"),
        ("?name=No%20name", UNNAMED.as_bytes(), 400, "`name`"),
        ("?name=x", &component[..], 409, "its manifest"),
        ("?settings=%7B%22script%22%3A1%7D", UNNAMED.as_bytes(), 409, "`script`"),
    ] {
        let said = put(query, body).expect(code).text();
        assert!(said.contains(words), "{query}: {said}");
    }
    // A component has none of the script's settings.
    assert_eq!(label(&put("", &component).expect(200).json()["serving"]), "second@1.0.0");
    let gateway = gateway.restart("TERM");
    gateway.policies(&["rollback", "routing"]).expect(0, &["mine@1.0.0"]);
}

#[test]
fn versions_that_differ_in_settings_alone_look_different() {
    let low = |low: f64| format!("low-below = {low}\n");
    let gateway = Gateway::setup().reloading().settings(&low(0.3)).start();
    let first = gateway.place("routing")["serving"].clone();
    gateway.edit_config("low-below = 0.3", "low-below = 0.31");
    let differs = |place: &Value| place["serving"]["revision"] != first["revision"];
    let place = gateway.wait_place("routing", "another setting", differs);
    gateway.edit_config("low-below = 0.31", "low-below = 0.32");
    let second = place["serving"].clone();
    let place = gateway
        .wait_place("routing", "a third", |place| differs(place) && place["serving"]["revision"] != second["revision"]);
    assert_eq!((label(&first), &first["digest"]), (label(&place["serving"]), &place["serving"]["digest"]));
    // The digest fits both, and the answer names them.
    let digest = first["digest"].as_str().unwrap().to_owned();
    let both = [&revision(&first)[..12], &revision(&second)[..12]];
    let refused = gateway.policies(&["rollback", "routing", "--to", &digest]);
    refused.expect(2, &["2 earlier versions", both[0], both[1]]);
    gateway
        .policies(&["rollback", "routing", "--to", "00000000000000"])
        .expect(2, &["expected one of", both[0], both[1]]);
    gateway.policies(&["rollback", "routing", "--to", both[0]]).expect(0, &[both[0]]);
    assert_eq!(gateway.place("routing")["serving"]["revision"], first["revision"]);
}

#[test]
fn commands_and_checks_take_a_script_for_a_policy() {
    let setup = scripted(NAMED);
    let file = setup.written().with_file_name("My Route.rhai").display().to_string();
    run(&["policy", "inspect", &file, "--hook", "routing"]).expect(0, &["mine@1.0.0: As given."]);
    run(&["policy", "run", &file, "--hook", "routing", "--prompt", "hello"]).expect(0, &["mine@1.0.0"]);
    run(&["policy", "bench", &file, "--hook", "routing", "--calls", "10"]).expect(0, &["My Route.rhai"]);
    setup.check().expect(0, &["routing mine@1.0.0"]);
    let both = "file = \"My Route.rhai\"\nsettings = { script = \"x\" }";
    let twice = Gateway::setup().file("My Route.rhai", NAMED.as_bytes()).routing(both).check();
    twice.expect(2, &["policies.routing.file", "the setting `script` is also given"]);
    let fixtures = json!({"fixtures": [{"name": "a greeting", "prompt": "Hello!", "expect": {"pass": true}}]});
    let checked = scripted(NAMED).file("My Route.fixtures.json", fixtures.to_string().as_bytes()).check();
    checked.expect(2, &["My Route.rhai", "a greeting"]);
}

#[test]
fn what_an_operator_did_shows_as_it_is() {
    let gateway = Gateway::setup().reloading().component("live", &guests::build("decides")).start();
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    fs::write(gateway.path("up.wasm"), guests::build("passes")).unwrap();
    let file = gateway.path("up.wasm").display().to_string();
    // The source is that of the version that serves, whoever put it there.
    assert!(gateway.place("routing")["source"].as_str().unwrap().ends_with("live.wasm"));
    gateway.policies(&["upload", "routing", &file]).expect(0, &["passes@1.0.0", "uploaded", "held back second@1.0.0"]);
    assert_eq!(gateway.place("routing")["source"], "uploaded");
    // Rollbacks that name no version reach each older one once, and then none.
    gateway.policies(&["rollback", "routing"]).expect(0, &["second@1.0.0", "live.wasm"]);
    gateway.policies(&["rollback", "routing"]).expect(0, &["decides@1.0.0"]);
    let refused = gateway.policies(&["rollback", "routing"]);
    refused.expect(2, &["no earlier version", "passes@1.0.0 (revision ", "second@1.0.0 (revision "]);
    let previous = gateway.place("routing")["previous"].clone();
    let passes = previous.as_array().unwrap().iter().find(|version| version["policy"] == "passes").unwrap();
    gateway.policies(&["rollback", "routing", "--to", &revision(passes)]).expect(0, &["passes@1.0.0"]);
    gateway.policies(&["rollback", "routing"]).expect(0, &["decides@1.0.0"]);
    // A disabled slot serves nothing, and says what it would serve.
    let disabled = gateway.policies(&["disable", "routing"]);
    disabled.expect(0, &["disabled  empty", "`enable` loads decides@1.0.0"]);
    let place = gateway.place("routing");
    assert_eq!((&place["serving"], label(&place["kept"]).as_str()), (&Value::Null, "decides@1.0.0"));
    gateway.policies(&["enable", "routing"]).expect(0, &["decides@1.0.0"]);
    assert_eq!(gateway.place("routing")["kept"], Value::Null);
}

#[test]
fn a_version_that_is_being_checked_shows() {
    let gateway = Gateway::setup().reloading().component("live", &guests::build("decides")).start();
    gateway.put("live.wasm", &guests::build("spins-at-start"));
    let place = gateway.wait_place("routing", "the check", |place| place["checking"].is_object());
    assert!(place["checking"]["source"].as_str().unwrap().ends_with("live.wasm"), "{place}");
    assert_eq!(label(&place["serving"]), "decides@1.0.0");
    let place = gateway.wait_place("routing", "its end", |place| place["refused"].is_object());
    assert_eq!(place["checking"], Value::Null);
}

#[test]
fn keys_that_need_a_restart_show_until_they_are_as_at_the_start() {
    let gateway = Gateway::setup().reloading().component("live", &guests::build("decides")).start();
    let pending = || gateway.admin_get("/policies").expect(200).json()["config"]["needs_restart"].clone();
    assert_eq!(pending(), json!([]));
    gateway.edit_config("[server]", "[server]\nmax_connections = 17");
    until("the key is pending", || (pending() == json!(["server.max_connections"])).then_some(()));
    // Another change is compared with what is in force, not with the last file.
    gateway.edit_config("max_connections = 17", "max_connections = 17\nmax_head_bytes = 20000");
    let both = json!(["server.max_connections", "server.max_head_bytes"]);
    until("both keys are pending", || (pending() == both).then_some(()));
    gateway.policies(&["list"]).expect(0, &["pending until a restart: server.max_connections, server.max_head_bytes"]);
    gateway.edit_config("\nmax_connections = 17\nmax_head_bytes = 20000", "");
    until("nothing is pending", || (pending() == json!([])).then_some(()));
}

#[test]
fn settings_limits_progress_and_agreement_are_shown() {
    let slots = "canary = { builtin = \"complexity\", percent = 0 }\nshadows.next = { builtin = \"cheapest-healthy\" }";
    let gateway = Gateway::setup().settings("low-below = 0.31").limits("call_time_ms = 77").routing(slots).start();
    let ask_three = || (0..3).for_each(|_| drop(gateway.chat("hello").expect(200)));
    gateway.policies(&["show", "routing"]).expect(0, &["low-below", "0.31", "high-above", "call_time_ms", "77"]);
    // A shadow is compared where the active policy decides.
    ask_three();
    let compared = |place: &Value| {
        let figures =
            ["agree", "disagree", "failed", "skipped"].map(|figure| place["agreement"][figure].as_u64().unwrap());
        figures.iter().sum::<u64>() == 3
    };
    gateway.wait_place("routing.shadows.next", "its comparisons", compared);
    gateway.policies(&["show", "routing.shadows.next"]).expect(0, &["agreed with the active policy on"]);
    gateway.policies(&["canary", "routing", "100"]).expect(0, &["100 %"]);
    ask_three();
    let three = |figure: &'static str| {
        move |place: &Value| place["progress"][figure] == 3 && place["progress"]["rules"]["min_samples"] == 20
    };
    gateway.wait_place("routing.canary", "its calls", three("calls"));
    gateway.wait_place("routing.canary", "its requests", three("ended"));
    gateway.policies(&["list"]).expect(0, &["0 of 3 calls failed (aborts above 2 %)"]);
}

#[test]
fn the_code_of_a_denial_is_in_the_log() {
    let denies = "fn route(request, candidates) { deny(\"no_secrets\", \"ask without the password\") }";
    let gateway = scripted(denies).start();
    let _ = gateway.chat("hello").expect(403);
    let line = gateway.wait_for_log("the request", |line| line["message"] == "request");
    assert_eq!((&line["reason"], &line["denial_code"]), (&json!("policy_denied"), &json!("no_secrets")));
}

#[test]
fn scores_and_settings_are_written_as_in_the_configuration() {
    let script = "fn route(request, candidates) { route_to(candidates, \"as given\", #{ complexity: 0.3 * 3.0 }) }";
    let gateway = scripted(script).start();
    let answer = gateway.chat("hello").expect(200);
    assert_eq!(answer.header("x-wasmgate-complexity"), "0.9");
    let line = gateway.wait_for_log("the request", |line| line["message"] == "request");
    assert_eq!(line["complexity"], 0.9);
    let active =
        gateway.wait_for_log("the policy", |line| line["message"] == "policy active" && line["hook"] == "cost");
    assert_eq!((&active["isolation"], &active["on_failure"]), (&json!("warm"), &json!("default-decision")));
}

#[test]
fn an_upload_that_does_not_know_the_slots_settings_gets_the_way_out() {
    let gateway = Gateway::setup().routing("builtin = \"complexity\"").settings("low-below = 0.2").start();
    fs::write(gateway.path("upload.wasm"), guests::build("decides")).unwrap();
    fs::write(gateway.path("none.json"), "\u{feff}{}").unwrap();
    let (file, none) =
        (gateway.path("upload.wasm").display().to_string(), gateway.path("none.json").display().to_string());
    let upload = ["upload", "routing.canary", &file, "--percent", "5"];
    gateway.policies(&upload).expect(2, &["unknown setting `low-below`", "takes those of the slot", "{} none"]);
    gateway.policies(&[&upload[..], &["--settings", &none]].concat()).expect(0, &["decides@1.0.0"]);
}

#[test]
fn a_promotion_prints_what_decides_from_now_on_and_what_is_held_back() {
    let gateway = Gateway::setup().guest("decides").start();
    fs::write(gateway.path("upload.wasm"), guests::build("second")).unwrap();
    let file = gateway.path("upload.wasm").display().to_string();
    gateway.policies(&["upload", "routing.canary", &file, "--percent", "5"]).expect(0, &["second@1.0.0"]);
    let revision = revision(&gateway.place("routing.canary")["serving"]);
    let printed = gateway.policies(&["promote", "routing.canary"]);
    printed.expect(0, &[]);
    let words = |line: usize| {
        printed.stdout.lines().nth(line).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(0), ["SLOT", "MODE", "STATE", "POLICY", "REVISION", "SINCE", "SOURCE"]);
    let row = ["routing", "active", "serving", "second@1.0.0", &revision[..12], "now", "uploaded"];
    assert_eq!(words(1), row, "{}", printed.stdout);
    let note = printed.stdout.lines().skip(2).collect::<Vec<_>>().join(" ");
    assert!(
        note.contains("held back decides@1.0.0") && note.contains("superseded now: an operator promoted second@1.0.0"),
        "{note}"
    );
    assert!(!note.contains("refused") && !printed.stdout.contains("routing.canary  "), "{}", printed.stdout);
}
