//! What a scrape takes where the page is long: idle, and beside clients at work. The gateway has one core, its clients
//! the other. `make bench` runs it; the figures are in `gateway/benches/README.md`.

use std::time::{Duration, Instant};

use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::{Client, request};
use wasmgate_tests::scrape::Metrics;
use wasmgate_tests::traffic::Traffic;

const SCRAPES: usize = 1000;

pub(super) fn all() {
    println!("{:<12} {:>8} {:>10} {:>9} {:>9} {:>9}", "scrapes", "samples", "bytes", "p50 ms", "p99 ms", "max ms");
    // With eight models a page is as long as one was planned to be; the alert on too many comes at 15,000 at the latest.
    for models in [8, 16, 70] {
        let gateway = start(models);
        row("idle", &gateway);
        let traffic = Traffic::start(&gateway, 2, 2);
        row("under load", &gateway);
        let _ = traffic.end();
    }
}

fn start(models: usize) -> Gateway {
    let backend = "[backends.sim]\nkind = \"sim\"\nsim = { latency_ms = 0, tokens_per_second = inf }\n".to_owned();
    let models = (0..models).map(|number| format!("[models.m{number}]\nbackend = \"sim\"\n"));
    let shadows = ["cheapest-healthy", "latency-aware"];
    let setup = Gateway::setup().models(&models.fold(backend, |text, model| text + &model));
    let setup =
        shadows.iter().fold(setup, |setup, shadow| setup.routing(&format!("shadows.{shadow}.builtin = \"{shadow}\"")));
    setup.after("taskset -cp 0 $$ >/dev/null").start()
}

fn row(what: &str, gateway: &Gateway) {
    let mut client = gateway.connect();
    let page = scrape(&mut client);
    let samples = Metrics::parse(&page).samples.len();
    let mut took: Vec<Duration> = (0..SCRAPES)
        .map(|_| {
            let began = Instant::now();
            let _ = scrape(&mut client);
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what:<12} {samples:>8} {:>10} {:>9.2} {:>9.2} {:>9.2}", page.len(), at(0.5), at(0.99), at(1.0));
}

fn scrape(client: &mut Client) -> String {
    client.send(request("GET", "/metrics", &[], b""));
    let answer = client.response();
    assert_eq!(answer.status(), 200);
    answer.text()
}
