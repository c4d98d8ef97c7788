//! An operator's own models: the tiers that the gateway makes of them, and names in settings that no model has.

use serde_json::{Value, json};
use wasmgate_policy_host::builtin;
use wasmgate_tests::gateway::{Gateway, Setup};

const LOW: &str = "list three fruits";
const MEDIUM: &str = "analyze and design a logo";
const HIGH: &str = "design and build: def f(x): return class";

/// Simulated models of these names, with their price in dollars for a million tokens in or out.
fn models(models: &[(&str, f64)]) -> String {
    let mut text =
        "[backends.sim]\nkind = \"sim\"\n[backends.sim.sim]\nlatency_ms = 0\ntokens_per_second = inf\n".to_owned();
    for (name, price) in models {
        text += &format!(
            "[models.{name}]\nbackend = \"sim\"\nprice = {{ input_usd_per_million_tokens = {price:?}, \
             output_usd_per_million_tokens = {price:?} }}\n"
        );
    }
    text
}

/// A gateway whose models are these, and not in the order of their price.
fn own() -> Setup {
    Gateway::setup().reloading().models(&models(&[("mistral", 2.0), ("llama3", 0.1), ("qwen", 9.0)]))
}

fn model(gateway: &Gateway, prompt: &str) -> Value {
    gateway.chat(prompt).expect(200).json()["model"].clone()
}

/// What `policies list` prints, without its line breaks.
fn list(gateway: &Gateway) -> String {
    gateway.policies(&["list"]).text().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unknown(gateway: &Gateway) -> f64 {
    let labels = [("policy", "complexity"), ("mode", "active")];
    gateway.metrics().value("api_gateway_policy_unknown_models", &labels)
}

#[test]
fn tiers_are_made_of_the_configured_models_and_shown() {
    let tiers = r#"low-models = ["llama3"], medium-models = ["mistral"], high-models = ["qwen"]"#;
    own().check().expect(0, &[&format!("policy routing: {tiers} (made from the configured models, by price)")]);
    let gateway = own().start();
    for (prompt, expected) in [(LOW, "llama3"), (MEDIUM, "mistral"), (HIGH, "qwen")] {
        assert_eq!(model(&gateway, prompt), expected, "{prompt}");
    }
    gateway.wait_for_log("the tiers", |line| line["tiers"].as_str().is_some_and(|text| text.starts_with(tiers)));
    assert!(list(&gateway).contains(&format!("default models, by price: {tiers}")), "{}", list(&gateway));
    assert_eq!(gateway.place("routing")["default_models"]["order"], "price");
    assert_eq!(unknown(&gateway), 0.0);
}

#[test]
fn changed_models_make_the_tiers_anew_and_leave_the_version() {
    let gateway = own().start();
    let tier = |place: &Value, tier: &str| place["default_models"]["models"][tier].clone();
    gateway.put_config(&models(&[("gemma", 0.2), ("qwen", 9.0)]));
    let place = gateway.wait_place("routing", "other tiers", |place| tier(place, "low-models") == json!(["gemma"]));
    assert_eq!((tier(&place, "medium-models"), tier(&place, "high-models")), (json!([]), json!(["qwen"])));
    assert_eq!((&place["previous"], &place["refused"]), (&json!([]), &Value::Null), "it is the same version");
    assert_eq!(model(&gateway, LOW), "gemma");
    assert_eq!(model(&gateway, HIGH), "qwen");
}

#[test]
fn a_restart_makes_the_tiers_of_what_is_configured_then() {
    let mut gateway = own().start();
    gateway.sigterm();
    gateway.wait_exit();
    gateway.put_config(&models(&[("qwen", 9.0), ("gemma", 0.2)]));
    gateway.start_again();
    assert_eq!(model(&gateway, LOW), "gemma");
}

#[test]
fn a_name_that_no_model_has_is_said_everywhere() {
    let setup = || own().settings("low-models = [\"lama3\", \"mistral\"]\nmedium-models = []");
    let warning =
        r#"no configured model has these names, which have no effect: low-models = ["lama3"]; did you mean "llama3"?"#;
    let tiers = r#"policy routing: high-models = ["llama3", "qwen"] (made from"#;
    setup().check().expect(0, &["warning: ", "policies.routing.settings: ", warning, tiers]);
    let gateway = setup().start();
    gateway.wait_for_log("the warning", |line| line["message"].as_str().is_some_and(|text| text.contains(warning)));
    assert!(list(&gateway).contains(r#"names models that are not configured: low-models = ["lama3"]"#));
    assert_eq!(gateway.place("routing")["unknown_models"], json!({"low-models": ["lama3"]}));
    assert_eq!(unknown(&gateway), 1.0);

    // A change of the models mends it, or makes it worse.
    gateway.edit_config("[models.llama3]", "[models.lama3]");
    gateway.wait_metric("api_gateway_policy_unknown_models", &[("policy", "complexity")], 0.0);
    gateway.edit_config("[models.lama3]", "[models.llama3]");
    gateway.wait_metric("api_gateway_policy_unknown_models", &[("policy", "complexity")], 1.0);
    let before = gateway.metrics().value("api_gateway_config_reloads_total", &[("result", "rejected")]);
    gateway.edit_config("[models.mistral]", "[models.mixtral]");
    gateway.wait_metric("api_gateway_config_reloads_total", &[("result", "rejected")], before + 1.0);
    let reason = r#"no model that its settings name is configured: low-models = ["lama3", "mistral"]"#;
    assert!(list(&gateway).contains("current file refused") && list(&gateway).contains(reason), "{}", list(&gateway));
    assert_eq!(model(&gateway, LOW), "mistral", "the last good configuration serves");
}

#[test]
fn settings_that_name_no_configured_model_are_refused() {
    let setup = || own().settings("low-models = [\"tinyllama\"]\nhigh-models = [\"gpt-5\"]");
    let reason = "no model that its settings name is configured: low-models = [\"tinyllama\"], high-models = [\"gpt-5\"]; \
                  expected names of configured models: mistral, llama3, qwen";
    setup().check().expect(2, &["policies.routing", reason]);
    setup().refused().expect(2, &[reason]);
}

#[test]
fn a_setting_of_any_policy_that_names_models_is_checked() {
    let setup = |names: &str| own().routing("builtin = \"budget-guard\"").settings(&format!("models = {names}"));
    setup("[\"qwen\", \"opus\"]").check().expect(0, &["names, which have no effect: models = [\"opus\"]"]);
    setup("[\"opus\"]").check().expect(2, &["no model that its settings name is configured: models = [\"opus\"]"]);
    setup("[]").check().expect(0, &["valid: "]);
}

#[test]
fn a_canary_that_names_no_configured_model_is_refused_and_the_active_version_serves() {
    let gateway = own().start();
    let (component, settings) = (gateway.path("budget-guard.wasm"), gateway.path("settings.json"));
    std::fs::write(&component, builtin::component("budget-guard").unwrap()).unwrap();
    std::fs::write(&settings, "{\"models\": [\"opus\"]}").unwrap();
    let upload = ["upload", "routing.canary", component.to_str().unwrap(), "--percent", "50", "--settings"];
    let arguments = [&upload[..], &[settings.to_str().unwrap()]].concat();
    gateway.policies(&arguments).expect(2, &["not configured: no model that its settings name is configured"]);
    assert_eq!(model(&gateway, LOW), "llama3");
}

#[test]
fn names_in_a_scripts_constants_are_checked_and_never_refused() {
    let script = "// name: mine\nconst SMALL_MODELS = [\"lama3\", \"mistral\"];\nconst OTHER = \"opus\";\n\
                  fn route(request, candidates) { route_to(prefer(candidates, SMALL_MODELS), \"why\") }";
    let setup = || own().file("route.rhai", script.as_bytes()).routing("file = \"route.rhai\"");
    let warning = r#"policies.routing: no configured model has these names, which have no effect: const SMALL_MODELS = ["lama3"]; did you mean "llama3"?"#;
    setup().check().expect(0, &["warning: ", warning]);
    let gateway = setup().start();
    gateway.wait_for_log("the warning", |line| line["message"] == warning);
    assert!(list(&gateway).contains(r#"names models that are not configured: const SMALL_MODELS = ["lama3"]"#));
    gateway.wait_metric("api_gateway_policy_unknown_models", &[("policy", "mine"), ("mode", "active")], 1.0);
    // One of which no name is known may still decide well.
    gateway.put("route.rhai", script.replace("\"mistral\"", "\"opus\"").as_bytes());
    gateway.wait_metric("api_gateway_policy_unknown_models", &[("policy", "mine"), ("mode", "active")], 2.0);
    assert_eq!(model(&gateway, LOW), "mistral", "the first of the candidates");
}

#[test]
fn an_uploaded_version_whose_models_leave_the_configuration_is_warned_of() {
    let gateway = own().start();
    let (component, settings) = (gateway.path("budget-guard.wasm"), gateway.path("settings.json"));
    std::fs::write(&component, builtin::component("budget-guard").unwrap()).unwrap();
    std::fs::write(&settings, "{\"models\": [\"llama3\"]}").unwrap();
    let upload = ["upload", "routing", component.to_str().unwrap(), "--settings", settings.to_str().unwrap()];
    gateway.policies(&upload).expect(0, &["budget-guard@"]);
    let labels = [("policy", "budget-guard"), ("mode", "active")];
    gateway.wait_metric("api_gateway_policy_unknown_models", &labels, 0.0);
    gateway.edit_config("[models.llama3]", "[models.llama4]");
    gateway.wait_metric("api_gateway_policy_unknown_models", &labels, 1.0);
    assert!(
        list(&gateway).contains(r#"names models that are not configured: models = ["llama3"]"#),
        "{}",
        list(&gateway)
    );
    gateway.wait_for_log("the warning", |line| {
        let text = line["message"].as_str().unwrap_or_default();
        text.contains("names, which have no effect: models = [\"llama3\"]") && text.contains("did you mean \"llama4\"?")
    });
}
