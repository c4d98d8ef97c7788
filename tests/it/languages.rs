//! One policy in every language: built from source by its own compiler, it decides the same, serves when its file is dropped
//! into the folder, and is bounded like any other. What `wasmgate policy new` writes builds and passes its fixtures, and what a
//! hostile author makes of it does no harm.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup, binary};
use wasmgate_tests::process::{Exit, run};
use wasmgate_tests::real;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies/script/complexity.rhai");

/// More calls than an instance serves before it is replaced, several times over.
const CALLS: usize = 1000;

/// The policy of a language as a command takes it.
fn subject(language: &str) -> PathBuf {
    if language == "script" { PathBuf::from(SCRIPT) } else { real::policy(language) }
}

/// What the suite was decided: by file, fixture and hook.
fn decisions(language: &str) -> Vec<(String, Value)> {
    let subject = subject(language);
    let exit = run(&["policy", "test", subject.to_str().unwrap(), "--conformance", "--json"]);
    exit.expect(0, &[]);
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (format!("{} {} {}", line["file"], line["fixture"], line["hook"]), line["decided"].clone())
    };
    exit.stdout.lines().map(line).filter(|(_, decided)| !decided.is_null()).collect()
}

fn decides_as_the_one_in_rust(language: &str) {
    let (this, rust) = (decisions(language), decisions("rust"));
    assert!(rust.len() >= 200, "{} decisions", rust.len());
    assert_eq!(this.len(), rust.len());
    for (this, rust) in this.iter().zip(&rust) {
        assert_eq!(this, rust, "{language}");
    }
}

/// A gateway whose policies are files that are not there yet, so that the defaults decide.
fn waiting_for(language: &str) -> Setup {
    let gateway = Gateway::setup().reloading();
    match language {
        "script" => gateway
            .routing("builtin = \"script\"\nsetting_files = { script = \"policy.rhai\" }")
            .cost("builtin = \"script\"\nsetting_files = { script = \"policy.rhai\" }\nlimits = { call_time_ms = 5000 }"),
        _ => gateway.routing("file = \"policy.wasm\"").cost("file = \"policy.wasm\"\nlimits = { call_time_ms = 5000 }"),
    }
}

fn serves_when_its_file_is_dropped(language: &str) {
    let gateway = waiting_for(language).start();
    let ask = |prompt: &str| gateway.post("/api/v1/complexity", &json!({"prompt": prompt})).expect(200).json();
    assert_eq!(ask("hello")["policy"], "default", "nothing is there yet");
    let subject = subject(language);
    let name = if language == "script" { "policy.rhai" } else { "policy.wasm" };
    gateway.put(name, &std::fs::read(&subject).unwrap());
    let label = if language == "script" { "script@0.1.0".to_owned() } else { format!("complexity-{language}@1.0.0") };
    gateway.wait_policy(&label);
    let decided = |answer: &Value| {
        let fields = ["complexity", "tier", "reasoning", "recommended_model", "candidates"];
        fields.map(|field| answer[field].clone())
    };
    let prompt = "Design a class that builds a report: def report(x)";
    let first = ask(prompt);
    assert_eq!(first["tier"], "high", "{first}");
    assert_eq!(first["recommended_model"], "claude-sonnet", "{first}");
    assert!(first["candidates"][2]["estimated_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{first}");
    let body = json!({"prompt": prompt});
    let mut client = gateway.connect();
    let mut early = 0;
    for call in 0..CALLS {
        client.send(wasmgate_tests::http::post_json("/api/v1/complexity", &body));
        let answer = client.response().expect(200).json();
        assert_eq!(decided(&answer), decided(&first), "call {call}");
        if call == CALLS / 5 {
            early = gateway.process.memory("VmRSS");
        }
    }
    // An instance has tens of MiB in some languages, and one more of them may be about.
    let late = gateway.process.memory("VmRSS");
    assert!(late < early + (64 << 20), "{early} bytes of memory became {late}");
    assert_eq!(gateway.metrics().value("api_gateway_policy_failures_total", &[]), 0.0);
}

/// A project that `wasmgate policy new` wrote.
struct Project {
    folder: tempfile::TempDir,
    language: &'static str,
}

impl Project {
    fn new(language: &'static str, hook: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        let lang = if language == "javascript" { "js" } else { language };
        let path = path.to_str().unwrap();
        run(&["policy", "new", "mine", "--lang", lang, "--hook", hook, "--path", path]).expect(0, &["policy.fixtures.json"]);
        Self { folder, language }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("mine").join(name)
    }

    fn build(&self) {
        let mut command = Command::new("./build.sh");
        command.current_dir(self.path("")).envs(real::toolchain(self.language));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn component(&self) -> String {
        let name = if self.language == "script" { "policy.rhai" } else { "policy.wasm" };
        self.path(name).to_str().unwrap().to_owned()
    }

    fn policy(&self, arguments: &[&str]) -> Exit {
        run(&[&["policy"], arguments].concat())
    }

    /// Puts lines before the one that contains `before`.
    fn edit(&self, file: &str, before: &str, lines: &str) {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let at = text.find(before).unwrap_or_else(|| panic!("{before:?} is not in {text}"));
        let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
        std::fs::write(path, format!("{}{lines}\n{}", &text[..begin], &text[begin..])).unwrap();
    }
}

fn a_new_project_builds_and_passes(language: &'static str) -> Project {
    let project = Project::new(language, "both");
    if language != "script" {
        project.build();
    }
    let component = project.component();
    let tested = project.policy(&["test", &component]);
    tested.expect(0, &["3 of 3 fixtures as expected", "1 of 1 fixtures as expected"]);
    let name = if language == "script" { "script@0.1.0" } else { "mine@1.0.0" };
    project.policy(&["run", &component, "--prompt", "Hello!"]).expect(0, &[name, "local models first", "tokens in"]);
    project
}

macro_rules! languages {
    ($($language:ident)*) => {$(
        mod $language {
            #[test]
            fn decides_as_the_one_in_rust() {
                super::decides_as_the_one_in_rust(stringify!($language));
            }

            #[test]
            fn serves_when_its_file_is_dropped() {
                super::serves_when_its_file_is_dropped(stringify!($language));
            }
        }
    )*};
}

languages!(rust javascript python c zig script);

/// A project of each language, and what each of its hostile prompts ends as.
struct Hostile {
    file: &'static str,
    before: &'static str,
    lines: &'static str,
    /// Prompt, class of the failure and words of its log line.
    ends: &'static [(&'static str, &'static str, &'static str)],
}

fn harms_nobody(language: &'static str, hostile: &Hostile) {
    let project = a_new_project_builds_and_passes(language);
    project.edit(hostile.file, hostile.before, hostile.lines);
    if language != "script" {
        project.build();
    }
    let component = project.component();
    let gateway = match language {
        "script" => Gateway::setup().routing(&format!("builtin = \"script\"\nsetting_files = {{ script = {component:?} }}")),
        _ => Gateway::setup().routing(&format!("file = {component:?}")),
    };
    let gateway = gateway.limits("call_time_ms = 1000").start();
    for (prompt, class, words) in hostile.ends {
        let before = gateway.metrics();
        let answer = gateway.chat(prompt).expect(200);
        assert_eq!(answer.header("x-wasmgate-policy"), "default", "{language}, {prompt}");
        let failed = |reason| gateway.metrics().rise(&before, "api_gateway_policy_failures_total", &[("reason", reason)]);
        assert_eq!(failed(class), 1.0, "{language}, {prompt}: {:?}", failures(&gateway));
        let line = gateway.wait_for_log(&format!("{language}, {prompt}, {words}"), |line| line.to_string().contains(words));
        assert!(line.to_string().len() < 4096, "{line}");
        // It serves on.
        assert_ne!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "default", "{language} after {prompt}");
    }
}

fn failures(gateway: &Gateway) -> Vec<Value> {
    gateway.log().into_iter().filter(|line| line["level"] != "INFO").collect()
}
