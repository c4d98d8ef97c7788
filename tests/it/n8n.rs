//! The workflows for n8n, without n8n, which is too large to be installed for tests: their files hold together, and what
//! they calculate is calculated by Node.js, of what a real gateway and a real Prometheus answer.
//!
//! What n8n itself does with the files was tried by hand: `examples/n8n/README.md` says with which version.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::monitoring::load::{Load, prompt};
use wasmgate_tests::monitoring::prometheus::{Addresses, Api, Prometheus};
use wasmgate_tests::monitoring::shipped::Shipped;
use wasmgate_tests::monitoring::{program, repository};
use wasmgate_tests::real;
use wasmgate_tests::wait::until_slowly;

const FILES: [&str; 2] = ["ask-gateway.json", "watch-cost.json"];

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A workflow as it is shipped.
struct Workflow {
    file: &'static str,
    text: String,
    model: Value,
}

impl Workflow {
    fn read(file: &'static str) -> Self {
        let text = read(&format!("examples/n8n/{file}"));
        let model = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        Self { file, text, model }
    }

    fn nodes(&self) -> &[Value] {
        self.model["nodes"].as_array().unwrap_or_else(|| panic!("{}: no nodes", self.file))
    }

    fn names(&self) -> Vec<&str> {
        self.nodes().iter().map(|node| node["name"].as_str().unwrap_or_default()).collect()
    }

    /// What a node is set to.
    #[track_caller]
    fn parameters(&self, name: &str) -> &Value {
        let node = self.nodes().iter().find(|node| node["name"] == name);
        &node.unwrap_or_else(|| panic!("{} has no node {name:?}", self.file))["parameters"]
    }

    /// The nodes behind each output of a node.
    fn outputs(&self, name: &str) -> Vec<Vec<&str>> {
        let outputs = self.model["connections"][name]["main"].as_array().into_iter().flatten();
        let targets = |output: &Value| output.as_array().cloned().unwrap_or_default();
        let name = |target: &Value| target["node"].as_str().unwrap_or_default().to_owned();
        let known = |target: &Value| {
            let name = name(target);
            let known = self.names().into_iter().find(|known| *known == name);
            known.unwrap_or_else(|| panic!("{}: a connection to {name:?}, which is not there", self.file))
        };
        outputs.map(|output| targets(output).iter().map(known).collect()).collect()
    }

    /// What the node `Settings` hands on, with other values for some of it.
    fn settings(&self, others: &[(&str, Value)]) -> Value {
        let assignments = self.parameters("Settings")["assignments"]["assignments"].as_array().unwrap();
        let mut settings: serde_json::Map<String, Value> = assignments
            .iter()
            .map(|setting| (setting["name"].as_str().unwrap().to_owned(), setting["value"].clone()))
            .collect();
        for (name, value) in others {
            let before = settings.insert((*name).to_owned(), value.clone());
            assert!(before.is_some(), "{} has no setting {name}", self.file);
        }
        Value::Object(settings)
    }
}

/// Calculates as n8n does: an expression (text that begins with `=` and has JavaScript in `{{ }}`, which keeps its type
/// where nothing is around it), or the code of a node, with an item as its input.
const CALCULATE: &str = r"
const {expression, code, json, nodes, memory} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const $ = (name) => {
  if (!(name in nodes)) throw new Error(`no node ${name} ran before`);
  return {first: () => ({json: nodes[name]})};
};
const calculate = () => {
  if (code !== null) {
    const items = [{json}];
    const $input = {first: () => items[0], all: () => items};
    return new Function('$', '$input', '$getWorkflowStaticData', code)($, $input, () => memory);
  }
  const parts = expression.slice(1).split(/({{[\s\S]*?}})/).filter((part) => part !== '');
  const values = parts.map((part) =>
    part.startsWith('{{') ? new Function('$', '$json', `return (${part.slice(2, -2)})`)($, json) : part);
  return values.length === 1 ? values[0] : values.join('');
};
let outcome;
try {
  outcome = {value: calculate()};
} catch (error) {
  outcome = {error: error.message};
}
console.log(JSON.stringify({...outcome, memory}));
";

/// The outcome: `value` or `error`, and `memory` as it is then.
fn calculate(input: &Value) -> Value {
    let mut node = Command::new(real::node());
    node.args(["-e", CALCULATE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = node.spawn().expect("Node.js starts");
    node.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said:?} {}", String::from_utf8_lossy(&output.stderr)))
}

/// The value of a parameter for this item; `nodes` have handed on what `$('NAME')` finds.
#[track_caller]
fn evaluate(parameter: &Value, item: &Value, nodes: &Value) -> Value {
    match parameter.as_str() {
        Some(text) if text.starts_with('=') => {
            let outcome = calculate(&json!({"expression": text, "code": null, "json": item, "nodes": nodes}));
            assert!(outcome["error"].is_null(), "{text}: {outcome}");
            outcome["value"].clone()
        }
        _ => parameter.clone(),
    }
}

/// A list of names and values, as the HTTP node sends it.
#[track_caller]
fn fields(list: &Value, item: &Value, nodes: &Value) -> Value {
    let list = list["parameters"].as_array().expect("a list of parameters");
    let field = |field: &Value| (field["name"].as_str().unwrap().to_owned(), evaluate(&field["value"], item, nodes));
    // What has no value is not sent.
    Value::Object(list.iter().map(field).filter(|(_, value)| !value.is_null()).collect())
}

/// Whether all conditions of an If node hold.
#[track_caller]
fn holds(parameters: &Value, item: &Value) -> bool {
    let conditions = &parameters["conditions"];
    assert_eq!(conditions["combinator"], "and");
    conditions["conditions"].as_array().unwrap().iter().all(|condition| {
        let [left, right] = ["leftValue", "rightValue"].map(|side| evaluate(&condition[side], item, &json!({})));
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is no number: {condition}"));
        match condition["operator"]["operation"].as_str().unwrap() {
            "equals" => number(&left) == number(&right),
            "gt" => number(&left) > number(&right),
            "false" => !left.as_bool().unwrap_or_else(|| panic!("{left} is no boolean: {condition}")),
            other => panic!("this test does not know {other:?}"),
        }
    })
}

#[test]
fn workflows_for_n8n_hold_together() {
    for file in FILES {
        let workflow = Workflow::read(file);
        assert_eq!(workflow.model["active"], false, "{file} does nothing before someone has looked at it");
        // For a workflow with a longer one n8n 1.123 keeps nothing of what it remembers, and says nothing.
        let id = workflow.model["id"].as_str().unwrap_or_default();
        assert!((1..=16).contains(&id.len()), "{file}: its id {id:?} has {} characters", id.len());
        for left_over in ["\"credentials\"", "\"pinData\"", "\"staticData\"", "\"shared\"", "\"meta\""] {
            assert!(!workflow.text.contains(left_over), "{file} has {left_over}");
        }
        for field in ["id", "name"] {
            let of = |node: &Value| node[field].as_str().unwrap_or_default().to_owned();
            let unique: BTreeSet<String> = workflow.nodes().iter().map(of).filter(|text| !text.is_empty()).collect();
            assert_eq!(unique.len(), workflow.nodes().len(), "{file}: an {field} is missing or there twice");
        }
        let names = workflow.names();
        let connections = workflow.model["connections"].as_object().unwrap();
        for from in connections.keys() {
            assert!(names.contains(&from.as_str()), "{file}: a connection from {from:?}, which is not there");
        }
        let reached: BTreeSet<&str> =
            names.iter().flat_map(|name| workflow.outputs(name).into_iter().flatten()).collect();
        for node in workflow.nodes() {
            let (name, kind) = (node["name"].as_str().unwrap(), node["type"].as_str().unwrap());
            let begins = kind.ends_with("Trigger") || kind.ends_with(".webhook");
            assert_eq!(begins, !reached.contains(name), "{file}: what leads to {name:?}");
        }
        for named in workflow.text.split("$('").skip(1).filter_map(|rest| rest.split_once("')")) {
            assert!(names.contains(&named.0), "{file}: $('{}') is not there", named.0);
        }
    }
}

/// Whether the stack has a service that listens on this port.
fn in_the_stack(service: &str, port: &str) -> bool {
    let stack = read("monitoring/docker-compose.yml");
    let Some((_, service)) = stack.split_once(&format!("\n  {service}:\n")) else {
        return false;
    };
    let is_its = |line: &&str| line.is_empty() || line.starts_with("    ");
    service
        .lines()
        .take_while(is_its)
        .any(|line| line.trim_start().starts_with("ports:") && line.ends_with(&format!(":{port}']")))
}

#[test]
fn workflows_for_n8n_and_its_scrape_job_find_the_services_of_the_stack() {
    let mut addresses = 0;
    for file in FILES {
        for rest in read(&format!("examples/n8n/{file}")).split("http://").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-.:".contains(c)).unwrap_or(rest.len());
            let (service, port) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
            assert!(in_the_stack(service, port), "{file}: {service}:{port} is no service of the stack");
            addresses += 1;
        }
    }
    assert_eq!(addresses, 2, "the gateway's and Prometheus'");
    assert!(in_the_stack("n8n", "5678"), "for the scrape job and the guide");
    assert!(read("monitoring/docker-compose.yml").contains("N8N_METRICS: 'true'"), "else n8n has no metrics");

    let folder = TempDir::new().unwrap();
    for rules in ["prometheus/alert.rules.yml", "prometheus/recording.rules.yml"] {
        Shipped::read(rules).write(folder.path());
    }
    let commented = "  # - job_name: n8n\n  #   static_configs: [{targets: ['n8n:5678']}]\n";
    Shipped::read("prometheus/prometheus.yml").with(commented, &commented.replace("# ", "")).write(folder.path());
    let config = folder.path().join("prometheus.yml");
    let checked = Command::new(program("promtool")).args(["check", "config"]).arg(&config).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_guide_to_n8n_names_what_is_there() {
    let guide = read("examples/n8n/README.md");
    for file in FILES {
        let workflow = Workflow::read(file);
        assert!(guide.contains(&format!("]({file})")), "the guide does not lead to {file}");
        for setting in workflow.settings(&[]).as_object().unwrap().keys() {
            assert!(guide.contains(&format!("`{setting}`")), "{file}: the guide does not name {setting}");
        }
    }
    let webhook = Workflow::read("ask-gateway.json").parameters("Webhook")["path"].as_str().unwrap().to_owned();
    assert!(guide.contains(&format!("http://127.0.0.1:5678/webhook/{webhook} ")), "the guide asks the webhook");
    let watch = Workflow::read("watch-cost.json");
    assert!(guide.contains("`Tell Slack`") && watch.names().contains(&"Tell Slack"), "where the credential goes");
}

/// What the webhook answers to a request, by a real gateway.
fn webhook(workflow: &Workflow, gateway: &Gateway, request: &Value) -> Value {
    let base = format!("http://{}", gateway.address);
    let mut item = workflow.settings(&[("gateway_url", json!(base))]);
    assert_eq!(workflow.parameters("Settings")["includeOtherFields"], true, "the request is handed on");
    item.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());

    let ask = workflow.parameters("Ask");
    assert_eq!(ask["method"], "POST");
    let response = &ask["options"]["response"]["response"];
    assert_eq!((&response["fullResponse"], &response["neverError"]), (&json!(true), &json!(true)));
    let url = evaluate(&ask["url"], &item, &json!({}));
    let path = url.as_str().and_then(|url| url.strip_prefix(&base)).unwrap_or_else(|| panic!("it asks {url}"));
    let answer = gateway.post(path, &fields(&ask["bodyParameters"], &item, &json!({})));

    let item = json!({"statusCode": answer.status(), "body": answer.json()});
    let output = usize::from(!holds(workflow.parameters("Answered?"), &item));
    let next = workflow.outputs("Answered?")[output][0];
    respond(workflow, next, &item)
}

/// What the webhook answers where this node has made its answer of the item.
fn respond(workflow: &Workflow, node: &str, item: &Value) -> Value {
    assert_eq!(workflow.outputs(node), [["Respond"]]);
    let answer = evaluate(&workflow.parameters(node)["jsonOutput"], item, &json!({}));
    let respond = workflow.parameters("Respond");
    assert_eq!(respond["respondWith"], "firstIncomingItem");
    let status = evaluate(&respond["options"]["responseCode"], &answer, &json!({}));
    assert!(status.is_u64(), "{status} is no status");
    assert_eq!(status, answer["status"]);
    answer
}

#[test]
fn a_workflow_for_n8n_asks_a_real_gateway_and_answers_its_webhook() {
    let workflow = Workflow::read("ask-gateway.json");
    let gateway = Gateway::setup().start();

    let prompt = "What is Rust?";
    let real = gateway.chat(prompt).expect(200).json();
    for request in [json!({"body": {"prompt": prompt}}), json!({})] {
        let answer = webhook(&workflow, &gateway, &request);
        assert_eq!(answer["status"], 200, "{answer}");
        assert_eq!((&answer["answer"], &answer["model"]), (&real["response"], &real["model"]), "{answer}");
        assert!(answer["cost"].is_number() && answer["id"].is_string(), "{answer}");
    }
    for (request, said) in [(json!({"body": {}}), "prompt"), (json!({"body": {"prompt": " "}}), "blank")] {
        let answer = webhook(&workflow, &gateway, &request);
        assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!(400), &json!("bad_request")), "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|message| message.contains(said)), "{answer}");
    }
    // The second output is for those whom nobody answered.
    assert_eq!(workflow.outputs("Ask"), [["Answered?"], ["No answer"]]);
    for error in [json!({"message": "refused"}), json!("refused")] {
        let answer = respond(&workflow, "No answer", &json!({"error": error}));
        assert_eq!(answer, json!({"status": 502, "error": {"code": "no_answer", "message": "refused"}}));
    }
}

/// The workflow that watches the cost, what it remembers, and the Prometheus that it asks.
struct Watch {
    workflow: Workflow,
    settings: Value,
    memory: Value,
}

impl Watch {
    /// What the workflow asks Prometheus for.
    fn query(&self) -> String {
        let list = &self.workflow.parameters("Ask Prometheus")["queryParameters"];
        fields(list, &self.settings, &json!({}))["query"].as_str().expect("a query").to_owned()
    }

    /// What Prometheus answers to a query, as the workflow asks it.
    fn ask(&self, api: Api, query: &str) -> Value {
        let url = evaluate(&self.workflow.parameters("Ask Prometheus")["url"], &self.settings, &json!({}));
        let path = url.as_str().and_then(|url| url.strip_prefix(&api.url()));
        let path = path.unwrap_or_else(|| panic!("it asks {url}"));
        let encoded = evaluate(&json!("={{ encodeURIComponent($json.query) }}"), &json!({"query": query}), &json!({}));
        api.get(&format!("{path}?query={}", encoded.as_str().unwrap())).expect(200).json()
    }

    /// Runs the code of a node; its first item, or its error.
    fn run(&mut self, node: &str, item: &Value) -> Result<Value, String> {
        let code = &self.workflow.parameters(node)["jsCode"];
        let nodes = json!({"Settings": self.settings});
        let outcome = calculate(&json!({"code": code, "json": item, "nodes": nodes, "memory": self.memory}));
        self.memory = outcome["memory"].clone();
        match outcome["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(outcome["value"][0]["json"].clone()),
        }
    }

    /// The message to Slack where there is one, for this answer of Prometheus and this limit.
    fn look(&mut self, answer: &Value, limit: f64) -> Option<Value> {
        self.settings["limit_usd"] = json!(limit);
        let sum = self.run("Add up", answer).unwrap_or_else(|error| panic!("Add up: {error}"));
        let condition = "Newly above the limit?";
        let outputs = self.workflow.outputs(condition);
        assert!(outputs[0] == ["Tell Slack"] && outputs[1..].iter().all(Vec::is_empty), "{outputs:?}");
        let message = &self.workflow.parameters("Tell Slack")["bodyParameters"];
        let nodes = json!({"Settings": self.settings});
        holds(self.workflow.parameters(condition), &sum).then(|| fields(message, &sum, &nodes))
    }
}

/// What an answer of Prometheus adds up to.
fn sum(answer: &Value) -> f64 {
    let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("no result: {answer}"));
    series.iter().map(|one| one["value"][1].as_str().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn a_workflow_for_n8n_tells_once_what_a_real_prometheus_says_of_the_cost() {
    let gateway = Gateway::setup().start();
    let requests = ["claude-sonnet", "tinyllama"].map(|model| prompt(model, "hello"));
    let load = Load::start(gateway.address, Duration::from_millis(5), requests.to_vec());
    let prometheus = Prometheus::start(&Addresses { gateway: gateway.address.to_string(), ..Addresses::default() });
    let workflow = Workflow::read("watch-cost.json");
    let settings = workflow.settings(&[("prometheus_url", json!(prometheus.api.url()))]);
    let mut watch = Watch { workflow, settings, memory: json!({}) };

    let query = watch.query();
    assert!(query.contains("[24h]"), "{query}");
    let metrics = gateway.metrics().samples;
    assert!(metrics.iter().any(|sample| query.contains(&format!("({}[", sample.name))), "{query}: no metric of ours");
    let answer = until_slowly("the spend is above five cents", || {
        Some(watch.ask(prometheus.api, &query)).filter(|answer| sum(answer) > 0.05)
    });
    drop(load);
    let spend = sum(&answer);
    let (below, above) = (spend / 2.0, spend * 2.0);

    assert_eq!(watch.look(&answer, above), None, "within the limit");
    let message = watch.look(&answer, below).expect("a message");
    assert_eq!(message["channel"], watch.settings["slack_channel"]);
    let text = message["text"].as_str().unwrap();
    for part in [&format!("{spend:.2} USD"), "24h", "claude-sonnet"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains("tinyllama"), "it costs nothing: {text}");

    let refused = watch.run("Remember", &json!({"ok": false, "error": "channel_not_found"}));
    assert!(refused.is_err_and(|error| error.contains("channel_not_found")));
    assert_eq!(watch.look(&answer, below).as_ref(), Some(&message), "what Slack refused is told again");
    assert!(watch.run("Remember", &json!({"ok": true})).is_ok());
    assert_eq!(watch.look(&answer, below), None, "told once");
    assert_eq!(watch.look(&answer, above), None, "back within the limit");
    assert_eq!(watch.look(&answer, below), Some(message), "and above it again");

    let empty = watch.ask(prometheus.api, &query.replace("[24h]", "{job=\"nobody\"}[24h]"));
    let error = watch.run("Add up", &empty).expect_err("nothing is known");
    assert!(error.contains("api_gateway_cost_total"), "{error}");
}
