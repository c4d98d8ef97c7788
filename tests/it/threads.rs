//! The threads that serve clients: each connection stays on one, connections are spread evenly, and a stop ends all.

use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::{Client, post_json};
use wasmgate_tests::wire::{Dialect, Usage, ask};

const USAGE: Usage = Usage { input: 11, output: 3 };
const PATH: &str = "/v1/chat/completions";

fn backend() -> Backend {
    Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)))
}

fn asks(client: &mut Client) {
    let _ = client.send(post_json(PATH, &ask(PATH, "m", "hello", false))).response().expect(200);
}

/// What the gateway's threads are called.
fn threads(gateway: &Gateway) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gateway.process.id())).expect("a process");
    // A thread may end meanwhile.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

fn workers(gateway: &Gateway) -> usize {
    threads(gateway).iter().filter(|name| name.starts_with("worker-")).count()
}

#[test]
fn connections_are_spread_over_the_threads_and_stay_there() {
    let backend = backend();
    let gateway = Gateway::setup().server("threads = 4").model("m", Dialect::OpenAi, &backend).start();
    assert_eq!(workers(&gateway), 4);
    let mut clients = (0..8).map(|_| gateway.connect()).collect::<Vec<_>>();
    // One request at a time: any thread could use the first connection to the backend, but each has its own.
    for _ in 0..3 {
        clients.iter_mut().for_each(asks);
    }
    assert_eq!(backend.connections(), 4);
    assert_eq!(gateway.metrics().value("api_gateway_requests_total", &[("status", "success")]), 24.0);
}

#[test]
fn threads_that_share_all_have_one_pool_of_connections() {
    let backend = backend();
    let lines = "runtime = \"shared\"\nthreads = 4";
    let gateway = Gateway::setup().server(lines).model("m", Dialect::OpenAi, &backend).start();
    assert_eq!(workers(&gateway), 0);
    let mut clients = (0..8).map(|_| gateway.connect()).collect::<Vec<_>>();
    for _ in 0..3 {
        clients.iter_mut().for_each(asks);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_stop_lets_the_requests_of_all_threads_end() {
    let gate = Gate::default();
    let held = gate.clone();
    let answer = Dialect::OpenAi.answer("well", USAGE);
    let backend = Backend::start(move |_| Reply::silent().gate(&held).and(Reply::json(200, &answer)));
    let mut gateway = Gateway::setup().server("threads = 3").model("m", Dialect::OpenAi, &backend).start();
    let mut clients = (0..6)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(post_json(PATH, &ask(PATH, "m", "hello", false)));
            client
        })
        .collect::<Vec<_>>();
    backend.wait_requests(6);
    gateway.sigterm();
    gateway.wait_for_log("the stop", |line| line["message"].as_str().is_some_and(|text| text.starts_with("stopping")));
    gate.open();
    for client in &mut clients {
        let _ = client.response().expect(200);
    }
    assert!(gateway.wait_exit().status.success());
}
