//! `examples/profiling/profile.sh` draws where a gateway under load spends its time, with the real `perf`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::monitoring::load::{Load, prompt};
use wasmgate_tests::monitoring::repository;

fn profile(pid: &str, svg: &Path) -> Output {
    let mut script = Command::new(repository("examples/profiling/profile.sh"));
    script.args([pid, "1"]).arg(svg).output().unwrap_or_else(|error| panic!("{script:?}: {error}"))
}

#[test]
fn a_flame_graph_of_a_gateway_under_load_names_its_functions() {
    let gateway = Gateway::setup().start();
    let load = [(); 2].map(|()| Load::start(gateway.address, Duration::ZERO, vec![prompt("auto", "hello")]));
    load[0].wait_answered(1);
    let folder = TempDir::new().unwrap();
    let svg = folder.path().join("profile.svg");

    let output = profile(&gateway.process.id().to_string(), &svg);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("in named functions"), "{said}");
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<?xml") && drawn.contains("<svg ") && drawn.trim_end().ends_with("</svg>"), "{drawn}");
    // Where a connection is served: most samples are in it or above.
    assert!(drawn.contains("wasmgate::server::serve"), "no function of the gateway is in {drawn}");
    drop(load);
}

#[test]
fn a_process_that_is_not_there_is_told_and_draws_nothing() {
    let folder = TempDir::new().unwrap();
    let svg = folder.path().join("profile.svg");
    // Larger than any that Linux gives.
    let output = profile("4194305", &svg);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "profile.sh: there is no process 4194305\n");
    assert!(!svg.exists());
}
