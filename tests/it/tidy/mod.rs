//! What can be checked of the repository's own text, so that documents stay true without reviewers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wasmgate_tests::guests;

mod imports;
mod layers;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `folder` that end in `extension`.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, extension, found);
            }
        } else if name.ends_with(extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["gateway", "policies", "tests", "bench"] {
        files(&root().join(folder), ".rs", &mut found);
    }
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn each_guest_has_a_test() {
    let tests = ["sandbox", "routing", "config", "process", "drill/policies", "bypass", "reads"];
    let tests = tests.map(|name| read(format!("tests/it/{name}.rs"))).concat();
    for entry in std::fs::read_dir(guests::folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(tests.contains(&format!("\"{name}\"")), "{name} is in no test");
    }
}

#[test]
fn nothing_is_left_to_do() {
    // Put together here, so that this file does not find itself.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["HA", "CK"]].map(|parts| parts.concat());
    for (path, text) in sources() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{mark} in {}", path.display());
        }
    }
}

#[test]
fn each_library_is_named_only_where_it_belongs() {
    let homes: [(&str, &[&str]); 3] = [
        ("wasmtime", &["policy-host/src"]),
        ("prometheus", &["src/metrics"]),
        ("toml", &["src/config", "base/src/document.rs", "prices/src/node.rs"]),
    ];
    for (library, homes) in homes {
        let (used, called) = (format!("use {library}::"), format!("{library}::"));
        for (path, text) in sources() {
            let path = path.to_string_lossy().into_owned();
            let elsewhere =
                path.contains("gateway/") && path.contains("/src/") && !homes.iter().any(|home| path.contains(home));
            let names = text.lines().any(|line| line.starts_with(&used) || line.contains(&format!(" {called}")));
            assert!(!elsewhere || !names, "{path} names {library}");
        }
    }
}

#[test]
fn each_module_begins_with_what_it_is() {
    for (path, text) in sources() {
        // A module of tests is known by its name.
        let explained = text.starts_with("//!") || path.ends_with("tests.rs");
        assert!(explained, "{} begins without a paragraph on itself", path.display());
    }
}

#[test]
fn the_readme_names_make_targets_that_exist() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', ' ', '#', '.']))
        .filter_map(|line| line.split_once(':').map(|(names, _)| names))
        .flat_map(str::split_whitespace)
        .collect();
    for target in ["run", "test", "bench", "fmt", "lint"] {
        assert!(targets.contains(target), "the Makefile has no target {target}");
    }
    let readme = read("README.md");
    for after in readme.split("`make ").skip(1).chain(readme.split("\nmake ").skip(1)) {
        let target: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        assert!(targets.contains(target.as_str()), "the README says `make {target}`");
    }
}

#[test]
fn the_top_level_is_what_it_should_be() {
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "Makefile",
        "README.md",
        "CHANGELOG.md",
        "ARCHITECTURE.md",
        ".gitignore",
        ".ci/run",
        "gateway",
        "policies",
        "wit",
        "monitoring",
        "examples",
        "tests",
        "bench",
    ] {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}

#[test]
fn documents_that_name_files_name_files_that_are_there() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = read(document);
        for quoted in text.split('`').skip(1).step_by(2) {
            let looks_like_a_path = ["gateway/", "policies/", "wit/", "examples/", "tests/", "monitoring/"]
                .iter()
                .any(|folder| quoted.starts_with(folder));
            if looks_like_a_path && !quoted.contains(['<', '*', ' ', '{', '…']) {
                assert!(root().join(quoted).exists(), "{document} names {quoted}");
            }
        }
    }
}
