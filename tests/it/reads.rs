//! A policy sees what its manifest says that it reads; operators see that too, and may refuse more.

use std::path::Path;

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::request;
use wasmgate_tests::wait::until;

/// A component that was built against that version of the contract.
fn component(version: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("contract/{version}/rust.wasm"));
    format!("file = {:?}", path.canonicalize().unwrap())
}

fn granted(policy: &str, prompt: &str) -> Setup {
    Gateway::setup().routing(&format!("{policy}\ngrants = {{ prompt = {prompt:?} }}"))
}

fn script(text: &str) -> Setup {
    let route = format!("fn route(request, candidates) {{ {text} }}");
    Gateway::setup().file("route.rhai", route.as_bytes()).routing("file = \"route.rhai\"")
}

#[test]
fn a_policy_that_reads_more_than_is_granted_is_refused() {
    for (policy, prompt) in [
        ("builtin = \"cheapest-healthy\"", "none"),
        ("builtin = \"complexity\"", "newest"),
        (&*component("1.0.0"), "conversation"),
        (&*component("2.0.0"), "newest"),
    ] {
        assert_eq!(granted(policy, prompt).start().chat("Hello!").status(), 200, "{policy} {prompt}");
    }
    for (policy, prompt, reason) in [
        (
            "builtin = \"complexity\"",
            "none",
            "(not admitted): it reads `newest` of the prompt; expected at most `none`",
        ),
        (
            &*component("1.0.0"),
            "newest",
            "it reads `conversation` of the prompt, as every policy that was built against version 1.0.0",
        ),
        (
            &*component("2.0.0"),
            "none",
            "it reads `newest` of the prompt; expected at most `none`, which `grants` allows",
        ),
    ] {
        granted(policy, prompt).refused().expect(2, &[reason]);
    }
    let check = Gateway::setup().routing("builtin = \"complexity\"\ngrants = { prompt = \"all\" }").check();
    check.expect(2, &["policies.routing.grants.prompt", "\"all\"", "none", "newest", "conversation"]);
    let check =
        Gateway::setup().routing("builtin = \"complexity\"\nlimits = { grants = { prompt = \"none\" } }").check();
    check.expect(2, &["policies.routing.limits", "`grants` is in it", "the table `grants` next to `limits`"]);
}

#[test]
fn what_is_uploaded_is_held_to_the_grants_too() {
    let gateway = granted("builtin = \"complexity\"", "newest").start();
    let upload = |text: &str| {
        let script =
            format!("// name: mine\nfn route(request, candidates) {{ {text} route_to(candidates, \"as given\") }}");
        gateway.admin_send("PUT", "/policies/routing?name=mine", &[], script.as_bytes())
    };
    let refused = upload("let all = request.conversation;");
    assert_eq!(refused.status(), 422, "{}", refused.text());
    assert!(
        refused.text().contains("it reads `conversation` of the prompt; expected at most `newest`"),
        "{}",
        refused.text()
    );
    assert_eq!(gateway.chat("Hello!").header("x-wasmgate-policy").split('@').next(), Some("complexity"));
    let placed = upload("let newest = request.prompt;");
    assert_eq!(placed.status(), 200, "{}", placed.text());
}

#[test]
fn operators_see_what_each_policy_reads() {
    for (text, reads, words) in [
        (
            "route_to(candidates, `${request.prompt_tokens} tokens`)",
            json!(["none", [], false]),
            "reads nothing of the prompt",
        ),
        (
            "route_to(candidates, `${request.prompt.len}`)",
            json!(["newest", [], false]),
            "reads the user's newest message",
        ),
        (
            "let who = request.tenant; let of = request.labels; route_to(candidates, `${request.messages.len}`)",
            json!(["conversation", ["*"], true]),
            "reads the conversation, all labels, tenant",
        ),
    ] {
        let gateway = script(text).start();
        let shown: Value = gateway.place("routing")["reads"].clone();
        assert_eq!(json!([shown["prompt"], shown["labels"], shown["tenant"]]), reads, "{text}");
        gateway.policies(&["list"]).expect(0, &[words]);
        let words = words.strip_prefix("reads ").unwrap();
        gateway.wait_for_log("what was placed", |line| line["message"] == "policy placed" && line["reads"] == words);
        assert_eq!(gateway.chat("Hello!").status(), 200);
    }
}

#[test]
fn a_policy_says_in_its_manifest_whether_it_can_deny() {
    let can_deny = |setup: Setup| setup.start().place("routing")["can_deny"].clone();
    for (version, says) in [("1.0.0", "unknown"), ("2.0.0", "declared")] {
        assert_eq!(can_deny(Gateway::setup().routing(&component(version))), says, "{version}");
    }
    // With a custom section behind it, a built-in component is one of the operator's own.
    let mut own = wasmgate_policy_host::builtin::component("cheapest-healthy").unwrap().to_vec();
    own.extend(b"\0\x03\x02me");
    assert_eq!(can_deny(Gateway::setup().component("own", &own)), "no");
}

#[test]
fn labels_of_models_and_the_time_that_is_left_reach_policies() {
    let models = r#"
        [backends.sim]
        kind = "sim"
        [backends.sim.sim]
        latency_ms = 0
        [models.first]
        backend = "sim"
        timeouts = { total_seconds = 5 }
        [models.second]
        backend = "sim"
        timeouts = { total_seconds = 50 }
        labels = { quality = "high" }
        "#;
    let text = r#"
        let good = prefer(candidates, |c| c.labels.quality == "high");
        let times = candidates.map(|c| if c.time_left <= 0.0 { "none" } else if c.time_left <= 5.0 { "5" } else { "50" });
        route_to(good, `${times}`)"#;
    let gateway = script(text).models(models).start();
    let answer = gateway.post("/api/v1/complexity", &json!({"prompt": "Hello!"})).expect(200).json();
    assert_eq!(
        (&answer["recommended_model"], &answer["reasoning"]),
        (&json!("second"), &json!("[\"5\", \"50\"]")),
        "{answer}"
    );
    let check = script(text).models(&models.replace("{ quality", "{ Quality")).check();
    check.expect(2, &["models.second.labels.Quality: \"Quality\" is not a label, expected lower-case letters"]);
}

/// A guest that looks at all that there is sees nothing that its manifest does not ask for, not even its length in memory.
#[test]
fn what_a_policy_does_not_ask_for_it_cannot_see() {
    let hash = KeyHash::of(b"wg-anna");
    let groups = format!("[groups.acme.limits]\nusd_per_day = 5\n[keys.anna]\ngroup = \"acme\"\nsha256 = \"{hash}\"\n");
    let gateway = Gateway::setup().top(&groups).server("label_headers = [\"x-team\"]").guest("peeks").start();
    let headers = [("x-api-key", "wg-anna"), ("x-team", "one")];
    let answer = gateway.send(request("POST", "/api/v1/chat", &headers, br#"{"prompt": "secret"}"#)).expect(200);
    assert_eq!((answer.header("x-wasmgate-policy"), answer.header("x-wasmgate-complexity")), ("peeks@1.0.0", "0"));
}

/// Requests that were decided before and after a change of the models come to instances with these models or others.
#[test]
fn models_that_change_are_given_before_the_next_decision() {
    let gateway = Gateway::setup().reloading().guest("models-counted").start();
    let seen = || gateway.chat("hello").expect(200).header("x-wasmgate-complexity").to_owned();
    // The samples had other models and another instance.
    assert_eq!([seen(), seen()], ["0.0103", "0.0103"]);
    gateway.edit_config("[models.phi2]", "[models.more]\nbackend = \"local-sim\"\n[models.phi2]");
    let now = until("the models are others", || Some(seen()).filter(|seen| seen.ends_with("04")));
    assert_eq!([seen(), seen()], [&*now, &*now], "given once");
}
