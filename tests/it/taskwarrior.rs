//! A gateway's log becomes tasks, by the shipped script and settings and the real Taskwarrior: each routed request one, a
//! refused one none, however often the log is imported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::Response;
use wasmgate_tests::monitoring::repository;
use wasmgate_tests::wait::until;

/// Two models that answer, and one whose backend fails.
const MODELS: &str = r#"
[backends.local-sim]
kind = "sim"
sim = { latency_ms = 0, tokens_per_second = inf, output_tokens = 24 }
[backends.cloud-sim]
kind = "sim"
location = "cloud"
sim = { latency_ms = 0, tokens_per_second = inf, output_tokens = 48 }
[backends.broken-sim]
kind = "sim"
location = "cloud"
sim = { fault = { every = 1, kind = "error" } }
[models.tinyllama]
backend = "local-sim"
[models.claude-sonnet]
backend = "cloud-sim"
price = { input_usd_per_million_tokens = 3.0, output_usd_per_million_tokens = 15.0 }
[models.broken]
backend = "broken-sim"
price = { input_usd_per_million_tokens = 3.0, output_usd_per_million_tokens = 15.0 }
"#;

/// A word of the prompts that is nowhere else.
const PROMPT: &str = "Zanzibar?";

/// What a program printed on its two outputs. It must have succeeded.
#[track_caller]
fn run(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    (stdout, stderr)
}

/// Taskwarrior with the shipped settings and tasks in `folder`; what it printed.
#[track_caller]
fn task(folder: &Path, arguments: &[&str]) -> String {
    let mut task = Command::new("task");
    task.env("TASKRC", repository("examples/taskwarrior/wasmgate.taskrc")).env("TASKDATA", folder).env("HOME", folder);
    run(task.args(["rc.verbose=label", "rc.defaultwidth=120"]).args(arguments)).0
}

/// The tasks as they are kept, by uuid.
fn tasks(folder: &Path) -> BTreeMap<String, Value> {
    let tasks: Vec<Value> = serde_json::from_str(&task(folder, &["export"])).expect("an array of tasks");
    tasks.into_iter().map(|task| (task["uuid"].as_str().expect("a uuid").to_owned(), task)).collect()
}

/// The uuid of the task of the request that was answered so: its id, with dashes.
fn uuid(answer: &Response) -> String {
    let id = answer.header("x-wasmgate-request-id");
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}

/// The cells of the row of a report that begins with this one.
fn row<'a>(report: &'a str, first: &str) -> Vec<&'a str> {
    let mut rows = report.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.first() == Some(&first)).unwrap_or_else(|| panic!("no row of {first} in {report}"))
}

#[test]
fn routed_requests_become_tasks_once() {
    let gateway = Gateway::setup().models(MODELS).start();
    let ask = |model: &str| gateway.post("/api/v1/chat", &json!({"model": model, "prompt": PROMPT}));
    let local = ask("tinyllama").expect(200);
    let cloud = ask("claude-sonnet").expect(200);
    let failed = ask("broken").expect(502);
    let _ = ask("nonesuch").expect(404);
    let is_request = |line: &&Value| line["message"] == "request";
    until("each request is in the log", || (gateway.log().iter().filter(is_request).count() == 4).then_some(()));

    let folder = TempDir::new().unwrap();
    let log = folder.path().join("gateway.log");
    fs::write(&log, gateway.process.lines().join("\n") + "\n{\"message\": \"request\", cut o\n").unwrap();
    let import = folder.path().join("import.json");
    let export = || {
        let (exported, said) = run(Command::new(repository("examples/taskwarrior/export.sh")).arg(&log));
        fs::write(&import, &exported).unwrap();
        (exported, said)
    };
    let (exported, said) = export();
    assert!(said.contains("3 tasks; skipped: 1 requests that were not routed"), "{said}");
    assert!(said.contains(" 1 broken lines"), "{said}");
    assert!(!exported.contains("Zanzibar"), "a prompt is in {exported}");

    let data = folder.path().join("tasks");
    fs::create_dir(&data).unwrap();
    let imported = task(&data, &["import", import.to_str().unwrap()]);
    assert_eq!(imported.lines().filter(|line| line.starts_with(" add ")).count(), 3, "{imported}");
    let kept = tasks(&data);
    assert_eq!(kept.len(), 3, "{kept:?}");

    let metrics = gateway.metrics();
    let mut cost = 0.0;
    for (answer, model, location, upstream, ending, output_tokens) in [
        (&local, "tinyllama", "local", "local-sim", "finished", json!(24)),
        (&cloud, "claude-sonnet", "cloud", "cloud-sim", "finished", json!(48)),
        (&failed, "broken", "cloud", "broken-sim", "failed", Value::Null),
    ] {
        let task = kept.get(&uuid(answer)).unwrap_or_else(|| panic!("{model}: no task has the id of its request"));
        let has = |name: &str, value: Value| assert_eq!(task[name], value, "{name} of {task}");
        has("status", json!("completed"));
        has("project", json!("wasmgate"));
        has("model", json!(model));
        has("backend", json!(location));
        has("upstream", json!(upstream));
        has("ending", json!(ending));
        has("policy", json!(answer.header("x-wasmgate-policy")));
        has("output_tokens", output_tokens);
        // As the metrics count it.
        let status = if ending == "finished" { "success" } else { "error" };
        let complexity = task["complexity"].as_str().expect("a complexity");
        let labels = [("model", model), ("backend", location), ("status", status), ("complexity", complexity)];
        assert!((metrics.value("api_gateway_requests_total", &labels) - 1.0).abs() < f64::EPSILON, "{labels:?}");
        cost += task["cost_usd"].as_f64().unwrap_or_default();
    }
    let told: f64 = cloud.header("x-wasmgate-cost-usd").parse().unwrap();
    assert_eq!(kept[&uuid(&cloud)]["cost_usd"], json!(told), "what the client was told");
    let counted = metrics.value("api_gateway_cost_total", &[]);
    assert!(told > 0.0 && (cost - counted).abs() < 1e-12, "all tasks {cost}, all requests {counted}");

    let models = task(&data, &["models"]);
    let complexity = kept[&uuid(&cloud)]["complexity"].as_str().unwrap();
    let cells = row(&models, "claude-sonnet");
    for cell in ["cloud", complexity, "finished", "48", cloud.header("x-wasmgate-cost-usd")] {
        assert!(cells.contains(&cell), "{cell} is not in {cells:?}");
    }
    for model in ["tinyllama", "broken"] {
        let _ = row(&models, model);
    }
    let failures = task(&data, &["failures"]);
    assert!(failures.contains("broken-sim") && !failures.contains("local-sim"), "{failures}");

    let _ = export();
    let again = task(&data, &["import", import.to_str().unwrap()]);
    assert_eq!(again.lines().filter(|line| line.starts_with(" skip ")).count(), 3, "{again}");
    assert_eq!(tasks(&data), kept, "after the same log was imported again");
}
