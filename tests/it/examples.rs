//! Examples do what they say: each command of a guide is run as it stands there, and shows what the guide shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use wasmgate_tests::gateway::{Gateway, binary};
use wasmgate_tests::monitoring::load::{Load, prompt_with_key};
use wasmgate_tests::monitoring::program;
use wasmgate_tests::monitoring::prometheus::{Addresses, Prometheus};
use wasmgate_tests::real;
use wasmgate_tests::wait::until;

/// Commands that only look: they change nothing, so a test can repeat them until a change has been applied.
const LOOKS: [&str; 7] = [
    "jq",
    "./ask",
    "examples/hot-reload/ask",
    "curl",
    "wasmgate policies list",
    "wasmgate policies show",
    "wasmgate ledger sum",
];

pub(super) fn root() -> PathBuf {
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
fn the_guide_to_writing_a_policy_works_in_go() {
    writes_a_policy_in("go", "routing.go");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_javascript() {
    writes_a_policy_in("javascript", "src/routing.js");
}

#[test]
fn the_guide_to_writing_a_policy_works_in_typescript() {
    writes_a_policy_in("ts", "src/routing.ts");
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
fn the_guide_to_writing_a_policy_works_in_cpp() {
    writes_a_policy_in("cpp", "src/routing.cpp");
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

#[test]
fn the_guide_to_another_language_works() {
    let read = |name: &str| fs::read(root().join("examples/another-language").join(name)).unwrap();
    let gateway = Gateway::setup().file("policy.wat", &read("policy.wat")).start();
    let place = Place { gateway: &gateway, folder: gateway.path(""), language: "zig" };
    // The tools are those that the build of other policies installed.
    let installed = real::folder().join("toolchains/zig/venv");
    std::os::unix::fs::symlink(installed, gateway.path(".tools")).unwrap();
    let guide = String::from_utf8(read("README.md")).unwrap();
    let (install, steps): (Vec<_>, Vec<_>) =
        steps(&guide).into_iter().partition(|step| step.command.contains("pip install"));
    let pins = fs::read_to_string(root().join("examples/policies/zig/requirements.txt")).unwrap();
    let pin = pins.lines().find(|pin| pin.starts_with("wasm-tools")).unwrap();
    assert!(install.len() == 1 && install[0].command.contains(pin), "the guide installs another version than {pin}");
    steps.iter().for_each(|step| place.follow(step));
    assert!(steps.len() >= 9, "{} commands were found", steps.len());
}

/// Prometheus is started by the test, with spans of time that it can wait for, and clients that are refused meanwhile.
#[test]
fn the_guide_to_budgets_works_as_it_is_written() {
    let gateway = gateway_of("budgets", false);
    let prometheus = Prometheus::start(&Addresses { gateway: gateway.admin.to_string(), ..Addresses::default() });
    let guide = fs::read_to_string(root().join("examples/budgets/README.md")).unwrap();
    let guide = guide.replace("http://127.0.0.1:9090", &prometheus.api.url());
    let place = Place { gateway: &gateway, folder: gateway.path(""), language: "script" };
    let (mut started, mut ran) = (0, 0);
    for step in steps(&guide) {
        if ["cd examples/", "wasmgate serve", "prometheus "].iter().any(|start| step.command.starts_with(start)) {
            started += 1;
            continue;
        }
        let refused = step.command.contains("ALERTS").then(|| {
            let key = fs::read_to_string(gateway.path("anna.key")).unwrap();
            let request = prompt_with_key("auto", "What is Rust?", key.trim());
            Load::start(gateway.address, Duration::from_millis(200), vec![request])
        });
        place.follow(&step);
        drop(refused);
        ran += 1;
    }
    assert!(started == 3 && ran >= 12, "{started} and {ran} commands were found");
}

#[test]
fn the_guide_to_an_experiment_works_as_it_is_written() {
    let gateway = gateway_of("experiment", false);
    let place = Place { gateway: &gateway, folder: gateway.path(""), language: "script" };
    let readme = root().join("examples/experiment/README.md");
    let (mut started, mut ran) = (0, 0);
    for step in steps(&fs::read_to_string(&readme).unwrap()) {
        match ["cd examples/", "wasmgate serve"].iter().any(|start| step.command.starts_with(start)) {
            true => started += 1,
            false => {
                place.follow(&step);
                ran += 1;
            }
        }
    }
    assert!(started == 2 && ran >= 13, "{started} and {ran} commands were found");
    let queries = Command::new(real::python())
        .arg(root().join("tests/real/decisions.py"))
        .args([&gateway.path("log"), &readme])
        .output()
        .unwrap();
    assert!(queries.status.success(), "{}", String::from_utf8_lossy(&queries.stderr));
    let rows: serde_json::Value = serde_json::from_slice(&queries.stdout).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["score"] == 0.9 && row["model"] == "claude-sonnet");
    assert!(row.is_some_and(|row| row["usd"].as_f64() > Some(0.0)), "{rows}");
}

#[test]
fn prometheus_takes_the_configuration_of_the_guide_to_budgets() {
    let file = root().join("examples/budgets/prometheus.yml");
    let checked = Command::new(program("promtool")).args(["check", "config"]).arg(file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("rules found"), "with the alerts of the repository");
}

/// Runs the commands of a guide that are wanted, with some words replaced by others, and compares what they show with what the
/// guide shows. How many there were.
fn follow(example: &str, words: &[(&str, String)], language: &'static str, wanted: impl Fn(&str) -> bool) -> usize {
    let gateway = gateway_of(example, ["javascript", "ts", "python"].contains(&language));
    let place = Place { gateway: &gateway, folder: gateway.path(""), language };
    let guide = fs::read_to_string(root().join("examples").join(example).join("README.md")).unwrap();
    let guide = words.iter().fold(guide, |guide, (from, to)| guide.replace(from, to));
    let (mut ran, mut is_wanted) = (0, true);
    for step in steps(&guide) {
        // How to begin is what this test did itself.
        if step.command.starts_with("cd examples/") || step.command.starts_with("wasmgate serve") {
            continue;
        }
        // What looks at the outcome of commands belongs to them.
        is_wanted = if step.looks() { is_wanted } else { wanted(&step.command) };
        if is_wanted {
            place.follow(&step);
            ran += 1;
        }
    }
    ran
}

/// A gateway with the configuration of an example, and the example's other files in the same folder. `shares`: it shares what the
/// commands of the guide compiled. A language engine takes half a minute, and the guides of other languages show that the folder of the
/// example works.
fn gateway_of(example: &str, shares: bool) -> Gateway {
    let folder = root().join("examples").join(example);
    let mut config = fs::read_to_string(folder.join("wasmgate.toml")).unwrap();
    if shares {
        let own = "cache_dir = \"cache\"\n";
        assert!(config.contains(own), "{config}");
        config = config.replace(own, "");
    }
    let others = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let others: Vec<(String, PathBuf)> = others
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| !["README.md", "wasmgate.toml"].contains(&&**name))
        .collect();
    let setup = others
        .iter()
        .fold(Gateway::setup().whole(&config), |setup, (name, path)| setup.file(name, &fs::read(path).unwrap()));
    // The harness reads where it listens from lines of JSON.
    let gateway = setup.argument("--log-format").argument("json").start();
    for (name, path) in others {
        fs::set_permissions(gateway.path(&name), fs::metadata(path).unwrap().permissions()).unwrap();
    }
    gateway
}

/// A command of a document.
pub(super) struct Step {
    /// For the shell.
    pub(super) command: String,
    /// Lines of its output, as the document shows them.
    shown: Vec<String>,
}

impl Step {
    pub(super) fn new(command: &str, shown: &str) -> Self {
        Self { command: command.trim_end().to_owned(), shown: shown.lines().map(str::to_owned).collect() }
    }

    fn looks(&self) -> bool {
        LOOKS.iter().any(|look| self.command.starts_with(look))
    }
}

/// The commands of a document, in order. A block of `sh` is one, and the block of `text` after it is its output. In a block of
/// `console` each line after a `$` is one, and the lines up to the next are its output.
pub(super) fn steps(document: &str) -> Vec<Step> {
    let blocks = blocks(document);
    let mut steps = Vec::new();
    for (number, (kind, text)) in blocks.iter().enumerate() {
        match *kind {
            "sh" => {
                let shown = match blocks.get(number + 1) {
                    Some(("text", shown)) => *shown,
                    _ => "",
                };
                steps.push(Step::new(text, shown));
            }
            "console" => {
                let commands = text.strip_prefix("$ ").unwrap_or_else(|| panic!("no command begins {text}"));
                for command in commands.split("\n$ ") {
                    let (command, shown) = command.split_once('\n').unwrap_or((command, ""));
                    steps.push(Step::new(command, shown));
                }
            }
            _ => {}
        }
    }
    steps
}

/// The fenced blocks of a document: language and text.
pub(super) fn blocks(document: &str) -> Vec<(&str, &str)> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// Where commands run.
pub(super) struct Place<'a> {
    /// What they reach at the addresses of the document.
    pub(super) gateway: &'a Gateway,
    /// Their working directory.
    pub(super) folder: PathBuf,
    /// Whose tools they have.
    pub(super) language: &'static str,
}

impl Place<'_> {
    /// Runs a command and compares what it shows with what the document shows. If the document shows nothing, the command must
    /// succeed.
    pub(super) fn follow(&self, step: &Step) {
        let Step { command, shown } = step;
        let may_fail = shown.iter().any(|line| line.trim() != "…");
        let is_so = |(output, success): &(String, bool)| shows(output, shown) && (*success || may_fail);
        if step.looks() {
            until(&format!("{command} shows {shown:?}"), || is_so(&self.run(command)).then_some(()));
        } else {
            let ran = self.run(command);
            assert!(is_so(&ran), "{command} shows {}, expected {shown:?}", ran.0);
        }
    }

    /// What commands print, and whether they succeed. They are those of the document but for where things are.
    fn run(&self, commands: &str) -> (String, bool) {
        let commands = commands
            .replace("../../policies", &root().join("policies").display().to_string())
            .replace("~/.local/state", &self.gateway.path("state").display().to_string())
            .replace("http://127.0.0.1:8080", &format!("http://{}", self.gateway.address))
            .replace("http://127.0.0.1:8081", &format!("http://{}", self.gateway.admin));
        let folder = binary().parent().unwrap().display().to_string();
        let output = Command::new("sh")
            .args(["-e", "-c", &format!("PATH={folder}:$PATH\n{commands}")])
            .current_dir(&self.folder)
            .envs(real::toolchain(self.language))
            // Where the harness lets gateways keep what they compiled.
            .env("XDG_CACHE_HOME", binary().with_file_name("cache"))
            .env("WASMGATE", format!("http://{}", self.gateway.address))
            .env("WASMGATE_ADMIN_URL", format!("http://{}", self.gateway.admin))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        // A reader is in the folder, and sees the names of its files alone.
        let here = self.folder.join("").display().to_string();
        let printed = format!("{}{}", text(&output.stdout), text(&output.stderr)).replace(&here, "");
        (printed, output.status.success())
    }
}

/// Whether each line is there, perhaps with more around it; `…` stands for anything.
fn shows(output: &str, expected: &[String]) -> bool {
    let output = normal(output);
    expected.iter().all(|line| {
        let mut pieces = line.split('…').map(normal);
        pieces.try_fold(0, |from, piece| end_of(&output, from, &piece)).is_some()
    })
}

/// Where `piece` ends in `text` at or after `from`. If it ends in a digit, so does the number.
fn end_of(text: &str, from: usize, piece: &str) -> Option<usize> {
    let is_number = piece.ends_with(|c: char| c.is_ascii_digit());
    let goes_on = |end: usize| text[end..].starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let mut ends = text[from..].match_indices(piece).map(|(at, _)| from + at + piece.len());
    ends.find(|&end| !(is_number && goes_on(end)))
}

/// Without what differs from run to run: how columns are aligned, ids and digests, and how long something took or has been so.
fn normal(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match word {
            "now" => words.push("ago".to_owned()),
            "ago" => {
                words.truncate(words.len().saturating_sub(2));
                words.push(word.to_owned());
            }
            "ns" | "µs" | "ms" if words.last().is_some_and(|number| number.parse::<f64>().is_ok()) => {
                words.pop();
                words.push("TIME".to_owned());
            }
            _ => words.push(without_ids(word)),
        }
    }
    words.join(" ")
}

/// Each run of twelve or more hexadecimal digits is an id or a digest.
fn without_ids(word: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut normal = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let other = rest.find(is_hex).unwrap_or(rest.len());
        normal.push_str(&rest[..other]);
        rest = &rest[other..];
        let run = rest.find(|c: char| !is_hex(c)).unwrap_or(rest.len());
        normal.push_str(if run < 12 { &rest[..run] } else { "ID" });
        rest = &rest[run..];
    }
    normal
}
