//! One policy in every language: built from source by its own compiler, it decides the same, serves when its file is dropped
//! into the folder, and is bounded like any other. What `wasmgate policy new` writes builds and passes its fixtures, and what a
//! hostile author makes of it does no harm.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::process::{Exit, run};
use wasmgate_tests::real;
use wasmgate_tests::wait::until;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies/script/complexity.rhai");

/// What decides in place of a policy that failed.
const DEFAULT: &str = "default@0.1.0";

/// More calls than an instance serves before it is replaced, several times over.
const CALLS: usize = 1000;

/// The policy of a language as a command takes it. It is compiled: tests that run at the same time wait for the first, instead of
/// compiling it too.
fn subject(language: &str) -> PathBuf {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<OnceLock<()>>>>> = LazyLock::new(Mutex::default);
    let subject = if language == "script" { PathBuf::from(SCRIPT) } else { real::policy(language) };
    let compiled = Arc::clone(COMPILED.lock().unwrap().entry(language.to_owned()).or_default());
    compiled.get_or_init(|| run(&["policy", "inspect", subject.to_str().unwrap()]).expect(0, &["admitted"]));
    subject
}

/// What the suite was decided: by file, fixture and hook.
fn decisions(language: &str) -> Vec<(String, Value)> {
    let subject = subject(language);
    // What is asked is what they decide, also on a machine that is slow.
    let slow = ["--limit", "call_time_ms=5000"];
    let exit = run(&[&["policy", "test", subject.to_str().unwrap(), "--conformance", "--json"][..], &slow].concat());
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

/// A gateway that decides with another policy in the place of that language's.
fn before(language: &str) -> Setup {
    let gateway = Gateway::setup().reloading();
    let limits = "limits = { call_time_ms = 5000 }";
    if language == "script" {
        let lines = "builtin = \"script\"\nsetting_files = { script = \"policy.rhai\" }";
        let script = "fn route(request, candidates) { pass() }\nfn estimate(request, candidates) { \
                      candidates.map(|c| cost_estimate(c, 0, 0)) }";
        return gateway.file("policy.rhai", script.as_bytes()).routing(lines).cost(&format!("{lines}\n{limits}"));
    }
    let other = std::fs::read(real::policy(if language == "zig" { "c" } else { "zig" })).unwrap();
    let gateway = gateway.file("policy.wasm", &other);
    gateway.routing("file = \"policy.wasm\"").cost(&format!("file = \"policy.wasm\"\n{limits}"))
}

fn serves_when_its_file_is_dropped(language: &str) {
    let gateway = before(language).start();
    let ask = |prompt: &str| gateway.post("/api/v1/complexity", &json!({"prompt": prompt})).expect(200).json();
    let prompt = "Design a class that builds a report: def report(x)";
    let name = if language == "script" { "policy.rhai" } else { "policy.wasm" };
    let policy = format!("complexity-{language}");
    gateway.put(name, &std::fs::read(subject(language)).unwrap());
    let first = until(&format!("{policy} decides"), || {
        let answer = ask(prompt);
        let version = gateway.place("cost")["serving"]["policy"] == *policy;
        (answer["policy"] == *policy && answer["tier"] == "high" && version).then_some(answer)
    });
    let decided = |answer: &Value| {
        let fields = ["complexity", "tier", "reasoning", "recommended_model", "candidates"];
        fields.map(|field| answer[field].clone())
    };
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
    // An instance of an engine has tens of MiB, and one more of them may be about.
    let more = if ["javascript", "python"].contains(&language) { 64 << 20 } else { 4 << 20 };
    let late = gateway.process.memory("VmRSS");
    assert!(late < early + more, "{early} bytes of memory became {late}");
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
        run(&["policy", "new", "mine", "--lang", lang, "--hook", hook, "--path", path])
            .expect(0, &["policy.fixtures.json"]);
        Self { folder, language }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("mine").join(name)
    }

    fn build(&self) {
        self.build_with(&real::toolchain(self.language));
    }

    fn build_with(&self, variables: &[(&str, OsString)]) {
        let output = self.try_build(variables);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn try_build(&self, variables: &[(&str, OsString)]) -> Output {
        let mut command = Command::new("./build.sh");
        command.current_dir(self.path("")).envs(variables.iter().map(|(name, value)| (name, value)));
        command.output().unwrap()
    }

    fn component(&self) -> String {
        let name = if self.language == "script" { "policy.rhai" } else { "policy.wasm" };
        self.path(name).to_str().unwrap().to_owned()
    }

    fn policy(&self, arguments: &[&str]) -> Exit {
        run(&[&["policy"], arguments].concat())
    }

    /// Replaces words of a file that are there.
    fn replace(&self, file: &str, words: &[(&str, &str)]) {
        let path = self.path(file);
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in words {
            assert!(text.contains(from), "{from:?} is not in {text}");
            text = text.replace(from, to);
        }
        std::fs::write(path, text).unwrap();
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

/// Builds a project with both hooks, whose fixtures must pass.
fn builds_and_passes(project: &Project) {
    let language = project.language;
    if language != "script" {
        project.build();
    }
    let component = project.component();
    let tested = project.policy(&["test", &component]);
    tested.expect(0, &["3 of 3 fixtures as expected", "1 of 1 fixtures as expected"]);
    // Its fixtures refuse no setting that an operator changes. A script has none.
    for (hook, setting) in [("routing", "cloud-from"), ("cost", "expected-output-tokens")] {
        if language != "script" {
            let settings = project.path("settings.json");
            std::fs::write(&settings, json!({setting: 1}).to_string()).unwrap();
            let settings = settings.to_str().unwrap();
            project
                .policy(&["test", &component, "--hook", hook, "--settings", settings])
                .expect(0, &["fixtures as expected"]);
        }
    }
    project
        .policy(&["run", &component, "--prompt", "Hello!"])
        .expect(0, &["mine@1.0.0", "local models first", "tokens in"]);
}

/// A policy whose reason is all texts of the conversation finds where each begins and ends, also where a character has several
/// bytes, or two units of a JavaScript string.
fn finds_each_message(project: &Project) {
    let texts = ["ü€😀 naïve", "\u{feff}plain", "", "Spans"];
    let roles = ["system", "user", "assistant", "user"];
    let messages: Vec<_> = roles.iter().zip(texts).map(|(role, text)| json!({"role": role, "text": text})).collect();
    let fixture = json!({"name": "texts", "messages": messages, "expect": {"reason": texts.join("|")}});
    let file = project.path("texts.json");
    std::fs::write(&file, json!({"fixtures": [fixture]}).to_string()).unwrap();
    let tested = project.policy(&["test", &project.component(), "--hook", "routing", file.to_str().unwrap()]);
    tested.expect(0, &["1 of 1 fixtures as expected"]);
}

/// It becomes JavaScript, so that its decisions and costs are those of JavaScript.
#[test]
fn a_policy_in_typescript_builds_unless_its_types_are_wrong() {
    let project = Project::new("ts", "both");
    project.replace("src/routing.ts", &READS_IN_JAVASCRIPT);
    project.edit("src/routing.ts", "const isLong =", SPANS_IN_JAVASCRIPT);
    builds_and_passes(&project);
    finds_each_message(&project);
    project.edit("src/routing.ts", "const isLong =", "  const wrong: string = request.promptTokens;");
    let output = project.try_build(&real::toolchain("ts"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("src/routing.ts") && error.contains("not assignable"),
        "{error}"
    );
}

/// The version that the guide, the template and its build name is the one that this builds with.
#[test]
fn a_policy_in_javascript_builds_on_the_oldest_node_that_is_promised() {
    let variables = real::oldest_node();
    let node = Command::new("node").arg("--version").envs(variables.iter().cloned()).output().unwrap();
    let version = String::from_utf8(node.stdout).unwrap();
    let promised = version.trim().trim_start_matches('v').trim_end_matches(".0").to_owned();
    assert_eq!(promised.split('.').count(), 2, "the first of its minor version: {version}");
    let project = Project::new("javascript", "both");
    let guide = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/write-a-policy/README.md");
    for page in [guide, project.path("README.md"), project.path("build.sh")] {
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains(&format!("{promised}, 22.12 or newer")), "{} promises another version", page.display());
    }
    project.build_with(&variables);
    project.policy(&["test", &project.component()]).expect(0, &["3 of 3 fixtures as expected"]);
}

/// The oldest that the packages on PyPI take, and that of the oldest system on which this builds.
const OLDEST_PYTHON: &str = "Python 3.11 or newer with venv";

#[test]
fn the_oldest_python_that_is_promised_is_one_that_this_builds_with_and_an_older_one_is_refused() {
    let python = Command::new("python3").arg("--version").output().unwrap();
    let version = String::from_utf8(python.stdout).unwrap();
    let minor: u32 = version.trim().split('.').nth(1).unwrap().parse().unwrap();
    assert!(OLDEST_PYTHON.contains("3.11 ") && minor >= 11, "{version}");
    // What an older one says to a check of its version.
    let old = tempfile::tempdir().unwrap();
    let python = old.path().join("python3");
    std::fs::write(&python, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let guide = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/write-a-policy/README.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for language in ["go", "python", "c", "cpp", "zig"] {
        let row = guide.lines().find(|row| row.starts_with('|') && row.contains(&format!("`{language}`"))).unwrap();
        assert!(row.contains(OLDEST_PYTHON), "{row}");
        let project = Project::new(language, "routing");
        let page = std::fs::read_to_string(project.path("README.md")).unwrap();
        assert!(page.contains("Python 3.11 or newer"), "{page}");
        let mut path = old.path().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let output = project.try_build(&[("PATH", path), ("TOOLS", old.path().join(language).into())]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(OLDEST_PYTHON), "{language}: {said}");
    }
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

languages!(rust go javascript assemblyscript python c cpp zig script);

/// A project of each language, and what each of its hostile prompts ends as. To the prompt `Spans` it says all texts.
struct Hostile {
    file: &'static str,
    /// What makes it read the conversation.
    reads: &'static [(&'static str, &'static str)],
    before: &'static str,
    lines: &'static str,
    /// Prompt, class of the failure and words of its log line.
    ends: &'static [(&'static str, &'static str, &'static str)],
}

fn harms_nobody(language: &'static str, hostile: &Hostile) {
    let project = Project::new(language, "both");
    if language == "javascript" {
        // Against the types of the contract.
        let tsc = real::folder().join("toolchains/javascript/npm/node_modules/.bin/tsc");
        let checked = Command::new(tsc).current_dir(project.path("")).envs(real::toolchain(language)).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
    // Only other prompts than those of its fixtures reach what is added, so one build shows both.
    project.edit(hostile.file, hostile.before, hostile.lines);
    project.replace(hostile.file, hostile.reads);
    builds_and_passes(&project);
    if language != "script" {
        finds_each_message(&project);
    }
    let component = project.component();
    let lines = match language {
        "script" => format!("builtin = \"script\"\nsetting_files = {{ script = {component:?} }}"),
        _ => format!("file = {component:?}"),
    };
    for (prompt, class, words) in hostile.ends {
        // One for each, since failures in the same second share a line of the log.
        let gateway = Gateway::setup().routing(&lines).limits("call_time_ms = 1000").start();
        let answer = gateway.chat(prompt).expect(200);
        assert_eq!(answer.header("x-wasmgate-policy"), DEFAULT, "{language}, {prompt}");
        let line = gateway.wait_for_log(&format!("how {prompt} failed"), |line| line["message"] == "policy failed");
        assert_eq!(line["class"], *class, "{line}");
        // In the failure's own words, or in a line that the policy wrote.
        let own = |line: &Value| match line["target"] == "policy" {
            true => line["message"].to_string(),
            false => line["detail"].to_string(),
        };
        // On a busy machine, the wall-clock limit may come first.
        let says = |text: String| text.contains(words) || *class == "timeout" && text.contains("of wall-clock time");
        let told: Vec<_> = gateway.log().into_iter().filter(|line| says(own(line))).collect();
        assert!(!told.is_empty(), "{words:?} is nowhere in the log: {line}");
        assert!(told.iter().all(|line| line.to_string().len() < 4096), "{told:?}");
        let failed = |reason| gateway.metrics().value("api_gateway_policy_failures_total", &[("reason", reason)]);
        assert_eq!(failed(class), 1.0, "{language}, {prompt}");
        assert_ne!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), DEFAULT, "it serves on");
    }
}

#[test]
fn a_hostile_author_of_rust_harms_nobody() {
    harms_nobody(
        "rust",
        &Hostile {
            file: "src/routing.rs",
            reads: &[("summary, Reads::nothing()", "summary, Reads::conversation()")],
            before: "let tokens = request.prompt_tokens;",
            lines: r#"
        match request.newest() {
            "Spans" => {
                let texts: Vec<&str> = request.messages.iter().map(|message| message.text).collect();
                return Ok(Decision::unscored(vec![0], texts.join("|")).into());
            }
            "loop" => loop {
                core::hint::black_box(0);
            },
            "throw" => panic!("no such thing"),
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                }
            }
            "lie" => return Ok(Decision::unscored(vec![7], "").into()),
            _ => {}
        }"#,
            ends: &[
                ("loop", "timeout", "the call exceeded its time limit"),
                ("throw", "trap", "panicked at src/routing.rs"),
                ("grow", "out_of_memory", "the limit is 67108864"),
                ("lie", "invalid_decision", "the ranking names candidate 7 of 3"),
            ],
        },
    );
}

#[test]
fn a_hostile_author_of_go_harms_nobody() {
    harms_nobody(
        "go",
        &Hostile {
            file: "routing.go",
            reads: &[("ReadsNothing}", "ReadsConversation}")],
            before: "preferred, tier := contract.Local",
            lines: r#"
	switch request.Newest() {
	case "Spans":
		reason := request.Messages[0].Text
		for _, message := range request.Messages[1:] {
			reason += "|" + message.Text
		}
		return contract.Decision{Ranking: []uint32{0}, Reason: reason}, nil
	case "loop":
		for {
		}
	case "wait":
		<-make(chan int)
	case "throw":
		panic("no such thing")
	case "beyond":
		request = nil
	case "grow":
		for hoard := [][]byte{}; ; {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case "lie":
		return contract.Decision{Ranking: []uint32{7}}, nil
	}"#,
            ends: &[
                ("loop", "timeout", "the call exceeded its time limit"),
                ("wait", "trap", "all goroutines are asleep"),
                ("throw", "trap", "panic: no such thing, at policy/routing.go:"),
                ("beyond", "trap", "nil pointer dereference"),
                ("grow", "out_of_memory", "the limit is 67108864"),
                ("lie", "invalid_decision", "the ranking names candidate 7 of 3"),
            ],
        },
    );
}

/// What makes the template in JavaScript or TypeScript read the conversation.
const READS_IN_JAVASCRIPT: [(&str, &str); 2] =
    [("{ prompt: 'none',", "{ prompt: 'conversation',"), ("Health, models }", "Health, models, newest, texts }")];

/// The answer to `Spans`.
const SPANS_IN_JAVASCRIPT: &str = "
  if (newest(_prompt) === 'Spans') {
    const reason = texts(_prompt).map(({ text }) => text).join('|');
    return { tag: 'route', val: { ranking: [0], reason: { tag: 'text', val: reason } } };
  }";

#[test]
fn a_hostile_author_of_javascript_harms_nobody() {
    harms_nobody(
        "javascript",
        &Hostile {
            file: "src/routing.js",
            reads: &READS_IN_JAVASCRIPT,
            before: "const isLong =",
            lines: r"
    switch (newest(_prompt)) {
      case 'Spans': {
        const reason = texts(_prompt).map(({ text }) => text).join('|');
        return { tag: 'route', val: { ranking: [0], reason: { tag: 'text', val: reason } } };
      }
      case 'loop':
        for (;;);
      case 'throw':
        throw new Error('no such thing');
      case 'long': {
        throw new Error('no such thing'.repeat(1000));
      }
      case 'grow':
        for (const hoard = [];;) hoard.push(new Uint8Array(1 << 20).fill(1));
      case 'lie':
        return { tag: 'maybe' };
    }",
            ends: &[
                ("loop", "timeout", "the call exceeded its time limit"),
                ("throw", "guest_error", "no such thing"),
                ("long", "guest_error", "no such thing"),
                ("grow", "out_of_memory", "the limit is 268435456"),
                ("lie", "trap", "trap"),
            ],
        },
    );
}

#[test]
fn a_hostile_author_of_python_harms_nobody() {
    harms_nobody(
        "python",
        &Hostile {
            file: "routing.py",
            reads: &[
                ("ReadsPrompt.NONE", "ReadsPrompt.CONVERSATION"),
                ("keep_models, models\n", "keep_models, models, newest, texts\n"),
            ],
            before: "if request.prompt_tokens < self._cloud_from:",
            lines: r#"
        match newest(prompt):
            case "Spans":
                reason = "|".join(text for _, text in texts(prompt))
                return Verdict_Route(Decision([0], complexity=None, tier=None, reason=Reason_Text(reason)))
            case "loop":
                while True:
                    pass
            case "throw":
                raise KeyError("no such thing")
            case "long":
                raise KeyError("no such thing" * 1000)
            case "grow":
                hoard = []
                while True:
                    hoard.append(bytes([1]) * (1 << 20))
            case "lie":
                return "maybe"
"#,
            ends: &[
                ("loop", "timeout", "the call exceeded its time limit"),
                ("throw", "guest_error", "KeyError: 'no such thing'"),
                ("long", "guest_error", "no such thing"),
                ("grow", "out_of_memory", "the limit is 268435456"),
                ("lie", "trap", "trap"),
            ],
        },
    );
}

#[test]
fn a_hostile_author_of_c_harms_nobody() {
    harms_nobody(
        "c",
        &Hostile {
            file: "src/routing.c",
            reads: &[("WASMGATE_READS_PROMPT_NONE", "WASMGATE_READS_PROMPT_CONVERSATION")],
            before: "const bool is_long =",
            lines: r#"
    const policy_string_t said = newest(prompt);
    const char first = said.len ? *said.ptr : 0;
    if (first == 'S') {
        const wasmgate_conversation_t *all = &prompt->val.conversation;
        policy_string_t joined = {};
        for (size_t i = 0; i < all->messages.len; i++) {
            const policy_string_t one = text_of(all, &all->messages.ptr[i]);
            joined = text("%.*s%s%.*s", (int)joined.len, joined.ptr, i > 0 ? "|" : "", (int)one.len, one.ptr);
        }
        const exports_routing_reason_t reason = {EXPORTS_ROUTING_REASON_TEXT, {.text = joined}};
        const exports_routing_decision_t all_said = {.ranking = rank(candidates, WASMGATE_LOCATION_LOCAL), .reason = reason};
        *ret = (exports_routing_verdict_t){EXPORTS_ROUTING_VERDICT_ROUTE, {.route = all_said}};
        return true;
    }
    static volatile int still = 1;
    while (first == 'L' && still)
        ;
    if (first == 'T')
        __builtin_trap();
    while (first == 'G')
        *(volatile char *)allocate(1 << 20, 1) = 1;
    if (first == 'X') {
        *ret = (exports_routing_verdict_t){.tag = 7};
        return true;
    }
    if (first == 'U') {
        *ret = (exports_routing_verdict_t){EXPORTS_ROUTING_VERDICT_DENY, {.deny = {.code = text("no"), .reason = text("%c%c", 0xc3, 0x28)}}};
        return true;
    }"#,
            ends: &[
                ("L", "timeout", "the call exceeded its time limit"),
                ("T", "trap", "unreachable"),
                ("G", "out_of_memory", "the limit is 67108864"),
                ("X", "invalid_decision", "the ranking is empty"),
                ("U", "invalid_decision", "utf-8"),
            ],
        },
    );
}

#[test]
fn a_hostile_author_of_cpp_harms_nobody() {
    harms_nobody(
        "cpp",
        &Hostile {
            file: "src/routing.cpp",
            reads: &[
                ("reads::prompt::none", "reads::prompt::conversation"),
                ("const contract::prompt &,", "const contract::prompt &prompt,"),
            ],
            before: "const bool is_long =",
            lines: r#"
    const std::string_view said = prompt.newest();
    if (said == "Spans") {
        std::string all;
        for (const contract::message &message : prompt.messages())
            all.append(all.empty() ? "" : "|").append(prompt.text_of(message));
        return contract::decision{{0}, std::nullopt, std::nullopt, all};
    }
    static volatile bool still = true;
    while (said == "loop" && still)
        ;
    if (said == "throw")
        __builtin_printf("no such thing\n"), __builtin_trap();
    if (said == "beyond")
        return contract::denial{"no", std::string(1, std::vector<char>().at(0))};
    for (std::vector<std::string> hoard; said == "grow";)
        hoard.emplace_back(1 << 20, 'x');
    if (said == "lie")
        return contract::decision{{7}, std::nullopt, std::nullopt, ""};
    if (said == "odd")
        return contract::denial{"no", "\xc3\x28"};"#,
            ends: &[
                ("loop", "timeout", "the call exceeded its time limit"),
                ("throw", "trap", "no such thing"),
                ("beyond", "trap", "out_of_range was thrown"),
                ("grow", "out_of_memory", "the limit is 67108864"),
                ("lie", "invalid_decision", "the ranking names candidate 7 of 3"),
                ("odd", "invalid_decision", "utf-8"),
            ],
        },
    );
}

#[test]
fn a_hostile_author_of_zig_harms_nobody() {
    harms_nobody(
        "zig",
        &Hostile {
            file: "src/routing.zig",
            reads: &[
                (".prompt = .none", ".prompt = .conversation"),
                ("    _: *const contract.Prompt", "    prompt: *const contract.Prompt"),
            ],
            before: "const preferred: contract.Location =",
            lines: r#"
    const said = prompt.newest();
    if (std.mem.eql(u8, said, "Spans")) {
        var all: std.ArrayList([]const u8) = .empty;
        for (prompt.messages()) |message| try all.append(call, prompt.textOf(message));
        return .{ .tag = .route, .payload = .{ .route = .{
            .ranking = .of(&.{0}),
            .complexity = .of(null),
            .tier = .of(null),
            .reason = .of(try std.mem.join(call, "|", all.items)),
        } } };
    }
    if (std.mem.eql(u8, said, "loop")) while (true) std.mem.doNotOptimizeAway(said);
    if (std.mem.eql(u8, said, "throw")) @panic("no such thing");
    if (std.mem.eql(u8, said, "grow")) while (true) @memset(try call.alloc(u8, 1 << 20), 1);
    if (std.mem.eql(u8, said, "lie")) return .{ .tag = .route, .payload = .{ .route = .{
        .ranking = .of(&.{7}),
        .complexity = .of(null),
        .tier = .of(null),
        .reason = .of(""),
    } } };"#,
            ends: &[
                ("loop", "timeout", "the call exceeded its time limit"),
                ("throw", "trap", "no such thing"),
                ("grow", "out_of_memory", "the limit is 67108864"),
                ("lie", "invalid_decision", "the ranking names candidate 7 of 3"),
            ],
        },
    );
}

#[test]
fn a_hostile_author_of_a_script_harms_nobody() {
    harms_nobody(
        "script",
        &Hostile {
            file: "policy.rhai",
            // It reads what its text names.
            reads: &[],
            before: "let long = request.prompt_tokens",
            lines: r#"
    switch request.prompt {
        "loop" => { let n = 0; loop { n += 1; } },
        "throw" => throw "no such thing",
        "grow" => { let hoard = "x"; loop { hoard += hoard; } },
        "lie" => return 7,
        _ => (),
    }"#,
            ends: &[
                ("loop", "guest_error", "line "),
                ("throw", "guest_error", "no such thing"),
                ("grow", "guest_error", "Length of string too large"),
                ("lie", "guest_error", "should return route_to"),
            ],
        },
    );
}

/// An operator's editor is where a script changes, and where its mistakes are to be found.
#[test]
fn a_script_that_is_saved_is_swapped_in_or_refused_with_the_place_of_its_mistake() {
    let gateway = Gateway::setup()
        .reloading()
        .file("route.rhai", b"fn route(request, candidates) { route_to(candidates, \"as given\") }")
        .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
        .start();
    let reason =
        || gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200).json()["reasoning"].clone();
    assert_eq!(reason(), "as given");
    let refused = |what: &str, script: &[u8], words: &[&str]| {
        gateway.put("route.rhai", script);
        let place = gateway
            .wait_place("routing", what, |place| words.iter().all(|word| place["refused"].to_string().contains(word)));
        assert_eq!(reason(), "as given", "the last good one decides: {place}");
    };
    refused("a typing error", b"fn route(request, candidates) {\n  let x = ;\n}", &["compiled", "line 2, column 11"]);
    refused("another hook's function", b"fn estimate(request, candidates) { [] }", &["compiled", "fn route"]);
    refused(
        "an unknown function",
        b"fn route(request, candidates) {\n  cheapest_of(request)\n}",
        &["probed", "line 2"],
    );
    refused("text that is none", b"fn route(r, c) { pass() } // \xc3\x28", &["route.rhai", "not UTF-8"]);
    refused("a long text", &vec![b' '; (256 << 10) + 1], &["route.rhai", "expected at most 262144"]);
    gateway.put("route.rhai", b"fn route(request, candidates) { route_to(candidates, \"edited\") }");
    until("the edited script decides", || (reason() == "edited").then_some(()));
    // Its operator's fixtures are beside it.
    let fixtures = |expected: &str| {
        let fixture = json!({"name": "edited", "prompt": "hello", "expect": {"reason": expected}});
        json!({"fixtures": [fixture]}).to_string()
    };
    gateway.put("route.fixtures.json", fixtures("another").as_bytes());
    gateway
        .wait_place("routing", "fixtures that are not met", |place| place["refused"].to_string().contains("another"));
    gateway.put("route.fixtures.json", fixtures("edited").as_bytes());
    gateway.wait_place("routing", "fixtures that are met", |place| place["refused"].is_null());
}

/// Helper files that templates have in common with the examples are the same to the byte.
#[test]
fn templates_and_examples_do_not_drift_apart() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let javascript = [
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "componentize.js",
        "types/policy.d.ts",
        "types/engine.d.ts",
        "src/contract.js",
        "src/settings.js",
        "src/failures.js",
        "src/cost.js",
    ];
    let go = ["types", "memory", "records", "host", "result", "panic", "routing", "cost"]
        .map(|name| format!("contract/{name}.go"));
    let go: Vec<&str> = go.iter().map(String::as_str).chain(["go.mod", "requirements.txt"]).collect();
    let cpp = [
        "requirements.txt",
        "src/contract/types.hpp",
        "src/contract/host.hpp",
        "src/contract/memory.hpp",
        "src/contract/memory.cpp",
        "src/contract/routing.hpp",
        "src/contract/routing.cpp",
        "src/contract/cost.hpp",
        "src/contract/cost.cpp",
    ];
    let shared: [(&str, &str, &[&str]); 7] = [
        ("go", "go", &go),
        ("js", "javascript", &javascript),
        ("python", "python", &["requirements.txt", "contract.py", "failures.py"]),
        ("c", "c", &["requirements.txt"]),
        ("cpp", "cpp", &cpp),
        ("zig", "zig", &["requirements.txt", "src/contract.zig"]),
        ("rust", "rust", &["build.sh"]),
    ];
    for (template, example, files) in shared {
        for file in files {
            let of = |folder: &str, language: &str| std::fs::read(root.join(folder).join(language).join(file)).unwrap();
            assert!(of("policies/templates", template) == of("examples/policies", example), "{file} of {example}");
        }
    }
}
