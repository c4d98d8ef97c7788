//! `wasmgate calibrate` on the decision log of a gateway: what it finds, what it refuses, and what it never writes.

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, run};
use wasmgate_tests::process::Exit;

/// Two models of which `complexity` makes its tiers.
const MODELS: &str = r#"
    [backends.sim]
    kind = "sim"
    [backends.sim.sim]
    latency_ms = 0
    tokens_per_second = inf
    [models.small]
    backend = "sim"
    [models.large]
    backend = "sim"
"#;

/// A gateway whose log has so many questions for `small` as demands for `large`, and texts.
fn logged(each: usize) -> Gateway {
    let setup = Gateway::setup().top("[decisions]\ndir = \"log\"\ncontent = \"full\"\n");
    let gateway = setup.routing("builtin = \"complexity\"").models(MODELS).start();
    for _ in 0..each {
        for prompt in ["what is a heron?", "design, implement and optimize a class, and build a test"] {
            let _ = gateway.chat(prompt).expect(200);
        }
    }
    gateway.wait_metric("api_gateway_decision_log_lines_total", &[("result", "written")], (4 * each) as f64);
    gateway
}

/// A calibration of the gateway's log. A loaded machine must not make a policy fail.
fn calibrate(gateway: &Gateway, policy: &str, target: &str, more: &[&str]) -> Exit {
    let log = gateway.path("log");
    let asked =
        ["calibrate", policy, "--log", log.to_str().unwrap(), "--target", target, "--limit", "call_time_ms=5000"];
    run(&[&asked, more].concat())
}

#[test]
fn a_setting_is_found_written_and_has_its_figures_beside_it() {
    let gateway = logged(60);
    let (before, out) = (gateway.path("before.toml"), gateway.path("after.toml"));
    std::fs::write(&before, "low-below = 0.0\nhigh-above = 1.0\n").unwrap();
    let (before, out) = (before.to_str().unwrap(), out.to_str().unwrap());
    // Who is held out depends on the requests' ids: a part of a small log is far from the whole.
    let more = ["--settings", before, "--setting", "low-below", "--within", "30"];
    let exit = calibrate(&gateway, "complexity", "share:large=50%", &[&more[..], &["--out", out]].concat());
    exit.expect(
        0,
        &[
            "share:large=50%, within 30.00 points",
            "120 decisions from",
            "low-below = ",
            "held out",
            "written",
            "quality",
        ],
    );
    let text = std::fs::read_to_string(out).unwrap();
    let settings: toml::Table = text.parse().unwrap();
    let low = settings["low-below"].as_float().unwrap();
    assert!(low > 0.0 && low < 1.0 && settings["high-above"].as_float() == Some(1.0), "{text}");
    for comment in
        ["# Written by `wasmgate calibrate` for complexity@", "# low-below was 0.0", "# Predicted: ", "# Held out: "]
    {
        assert!(text.contains(comment), "{comment} in {text}");
    }
    // Without a file it is printed, the same each time; as JSON with all values that were tried.
    let printed = calibrate(&gateway, "complexity", "share:large=50%", &more);
    printed.expect(0, &[&format!("low-below = {low}")]);
    assert_eq!(printed.stdout, calibrate(&gateway, "complexity", "share:large=50%", &more).stdout);
    let exit = calibrate(&gateway, "complexity", "share:large=50%", &[&more[..], &["--json"]].concat());
    let all: Value = serde_json::from_str(&exit.stdout).unwrap();
    assert_eq!((&all["reached"], &all["confirmed"], &all["records"]), (&json!(true), &json!(true), &json!(120)));
    assert_eq!((&all["settings"]["low-below"], &all["nearest"]["setting"]), (&json!(low), &json!("low-below")));
    let points = all["curves"][0]["points"].as_array().unwrap();
    assert!(points.len() > 20 && points.iter().all(|point| point["predicted"]["low"].is_number()), "{all:#}");
    // Both parts are there, and neither has all.
    let parts = ["training_decisions", "held_out_decisions"].map(|part| all["nearest"][part].as_u64().unwrap());
    assert!(parts[0] > parts[1] && parts[1] > 0 && parts.iter().sum::<u64>() == 120, "{parts:?}");
}

#[test]
fn a_target_out_of_reach_names_the_nearest_figure_and_writes_nothing() {
    let gateway = logged(10);
    let out = gateway.path("after.toml");
    let more = ["--out", out.to_str().unwrap()];
    // No threshold makes the demands simple.
    calibrate(&gateway, "complexity", "share:small=100%", &more)
        .expect(1, &["cannot be reached. Nearest: ", "No settings were written"]);
    // Too few answers to say how long another model's take: no figure instead of a guess.
    let exit = calibrate(&gateway, "complexity", "p95=2000s", &[&more[..], &["--json"]].concat());
    exit.expect(1, &[]);
    let all: Value = serde_json::from_str(&exit.stdout).unwrap();
    let points = all["curves"][0]["points"].as_array().unwrap();
    let unknown = |point: &&Value| point["predicted"].is_null() && point["too_few_answers"]["large"].is_number();
    assert!(points.iter().any(|point| unknown(&point)) && all["settings"].is_null(), "{all:#}");
    assert!(!out.exists());
}

#[test]
fn what_cannot_be_calibrated_is_refused_by_name() {
    let gateway = logged(2);
    let to = |target: &str, more: &[&str]| calibrate(&gateway, "complexity", target, more);
    to("share:huge=30%", &[]).expect(2, &["--target", "\"huge\"", "large, small"]);
    to("quality=9%", &[]).expect(2, &["share:MODEL=N%", "spend=$400/month", "p95=2s"]);
    to("share:large=30%", &["--setting", "low-models"]).expect(2, &["low-models", "low-below, high-above"]);
    to("share:large=30%", &["--within", "0"]).expect(2, &["above 0"]);
    to("share:large=30%", &["--hook", "cost"]).expect(2, &["expected routing"]);
    let script = gateway.path("first.rhai");
    std::fs::write(&script, "// version: 1.0.0\nfn route(request, candidates) { route_to(candidates, \"all\") }\n")
        .unwrap();
    calibrate(&gateway, script.to_str().unwrap(), "share:large=30%", &[]).expect(2, &["nothing to calibrate"]);
    run(&["calibrate", "complexity", "--log", "/nowhere", "--target", "p95=2s"])
        .expect(2, &["/nowhere", "decisions.dir"]);
}

#[test]
fn found_settings_are_handed_to_the_gateway_as_its_canary() {
    let gateway = logged(60);
    let before = gateway.path("before.toml");
    std::fs::write(&before, "low-below = 0.0\nhigh-above = 1.0\n").unwrap();
    let url = format!("http://{}", gateway.admin);
    let settings =
        ["--settings", before.to_str().unwrap(), "--setting", "low-below", "--within", "30", "--apply", "--admin"];
    let apply = |url: &str, more: &[&str]| {
        calibrate(&gateway, "complexity", "share:large=50%", &[&settings[..], &[url], more].concat())
    };
    let exit = apply(&url, &["--canary-percent", "20", "--json"]);
    exit.expect(0, &[]);
    let all: Value = serde_json::from_str(&exit.stdout).unwrap();
    assert_eq!(
        (&all["applied"]["slot"], &all["applied"]["share_percent"]),
        (&json!("routing.canary"), &json!(20.0)),
        "{all:#}"
    );
    let place = gateway.wait_place("routing.canary", "serving", |place| place["state"] == "serving");
    for (setting, value) in all["settings"].as_object().unwrap() {
        assert_eq!(&place["settings"][setting], value, "{place:#}");
    }
    apply(&url, &[]).expect(0, &["low-below = ", "routing.canary"]);
    // Who cannot be reached is told at once, and who did not ask to apply has no share to give.
    apply("http://127.0.0.1:1", &[]).expect(1, &["cannot reach http://127.0.0.1:1"]);
    calibrate(&gateway, "complexity", "share:large=50%", &["--canary-percent", "20"]).expect(2, &["--apply"]);
}
