//! Examples do what they say: each command of a guide is run as it stands there, and shows what the guide shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmgate_tests::gateway::{Gateway, binary};
use wasmgate_tests::real;
use wasmgate_tests::wait::until;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_guide_to_hot_reload_works_as_it_is_written() {
    let ran = follow("hot-reload", &[], "rust", |_| true);
    assert!(ran >= 15, "{ran} commands were found");
}

/// What belongs to one language in the guide to writing policies, for the others.
fn writes_a_policy_in(language: &'static str, source: &str) {
    let lang = if language == "javascript" { "js" } else { language };
    let words = [("--lang rust", format!("--lang {lang}")), ("src/routing.rs", source.to_owned())];
    let ran = follow("write-a-policy", &words, language, |command| !command.contains("my-script"));
    assert!(ran >= 12, "{ran} commands were found");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_rust() {
    writes_a_policy_in("rust", "src/routing.rs");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_javascript() {
    writes_a_policy_in("javascript", "src/routing.js");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_python() {
    writes_a_policy_in("python", "routing.py");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_c() {
    writes_a_policy_in("c", "src/routing.c");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_zig() {
    writes_a_policy_in("zig", "src/routing.zig");
}

#[test]
fn the_guide_to_writing_a_policy_works_without_a_compiler() {
    let ran = follow("write-a-policy", &[], "script", |command| !command.contains("my-policy"));
    assert!(ran >= 6, "{ran} commands were found");
}

/// Runs the commands of a guide that are wanted, with some words replaced by others, and compares what they show with what the
/// guide shows. How many there were.
fn follow(example: &str, words: &[(&str, String)], language: &'static str, wanted: impl Fn(&str) -> bool) -> usize {
    let example = root().join("examples").join(example);
    let read = |name: &str| fs::read_to_string(example.join(name)).unwrap();
    let gateway = Gateway::setup().whole(&read("wasmgate.toml")).file("ask", read("ask").as_bytes());
    // The harness reads where it listens from lines of JSON.
    let gateway = gateway.argument("--log-format").argument("json").start();
    fs::set_permissions(gateway.path("ask"), fs::Permissions::from_mode(0o755)).unwrap();
    let guide = read("README.md");
    let guide = words.iter().fold(guide, |guide, (from, to)| guide.replace(from, to));
    let blocks = blocks(&guide);
    let (mut ran, mut is_wanted) = (0, true);
    for (number, (kind, text)) in blocks.iter().enumerate() {
        // How to begin is what this test did itself.
        if *kind != "sh" || text.starts_with("cd examples/") || text.starts_with("wasmgate serve") {
            continue;
        }
        // What looks at the outcome of commands belongs to them.
        let looks = ["./ask", "curl", "wasmgate policies list", "wasmgate policies show"];
        let looks = looks.iter().any(|look| text.starts_with(look));
        is_wanted = if looks { is_wanted } else { wanted(text) };
        if !is_wanted {
            continue;
        }
        let expected: Vec<&str> = match blocks.get(number + 1) {
            Some(("text", shown)) => shown.lines().collect(),
            _ => Vec::new(),
        };
        // Looking changes nothing, so it can be done until a change has gone in.
        if looks {
            until(&format!("{text} shows {expected:?}"), || {
                shows(&run(&gateway, text, language), &expected).then_some(())
            });
        } else {
            let shown = run(&gateway, text, language);
            assert!(shows(&shown, &expected), "{text} shows {shown}, expected {expected:?}");
        }
        ran += 1;
    }
    ran
}

/// The fenced blocks of a document: language and text.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// Whether each line is there, perhaps with more around it.
fn shows(output: &str, expected: &[&str]) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let output = squeezed(output);
    expected.iter().all(|line| output.contains(&squeezed(line)))
}

/// What commands print, run beside the gateway's configuration. They are those of the guide but for where things are.
fn run(gateway: &Gateway, commands: &str, language: &'static str) -> String {
    let commands = commands
        .replace("../../policies", &root().join("policies").display().to_string())
        .replace("http://127.0.0.1:8080", &format!("http://{}", gateway.address));
    let folder = binary().parent().unwrap().display().to_string();
    let output = Command::new("sh")
        .args(["-e", "-c", &format!("PATH={folder}:$PATH\n{commands}")])
        .current_dir(gateway.path(""))
        .envs(real::toolchain(language))
        .env("WASMGATE", format!("http://{}", gateway.address))
        .env("WASMGATE_ADMIN_URL", format!("http://{}", gateway.admin))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
