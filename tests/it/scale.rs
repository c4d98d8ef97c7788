//! How the number of series grows with models, backends and versions, and what a scrape of many series takes.

use std::fs;
use std::io::Read as _;

use flate2::read::GzDecoder;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::request;
use wasmgate_tests::monitoring::repository;
use wasmgate_tests::scrape::Metrics;
use wasmgate_tests::wait::until;

const SIM: &str = "kind = \"sim\"\nsim = { latency_ms = 0, tokens_per_second = inf }\n";
const SCRIPT: &[u8] = b"fn route(request, candidates) { route_to(candidates, \"the first\") }\n";

/// The figures of a row of the table in `monitoring/README.md`: series, and series for each of what grows with it.
fn documented(what: &str) -> [usize; 2] {
    let text = fs::read_to_string(repository("monitoring/README.md")).unwrap();
    let row = text.lines().find(|line| line.starts_with(&format!("| {what} |")));
    let row = row.unwrap_or_else(|| panic!("no row {what:?} in monitoring/README.md"));
    let number = |cell: &str| cell.split_whitespace().next().unwrap().parse().unwrap_or(0);
    let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
    [number(cells[1]), number(cells[2])]
}

/// The samples of a scrape, which the gateway must be able to explain.
fn samples(gateway: &Gateway) -> usize {
    let metrics = gateway.metrics();
    let (there, expected) = (metrics.samples.len(), metrics.value("api_gateway_series_expected", &[]));
    assert!(there as f64 <= expected, "{there} samples, and the configuration explains {expected}");
    there
}

#[test]
fn models_backends_and_versions_add_as_many_series_as_the_documents_say() {
    let models = format!("[backends.a]\n{SIM}[models.m0]\nbackend = \"a\"\n[models.m1]\nbackend = \"a\"\n");
    let gateway = Gateway::setup()
        .reloading()
        .models(&models)
        .file("other.rhai", SCRIPT)
        .file("another.rhai", SCRIPT)
        .settings("low-below = 0.3")
        .start();
    let mut before = samples(&gateway);
    let mut added = |change: &dyn Fn(), name: &str, labels: &[(&str, &str)]| {
        change();
        until(name, || gateway.metrics().find(name, labels).map(|_| ()));
        let now = samples(&gateway);
        let added = now - before;
        before = now;
        added
    };
    let with = |from: &'static str, text: String| {
        let gateway = &gateway;
        move || gateway.edit_config(from, &format!("{text}{from}"))
    };
    let canary =
        "[policies.routing.canary]\nbuiltin = \"script\"\nsetting_files = { script = \"other.rhai\" }\npercent = 10\n";
    let shadow = "[policies.routing.shadows.x]\nbuiltin = \"script\"\nsetting_files = { script = \"another.rhai\" }\n";
    let cost = "api_gateway_cost_total";
    let measured = [
        added(&with("[models.m1]", "[models.m2]\nbackend = \"a\"\n".into()), cost, &[("model", "m2")]),
        added(
            &with("[models.m1]", format!("[backends.b]\n{SIM}[models.m3]\nbackend = \"b\"\n")),
            cost,
            &[("model", "m3")],
        ),
        added(&with("[policies.routing.settings]", canary.into()), "api_gateway_policy_info", &[("mode", "canary")]),
        added(&with("[policies.routing.settings]", shadow.into()), "api_gateway_policy_info", &[("mode", "shadow")]),
    ];
    let rows = ["a model", "a backend", "a canary of a routing policy", "a shadow of a routing policy"].map(documented);
    let [[model, for_each_version], [backend, _], [canary, for_each_model], [shadow, for_each_model_of_it]] = rows;
    let model = model + for_each_version;
    let documented = [model, model + backend, canary + 4 * for_each_model, shadow + 4 * for_each_model_of_it];
    assert_eq!(
        measured, documented,
        "a model with one version, a backend with a model, a canary and a shadow with four models"
    );
}

#[test]
fn a_scrape_is_compressed_for_those_that_accept_it() {
    let gateway = Gateway::setup().start();
    let scrape = |headers: &[(&str, &str)]| gateway.send(request("GET", "/metrics", headers, b"")).expect(200);
    let coded = scrape(&[("accept-encoding", "gzip")]);
    assert_eq!((coded.header("content-encoding"), coded.header("vary")), ("gzip", "accept-encoding"));
    assert!(coded.header("content-type").starts_with("text/plain; version=0.0.4"));
    let mut text = String::new();
    GzDecoder::new(&*coded.body).read_to_string(&mut text).unwrap();
    let plain = scrape(&[("accept-encoding", "gzip;q=0, identity")]);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let names = |text: &str| Metrics::parse(text).types.into_keys().collect::<Vec<_>>();
    assert_eq!(names(&text), names(&plain.text()));
    assert!(coded.body.len() * 5 < plain.body.len(), "{} and {} bytes", coded.body.len(), plain.body.len());
}
