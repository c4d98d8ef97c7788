//! Broken configurations, with all that `wasmgate check` says of them, compared as a whole. The files hold one case after
//! another: `=== what is broken`, the configuration, `>>>` and the report. A line `+ok` stands for a backend and a model. With
//! `WASMGATE_WRITE_REPORTS` set, the test writes the reports anew, to be read by whoever changed them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::process::{Exit, run_in};

const FILES: [&str; 6] = ["keys", "values", "words", "names", "addresses", "formats"];

/// A backend and a model.
const OK: &str = "[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n";

struct Case {
    title: String,
    written: String,
    said: String,
}

impl Case {
    fn text(&self) -> String {
        self.written.replace("+ok\n", OK)
    }
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/broken_configs").join(format!("{file}.txt"))
}

fn cases(file: &str) -> Vec<Case> {
    let text = fs::read_to_string(path(file)).expect("a file of cases");
    let parts = text.split("=== ").skip(1);
    let case = |part: &str| {
        let (title, rest) = part.split_once('\n').expect("a title");
        let (written, said) = rest.split_once("\n>>>\n").unwrap_or_else(|| match rest.strip_prefix(">>>\n") {
            Some(said) => ("", said),
            None => (rest.trim_end(), ""),
        });
        let written = if written.is_empty() { String::new() } else { format!("{written}\n") };
        Case { title: title.to_owned(), written, said: said.trim_end().to_owned() }
    };
    parts.map(case).collect()
}

/// Checks a file in a folder of its own.
fn check(content: &[u8], arguments: &[&str]) -> Exit {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("wasmgate.toml"), content).expect("a file in it");
    check_in(folder.path(), arguments)
}

fn check_in(folder: &Path, arguments: &[&str]) -> Exit {
    run_in(folder, &[&["check", "--config", "wasmgate.toml"], arguments].concat(), &[])
}

/// Without the lines about what is valid, which other tests look at.
fn report(exit: &Exit) -> String {
    let text = exit.text();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("  "));
    let lines = lines.map(|line| line.split_once(": valid: ").map_or(line, |_| "wasmgate.toml: valid"));
    format!("exit code {}\n{}", exit.code().unwrap_or(-1), lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_check_reports_all_mistakes_of_a_file_with_place_and_way_out() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in FILES {
        let mut all = String::new();
        for case in cases(file) {
            count += 1;
            let said = report(&check(case.text().as_bytes(), &[]));
            let forbidden = ["usize", "i128", "u32", "u64", "f64", "relative URL", "os error", "struct "];
            let leaks = forbidden.iter().any(|word| said.contains(word)) || said.contains("sk-");
            if said != case.said || leaks {
                wrong.push(format!("{file}: {}:\n{said}\nexpected:\n{}", case.title, case.said));
            }
            all += &format!("=== {}\n{}>>>\n{said}\n", case.title, case.written);
        }
        if std::env::var_os("WASMGATE_WRITE_REPORTS").is_some() {
            fs::write(path(file), all).expect("it is written");
        }
    }
    assert!(count >= 65, "{count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_file_that_is_no_text_is_named_for_what_it_is() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        (
            "UTF-16 with a mark",
            [&[0xff, 0xfe][..], &utf16(OK)].concat(),
            "text in UTF-16, expected UTF-8; save the file in this encoding",
        ),
        ("UTF-16 without one", utf16(OK), "text in UTF-16, expected UTF-8; save the file in this encoding"),
        (
            "Latin-1",
            b"# a comment\n# Gr\xfc\xdfe\n".to_vec(),
            "the byte 0xfc, which is not UTF-8 (the file may be in Latin-1 or Windows-1252), expected UTF-8; save the file in this encoding",
        ),
        (
            "a component",
            b"\0asm\x0d\0\x01\0".to_vec(),
            "a WebAssembly component, expected a TOML file that names the component, as in file = \"policy.wasm\"",
        ),
        (
            "a binary file",
            [&b"listen = \"a"[..], b"\0\"\n", OK.as_bytes()].concat(),
            "a binary file, expected a TOML text",
        ),
        (
            "a program",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0\x80\xff\0\0\0\0\0\0".to_vec(),
            "a binary file, expected a TOML text",
        ),
        (
            "white space",
            b" \n\t\n".to_vec(),
            "the file is empty, expected at least one [backends.NAME] and one [models.NAME]",
        ),
    ];
    for (what, content, said) in cases {
        let place = if what == "Latin-1" { "wasmgate.toml:2" } else { "wasmgate.toml" };
        assert_eq!(report(&check(&content, &[])), format!("exit code 2\nwasmgate: {place}: {said}"), "{what}");
    }
    let marked = [&[0xef, 0xbb, 0xbf][..], OK.as_bytes()].concat();
    assert_eq!(report(&check(&marked, &[])), "exit code 0\nwasmgate.toml: valid", "a byte order mark is no mistake");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_the_reason() {
    let folder = TempDir::new().expect("a temporary folder");
    let said = |what: &str| format!("exit code 2\nwasmgate: wasmgate.toml: {what}");
    assert_eq!(report(&check_in(folder.path(), &[])), said("cannot be read: No such file or directory"));
    fs::create_dir(folder.path().join("wasmgate.toml")).expect("a folder");
    assert_eq!(report(&check_in(folder.path(), &[])), said("a folder, expected a file"));
}

#[test]
fn programs_get_the_same_report_as_json() {
    let exit = check(
        b"lisen = 1\n[server]\nmax_in_flight = 0\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"c\"\n",
        &["--json"],
    );
    assert_eq!(exit.code(), Some(2));
    let report: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!((&report["valid"], &report["errors"]), (&Value::Bool(false), &3.into()), "{report}");
    let codes: Vec<_> = report["problems"].as_array().expect("a list").iter().map(|p| p["code"].as_str()).collect();
    assert_eq!(codes, [Some("unknown_key"), Some("out_of_range"), Some("unknown_name")]);
    let first = &report["problems"][0];
    assert_eq!((&first["line"], &first["key"], &first["nearest"]), (&1.into(), &"lisen".into(), &"listen".into()));
    let range = &report["problems"][1];
    assert_eq!((&range["found"], &range["expected"]), (&"0".into(), &"1 to 1000000".into()));
    let valid = check(OK.as_bytes(), &["--json"]);
    valid.expect(0, &["\"valid\": true", "\"problems\": []"]);
}

#[test]
fn serve_and_check_report_the_same_at_a_start() {
    let text = "lisen = 1\n[server]\nmax_in_flight = 0\n".to_owned() + OK;
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("wasmgate.toml");
    fs::write(&path, &text).expect("a file");
    let served = run_in(folder.path(), &["serve", "--config", "wasmgate.toml"], &[]);
    let expected = "wasmgate: wasmgate.toml:1: lisen: unknown key `lisen`, did you mean `listen`?\n\
                    wasmgate: wasmgate.toml:3: server.max_in_flight: 0, expected 1 to 1000000";
    assert_eq!((served.code(), served.stderr.trim()), (Some(2), expected));
    let log = Gateway::setup().variable("WASMGATE_LOG", "verbose").refused();
    log.expect(2, &["WASMGATE_LOG: \"verbose\", expected \"trace\"", "did you mean \"debug\"?"]);
}

/// What a check says of a configuration whose routing policy is this file with this content.
fn of_policy(name: &str, content: &[u8]) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join(name), content).expect("a file in it");
    let text = format!("[policies.routing]\nfile = \"{name}\"\n{OK}");
    fs::write(folder.path().join("wasmgate.toml"), text).expect("a file in it");
    report(&check_in(folder.path(), &[]))
}

#[test]
fn a_policy_s_file_is_named_for_what_it_is() {
    let expected =
        "expected a WebAssembly component, which a policy's build writes, or a script, whose name ends in .rhai";
    let not_parsed = |name: &str, found: &str| {
        format!(
            "exit code 2\nwasmgate: wasmgate.toml:2: policies.routing: policy {name} was refused (not parsed): {found}"
        )
    };
    let utf16 = "fn route(".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for (name, content, found) in [
        ("policy.rs", &b"fn main() {}\n"[..], "a text"),
        ("policy.wasm", b"", "the file is empty"),
        ("policy.wasm", b"\x7fELF\x02\x01\x01\0\0\0\x03\0>\0\xff\xff", "a binary file"),
        ("policy.txt", &utf16, "text in UTF-16"),
    ] {
        assert_eq!(of_policy(name, content), not_parsed(name, &format!("{found}, {expected}")), "{name}");
    }
    let nothing = of_policy("policy.wasm", b"\0asm\x0d\0\x01\0");
    assert!(nothing.ends_with("does not export `wasmgate:policy/routing@2.0.0`; it exports nothing"), "{nothing}");
}

#[test]
fn a_script_s_file_may_have_a_byte_order_mark_and_any_line_breaks_but_must_be_utf_8() {
    let script = "// name: mine\r\nfn route(request, candidates) {\r\n  pass()\r\n}\r\n";
    let fine = "exit code 0\nwasmgate.toml: valid";
    assert!(of_policy("p.rhai", format!("\u{feff}{script}").as_bytes()).starts_with(fine));
    let latin = of_policy("p.rhai", b"// name: mine\n// Gr\xfc\xdfe\nfn route(request, candidates) { pass() }");
    assert!(latin.contains("p.rhai: line 2: the byte 0xfc, which is not UTF-8"), "{latin}");
}

#[test]
fn an_api_key_that_can_be_none_is_refused_and_not_repeated() {
    for (key, found) in [
        ("\"sk-0123\"", "a key in quotes"),
        ("OPENAI_API_KEY=sk-0123\n", "a line as in NAME=KEY"),
        ("sk-0123\nsk-4567\n", "more than one word"),
    ] {
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("key"), key).expect("a file in it");
        let file = "[backends.b]\nkind = \"anthropic\"\napi_key_file = \"key\"\n[models.m]\nbackend = \"b\"\n";
        fs::write(folder.path().join("wasmgate.toml"), file).expect("a file in it");
        let said = report(&check_in(folder.path(), &[]));
        let expected =
            format!("wasmgate: wasmgate.toml:3: backends.b.api_key_file: key holds {found}, expected the key alone");
        assert_eq!(said, format!("exit code 2\n{expected}"), "{key}");
        let variable = ("WASMGATE_TEST_KEY", key);
        fs::write(
            folder.path().join("wasmgate.toml"),
            file.replace("api_key_file = \"key\"", "api_key_env = \"WASMGATE_TEST_KEY\""),
        )
        .expect("a file in it");
        let exit = run_in(folder.path(), &["check", "--config", "wasmgate.toml"], &[variable]);
        exit.expect(2, &["api_key_env: the environment variable WASMGATE_TEST_KEY holds", found]);
    }
    let base64 =
        "[backends.b]\nkind = \"anthropic\"\napi_key_env = \"WASMGATE_TEST_KEY\"\n[models.m]\nbackend = \"b\"\n";
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("wasmgate.toml"), base64).expect("a file in it");
    let arguments = ["check", "--config", "wasmgate.toml"];
    run_in(folder.path(), &arguments, &[("WASMGATE_TEST_KEY", "QUJDREVG==")]).expect(0, &["valid"]);
}
