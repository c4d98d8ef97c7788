//! The README does what it says: each command is run as it stands there, and shows what the README shows. `make run` itself
//! would build: a gateway without a file, which is what it starts, takes its place.

use std::fs;

use wasmgate_tests::gateway::{Gateway, serve_without_file};
use wasmgate_tests::real;

use crate::examples::{Place, Step, blocks, gateway_of, root, steps};

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

#[test]
fn the_readme_works_as_it_is_written() {
    let (embedded, edited) = (serve_without_file(), gateway_of("hot-reload"));
    let clone = tempfile::tempdir().unwrap();
    let in_clone = Place { gateway: &embedded, folder: clone.path().to_owned(), language: "script" };
    let in_copy = Place { gateway: &edited, folder: edited.path(""), language: "script" };
    let (mut place, mut begun, mut ran) = (&in_clone, Vec::new(), 0);
    for step in steps(&read("README.md")) {
        let command = step.command.as_str();
        // What starts and ends gateways is what this test does itself.
        let now = match command {
            "make run" => Some((&in_clone, "make run")),
            _ if command.contains("\nwasmgate serve") => Some((&in_copy, "wasmgate serve")),
            _ if command.starts_with("kill %1") => Some((&in_clone, "kill")),
            _ => None,
        };
        match now {
            Some((there, what)) => {
                place = there;
                begun.push(what);
            }
            None => {
                place.follow(&step);
                ran += 1;
            }
        }
    }
    assert_eq!(begun, ["make run", "wasmgate serve", "kill"]);
    assert!(ran >= 9, "{ran} commands were found");
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
