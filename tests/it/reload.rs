//! Changes while the gateway serves: each way in which files come to be others, what is refused and what then goes on,
//! the configuration as a whole, a restart.
//!
//! Incidents that other hosts of policies had, and what finds them here:
//! - a trapped instance that never recovers: `sandbox::an_instance_that_trapped_is_not_used_again`,
//!   `modes::without_an_earlier_version_the_default_decides_until_the_samples_pass`;
//! - a failure setting lost on the way: `the_failure_setting_survives_each_reload`;
//! - a neighbour's configuration dropped by one bad file: `one_bad_file_does_not_take_its_neighbours_with_it`;
//! - a mutable artefact swapped underneath: `an_artefact_swapped_underneath_is_not_run`;
//! - a half-written file: `a_half_written_file_is_refused_and_its_whole_taken_in`;
//! - a little kept of each version: `swaps::reloads_leave_nothing_behind`;
//! - a lock held across a call: `sandbox::no_lock_is_held_while_a_guest_runs`;
//! - a start that crash-loops on a bad policy: `a_restart_with_a_broken_file_serves_the_last_good_version`;
//! - reloads by reading alone, each minute: `a_touch_without_a_change_changes_nothing`;
//! - a watch gone dead with a swapped link: `a_swapped_link_is_followed_as_kubernetes_swaps_them`;
//! - a stream that keeps the old version's memory: `a_stream_keeps_its_generation_and_its_policys_memory_is_given_back`;
//! - requests that fail while a version is fetched or compiled: `swaps::swaps_go_on_while_a_large_policy_in_javascript_is_admitted`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ends_well};

/// A gateway whose routing policy is the file `live.wasm`, `decides` at first.
fn live() -> Setup {
    Gateway::setup().reloading().component("live", &guests::build("decides"))
}

fn success(gateway: &Gateway) -> f64 {
    gateway.metrics().value("api_gateway_policy_reloads_total", &[("result", "success")])
}

/// Events of a kind in a place, as the admin API tells them.
fn events(gateway: &Gateway, slot: &str, event: &str) -> usize {
    let place = gateway.place(slot);
    place["history"].as_array().unwrap().iter().filter(|entry| entry["event"] == event).count()
}

/// Makes the gateway look at everything at least once more: a change elsewhere has gone in.
fn look_again(gateway: &Gateway) {
    let before = gateway.metrics().value("api_gateway_config_reloads_total", &[("result", "success")]);
    let text = fs::read_to_string(gateway.path("wasmgate.toml")).unwrap();
    gateway.put("wasmgate.toml", format!("{text}\n# looked at\n").as_bytes());
    gateway.wait_metric("api_gateway_config_reloads_total", &[("result", "success")], before + 1.0);
}

#[test]
fn a_file_copied_over_is_taken_in() {
    let gateway = live().start();
    fs::write(gateway.path("live.wasm"), guests::build("second")).unwrap();
    gateway.wait_policy("second@1.0.0");
    assert_eq!(gateway.chat("hello").expect(200).json()["model"], "phi2");
}

#[test]
fn a_file_renamed_over_is_taken_in() {
    let gateway = live().start();
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn a_file_that_an_editor_saved_is_taken_in() {
    let gateway = live().start();
    fs::rename(gateway.path("live.wasm"), gateway.path("live.wasm~")).unwrap();
    fs::write(gateway.path("live.wasm"), guests::build("second")).unwrap();
    fs::remove_file(gateway.path("live.wasm~")).unwrap();
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn a_half_written_file_is_refused_and_its_whole_taken_in() {
    let gateway = live().start();
    let whole = guests::build("second");
    fs::write(gateway.path("live.wasm"), &whole[..whole.len() / 2]).unwrap();
    let place = gateway.wait_place("routing", "half a file is refused", |place| place["refused"]["stage"] == "parsed");
    assert_eq!(place["serving"]["policy"], "decides");
    gateway.wait_metric("api_gateway_policy_last_reload_successful", &[("policy", "decides")], 0.0);
    let stages = |policy| {
        gateway
            .metrics()
            .matching("api_gateway_policy_last_reload_info", &[("policy", policy)])
            .map(|of| of.labels["stage"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(stages("decides"), ["parsed"]);
    fs::write(gateway.path("live.wasm"), &whole).unwrap();
    gateway.wait_policy("second@1.0.0");
    gateway.wait_metric("api_gateway_policy_last_reload_successful", &[("policy", "second")], 1.0);
    assert_eq!(stages("second"), ["serves"]);
    assert_eq!(gateway.place("routing")["refused"], Value::Null);
}

#[test]
fn a_swapped_link_is_followed_as_kubernetes_swaps_them() {
    // A ConfigMap's files are links to `..data/FILE`, and `..data` is a link to the folder of one version.
    let setup = Gateway::setup().reloading().routing("file = \"mount/policy.wasm\"").file("placeholder", b"");
    let folder = setup.written().parent().unwrap().join("mount");
    for (version, guest) in [("..1", "decides"), ("..2", "second")] {
        fs::create_dir_all(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("policy.wasm"), guests::build(guest)).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/policy.wasm", folder.join("policy.wasm")).unwrap();
    let gateway = setup.start();
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
    symlink("..2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    fs::remove_dir_all(folder.join("..1")).unwrap();
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn a_deleted_file_goes_on_serving_and_says_so() {
    let gateway = live().start();
    fs::remove_file(gateway.path("live.wasm")).unwrap();
    let place = gateway.wait_place("routing", "its file is missing", |place| place["source_missing"] == true);
    assert_eq!(place["serving"]["policy"], "decides");
    let _ = gateway.process.wait_line("is missing; the last good version keeps serving");
    gateway.wait_metric("api_gateway_policy_last_reload_successful", &[("policy", "decides")], 0.0);
    gateway.wait_metric("api_gateway_policy_reloads_total", &[("policy", "decides"), ("result", "rejected_read")], 1.0);
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
    fs::write(gateway.path("live.wasm"), guests::build("decides")).unwrap();
    let _ = gateway.wait_place("routing", "its file is back", |place| place["source_missing"] == false);
    gateway.wait_metric("api_gateway_policy_last_reload_successful", &[("policy", "decides")], 1.0);
    assert_eq!(success(&gateway), 0.0, "it is what served all the time");
}

#[test]
fn a_touch_without_a_change_changes_nothing() {
    let gateway = live().start();
    gateway.put("live.wasm", &guests::build("decides"));
    gateway.wait_metric("api_gateway_policy_reloads_total", &[("policy", "decides"), ("result", "unchanged")], 1.0);
    assert_eq!(success(&gateway), 0.0);
    assert_eq!(gateway.admin_get("/policies").expect(200).json()["generation"], 1);
}

#[test]
fn a_folder_that_vanishes_and_comes_back_is_watched_again() {
    let setup = Gateway::setup().reloading().routing("file = \"mount/policy.wasm\"").file("placeholder", b"");
    let folder = setup.written().parent().unwrap().join("mount");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("policy.wasm"), guests::build("decides")).unwrap();
    let gateway = setup.start();
    fs::remove_dir_all(&folder).unwrap();
    let _ = gateway.wait_place("routing", "its file is missing", |place| place["source_missing"] == true);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("policy.wasm"), guests::build("second")).unwrap();
    gateway.wait_policy("second@1.0.0");
    fs::write(folder.join("policy.wasm"), guests::build("decides")).unwrap();
    gateway.wait_policy("decides@1.0.0");
}

#[test]
fn two_hundred_files_changed_at_once_are_one_change() {
    let gateway = live().start();
    for number in 0..200 {
        fs::write(gateway.path(&format!("other-{number}.wasm")), b"not looked at").unwrap();
    }
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    // It is counted after it serves.
    until("the change is counted", || (success(&gateway) >= 1.0).then_some(()));
    assert_eq!(success(&gateway), 1.0);
}

#[test]
fn what_no_hint_tells_of_is_found_by_the_periodic_look() {
    // The system tells of changes in the folder that holds the link, not where it leads.
    let setup = Gateway::setup().reloading().routing("file = \"policy.wasm\"").file("placeholder", b"");
    let folder = setup.written().parent().unwrap().to_owned();
    fs::create_dir(folder.join("elsewhere")).unwrap();
    fs::write(folder.join("elsewhere/real.wasm"), guests::build("decides")).unwrap();
    symlink("elsewhere/real.wasm", folder.join("policy.wasm")).unwrap();
    let gateway = setup.start();
    fs::write(folder.join("elsewhere/real.wasm"), guests::build("second")).unwrap();
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn a_change_of_settings_alone_is_a_new_generation() {
    let gateway = Gateway::setup().reloading().settings("low-below = 0.3").start();
    let before = gateway.place("routing")["serving"]["digest"].clone();
    let model = |gateway: &Gateway| gateway.chat("hello").expect(200).json()["model"].clone();
    assert_eq!(model(&gateway), "tinyllama");
    gateway.edit_config("low-below = 0.3", "low-below = 0.0");
    until("the new threshold counts", || (model(&gateway) == "phi2").then_some(()));
    let place = gateway.place("routing");
    assert_eq!(place["serving"]["digest"], before, "the component is the same");
    assert_eq!(success(&gateway), 1.0);
    assert_eq!(place["previous"].as_array().unwrap().len(), 1, "the old settings can be gone back to");
    let exit = gateway.policies(&["rollback", "routing"]);
    exit.expect(0, &[]);
    until("the old threshold counts again", || (model(&gateway) == "tinyllama").then_some(()));
}

#[test]
fn each_stage_refuses_with_its_name_and_the_old_version_goes_on() {
    let gateway = live().start();
    let twice = [guests::build("passes"), guests::build("passes")].concat();
    let cases: [(&str, Vec<u8>, &str, &str); 8] = [
        ("text", b"not wasm at all".to_vec(), "parsed", "rejected_read"),
        ("core", guests::build_core("decides"), "parsed", "rejected_read"),
        ("twice", twice, "parsed", "rejected_read"),
        ("reaches-out", guests::build("reaches-out"), "admitted", "rejected_abi"),
        ("cost-decides", guests::build("cost-decides"), "admitted", "rejected_abi"),
        ("refuses-settings", guests::build("refuses-settings"), "configured", "rejected_selftest"),
        ("traps-on-probe", guests::build("traps-on-probe"), "probed", "rejected_selftest"),
        ("traps-at-start", guests::build("traps-at-start"), "configured", "rejected_selftest"),
    ];
    let mut counted = std::collections::BTreeMap::new();
    for (name, component, stage, result) in cases {
        let digest = gateway.place("routing")["refused"]["digest"].clone();
        gateway.put("live.wasm", &component);
        let place = gateway
            .wait_place("routing", name, |place| place["refused"].is_object() && place["refused"]["digest"] != digest);
        assert_eq!(place["refused"]["stage"], stage, "{name}: {place}");
        *counted.entry(result).or_insert(0.0) += 1.0;
        let labels = [("policy", "decides"), ("result", result)];
        gateway.wait_metric("api_gateway_policy_reloads_total", &labels, counted[result]);
        assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0", "{name}");
    }
    let _ = gateway.process.wait_line("policy refused; the last good version keeps serving");
}

#[test]
fn what_was_refused_is_not_tried_again_until_it_changes_or_somebody_asks() {
    let gateway = live().start();
    gateway.put("live.wasm", &guests::build("traps-on-probe"));
    let _ = gateway.wait_place("routing", "refused", |place| place["refused"]["stage"] == "probed");
    look_again(&gateway);
    look_again(&gateway);
    assert_eq!(events(&gateway, "routing", "rejected"), 1);
    gateway.policies(&["retry", "routing"]).expect(2, &["not probed"]);
    assert_eq!(events(&gateway, "routing", "rejected"), 2);
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn an_operators_own_fixtures_are_part_of_admission() {
    let fixtures = |model: &str| {
        json!({"fixtures": [{"name": "greetings go to the first", "prompt": "hello", "expect": {"model": model}}]})
            .to_string()
    };
    let gateway = live().file("live.fixtures.json", fixtures("small").as_bytes()).start();
    gateway.put("live.wasm", &guests::build("second"));
    let place = gateway.wait_place("routing", "refused", |place| place["refused"]["stage"] == "probed");
    let reason = place["refused"]["reason"].as_str().unwrap();
    assert!(reason.contains("greetings go to the first") && reason.contains("small"), "{reason}");
    // The fixture was wrong, not the policy.
    gateway.put("live.fixtures.json", fixtures("medium").as_bytes());
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn changes_of_one_configuration_file_go_in_together_or_not_at_all() {
    let gateway = live().file("cost.wasm", &guests::build("cost-decides")).cost("file = \"cost.wasm\"").start();
    for (name, guest) in [("next.wasm", "second"), ("next-cost.wasm", "traps-on-probe")] {
        gateway.put(name, &guests::build(guest));
    }
    let text = fs::read_to_string(gateway.path("wasmgate.toml")).unwrap();
    let both = text.replace("\"live.wasm\"", "\"next.wasm\"").replace("\"cost.wasm\"", "\"next-cost.wasm\"");
    gateway.put("wasmgate.toml", both.as_bytes());
    gateway.wait_metric("api_gateway_config_last_reload_successful", &[], 0.0);
    let config = gateway.admin_get("/policies").expect(200).json()["config"].clone();
    assert!(config["refused"].as_str().unwrap().contains("policies.cost"), "{config}");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
    // The file that was the matter is mended: the configuration is tried again.
    gateway.put("next-cost.wasm", &guests::build("cost-exaggerates"));
    gateway.put("next-cost.wasm", &guests::build("cost-decides"));
    gateway.wait_policy("second@1.0.0");
    gateway.wait_metric("api_gateway_config_last_reload_successful", &[], 1.0);
}

#[test]
fn models_and_prices_change_with_their_configuration() {
    let gateway = live().start();
    gateway.edit_config("input_usd_per_million_tokens = 3.0", "input_usd_per_million_tokens = 4.0");
    let price = |gateway: &Gateway, name: &str| {
        let models = gateway.get("/api/v1/models").expect(200).json();
        let model = models["models"].as_array().unwrap().iter().find(|model| model["model"] == name).cloned();
        model.map(|model| model["price"]["input_usd_per_million_tokens"].clone())
    };
    until("the new price counts", || (price(&gateway, "claude-sonnet") == Some(json!(4.0))).then_some(()));
    gateway.edit_config("[models.phi2]", "[models.phi3]\nbackend = \"local-sim\"\n[models.phi2]");
    until("there is a new model", || price(&gateway, "phi3"));
    let answer = gateway.post("/api/v1/chat", &json!({"prompt": "hello", "model": "phi3"})).expect(200);
    assert_eq!(answer.json()["model"], "phi3");
    gateway.edit_config("[models.phi3]\nbackend = \"local-sim\"\n", "");
    until("it is gone again", || price(&gateway, "phi3").is_none().then_some(()));
    let _ = gateway.post("/api/v1/chat", &json!({"prompt": "hello", "model": "phi3"})).expect(404);
}

#[test]
fn a_broken_configuration_is_refused_with_its_line_and_the_old_one_goes_on() {
    let gateway = live().start();
    for (text, said) in
        [("[server\n", "wasmgate.toml:"), ("[serverr]\n", "did you mean `server`"), ("", "the file is empty")]
    {
        let good = fs::read_to_string(gateway.path("wasmgate.toml")).unwrap();
        gateway.put("wasmgate.toml", text.as_bytes());
        until(said, || {
            let config = gateway.admin_get("/policies").expect(200).json()["config"].clone();
            config["refused"].as_str().is_some_and(|reason| reason.contains(said)).then_some(())
        });
        let _ = gateway.chat("hello").expect(200);
        gateway.put("wasmgate.toml", good.as_bytes());
        gateway.wait_metric("api_gateway_config_last_reload_successful", &[], 1.0);
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_like_one_that_is_wrong() {
    let gateway = live().start();
    let config = gateway.path("wasmgate.toml");
    let good = fs::read(&config).unwrap();
    let mut refusals = 0.0;
    let mut check = |what: &str, reason: &str| {
        let refused = until(what, || {
            let status = gateway.admin_get("/policies").expect(200).json();
            let refused = status["config"]["refused"].as_str()?.to_owned();
            refused.contains(reason).then_some(refused)
        });
        assert!(refused.contains("wasmgate.toml:") && refused.contains("a restart fails"), "{what}: {refused}");
        // Each sentence has its line.
        gateway.policies(&["list"]).expect(0, &["\n    until this is mended, a restart fails\n"]);
        refusals += 1.0;
        gateway.wait_metric("api_gateway_config_reloads_total", &[("result", "rejected")], refusals);
        gateway.wait_metric("api_gateway_config_last_reload_successful", &[], 0.0);
        gateway.policies(&["list"]).expect(0, &["current file refused", reason]);
        let event = gateway.admin_get("/history").expect(200).json()["history"][0].clone();
        assert_eq!(event["event"], "config_refused", "{what}: {event}");
        let line = gateway.process.wait_line(reason);
        assert!(line.contains("configuration refused; the last good one keeps serving"), "{line}");
        let _ = gateway.chat("hello").expect(200);
    };
    fs::remove_file(&config).unwrap();
    check("it is deleted", "the file does not exist");
    fs::create_dir(&config).unwrap();
    check("it is a folder", "a folder, expected a file");
    fs::remove_dir(&config).unwrap();
    symlink("nowhere", &config).unwrap();
    check("its link leads nowhere", "the file does not exist");
    fs::remove_file(&config).unwrap();
    fs::write(&config, "").unwrap();
    check("it is empty", "the file is empty");
    fs::write(&config, b"# \xff\xfe").unwrap();
    check("it is no text", "which is not UTF-8");
    fs::write(&config, good).unwrap();
    gateway.wait_metric("api_gateway_config_last_reload_successful", &[], 1.0);
    let _ = gateway.process.wait_line("the configuration file has the content that serves again");
    assert_eq!(gateway.admin_get("/policies").expect(200).json()["config"]["refused"], Value::Null);
}

#[test]
fn what_needs_a_restart_is_said() {
    let gateway = live().start();
    gateway.edit_config("[server]", "[server]\nmax_connections = 17");
    let line = gateway.process.wait_line("need a restart");
    assert!(line.contains("server.max_connections"), "{line}");
}

#[test]
fn a_restart_with_a_broken_file_serves_the_last_good_version() {
    let gateway = live().start();
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    gateway.wait_place("routing", "kept", |place| !place["previous"].as_array().unwrap().is_empty());
    fs::write(gateway.path("live.wasm"), b"broken in the night").unwrap();
    let _ = gateway.wait_place("routing", "refused", |place| place["refused"].is_object());
    let gateway = gateway.restart("TERM");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0");
    assert_eq!(gateway.place("routing")["refused"]["stage"], "parsed", "and it still says why");
    fs::remove_file(gateway.path("live.wasm")).unwrap();
    let gateway = gateway.restart("TERM");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0");
    assert_eq!(gateway.place("routing")["source_missing"], true);
}

#[test]
fn a_file_broken_while_the_gateway_was_down_is_refused_at_the_start() {
    let gateway = live().start();
    let folder = gateway.path("");
    let setup_file = folder.join("live.wasm");
    gateway.process.signal("KILL");
    fs::write(&setup_file, guests::build("traps-on-probe")).unwrap();
    let gateway = gateway.restart("KILL");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
    assert_eq!(gateway.place("routing")["refused"]["stage"], "probed");
}

#[test]
fn two_builds_of_one_version_keep_series_of_their_own() {
    let gateway = live().start();
    gateway.put("live.wasm", &component_with_another_byte("decides"));
    let place = gateway.wait_place("routing", "the other build", |place| place["serving"]["version"] != "1.0.0");
    let version = place["serving"]["version"].as_str().unwrap().to_owned();
    assert_eq!(version, format!("1.0.0+{}", &place["serving"]["digest"].as_str().unwrap()[..8]));
    let _ = gateway.chat("hello").expect(200);
    gateway.wait_metric("api_gateway_policy_decisions_total", &[("version", &version), ("outcome", "route")], 1.0);
}

#[test]
fn series_of_what_left_are_taken_out_after_their_time() {
    let gateway = live().top("keep_series_seconds = 0.1").start();
    let _ = gateway.chat("hello").expect(200);
    gateway.wait_metric("api_gateway_policy_decisions_total", &[("policy", "decides"), ("outcome", "route")], 1.0);
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    until("the old version's series are gone", || {
        let metrics = gateway.metrics();
        let left = metrics.series().iter().filter(|series| series.contains("\"decides\"")).count();
        (left == 0).then_some(())
    });
    assert!(gateway.metrics().value("api_gateway_policy_decisions_total", &[("policy", "second")]) > 0.0);
    assert!(gateway.metrics().find("api_gateway_requests_total", &[("model", "none")]).is_some());
}

#[test]
fn a_stream_keeps_its_generation_and_its_policys_memory_is_given_back() {
    let gate = Gate::default();
    let backend = held_stream(&gate);
    let gateway = live().top("drain_seconds = 0.1").model("only", Dialect::OpenAi, &backend).start();
    let mut stream = gateway.stream("/api/v1/chat", &json!({"prompt": "hello", "stream": true}));
    assert_eq!(stream.head.header("x-wasmgate-policy"), Some("decides@1.0.0"));
    gateway.put("live.wasm", &guests::build("passes"));
    gateway.wait_metric("api_gateway_live_snapshots", &[], 2.0);
    let _ = gateway.process.wait_line("a replaced policy was released");
    assert!(gateway.metrics().value("api_gateway_oldest_snapshot_draining_seconds", &[]) > 0.0);
    gate.open();
    let data = stream.all();
    assert!(ends_well("/api/v1/chat", &data), "{data:?}");
    gateway.wait_metric("api_gateway_live_snapshots", &[], 1.0);
}

#[test]
fn a_policy_that_was_released_while_it_was_disabled_is_loaded_anew() {
    let gate = Gate::default();
    let backend = held_stream(&gate);
    let setup = live().top("drain_seconds = 0.1").routing("enabled = true").model("only", Dialect::OpenAi, &backend);
    let gateway = setup.start();
    let mut stream = gateway.stream("/api/v1/chat", &json!({"prompt": "hello", "stream": true}));
    gateway.edit_config("enabled = true", "enabled = false");
    let _ = gateway.process.wait_line("a replaced policy was released");
    gateway.edit_config("enabled = false", "enabled = true");
    let decided = || {
        let asked = gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200).json();
        (asked["policy"] == "decides").then_some(())
    };
    until("it decides again", decided);
    assert_eq!(gateway.metrics().value("api_gateway_policy_failures_total", &[("policy", "decides")]), 0.0);
    gate.open();
    assert!(ends_well("/api/v1/chat", &stream.all()));
}

#[test]
fn a_configuration_behind_a_link_that_moves_has_one_state() {
    // As a ConfigMap, or a folder of releases with a link to the newest.
    let setup = live();
    let config = setup.written();
    let folder = config.parent().unwrap().to_owned();
    for version in ["..1", "..2"] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::copy(&config, folder.join(version).join("wasmgate.toml")).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    fs::remove_file(&config).unwrap();
    symlink("..data/wasmgate.toml", &config).unwrap();
    let gateway = setup.start();
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    symlink("..2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    fs::write(gateway.path("live.wasm"), b"broken in the night").unwrap();
    let _ = gateway.wait_place("routing", "refused", |place| place["refused"].is_object());
    let gateway = gateway.restart("TERM");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0");
}

#[test]
fn the_failure_setting_survives_each_reload() {
    // A gateway that lost its operators' fail-closed on the way let everything through.
    let gateway = live().routing("on_failure = \"fail-closed\"\nbreaker = { enabled = false }").start();
    for guest in ["traps", "second", "traps"] {
        gateway.put("live.wasm", &guests::build(guest));
        let _ = gateway.wait_place("routing", guest, |place| place["serving"]["policy"] == guest);
        let _ = gateway.chat("hello").expect(if guest == "traps" { 503 } else { 200 });
    }
    gateway.edit_config("fail-closed", "default-decision");
    until("the default decides", || (gateway.chat("hello").status() == 200).then_some(()));
}

#[test]
fn one_bad_file_does_not_take_its_neighbours_with_it() {
    // A host that discarded a whole configuration for one failed fetch dropped authentication with it.
    let gateway = live().file("cost.wasm", &guests::build("cost-decides")).cost("file = \"cost.wasm\"").start();
    gateway.put("live.wasm", b"broken");
    gateway.put("cost.wasm", &guests::build("cost-exaggerates"));
    let _ = gateway.wait_place("routing", "refused", |place| place["refused"].is_object());
    gateway.put("cost.wasm", &component_with_another_byte("cost-decides"));
    let _ = gateway.wait_place("cost", "taken in", |place| place["serving"]["version"] != "1.0.0");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
}

#[test]
fn an_artefact_swapped_underneath_is_not_run() {
    // Hosts that mapped compiled files, or trusted what they found, ran whatever was put there.
    let setup = Gateway::setup().top("cache_dir = \"cache\"\nstate_dir = \"state\"").reloading();
    let gateway = setup.component("live", &guests::build("decides")).start();
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    // It serves before it is on the disk.
    let digest = gateway.place("routing")["serving"]["digest"].as_str().unwrap().to_owned();
    let kept = |folder: &Path| {
        fs::read_dir(folder.join("components"))
            .is_ok_and(|mut found| found.any(|entry| entry.unwrap().file_name().to_str() == Some(digest.as_str())))
    };
    until("it is kept", || {
        let mut folders = fs::read_dir(gateway.path("state")).unwrap();
        folders.any(|folder| kept(&folder.unwrap().path())).then_some(())
    });
    for folder in ["cache", "state"] {
        let mut spoilt = 0;
        spoil(&gateway.path(folder), &mut spoilt);
        assert!(spoilt > 0, "{folder} holds nothing");
    }
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0");
    // What was compiled is compiled again; what was kept is not believed.
    fs::write(gateway.path("live.wasm"), guests::build("decides")).unwrap();
    gateway.wait_policy("decides@1.0.0");
    gateway.policies(&["rollback", "routing"]).expect(2, &["missing or damaged"]);
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
}

/// A backend whose streams stop after their first text until the gate is opened.
fn held_stream(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::start(move |_| {
        let frames = Dialect::OpenAi.frames(&["one", "two"], Usage { input: 1, output: 2 });
        let (first, rest) = frames.split_at(2);
        Reply::stream(Dialect::OpenAi.stream_type()).frames(first).gate(&gate).frames(rest).end()
    })
}

/// Changes a byte in the middle of each component and artefact below a folder.
fn spoil(folder: &Path, spoilt: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            spoil(&path, spoilt);
        } else if path.extension().is_none_or(|extension| extension == "artefact") {
            let mut bytes = fs::read(&path).unwrap();
            if bytes.is_empty() {
                // The lock of the folder.
                continue;
            }
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            *spoilt += 1;
        }
    }
}

/// Another build of a guest that calls itself the same.
fn component_with_another_byte(guest: &str) -> Vec<u8> {
    let mut component = guests::build(guest);
    let at = component.windows(7).position(|bytes| bytes == b"as told").unwrap();
    component[at] = b'A';
    component
}
