//! The README's table of clients says what is run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The clients that are installed, each with its version, as `package version`.
fn pinned() -> BTreeSet<String> {
    let manifest: Value = serde_json::from_str(&read("tests/real/clients/package.json")).unwrap();
    let lock: Value = serde_json::from_str(&read("tests/real/clients/package-lock.json")).unwrap();
    // What the scripts need beside the clients.
    let clients = manifest["dependencies"].as_object().unwrap().keys().filter(|name| *name != "zod");
    let from_npm = clients.map(|name| {
        let version = &lock["packages"][format!("node_modules/{name}")]["version"];
        format!("{name} {}", version.as_str().unwrap())
    });
    let of_python = [
        ("tests/real/requirements.txt", ["openai", "anthropic", "ollama"].as_slice()),
        ("tests/real/clients/requirements.txt", &["langchain-openai", "langchain-anthropic", "langchain-ollama"]),
    ];
    let from_pypi = of_python.iter().flat_map(|(file, names)| {
        let pins = read(file);
        names.iter().map(move |name| {
            let pin = pins.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
            let version = pin.and_then(|pin| pin.split_whitespace().next());
            format!("{name} {}", version.unwrap_or_else(|| panic!("{file} does not pin {name}")))
        })
    });
    from_npm.chain(from_pypi).collect()
}

#[test]
fn the_readme_names_the_clients_that_are_run_with_their_versions() {
    let readme = read("README.md");
    let table = readme.split("| client | packages |").nth(1).expect("the table of clients");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let named: BTreeSet<String> = rows
        .flat_map(|row| row.split('|').nth(2).unwrap_or_default().split(','))
        .map(|package| {
            let words: Vec<&str> = package.trim().split(' ').take(2).collect();
            words.join(" ").replace('`', "")
        })
        .collect();
    assert_eq!(named, pinned(), "the README's table of clients, and what tests/real pins");
}

#[test]
fn the_sdks_under_langchain_are_the_official_ones_of_the_same_versions() {
    let (own, theirs) = (read("tests/real/requirements.txt"), read("tests/real/clients/requirements.txt"));
    for name in ["openai", "anthropic", "ollama"] {
        let pin = |pins: &str| {
            let line = pins.lines().find(|line| line.starts_with(&format!("{name}==")));
            line.map(|line| line.trim_end_matches([' ', '\\']).to_owned())
        };
        assert!(pin(&own).is_some());
        assert_eq!(pin(&own), pin(&theirs), "{name}");
    }
}
