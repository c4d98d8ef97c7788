//! Examples do what they say: each command of a guide is run as it stands there, and shows what the guide shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmgate_tests::gateway::{Gateway, binary};
use wasmgate_tests::wait::until;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_guide_to_hot_reload_works_as_it_is_written() {
    let example = root().join("examples/hot-reload");
    let read = |name: &str| fs::read_to_string(example.join(name)).unwrap();
    let gateway = Gateway::setup().whole(&read("wasmgate.toml")).file("ask", read("ask").as_bytes());
    // The harness reads where it listens from lines of JSON.
    let gateway = gateway.argument("--log-format").argument("json").start();
    fs::set_permissions(gateway.path("ask"), fs::Permissions::from_mode(0o755)).unwrap();
    let guide = read("README.md");
    let blocks = blocks(&guide);
    let mut ran = 0;
    for (number, (language, text)) in blocks.iter().enumerate() {
        // How to begin is what this test did itself.
        if *language != "sh" || text.starts_with("cd examples/") || text.starts_with("wasmgate serve") {
            continue;
        }
        let expected: Vec<&str> = match blocks.get(number + 1) {
            Some(("text", shown)) => shown.lines().collect(),
            _ => Vec::new(),
        };
        // Looking changes nothing, so it can be done until a change has gone in.
        let looks = ["./ask", "curl", "wasmgate policies list", "wasmgate policies show"];
        if looks.iter().any(|look| text.starts_with(look)) {
            until(&format!("{text} shows {expected:?}"), || shows(&run(&gateway, text), &expected).then_some(()));
        } else {
            let shown = run(&gateway, text);
            assert!(shows(&shown, &expected), "{text} shows {shown}, expected {expected:?}");
        }
        ran += 1;
    }
    assert!(ran >= 15, "{ran} commands were found");
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
fn run(gateway: &Gateway, commands: &str) -> String {
    let commands = commands
        .replace("../../policies", &root().join("policies").display().to_string())
        .replace("http://127.0.0.1:8080", &format!("http://{}", gateway.address));
    let folder = binary().parent().unwrap().display().to_string();
    let output = Command::new("sh")
        .args(["-e", "-c", &commands])
        .current_dir(gateway.path(""))
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("WASMGATE", format!("http://{}", gateway.address))
        .env("WASMGATE_ADMIN_URL", format!("http://{}", gateway.admin))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
