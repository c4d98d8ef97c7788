//! The dashboards: their form as Grafana demands it, the rules of its linter, and what each panel shows of a real gateway
//! under load by way of a real Prometheus.
//!
//! There is no Grafana among what tests can have. These are the checks that can be made without one.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use wasmgate_tests::monitoring::dashboards::{Dashboard, FILES, Named, Panel, Target, View};
use wasmgate_tests::monitoring::prometheus::Api;
use wasmgate_tests::monitoring::stack::Stack;
use wasmgate_tests::monitoring::{mixed, preview, repository};
use wasmgate_tests::real;
use wasmgate_tests::wait::{try_until_slowly, until_slowly};

#[test]
fn the_dashboards_are_what_their_source_says() {
    let source = repository("monitoring/grafana/dashboards.jsonnet");
    let output = Command::new("jsonnet").arg(&source).output().expect("jsonnet");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    for file in FILES {
        let committed = fs::read_to_string(repository("monitoring/grafana").join(file)).unwrap();
        let committed: Value = serde_json::from_str(&committed).unwrap();
        assert_eq!(made[file], committed, "{file}: run `make fmt`");
    }
}

#[test]
fn the_dashboards_are_of_the_form_that_grafana_publishes() {
    let tools = real::folder().join("monitoring/dashboards");
    let mut check = Command::new(real::folder().join("node/node"));
    check.current_dir(&tools).arg(repository("tests/real/dashboards/schema.mjs"));
    check.args(FILES.map(|file| repository("monitoring/grafana").join(file)));
    let output = check.output().expect("Node.js");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

/// Rules that bring more than one dashboard's author would think of; after those of Grafana's own linter.
#[test]
fn the_dashboards_keep_the_rules_of_the_linter() {
    let exclusions = fs::read_to_string(repository("monitoring/grafana/.lint")).unwrap();
    let mut found = Vec::new();
    for dashboard in Dashboard::all() {
        let model = &dashboard.model;
        let mut say = |rule: &str, panel: &str, what: String| {
            // An exclusion names the rule and, below it, the panel.
            let excluded = exclusions.split_once(&format!("{rule}:")).is_some_and(|(_, entries)| {
                let entries =
                    entries.lines().skip(1).take_while(|line| line.starts_with("    ") || line.trim().is_empty());
                entries.into_iter().any(|line| line.contains(&format!("panel: {panel}")))
            });
            if !excluded {
                found.push(format!("{}: {panel}: {rule}: {what}", dashboard.title()));
            }
        };
        if model["editable"] != false {
            say("uneditable-dashboard", "", "it can be edited, and what is edited is lost".into());
        }
        for (rule, what) in variables(model) {
            say(rule, "", what);
        }
        for panel in &dashboard.panels {
            for (rule, what) in panel_rules(panel) {
                say(rule, panel.title(), what);
            }
            for target in &panel.targets {
                for (rule, what) in target_rules(target) {
                    say(rule, panel.title(), what);
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Those of its dashboard, and those that it shows one by one.
#[test]
fn the_guides_panels_are_there() {
    let dashboards = Dashboard::all();
    let titles: BTreeSet<&str> = dashboards[0].panels.iter().map(Panel::title).collect();
    for title in [
        "Total Requests (24h)",
        "Local vs Cloud Requests",
        "Total API Costs (30d)",
        "Average Latency",
        "Requests by Model Over Time",
        "Cost Accumulation",
        "Response Latency by Model",
        "Request Distribution by Model",
        "API Costs Over Time",
        "Response Latency Distribution",
    ] {
        assert!(titles.contains(title), "{title}: not among {titles:?}");
    }
}

/// No panel lies on another, and none is outside of the 24 columns.
#[test]
fn each_panel_has_a_place_of_its_own() {
    for dashboard in Dashboard::all() {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in dashboard.model["panels"].as_array().unwrap() {
            let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}: the id of another", panel["title"]);
            for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                assert!(taken.insert((x, y)), "{}: {} lies on another at {x}, {y}", dashboard.title(), panel["title"]);
            }
        }
    }
}

type Finding = (&'static str, String);

fn variables(model: &Value) -> Vec<Finding> {
    let list = model["templating"]["list"].as_array().cloned().unwrap_or_default();
    let named = |name: &str| list.iter().find(|variable| variable["name"] == name);
    let mut found = Vec::new();
    let mut expect = |rule, holds: bool, what: &str| {
        if !holds {
            found.push((rule, what.to_owned()));
        }
    };
    let source = named("datasource");
    let is_source = source.is_some_and(|source| source["type"] == "datasource" && source["query"] == "prometheus");
    expect("template-datasource-rule", is_source, "no variable `datasource` of Prometheus");
    for (name, rule) in [("job", "template-job-rule"), ("instance", "template-instance-rule")] {
        let holds = named(name).is_some_and(|variable| {
            variable["type"] == "query"
                && variable["datasource"]["uid"] == "${datasource}"
                && variable["multi"] == true
                && variable["allValue"] == ".+"
        });
        expect(rule, holds, "not a variable of many values of that data source");
    }
    for variable in list.iter().filter(|variable| variable["type"] == "query") {
        expect("template-on-time-change-reload-rule", variable["refresh"] == 2, "not refreshed with the time range");
    }
    found
}

fn panel_rules(panel: &Panel) -> Vec<Finding> {
    let model = &panel.model;
    let mut found = Vec::new();
    let mut expect = |rule, holds: bool, what: &str| {
        if !holds {
            found.push((rule, what.to_owned()));
        }
    };
    expect("panel-datasource-rule", model["datasource"]["uid"] == "${datasource}", "another data source");
    let said = |field: &str| model[field].as_str().is_some_and(|text| !text.is_empty());
    expect("panel-title-description-rule", said("title") && said("description"), "no title or description");
    expect("panel-no-targets-rule", !panel.targets.is_empty(), "no query");
    let unit = model["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
    let known = ["short", "locale", "reqps", "s", "currencyUSD", "suffix:$/h", "percentunit", "bytes", "cps"];
    expect("panel-units-rule", known.contains(&unit), "no unit that Grafana knows");
    let defaults = &model["fieldConfig"]["defaults"];
    // Grafana's own are red from 80 on.
    expect("panel-thresholds-rule", defaults["thresholds"]["steps"].is_array(), "no thresholds");
    let may_fall_below = ["Saved if the Shadow Decided"].contains(&panel.title());
    let has_zero = model["type"] != "timeseries" || defaults["min"] == 0;
    expect("panel-min-rule", has_zero != may_fall_below, "an axis that does not begin at 0, or cuts off what is below");
    let ids: BTreeSet<&str> = panel.targets.iter().map(|target| target.ref_id.as_str()).collect();
    expect("panel-targets-rule", ids.len() == panel.targets.len(), "two queries with one id");
    found
}

fn target_rules(target: &Target) -> Vec<Finding> {
    let mut found = Vec::new();
    let expr = &target.expr;
    let (mut rest, mut before) = (expr.as_str(), String::new());
    while let Some(at) = rest.find("api_gateway_").or_else(|| rest.find("ollama_")) {
        before += &rest[..at];
        let end = rest[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest.len(), |end| at + end);
        let (name, after) = (&rest[at..end], &rest[end..]);
        let matchers =
            after.strip_prefix('{').and_then(|inside| inside.split_once('}')).map_or("", |(inside, _)| inside);
        for (rule, label) in [("target-job-rule", "job=~\"$job\""), ("target-instance-rule", "instance=~\"$instance\"")]
        {
            if !matchers.contains(label) {
                found.push((rule, format!("{name} without {label}")));
            }
        }
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
        if counts && !before.ends_with("rate(") && !before.ends_with("increase(") {
            found.push(("target-counter-agg-rule", format!("{name} is a counter")));
        }
        before += name;
        rest = after;
    }
    for window in expr.split('[').skip(1).filter_map(|part| part.split(']').next()) {
        if window != "$__rate_interval" {
            found.push(("target-rate-interval-rule", format!("[{window}]")));
        }
    }
    found
}

#[test]
fn every_panel_shows_what_a_gateway_under_load_does() {
    let stack = Stack::start(mixed::setup);
    let load = mixed::traffic(&stack.gateway);
    mixed::reload(&stack.gateway);
    let began = now();
    let api = stack.prometheus.api;
    // Long enough for a rate over the whole of it.
    until_slowly("some seconds of load", || (now() - began > 12.0).then_some(()));
    let view = || {
        let to = now();
        View { from: began, to, step: 1.0, rate_interval: "10s".into() }
    };
    let mut missing = Vec::new();
    let all_there = || {
        let view = view();
        missing = Dashboard::all().iter().flat_map(|dashboard| not_shown(dashboard, api, &view)).collect();
        missing.is_empty().then_some(())
    };
    let shown = try_until_slowly(all_there);
    assert!(shown.is_some(), "{}", missing.join("\n"));
    annotations_mark_the_reloads(api, &view());
    let page = preview::page(api, &view());
    drop(load);
    crate::preview::each_panel_is_shown(&page);
}

/// What is wrong with what the panels of a dashboard show.
fn not_shown(dashboard: &Dashboard, api: Api, view: &View) -> Vec<String> {
    let mut wrong = Vec::new();
    for panel in &dashboard.panels {
        for target in &panel.targets {
            let place = format!("{}: {} {}", dashboard.title(), panel.title(), target.ref_id);
            match target.ask(api, view) {
                Err(error) => panic!("{place}: {error}: {}", view.fill(&target.expr)),
                Ok(series) if series.is_empty() => wrong.push(format!("{place}: empty: {}", view.fill(&target.expr))),
                Ok(series) => wrong.extend(
                    series.iter().filter_map(|named| ill(target, named)).map(|what| format!("{place}: {what}")),
                ),
            }
        }
    }
    wrong
}

fn ill(target: &Target, named: &Named) -> Option<String> {
    let Named { name, series } = named;
    if let Some(label) = target.legend_labels().iter().find(|label| !series.labels.contains_key(*label)) {
        return Some(format!("{name:?} has no label {label}: {:?}", series.labels));
    }
    if target.legend.is_empty() && series.labels.is_empty() {
        return Some("a series without a name".into());
    }
    let bad = series.points.iter().find(|(_, value)| !value.is_finite());
    bad.map(|(_, value)| format!("{name:?} is {value}"))
}

fn annotations_mark_the_reloads(api: Api, view: &View) {
    for dashboard in Dashboard::all() {
        for annotation in dashboard.model["annotations"]["list"].as_array().into_iter().flatten() {
            let query = view.fill(annotation["expr"].as_str().unwrap());
            let (from, to) = (view.from.to_string(), view.to.to_string());
            let marks =
                api.ask("/api/v1/query_range", &[("query", &query), ("start", &from), ("end", &to), ("step", "1")]);
            // There are no rollbacks and no ends of canaries in what the gateway did.
            let is_there = ["Reloads", "Refused reloads"].contains(&annotation["name"].as_str().unwrap());
            assert!(!marks.unwrap().is_empty() || !is_there, "nothing marked by {query}");
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
