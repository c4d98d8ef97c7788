//! The contract's promise (`wit/README.md`): what was published stays as it was, and components that were built against it
//! keep loading and deciding.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use wasmgate_tests::contract::Contract;
use wasmgate_tests::gateway::Gateway;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn current() -> String {
    std::fs::read_to_string(root().join("wit/policy.wit")).unwrap()
}

/// The version before it, which the gateway supports too.
fn first() -> String {
    std::fs::read_to_string(root().join("wit/v1/policy.wit")).unwrap()
}

/// Version and text of each published contract.
fn published() -> Vec<(String, String)> {
    let folders = std::fs::read_dir(root().join("wit/published")).unwrap().map(|entry| entry.unwrap().path());
    let read = |folder: PathBuf| {
        let version = folder.file_name().unwrap().to_str().unwrap().to_owned();
        (version, std::fs::read_to_string(folder.join("policy.wit")).unwrap())
    };
    folders.map(read).collect()
}

/// What was released is never edited and never built again: path and SHA-256.
const FROZEN: [(&str, &str); 6] = [
    ("wit/published/1.0.0/policy.wit", "0fca9889a7c5e8cae0d61fc0580d0e6a2ce99a0eebdc24367818faa387b16d87"),
    ("tests/contract/1.0.0/c.wasm", "c702fb0781f2a25155a475d81da60e6df68419f67ae1927f7521051ae799f377"),
    ("tests/contract/1.0.0/rust.wasm", "528a85d1847d61de833d5ea5fa08f4f23381e163757a02a74974e62f6f70bdf5"),
    ("tests/contract/1.0.0/zig.wasm", "1dbad480310822f928164de8a5b20f2095c3487f449321806fb789d6c40ef7cf"),
    ("wit/published/2.0.0/policy.wit", "4e6acd3eca6c5d3502b3b0e48bbd2e270d6913b910059cbb85bbfc076a84fe23"),
    ("tests/contract/2.0.0/rust.wasm", "cce4d328a24d3d5a1bfe0f046f83407d6b11dda444380f10d667f3e82f3eab73"),
];

#[test]
fn what_was_released_is_as_it_was() {
    for (path, digest) in FROZEN {
        let output = Command::new("sha256sum").arg(root().join(path)).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(found.starts_with(digest), "{path} is not what was released: {found}");
    }
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract");
    let kept =
        std::fs::read_dir(contract).unwrap().flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(kept.count() + published().len(), FROZEN.len(), "each file is in the table");
}

#[test]
fn what_was_published_is_kept() {
    let supported = [first(), current()].map(|text| Contract::parse(&text).unwrap());
    let major = |version: &str| version.split('.').next().unwrap().to_owned();
    let published = published();
    for (version, text) in &published {
        let before = Contract::parse(text).unwrap();
        assert_eq!(&before.version, version, "a published contract lies in the folder of its version");
        let current = supported.iter().find(|current| major(version) == major(&current.version)).unwrap();
        assert_eq!(current.breaks(&before), [""; 0], "against version {version}");
    }
    for current in supported {
        assert!(
            published.iter().any(|(version, _)| *version == current.version),
            "version {} is not among the published ones",
            current.version
        );
    }
}

/// Edits that look harmless, and what is wrong with each.
#[test]
fn edits_that_break_components_are_seen() {
    let wit = first();
    let before = Contract::parse(&wit).unwrap();
    let edited = |from: &str, to: &str, version: &str| {
        assert!(wit.contains(from), "{from}");
        let wit = wit.replacen(from, to, 1).replacen(
            "package wasmgate:policy@1.0.0",
            &format!("package wasmgate:policy@{version}"),
            1,
        );
        Contract::parse(&wit).unwrap().breaks(&before)
    };
    let breaking = [
        (
            "tenant: option<string>,",
            "tenant: option<string>,\n        region: option<string>,",
            "type request was record",
        ),
        ("prompt-tokens: u32,", "prompt-tokens: u64,", "type request was record"),
        ("max-tokens: option<u32>,", "", "type request was record"),
        (
            "        /// Does not answer.\n        down,",
            "        /// Does not answer.\n        down,\n        draining,",
            "type health was enum",
        ),
        ("pass,\n    }", "pass,\n        defer,\n    }", "type verdict was variant"),
        ("write: func(level: level, line: string);", "write: func(line: string);", "func write was (level: level"),
        ("get: func(name: string) -> option<value>;", "", "func get is gone"),
        ("describe: func() -> manifest;", "describe: func() -> manifest;\n    warm: func();", "func warm is new"),
        ("    import log;\n    export routing;", "    export routing;", "world routing-policy imports less"),
        (
            "    import log;\n    export cost;",
            "    import log;\n    export cost;\n    export routing;",
            "world cost-policy exports",
        ),
    ];
    for (from, to, expected) in breaking {
        let broken = edited(from, to, "1.1.0");
        assert!(broken.iter().any(|broken| broken.contains(expected)), "{expected}: {broken:?}");
    }
    let grown = (
        "get: func(name: string) -> option<value>;",
        "get: func(name: string) -> option<value>;\n    names: func() -> list<string>;",
    );
    assert_eq!(edited(grown.0, grown.1, "1.1.0"), [""; 0], "a function that the host offers may be added");
    let broken = edited(grown.0, grown.1, "1.0.0");
    assert!(
        broken.iter().any(|broken| broken.contains("func names is new")),
        "but not without a new version: {broken:?}"
    );
    for (from, to) in [
        (
            "/// A component that decides which",
            "interface clock { now: func() -> u64; }\n/// A component that decides which",
        ),
        ("/// A component that decides which", "world nothing {}\n/// A component that decides which"),
    ] {
        assert_eq!(edited(from, to, "1.1.0"), [""; 0], "{to}");
        let broken = edited(from, to, "1.0.0");
        assert!(broken.iter().any(|broken| broken.contains("something was added")), "{broken:?}");
    }
    assert_eq!(
        edited("/// Whether the request offers tools to the model.", "/// Tools?", "1.0.0"),
        [""; 0],
        "words may change"
    );
}

/// Components of real compilers, as they were built against each published version.
#[test]
fn components_of_each_published_version_load_and_decide() {
    for (version, _) in published() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract").join(&version);
        let components: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
            .collect();
        assert!(!components.is_empty(), "{}", folder.display());
        for component in components {
            let file = format!("file = {:?}", component.to_str().unwrap());
            let gateway = Gateway::setup().routing(&file).cost(&file).start();
            let answer = gateway.post("/api/v1/complexity", &json!({"prompt": "Design a class"})).json();
            let language = component.file_stem().unwrap().to_str().unwrap();
            assert_eq!(answer["policy"], format!("complexity-{language}"), "{answer}");
            assert_eq!(answer["complexity"], 0.2, "{answer}");
            let priced = &answer["candidates"][2];
            assert!(
                priced["estimated_cost"].as_f64().is_some_and(|cost| cost > 0.0),
                "{language}, its cost hook: {answer}"
            );
        }
    }
}

/// Under the same requests, a component of version 1 decides like one of version 2 that was built of the same source.
#[test]
fn versions_side_by_side_decide_alike() {
    let component = |version: &str| root().join(format!("tests/contract/{version}/rust.wasm"));
    let (one, two) = (component("1.0.0"), component("2.0.0"));
    let gateway = Gateway::setup()
        .routing(&format!("file = {one:?}\n[policies.routing.shadows.next]\nfile = {two:?}"))
        .cost(&format!("file = {one:?}\n[policies.cost.shadows.next]\nfile = {two:?}"))
        .start();
    let prompts = ["Hello!", "Design and implement a parser", "What is Rust?", "list: def f(x): import re", ""];
    let messages =
        |prompt: &str| json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]);
    for prompt in prompts {
        for body in [
            json!({"model": "auto", "messages": messages(prompt)}),
            json!({"model": "auto", "messages": messages(prompt), "max_tokens": 5, "stream": true}),
            json!({"model": "phi2", "messages": messages(prompt)}),
        ] {
            assert_eq!(gateway.post("/v1/chat/completions", &body).status(), 200, "{body}");
        }
    }
    for slot in ["routing.shadows.next", "cost.shadows.next"] {
        let shown = gateway.wait_place(slot, "15 comparisons", |shown| {
            let agreement = &shown["agreement"];
            ["agree", "disagree", "failed"].iter().filter_map(|key| agreement[key].as_u64()).sum::<u64>() == 15
        });
        assert_eq!(shown["agreement"], json!({"agree": 15, "disagree": 0, "failed": 0, "skipped": 0}), "{shown}");
    }
}

/// A patch changes words only: what is built against one loads where another is spoken.
#[test]
fn a_component_of_a_later_patch_loads() {
    let component = std::fs::read(root().join("tests/contract/1.0.0/rust.wasm")).unwrap();
    let (version, patched) = (b"wasmgate:policy/routing@1.0.0", b"wasmgate:policy/routing@1.0.7");
    let mut later = component.clone();
    let places: Vec<usize> = (0..later.len() - version.len()).filter(|&at| later[at..].starts_with(version)).collect();
    assert!(!places.is_empty());
    for at in places {
        later[at..at + version.len()].copy_from_slice(patched);
    }
    let gateway = Gateway::setup().component("later", &later).start();
    let answer = gateway.post("/api/v1/complexity", &json!({"prompt": "Design a class"})).json();
    assert_eq!(answer["policy"], "complexity-rust", "{answer}");
}

/// Every field and word of the contract is in the types for JavaScript, as its engine names them.
#[test]
fn the_types_for_javascript_are_those_of_the_contract() {
    let types = std::fs::read_to_string(root().join("policies/templates/js/types/policy.d.ts")).unwrap();
    let words = Contract::parse(&current()).unwrap().words();
    assert!(words.len() > 60, "{words:?}");
    for word in words {
        let mut camel = String::new();
        for (index, part) in word.split('-').enumerate() {
            let mut letters = part.chars();
            match (index, letters.next()) {
                (1.., Some(first)) => camel.extend(first.to_uppercase().chain(letters)),
                _ => camel.push_str(part),
            }
        }
        let known = [format!("{camel}: "), format!("{camel}?: "), format!("'{word}'"), format!("function {camel}(")];
        assert!(known.iter().any(|known| types.contains(known)), "{word} is not in policy.d.ts, as {known:?}");
    }
}
