//! Real parts: the official SDKs in Python drive the gateway in front of strict backends of each dialect, and a real
//! model answers through it. The Python side is `tests/real/`.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Client, request};
use wasmgate_tests::real;
use wasmgate_tests::scrape::Metrics;
use wasmgate_tests::wire::{Dialect, error_code};

const PROMPT: &str = "What is the capital of France?";

/// A script, in the environment that `make test` makes.
fn script(name: &str) -> Command {
    let mut command = Command::new(real::python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(name));
    // What the machine that runs the tests has set (keys, addresses, proxies) must not matter.
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    command
}

/// A server in Python that told where it is. It ends with its standard input, so with this process however that ends.
struct Server {
    child: Child,
    told: Value,
    // The other end of what it prints.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    fn start_with(name: &str, arguments: &[&str]) -> Self {
        let spawned = script(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line);
        let told = told.unwrap_or_else(|error| panic!("{name} said {line:?} and not where it is: {error}"));
        Self { child, told, _stdout: stdout }
    }

    fn url(&self) -> &str {
        self.told["url"].as_str().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script to its end, and gives the lines of JSON that it printed.
#[track_caller]
pub(crate) fn run(name: &str, arguments: &[&str]) -> Vec<Value> {
    let output = script(name).args(arguments).stdin(Stdio::null()).output().unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{told}\n{said}", output.status);
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A gateway with the models of `backend.py`.
fn before(backend: &Server) -> Setup {
    let mut setup = Gateway::setup().models(backend.told["models"].as_str().unwrap());
    for (name, value) in backend.told["environment"].as_object().unwrap() {
        setup = setup.variable(name, value.as_str().unwrap());
    }
    setup
}

/// Runs all cases of an SDK, of which there must be at least `least` for each dialect of the backend.
#[track_caller]
fn run_sdk(sdk: &str, least: usize) {
    let backend = Server::start("backend.py");
    let gateway = before(&backend).start();
    let results = run(&format!("{sdk}_sdk.py"), &[&format!("http://{}", gateway.address), backend.url()]);
    for dialect in Dialect::ALL.map(Dialect::kind) {
        let cases = results.iter().filter(|result| result["backend"] == dialect).count();
        println!("{sdk} SDK, {dialect} backend: {cases} cases");
        assert!(cases >= least, "{cases} cases against the {dialect} backend, expected {least} or more");
    }
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
}

#[test]
fn the_openai_sdk_works_with_backends_of_each_dialect() {
    run_sdk("openai", 15);
}

#[test]
fn the_anthropic_sdk_works_with_backends_of_each_dialect() {
    run_sdk("anthropic", 15);
}

#[test]
fn the_ollama_sdk_works_with_backends_of_each_dialect() {
    run_sdk("ollama", 12);
}

#[test]
fn a_backend_is_asked_over_tls_where_an_authority_that_is_trusted_vouches_for_it() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let backends =
        folders.each_ref().map(|folder| Server::start_with("backend.py", &["--tls", folder.path().to_str().unwrap()]));
    let authorities = folders.each_ref().map(|folder| folder.path().join("authority.pem"));
    let trusting =
        |authority: &Path| before(&backends[0]).variable("SSL_CERT_FILE", authority.to_str().unwrap()).start();
    let body = json!({"model": "openai", "messages": [{"role": "user", "content": PROMPT}]});
    let path = "/v1/chat/completions";

    let gateway = trusting(&authorities[0]);
    assert!(backends[0].url().starts_with("https://"));
    let _ = gateway.post(path, &body).expect(200);
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    assert_eq!(gateway.stream(path, &streamed).all().last(), Some(&Value::Null), "the stream ends with its mark");

    // The other one's authority is as good, but not for this backend.
    let gateway = trusting(&authorities[1]);
    let refused = gateway.post(path, &body).expect(502).json();
    assert_eq!(error_code(path, &refused), "backend_unreachable", "{refused}");
    let line = gateway.wait_for_ending("failed");
    assert!(line["detail"].as_str().is_some_and(|detail| detail.contains("invalid peer certificate")), "{line}");
}

/// A gateway in front of a real model.
struct Real {
    server: Server,
    gateway: Gateway,
}

impl Real {
    fn start() -> Self {
        let server = Server::start("llama.py");
        let gateway = Gateway::setup().model_at("smollm2", Dialect::OpenAi, server.url()).start();
        Self { server, gateway }
    }

    /// Input and output tokens, as the server counts them in its own metrics.
    fn counted_by_the_server(&self) -> (f64, f64) {
        let address = self.server.url().strip_prefix("http://").unwrap().parse().unwrap();
        let page = Client::connect(address).send(request("GET", "/metrics", &[], b"")).response().expect(200);
        let metrics = Metrics::parse(&page.text());
        let count = |name: &str| metrics.value(&format!("llamacpp:{name}_total"), &[]);
        (count("prompt_tokens") + count("prompt_tokens_cached"), count("tokens_predicted"))
    }

    /// Waits until the gateway's metrics say `requests` finished, and compares what it and the server count.
    #[track_caller]
    fn compare(&self, requests: f64, reported: (f64, f64)) {
        self.gateway.wait_metric(
            "api_gateway_requests_total",
            &[("model", "smollm2"), ("status", "success")],
            requests,
        );
        let metrics = self.gateway.metrics();
        let tokens = |kind| metrics.value("api_gateway_tokens_total", &[("model", "smollm2"), ("type", kind)]);
        let counted = (tokens("input"), tokens("output"));
        assert_eq!(counted, reported, "the gateway's metrics, against the usage in the answers");
        assert_eq!(counted, self.counted_by_the_server(), "the gateway's metrics, against the server's own");
        assert_eq!(metrics.value("api_gateway_estimated_tokens_total", &[]), 0.0, "nothing was guessed");
    }
}

#[test]
fn a_real_model_answers_and_its_usage_is_what_the_metrics_say() {
    let real = Real::start();

    let answer = real.gateway.post("/api/v1/chat", &json!({"prompt": PROMPT, "model": "auto", "max_tokens": 12}));
    let answer = answer.expect(200).json();
    assert!(answer["response"].as_str().is_some_and(|text| !text.trim().is_empty()), "{answer}");
    assert_eq!((&answer["model"], &answer["backend"]), (&json!("smollm2"), &json!("smollm2")));
    let mut input = answer["input_tokens"].as_f64().unwrap();
    let mut output = answer["output_tokens"].as_f64().unwrap();
    assert!(input > 0.0 && output > 0.0 && output <= 12.0, "{answer}");
    real.compare(1.0, (input, output));

    let body = json!({"model": "smollm2", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 12,
        "temperature": 0, "stream": true, "stream_options": {"include_usage": true}});
    let chunks = real.gateway.stream("/v1/chat/completions", &body).all();
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(!text.trim().is_empty(), "{chunks:?}");
    assert_eq!(chunks.last(), Some(&Value::Null), "the stream ends with its mark");
    let usage = &chunks[chunks.len() - 2]["usage"];
    // The same prompt: the server read it from its cache, which is input all the same.
    assert_eq!(usage["prompt_tokens"].as_f64(), Some(input), "{usage}");
    input *= 2.0;
    output += usage["completion_tokens"].as_f64().unwrap();
    real.compare(2.0, (input, output));
}

#[test]
fn the_openai_sdk_streams_from_a_real_model() {
    let real = Real::start();
    let told = run("llama_sdk.py", &[&format!("http://{}", real.gateway.address), "smollm2"]);
    let told = &told[0];
    assert!(told["finish_reason"] == "length" || told["finish_reason"] == "stop", "{told}");
    real.compare(1.0, (told["input"].as_f64().unwrap(), told["output"].as_f64().unwrap()));
}

#[test]
fn a_real_server_that_is_killed_in_the_middle_of_an_answer_is_found_again() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = free.port().to_string();
    let server = Server::start_with("llama.py", &[&port]);
    let gateway = Gateway::setup()
        .model_at("smollm2", Dialect::OpenAi, server.url())
        .models("[backends.stand-in]\nkind = \"sim\"\n[models.stand-in]\nbackend = \"stand-in\"\n")
        .routing("enabled = false")
        .start();
    let path = "/v1/chat/completions";
    let long = json!({"model": "smollm2", "messages": [{"role": "user", "content": "Count to a thousand."}],
        "max_tokens": 900, "temperature": 0, "stream": true});
    let mut stream = gateway.stream(path, &long);
    let begun = |chunk: Value| chunk["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty());
    while !begun(stream.data().expect("it has begun")) {}
    // Its process ends at once, with all that it was about to say.
    drop(server);
    let rest = stream.all();
    assert_eq!(error_code(path, rest.last().unwrap()), "stream_cut");
    assert_eq!(gateway.wait_for_ending("failed")["usage_reported"], false, "what was said is billed by an estimate");
    assert!(
        gateway.metrics().value("api_gateway_estimated_tokens_total", &[("model", "smollm2"), ("type", "output")])
            > 0.0
    );

    let response = gateway.chat(PROMPT).expect(200);
    assert_eq!(response.header("x-wasmgate-failed-attempts"), "smollm2 connect");
    assert_eq!(response.header("x-wasmgate-model"), "stand-in");

    let _again = Server::start_with("llama.py", &[&port]);
    let body = json!({"prompt": PROMPT, "model": "auto", "max_tokens": 12});
    let response = gateway.post("/api/v1/chat", &body).expect(200);
    assert_eq!((response.header("x-wasmgate-model"), response.header("x-wasmgate-failed-attempts")), ("smollm2", ""));
}
