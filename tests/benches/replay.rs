//! A hundred thousand decisions of a simulated week, asked again: the built-in `complexity`, and the example policy in JavaScript,
//! each by the command as an operator types it, reading of the log and texts included. The targets are 5 and 60 seconds on two
//! cores. `make bench` runs it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};
use wasmgate_bench::figures;
use wasmgate_tests::gateway::run;
use wasmgate_tests::real;
use wasmgate_tests::week::Week;

const RECORDS: usize = 100_000;

pub(super) fn all() {
    // In the build folder and not in a folder of temporary files, which may be in memory.
    let folder = std::env::current_exe().expect("a path").with_file_name("replay-bench");
    let _ = std::fs::remove_dir_all(&folder);
    write(&folder);
    println!("{:<28} {:>12} {:>12}", "100,000 decisions again", "measured", "target");
    measure("complexity", Path::new("complexity"), 5.0, &folder);
    let javascript = real::folder().join("policies/javascript.wasm");
    if javascript.is_file() {
        measure("javascript", &javascript, 60.0, &folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// The log of a week that `complexity` decided.
fn write(folder: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let week = Week::new(1, RECORDS);
    runtime.block_on(async {
        let policy = week.complexity(&Map::new()).await;
        let verdicts = week.ask(&policy).await;
        week.write(folder, &policy, &verdicts);
    });
}

fn measure(name: &str, policy: &Path, target: f64, folder: &Path) {
    let paths: [PathBuf; 2] = [policy.to_owned(), folder.to_owned()];
    let [policy, folder] = paths.each_ref().map(|path| path.to_str().expect("a path in Unicode"));
    // It is compiled once, and a gateway of this user has done so before.
    run(&["policy", "inspect", policy, "--hook", "routing"]).expect(0, &[]);
    let began = Instant::now();
    let exit = run(&["policy", "replay", policy, "--log", folder, "--json"]);
    let seconds = began.elapsed().as_secs_f64();
    exit.expect(0, &[]);
    let found: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!((&found["asked"], &found["failures"]), (&json!(RECORDS), &json!([])), "{name}");
    println!("{name:<28} {seconds:>10.2} s {target:>10.2} s");
    figures::note(&format!("replay.{name}.seconds"), seconds);
}
