//! Places: each slot with its version has series of its own, whatever the versions share: the component, the settings, the
//! script's name and version. All slots of both hooks are full, so that every two places are in conflict.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::scrape::{Metrics, Sample};
use wasmgate_tests::wait::until;

const SLOTS: [&str; 10] = [
    "routing",
    "routing.canary",
    "routing.shadows.a",
    "routing.shadows.b",
    "routing.shadows.c",
    "cost",
    "cost.canary",
    "cost.shadows.a",
    "cost.shadows.b",
    "cost.shadows.c",
];

/// The metrics of a version in a slot, and whether those of the cost hook exist.
const OF_PLACES: [(&str, bool); 13] = [
    ("api_gateway_policy_decisions_total", false),
    ("api_gateway_policy_evaluation_seconds_count", true),
    ("api_gateway_policy_failures_total", true),
    ("api_gateway_policy_estimated_cost_usd_total", false),
    ("api_gateway_policy_info", true),
    ("api_gateway_policy_instances", true),
    ("api_gateway_policy_memory_bytes", true),
    ("api_gateway_policy_reloads_total", true),
    ("api_gateway_policy_last_reload_info", true),
    ("api_gateway_policy_last_reload_successful", true),
    ("api_gateway_policy_last_reload_success_timestamp_seconds", true),
    ("api_gateway_policy_call_limit_seconds", true),
    ("api_gateway_policy_breaker_open", true),
];

/// Where a version of one hook meets one of the same or of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conflict {
    /// One script with the same settings everywhere.
    OneScript,
    /// Two scripts of one name and version, one in every other slot; the two choose opposite models.
    OneName,
    /// One component for each hook, with other settings in each slot.
    OtherSettings,
}

/// A script for both hooks that fails in `broken` on prompts that begin with `!`, and prefers the first or the last model.
fn script(broken: &str, first: bool) -> String {
    let fail = |hook: &str| {
        if hook == broken { "if request.prompt.starts_with(\"!\") { throw \"asked for\"; }" } else { "" }
    };
    let order = if first { "" } else { "candidates.reverse();" };
    format!(
        "// name: mine\n// version: 1.0.0\n\
         fn route(request, candidates) {{ {} {order} route_to(candidates, \"{first}\") }}\n\
         fn estimate(request, candidates) {{ {} candidates.map(|one| one.cost_estimate(10, 10)) }}",
        fail("routing"),
        fail("cost"),
    )
}

/// All slots full. `broken`: the hook whose scripts fail on prompts that begin with `!`.
fn full(conflict: Conflict, broken: &str) -> Setup {
    let mut setup = Gateway::setup().reloading();
    for (number, slot) in SLOTS.into_iter().enumerate() {
        let (hook, place) = slot.split_once('.').unwrap_or((slot, ""));
        let first = conflict == Conflict::OneScript || number % 2 == 0;
        let file = format!("{}.rhai", slot.replace('.', "-"));
        setup = setup.file(&file, script(broken, first).as_bytes());
        let policy = match (conflict, hook) {
            (Conflict::OneScript | Conflict::OneName, _) => format!("file = {file:?}"),
            (Conflict::OtherSettings, "routing") => {
                format!("builtin = \"complexity\"\nsettings.low-below = 0.{}", number + 1)
            }
            (Conflict::OtherSettings, _) => {
                format!("builtin = \"token-cost\"\nsettings.expected-output-tokens = {}", number + 1)
            }
        };
        let more = match place {
            "" => "breaker = { min_calls = 3, retry_seconds = 600 }",
            "canary" => "percent = 50\nabort = { min_samples = 1_000_000 }\nlimits.call_time_ms = 5000",
            _ => "limits.call_time_ms = 5000",
        };
        let prefix = if place.is_empty() { String::new() } else { format!("{place}.") };
        let (settings, lines): (Vec<&str>, Vec<&str>) =
            policy.lines().chain(more.lines()).partition(|line| slot == "routing" && line.starts_with("settings."));
        // The settings and limits of the active routing policy are tables of the setup.
        setup = settings.iter().fold(setup, |setup, line| setup.settings(line.trim_start_matches("settings.")));
        let lines: String = lines.iter().map(|line| format!("{prefix}{line}\n")).collect();
        setup = if hook == "routing" { setup.routing(&lines) } else { setup.cost(&lines) };
    }
    setup.cost("limits.call_time_ms = 5000")
}

/// What `policies list` says of each slot.
fn listed(gateway: &Gateway) -> BTreeMap<String, Value> {
    let policies = gateway.admin_get("/policies").expect(200).json()["policies"].clone();
    let policies = policies.as_array().unwrap().iter();
    policies.map(|place| (place["slot"].as_str().unwrap().to_owned(), place.clone())).collect()
}

/// Whether a sample may be of what serves in a slot: no label of it contradicts.
fn may_be_of(sample: &Sample, place: &Value) -> bool {
    let (slot, serving) = (place["slot"].as_str().unwrap(), &place["serving"]);
    let word = |key: &str| serving[key].as_str().unwrap();
    let revision = &word("revision")[..12];
    let agrees = |(label, value): (&String, &String)| match &**label {
        "hook" => slot.split('.').next() == Some(value),
        "slot" => slot == value,
        "mode" => place["mode"] == **value,
        "policy" if !sample.labels.contains_key("shadow_policy") => word("policy") == value,
        "version" | "shadow_version" => word("version") == value,
        "revision" | "shadow_revision" => revision == value,
        "shadow_policy" => word("policy") == value,
        _ => true,
    };
    sample.labels.iter().all(agrees)
}

/// The series of a metric that may be those of a place.
fn series<'a>(metrics: &'a Metrics, name: &'a str, place: &Value) -> Vec<&'a Sample> {
    metrics.matching(name, &[]).filter(|sample| may_be_of(sample, place)).collect()
}

/// Asserts that no two places share a series, and that no value is above what one place can have, after `sent` requests.
fn check(gateway: &Gateway, what: &str, sent: f64) {
    let (metrics, listed) = (gateway.metrics(), listed(gateway));
    let places: Vec<&Value> = SLOTS.iter().map(|slot| &listed[*slot]).collect();
    for (name, of_cost) in OF_PLACES {
        let places: Vec<&Value> =
            places.iter().copied().filter(|place| of_cost || !place["slot"].to_string().contains("cost")).collect();
        for (number, one) in places.iter().enumerate() {
            let own = series(&metrics, name, one);
            assert!(!own.is_empty(), "{what}: {name} has no series of {}", one["slot"]);
            for other in &places[number + 1..] {
                let shared: Vec<_> = own.iter().filter(|sample| may_be_of(sample, other)).collect();
                assert!(shared.is_empty(), "{what}: {} and {} share {shared:?}", one["slot"], other["slot"]);
            }
        }
    }
    let sum = |name: &str, place: &Value| series(&metrics, name, place).iter().map(|sample| sample.value).sum::<f64>();
    let mut shares: BTreeMap<&str, f64> = BTreeMap::new();
    for place in &places {
        let slot = place["slot"].as_str().unwrap();
        let open = if place["state"] == "open" { 1.0 } else { 0.0 };
        assert_eq!(sum("api_gateway_policy_breaker_open", place), open, "{what}: {slot}");
        assert_eq!(sum("api_gateway_policy_info", place), 1.0, "{what}: {slot}");
        let calls = sum("api_gateway_policy_evaluation_seconds_count", place);
        assert!(calls <= sent, "{what}: {calls} calls of {slot} for {sent} requests");
        let decisions = sum("api_gateway_policy_decisions_total", place);
        assert!(decisions <= sent, "{what}: {decisions} decisions of {slot} for {sent} requests");
        let compared = sum("api_gateway_policy_shadow_comparisons_total", place);
        assert!(compared <= sent, "{what}: {compared} comparisons of {slot} for {sent} requests");
        let share = sum("api_gateway_policy_traffic_ratio", place);
        assert!((0.0..=1.0).contains(&share), "{what}: {slot} has {share}");
        assert_eq!(share == 0.0, slot.contains("shadows"), "{what}: {slot} has {share}");
        *shares.entry(slot.split('.').next().unwrap()).or_default() += share;
    }
    assert!(shares.values().all(|share| (share - 1.0).abs() < 1e-9), "{what}: {shares:?}");
}

/// Chats of different conversations, so that both the active policy and the canary decide; waits until all ended.
fn chats(gateway: &Gateway, prompt: &str, count: usize) {
    let before = gateway.metrics();
    let sent = before.value("api_gateway_requests_total", &[]);
    for number in 0..count {
        let _ = gateway.chat(&format!("{prompt} {sent} {number}")).expect(200);
    }
    until("all ended", || {
        let metrics = gateway.metrics();
        (metrics.rise(&before, "api_gateway_requests_total", &[]) == count as f64
            && metrics.value("api_gateway_requests_in_progress", &[]) == 0.0)
            .then_some(())
    });
}

#[test]
fn no_two_places_share_a_series_whatever_their_versions_share() {
    for conflict in [Conflict::OneScript, Conflict::OneName, Conflict::OtherSettings] {
        for broken in ["routing", "cost"] {
            let what = format!("{conflict:?}, {broken}");
            let gateway = full(conflict, broken).start();
            chats(&gateway, "hello", 20);
            check(&gateway, &what, 20.0);
            if conflict == Conflict::OtherSettings {
                break;
            }
            // The breaker of one hook's active version opens, and of no other place.
            chats(&gateway, "! fail", 30);
            let _ = gateway.wait_place(broken, "its breaker is open", |place| place["state"] == "open");
            check(&gateway, &what, 50.0);
            let open: Vec<String> = listed(&gateway)
                .into_iter()
                .filter(|(_, place)| place["state"] == "open")
                .map(|(slot, _)| slot)
                .collect();
            assert_eq!(open, [broken], "{what}");
        }
    }
}

/// Two shadows of one name and version that choose opposite models: their choices are not added up.
#[test]
fn the_choices_of_two_shadows_of_one_name_stay_apart() {
    let gateway = full(Conflict::OneName, "neither").start();
    let chosen = |slot: &str| -> BTreeSet<String> {
        let metrics = gateway.metrics();
        let labels = [("slot", slot)];
        let of_slot = metrics.matching("api_gateway_policy_shadow_choices_total", &labels);
        of_slot.map(|sample| sample.labels["shadow_model"].clone()).collect()
    };
    let apart = until("both were asked", || {
        chats(&gateway, "hello", 5);
        let both = (chosen("routing.shadows.a"), chosen("routing.shadows.b"));
        (!both.0.is_empty() && !both.1.is_empty()).then_some(both)
    });
    assert_eq!((apart.0.len(), apart.1.len()), (1, 1), "{apart:?}");
    assert_ne!(apart.0, apart.1);
}

/// A script's or a setting's change is another revision, with series that start at 0; the former one's stay as they were.
/// Of many changes, the series of the last revisions stay.
#[test]
fn a_swap_of_a_script_or_of_a_setting_starts_series_of_its_own() {
    let gateway = full(Conflict::OneScript, "neither").start();
    chats(&gateway, "hello", 10);
    let mut sent = 10.0;
    for slot in SLOTS {
        let (before, former) = (gateway.metrics(), gateway.place(slot));
        let file = format!("{}.rhai", slot.replace('.', "-"));
        gateway.put(&file, format!("{}\n// another text", script("neither", true)).as_bytes());
        let revision = former["serving"]["revision"].clone();
        let _ = gateway.wait_place(slot, "swapped", |place| place["serving"]["revision"] != revision);
        check(&gateway, &format!("{slot} swapped"), sent);
        let after = gateway.metrics();
        let calls = "api_gateway_policy_evaluation_seconds_count";
        let now = series(&after, calls, &gateway.place(slot));
        assert_eq!(now.iter().map(|sample| sample.value).collect::<Vec<_>>(), [0.0], "{slot}");
        // A shadow may still have been asked after the first look.
        let value = |metrics| series(metrics, calls, &former).iter().map(|sample| sample.value).sum::<f64>();
        assert!(value(&after) >= value(&before), "{slot}: the former revision's series stay");
        chats(&gateway, "hello", 2);
        sent += 2.0;
    }

    let revisions = || -> BTreeSet<String> {
        let metrics = gateway.metrics();
        let of_slot = metrics.matching("api_gateway_policy_evaluation_seconds_count", &[("slot", "routing")]);
        of_slot.map(|sample| sample.labels["revision"].clone()).collect()
    };
    let mut all = revisions();
    for number in 0..6 {
        let before = gateway.place("routing")["serving"]["revision"].clone();
        gateway.put("routing.rhai", format!("{}\n// text {number}", script("neither", true)).as_bytes());
        let place = gateway.wait_place("routing", "swapped", |place| place["serving"]["revision"] != before);
        all.insert(place["serving"]["revision"].as_str().unwrap()[..12].to_owned());
    }
    assert_eq!(all.len(), 8, "each change is a revision");
    until("the oldest went", || (revisions().len() == 5).then_some(()));
}
