//! The README does what it says: each command is run as it stands there, and shows what the README shows. `make run` itself
//! would build: a gateway without a file, which is what it starts, takes its place.

use std::fs;
use std::process::Command;

use serde_json::Value;
use wasmgate_tests::gateway::{Gateway, serve_without_file};
use wasmgate_tests::real;
use wasmgate_tests::wait::until;

use crate::examples::{Place, Step, blocks, root, steps};

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

#[test]
fn the_readme_works_as_it_is_written() {
    let demo = serve_without_file();
    let clone = tempfile::tempdir().unwrap();
    let ask = "examples/hot-reload/ask";
    fs::create_dir_all(clone.path().join(ask).parent().unwrap()).unwrap();
    fs::copy(root().join(ask), clone.path().join(ask)).unwrap();
    let place = Place { gateway: &demo, folder: clone.path().to_owned(), language: "script" };
    let (mut begun, mut ran) = (0, 0);
    for step in steps(&read("README.md")) {
        // What starts gateways is what this test does itself.
        if step.command == "make run" {
            begun += 1;
        } else {
            place.follow(&step);
            ran += 1;
        }
    }
    assert_eq!(begun, 1);
    assert!(ran >= 11, "{ran} commands were found");
}

/// The start-up log of the demo names the policy's file, and the commands that change it, break it and bring it back.
#[test]
fn the_demo_is_swapped_by_the_commands_that_its_log_prints() {
    let demo = serve_without_file();
    let file = demo.wait_for_log("where the script is", |line| line["file"].is_string())["file"].clone();
    assert_eq!(file, *demo.path("state/wasmgate/demo/route.rhai").to_str().unwrap());
    assert_eq!(model(&demo), "tinyllama");
    runs(&demo, "so that phi2 answers");
    until("phi2 answers", || (model(&demo) == "phi2").then_some(()));
    runs(&demo, "to break it (the version before keeps serving)");
    demo.wait_place("routing", "the refusal", |place| place["refused"].to_string().contains("Expecting"));
    assert_eq!(model(&demo), "phi2");
    // What somebody wrote is still there after a restart, and so is the version that served.
    let broken = fs::read(demo.path("state/wasmgate/demo/route.rhai")).unwrap();
    let demo = demo.restart("TERM");
    assert_eq!(fs::read(demo.path("state/wasmgate/demo/route.rhai")).unwrap(), broken);
    assert_eq!(model(&demo), "phi2");
    runs(&demo, "to bring it back");
    until("tinyllama answers", || (model(&demo) == "tinyllama").then_some(()));
}

fn model(demo: &Gateway) -> String {
    demo.chat("What is Rust?").expect(200).header("x-wasmgate-model").to_owned()
}

/// Runs the command that the log prints for this purpose, as it stands there.
fn runs(demo: &Gateway, purpose: &str) {
    let prefix = format!("try, {purpose}: ");
    let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(&prefix));
    let line = demo.wait_for_log(purpose, is_it);
    let command = &line["message"].as_str().unwrap()[prefix.len()..];
    assert!(Command::new("sh").args(["-e", "-c", command]).status().unwrap().success(), "{command}");
}

/// Where nothing can be written, the demo serves all the same, and says why there is nothing to edit.
#[test]
fn the_demo_serves_where_it_cannot_write() {
    let demo = Gateway::setup().without_file().file("state", b"a file, where a folder would be").start();
    let _ = demo.chat("What is Rust?").expect(200);
    let line = demo.wait_for_log("the reason", |line| line["level"] == "WARN" && line["reason"].is_string());
    assert!(line["message"].as_str().unwrap().contains("no policy file to edit"), "{line}");
    assert!(demo.chat("What is Rust?").header("x-wasmgate-policy").starts_with("complexity@"));
}

#[test]
fn the_readme_shows_a_configuration_that_is_valid() {
    let readme = read("README.md");
    let shown = blocks(&readme).into_iter().find(|(kind, _)| *kind == "toml").unwrap().1;
    let checked = Gateway::setup().whole(shown).variable("OPENAI_API_KEY", "a-key").check();
    checked.expect(0, &["valid: 2 backends, 2 models"]);
}

#[test]
fn the_reference_shows_an_sdk_that_works() {
    let reference = read("gateway/README.md");
    let shown = blocks(&reference).into_iter().find(|(kind, _)| *kind == "python").unwrap().1;
    // It says beside each line that prints what it prints.
    let printed: Vec<&str> = shown.lines().filter_map(|line| Some(line.split_once("  # ")?.1)).collect();
    assert!(!printed.is_empty(), "{shown}");
    let python = real::python().display().to_string();
    let command = format!("NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 '{python}' - <<'END'\n{shown}END");
    let gateway = serve_without_file();
    let folder = tempfile::tempdir().unwrap();
    let place = Place { gateway: &gateway, folder: folder.path().to_owned(), language: "script" };
    place.follow(&Step::new(&command, &printed.join("\n")));
}
