//! `monitoring/` as it is shipped: its files pass the checks of the programs that read them, name nothing that is not
//! there, and do what they promise on real servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::monitoring::dashboards::Dashboard;
use wasmgate_tests::monitoring::load::{Load, prompt};
use wasmgate_tests::monitoring::prometheus::{Addresses, Prometheus};
use wasmgate_tests::monitoring::{Server, mixed, program, repository, stack::Ollama};
use wasmgate_tests::real;
use wasmgate_tests::wait::until_slowly;

/// Runs a program to its end; all that it said.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

fn read(path: impl AsRef<Path>) -> String {
    let path = repository("monitoring").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `monitoring/` that end so.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![repository("monitoring")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(extension) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn prometheus_takes_its_files_and_the_alerts_pass_their_tests() {
    let prometheus = repository("monitoring/prometheus");
    said(Command::new(program("promtool")).args(["check", "config"]).arg(prometheus.join("prometheus.yml")));
    for rules in ["alert.rules.yml", "recording.rules.yml"] {
        said(Command::new(program("promtool")).args(["check", "rules", "--lint-fatal"]).arg(prometheus.join(rules)));
    }
    std::thread::scope(|scope| {
        for tests in ["tests.yml", "ends.tests.yml", "days.tests.yml"] {
            let tests = prometheus.join(tests);
            scope.spawn(|| said(Command::new(program("promtool")).args(["test", "rules"]).arg(tests)));
        }
    });
}

#[test]
fn alertmanager_and_blackbox_take_their_files() {
    said(Command::new(program("amtool")).arg("check-config").arg(repository("monitoring/alertmanager/config.yml")));
    let blackbox = format!("--config.file={}", repository("monitoring/blackbox/blackbox.yml").display());
    said(Command::new(program("prometheus-blackbox-exporter")).arg(blackbox).arg("--config.check"));
}

fn alerts() -> Vec<String> {
    let rules = read("prometheus/alert.rules.yml");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn each_alert_has_a_runbook_and_a_test_that_it_fires_and_one_that_it_is_silent() {
    let rules = read("prometheus/alert.rules.yml");
    let tests = read("prometheus/tests.yml");
    assert!(alerts().len() > 20, "{:?}", alerts());
    for alert in alerts() {
        let runbook = read(format!("runbooks/{alert}.md"));
        for heading in ["# ", "## What it means", "## Look first", "## What to do", "## When to wake someone"] {
            assert!(runbook.lines().any(|line| line.starts_with(heading)), "{alert}: its runbook has no {heading:?}");
        }
        assert!(rules.contains(&format!("runbook_url: monitoring/runbooks/{alert}.md")), "{alert}: no runbook_url");
        // `{…, alertname: NAME}` expects nothing; with `exp_alerts` below it, the alert must fire.
        let silent = tests.matches(&format!("alertname: {alert}}}")).count();
        let fires = tests.matches(&format!("alertname: {alert}\n        exp_alerts:\n")).count();
        assert!(silent > 0 || alert == "Watchdog", "{alert}: no test that it is silent");
        assert!(fires > 0, "{alert}: no test that it fires");
    }
    for annotation in ["summary", "description", "impact", "dashboard", "runbook_url"] {
        let count = rules.matches(&format!("          {annotation}: ")).count();
        assert_eq!(count, alerts().len(), "alerts with {annotation}");
    }
    let runbooks = files(".md").into_iter().filter(|path| path.to_string_lossy().contains("runbooks"));
    let runbooks: BTreeSet<String> =
        runbooks.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut known: BTreeSet<String> = alerts().into_iter().collect();
    known.insert("README".into());
    assert_eq!(runbooks, known, "runbooks and alerts");
}

/// GatewayDown comes two minutes after the gateway went: until then its alerts must not end.
#[test]
fn each_alert_on_the_gateways_series_outlives_the_gateway() {
    let rules = read("prometheus/alert.rules.yml");
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let (expr, annotations) = rule.split_once("annotations:").unwrap();
        assert!(annotations.contains("runbook_url"), "{name}");
        if expr.contains("api_gateway_") || expr.contains("scrape_samples") {
            assert!(expr.contains("keep_firing_for: "), "{name} ends when its series do");
        }
    }
}

/// A gateway whose page has each metric that there is.
fn full() -> (Gateway, Vec<Load>, Ollama) {
    let ollama = Ollama::start();
    // A server that is not there has its metrics too.
    let gateway = mixed::setup(&ollama).top("[shared]\nurl = \"redis://127.0.0.1:1\"").start();
    let load = mixed::traffic(&gateway);
    let late =
        ["fallbacks_total", "policy_shadow_choices_total", "canary_comparison_difference", "canary_comparison_bound"];
    for metric in late.map(|name| format!("api_gateway_{name}")) {
        until_slowly(&metric, || gateway.metrics().find(&metric, &[]));
    }
    (gateway, load, ollama)
}

#[test]
fn all_that_monitoring_names_is_a_metric_of_the_gateway() {
    let (gateway, load, _ollama) = full();
    let known: BTreeSet<String> = gateway.metrics().samples.into_iter().map(|sample| sample.name).collect();
    drop(load);
    let mut looked_at = 0;
    let texts = [".yml", ".json", ".jsonnet", ".md"].iter().flat_map(|extension| files(extension));
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("api_gateway_").chain(text.match_indices("ollama_models_loaded")) {
            // Recording rules have names of their own; `job:` is before.
            if text[..at].ends_with(':') {
                continue;
            }
            let end =
                text[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(text.len(), |end| at + end);
            let name = &text[at..end];
            // `api_gateway_…` for all of them.
            if name == "api_gateway_" {
                continue;
            }
            let there = known.contains(name) || known.contains(&format!("{name}_count"));
            assert!(there, "{}: {name} is no metric of the gateway", path.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 200, "{looked_at} names were found");
}

/// The queries of a document: its code blocks in that language, split at blank lines and comments.
fn queries(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|block| block.split("\n```").next());
    let mut queries = Vec::new();
    for block in blocks {
        let mut query = String::new();
        for line in block.lines().map(str::trim).chain([""]) {
            if line.is_empty() || line.starts_with('#') {
                if !query.is_empty() {
                    queries.push(std::mem::take(&mut query));
                }
            } else {
                query += line;
                query.push('\n');
            }
        }
    }
    queries
}

#[test]
fn the_queries_of_the_documents_are_answered_by_a_real_prometheus() {
    let (gateway, load, _ollama) = full();
    let node = Server::start("prometheus-node-exporter", |_| ());
    let prometheus = Prometheus::start(&Addresses {
        gateway: gateway.address.to_string(),
        node: node.address.to_string(),
        ..Addresses::default()
    });
    prometheus.api.wait_up(&["api-gateway", "node", "prometheus"]);
    let mut asked = 0;
    for path in files(".md") {
        let text = fs::read_to_string(&path).unwrap();
        for query in queries(&text, "promql") {
            let answer = prometheus.api.ask("/api/v1/query", &[("query", &query)]);
            assert!(answer.is_ok(), "{}: {query}: {}", path.display(), answer.unwrap_err());
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked} queries were found");
    // Of the machine, as the README has them: they must give values too.
    let system: Vec<String> =
        queries(&read("README.md"), "promql").into_iter().filter(|query| query.contains("node_")).collect();
    assert_eq!(system.len(), 4, "{system:?}");
    for query in system {
        until_slowly(&query, || {
            prometheus.api.query(&query).iter().any(|series| series.points[0].1.is_finite()).then_some(())
        });
    }
    drop(load);
}

/// The LogQL of the documents and of the dashboards' links. There is no Loki among what tests can have; this is the grammar of
/// Grafana's editor.
#[test]
fn the_queries_of_logs_are_of_their_language() {
    let mut logql = Vec::new();
    for path in files(".md") {
        let text = fs::read_to_string(&path).unwrap();
        logql.extend(queries(&text, "logql").iter().map(|query| query.replace('\n', " ")));
        logql.extend(text.split('`').filter(|code| code.starts_with("{job=")).map(str::to_owned));
    }
    let of_documents = logql.len();
    for dashboard in Dashboard::all() {
        let links = dashboard.model["links"].as_array().unwrap().iter();
        let panes = links.filter_map(|link| link["url"].as_str().unwrap().split_once("panes="));
        logql.extend(panes.map(|(_, panes)| {
            let panes: Value = serde_json::from_str(&decoded(panes)).unwrap();
            panes["logs"]["queries"][0]["expr"].as_str().unwrap().to_owned()
        }));
    }
    assert!(of_documents > 15 && logql.len() == of_documents + 4, "{logql:?}");
    let mut check = Command::new(real::folder().join("node/node"))
        .current_dir(real::folder().join("monitoring/dashboards"))
        .arg(repository("tests/real/dashboards/logql.mjs"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Node.js");
    check.stdin.take().unwrap().write_all(logql.join("\n").as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `%7B` and the like stand for.
fn decoded(url: &str) -> String {
    let mut parts = url.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        text += &part[2..];
    }
    text
}

/// Operators replace it with one command, which the README has: it must reach each file that has the address.
#[test]
fn the_address_of_the_repository_is_where_the_readme_says() {
    let address = "https://git.example.com/wasmgate";
    let have: BTreeSet<String> = [".yml", ".tmpl", ".json", ".jsonnet"]
        .iter()
        .flat_map(|extension| files(extension))
        .filter(|path| fs::read_to_string(path).unwrap().contains("git.example.com"))
        .map(|path| path.strip_prefix(repository("monitoring")).unwrap().display().to_string())
        .collect();
    let readme = read("README.md");
    let command = readme.lines().find(|line| line.contains(&format!("s#{address}#"))).expect("the command");
    let named =
        command.split_whitespace().filter(|word| word.starts_with("alertmanager/") || word.starts_with("grafana/"));
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    assert_eq!(named, have, "{command}");
}

#[test]
fn a_backup_of_prometheus_can_be_restored() {
    let gateway = Gateway::setup().start();
    let load = vec![Load::start(gateway.address, std::time::Duration::from_millis(20), vec![prompt("auto", "hello")])];
    let prometheus = Prometheus::start(&Addresses { gateway: gateway.address.to_string(), ..Addresses::default() });
    let count = "sum(api_gateway_requests_total)";
    let at = until_slowly("requests are scraped", || {
        let series = prometheus.api.query(count);
        series
            .first()
            .map(|series| series.points[0])
            .filter(|(_, requests)| *requests > 10.0)
            .map(|(at, _)| at.to_string())
    });
    drop(load);
    let there = prometheus.api.ask("/api/v1/query", &[("query", count), ("time", &at)]).unwrap();

    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("backup.tar.gz");
    let backup = || Command::new(repository("monitoring/backup.sh"));
    said(backup().arg("save").arg(prometheus.api.url()).arg(prometheus.folder().join("data")).arg(&archive));
    drop(prometheus);
    said(backup().arg("restore").arg(&archive).arg(folder.path().join("data")));
    let again = backup().arg("restore").arg(&archive).arg(folder.path().join("data")).output().unwrap();
    assert!(!again.status.success(), "data that are there are not overwritten");

    let restored = Prometheus::restored(folder, "data");
    let back = restored.api.ask("/api/v1/query", &[("query", count), ("time", &at)]).unwrap();
    assert_eq!(back[0].points, there[0].points);
}
