//! `wasmgate policy`: what authors type, what they are told, which exit codes there are. What a project of each language does is
//! in `languages`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tempfile::TempDir;
use wasmgate_tests::gateway::run;
use wasmgate_tests::process::Exit;
use wasmgate_tests::{guests, real};

/// A folder with files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// `wasmgate policy` with the file of that name in the folder.
fn policy(folder: &TempDir, verb: &str, name: &str, more: &[&str]) -> Exit {
    let path = folder.path().join(name);
    run(&[&["policy", verb, path.to_str().unwrap()], more].concat())
}

fn fixtures(expect: &Value) -> String {
    json!({"fixtures": [{"name": "a greeting", "prompt": "Hello!", "expect": expect}]}).to_string()
}

#[test]
fn the_contract_is_printed() {
    let exit = run(&["policy", "wit"]);
    exit.expect(0, &["package wasmgate:policy@2.0.0;"]);
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/policy.wit");
    assert_eq!(exit.stdout, fs::read_to_string(contract).unwrap());
    run(&["policy", "wit", "--major", "1"]).expect(0, &["package wasmgate:policy@1.0.0;"]);
    run(&["policy", "wit", "--major", "3"]).expect(2, &["3 is not in 1..=2"]);
}

/// All functions of `wasi_snapshot_preview1`: a module that imports one which is missing here would be no component.
#[test]
fn wasi_is_printed_whole() {
    let exit = run(&["policy", "wasi"]);
    exit.expect(0, &["(module"]);
    wat::parse_str(&exit.stdout).unwrap();
    let functions = "args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise fd_allocate \
        fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size \
        fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek \
        fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open \
        path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise \
        random_get sched_yield sock_accept sock_recv sock_send sock_shutdown";
    for function in functions.split_whitespace() {
        assert!(exit.stdout.contains(&format!("(export \"{function}\"")), "{function} is missing");
    }
}

#[test]
fn the_keys_of_fixtures_are_printed_as_the_page_shows_them() {
    let exit = run(&["policy", "fixtures"]);
    exit.expect(0, &["| `candidates` | list: a candidate |"]);
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../gateway/FIXTURES.md")).unwrap();
    assert!(page.contains(exit.stdout.trim()), "{}", exit.stdout);
}

#[test]
fn a_built_in_policy_can_be_looked_at_asked_and_measured() {
    run(&["policy", "inspect", "complexity"]).expect(
        0,
        &[
            "wasmgate:policy/settings@2.0.0: what the operator configured",
            "profile compiled: 10 ms a call",
            "low-below = 0.3",
        ],
    );
    let seen = run(&["policy", "inspect", "complexity", "--json"]);
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!((&seen["profile"], &seen["hooks"]["routing"]["name"]), (&json!("compiled"), &json!("complexity")));
    assert!(seen["hooks"]["cost"].is_null() && seen["digest"].as_str().unwrap().len() == 64, "{seen}");

    let run_json = |arguments: &[&str]| -> Value {
        let exit = run(&[&["policy", "run"], arguments, &["--json"]].concat());
        exit.expect(0, &[]);
        serde_json::from_str(&exit.stdout).unwrap()
    };
    let decided = run_json(&["complexity", "--prompt", "Design a class"]);
    assert_eq!((&decided["routing"]["tier"], &decided["routing"]["complexity"]), (&json!("low"), &json!(0.2)));
    let files = folder(&[
        ("request.toml", b"prompt = { repeat = \"x\", times = 500 }\n[[candidates]]\nmodel = \"only\"\n"),
        ("settings.toml", b"low-below = 0.61\nhigh-above = 0.7\n"),
    ]);
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (request, settings) = (path("request.toml"), path("settings.toml"));
    let decided = run_json(&["complexity", "--request", &request, "--settings", &settings]);
    assert_eq!((&decided["routing"]["tier"], &decided["routing"]["ranking"]), (&json!("low"), &json!(["only"])));

    let measured = run(&["policy", "bench", "complexity", "--against", "cheapest-healthy", "--calls", "20", "--json"]);
    let measured: Value = serde_json::from_str(&measured.stdout).unwrap();
    let warm = |column: usize| measured[column]["hooks"]["routing"]["instructions"]["warm_call"].as_u64().unwrap();
    assert!(warm(0) > 1000 && warm(1) > 1000 && warm(0) != warm(1), "{measured}");
    let again = run(&["policy", "bench", "complexity", "--calls", "10", "--json"]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again[0]["hooks"]["routing"]["instructions"], measured[0]["hooks"]["routing"]["instructions"]);
    run(&["policy", "bench", "complexity", "--against", "token-cost", "--calls", "10"]).expect(0, &["warm call", " -"]);
}

#[test]
fn what_is_looked_at_without_being_a_policy_is_said() {
    let core = wat::parse_str("(module)").unwrap();
    let files =
        folder(&[("core.wasm", &core), ("text.wasm", b"no component"), ("decides.wasm", &guests::build("decides"))]);
    policy(&files, "inspect", "core.wasm", &[]).expect(2, &["core.wasm is not a policy", "expected a component"]);
    policy(&files, "run", "text.wasm", &[]).expect(2, &["text.wasm is not a policy (not parsed)"]);
    policy(&files, "run", "missing.wasm", &[]).expect(2, &["missing.wasm: cannot be read", "complexity, token-cost"]);
    policy(&files, "test", "decides.wasm", &[]).expect(2, &["decides.fixtures.json does not exist"]);
    policy(&files, "run", "decides.wasm", &["--hook", "cost"]).expect(2, &["not admitted", "policy/cost@2.0.0"]);
    policy(&files, "run", "decides.wasm", &["--limit", "call_tim_ms=5"])
        .expect(2, &["--limit: unknown field `call_tim_ms`"]);
    policy(&files, "run", "decides.wasm", &["--limit", "call_time_ms=0"])
        .expect(2, &["call_time_ms is 0, expected 1 to"]);
    policy(&files, "run", "decides.wasm", &["--limit", "5"]).expect(2, &["expected NAME=VALUE"]);
    run(&["policy", "run", "complexity", "--settings", "/nonexistent"]).expect(2, &["/nonexistent: cannot be read"]);
}

#[test]
fn a_component_that_asks_for_more_is_told_what_it_may_have() {
    let files = folder(&[("reaches-out.wasm", &guests::build("reaches-out"))]);
    let seen = policy(&files, "inspect", "reaches-out.wasm", &[]);
    seen.expect(2, &["NOT GRANTED", "refused    not admitted: it imports `wasi:http/"]);
}

#[test]
fn an_engine_inside_is_seen_and_has_wider_limits() {
    let component = real::policy("javascript");
    let seen = run(&["policy", "inspect", component.to_str().unwrap()]);
    seen.expect(0, &["profile engine: 250 ms a call, 256.0 MiB of memory, 4 warm instances"]);
    let given = run(&["policy", "inspect", component.to_str().unwrap(), "--limit", "call_time_ms=99"]);
    given.expect(0, &["profile engine: 99 ms a call, 256.0 MiB"]);
}

#[test]
fn fixtures_that_are_not_met_are_shown_and_can_be_taken_over() {
    let script = b"fn route(request, candidates) { route_to(cheapest(candidates), \"the cheapest\") }";
    let expected =
        fixtures(&json!({"model": "large", "reason_contains": "dear", "costs": {"small": {"input_tokens": 1}}}));
    let files = folder(&[("p.rhai", script), ("p.fixtures.json", expected.as_bytes())]);
    let unmet = policy(&files, "test", "p.rhai", &[]);
    unmet.expect(
        1,
        &["0 of 1 fixtures as expected", "a greeting", "- \"large\"", "+ \"small\"", "--update writes that"],
    );
    policy(&files, "test", "p.rhai", &["--update"]).expect(0, &["1 updated"]);
    policy(&files, "test", "p.rhai", &[]).expect(0, &["1 of 1 fixtures as expected"]);
    let updated: Value = serde_json::from_slice(&fs::read(files.path().join("p.fixtures.json")).unwrap()).unwrap();
    let expect = &updated["fixtures"][0]["expect"];
    // What belongs to the other hook is as it was.
    let wanted = json!({"model": "small", "reason": "the cheapest", "costs": {"small": {"input_tokens": 1}}});
    assert_eq!(*expect, wanted);

    fs::write(files.path().join("p.fixtures.json"), fixtures(&json!({"costs": {"small": {"input_tokens": 1}}})))
        .unwrap();
    policy(&files, "test", "p.rhai", &[]).expect(2, &["no fixture expects anything of"]);
    fs::write(files.path().join("p.fixtures.json"), fixtures(&json!({"teir": "low"}))).unwrap();
    policy(&files, "test", "p.rhai", &[])
        .expect(2, &["p.fixtures.json: fixtures[0].expect.teir", "did you mean `tier`?"]);
}

#[test]
fn fixtures_have_settings_of_their_own_and_a_gateway_runs_them_with_those() {
    let component = wasmgate_policy_host::builtin::component("complexity").unwrap();
    let expecting = |settings: &Value, model: &str| {
        let mut file = json!({"fixtures": [{
            "name": "a greeting", "prompt": "Hello!", "hints": {"last-model": "b"},
            "candidates": [{"model": "a"}, {"model": "b"}], "expect": {"model": model},
        }]});
        if !settings.is_null() {
            file["settings"] = settings.clone();
        }
        file.to_string().into_bytes()
    };
    let pinned = json!({"low-models": ["b"], "medium-models": [], "high-models": ["a"]});
    let gateway = |settings: &Value, model: &str| {
        let setup = wasmgate_tests::gateway::Gateway::setup().component("mine", component);
        let setup = setup.settings("low-models = [\"phi2\"]\nmedium-models = []\nhigh-models = [\"tinyllama\"]");
        setup.file("mine.fixtures.json", &expecting(settings, model))
    };
    gateway(&pinned, "b").check().expect(0, &["valid"]);
    gateway(&pinned, "a").check().expect(2, &["not probed", "model: found \"b\", expected \"a\""]);
    // The operator's settings and the defaults name neither, so that the first candidate stays first.
    for settings in [Value::Null, json!({})] {
        gateway(&settings, "a").check().expect(0, &["valid"]);
    }
    gateway(&json!({"low": 1}), "a").check().expect(2, &["unknown setting `low`", "low-models"]);
    let files = folder(&[("p.wasm", component), ("p.fixtures.json", &expecting(&pinned, "b"))]);
    policy(&files, "test", "p.wasm", &[]).expect(0, &["1 of 1 fixtures as expected"]);
}

#[test]
fn fixtures_may_be_toml_which_is_read_and_not_written() {
    let script = b"fn route(request, candidates) { pass() }";
    let toml = b"# a comment\n[[fixtures]]\nname = \"a greeting\"\nprompt = \"Hello!\"\nexpect = { tier = \"low\" }\n";
    let files = folder(&[("p.rhai", script), ("mine.toml", toml), ("broken.toml", b"[[fixtures]]\nname = \n")]);
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    policy(&files, "test", "p.rhai", &[&path("mine.toml")]).expect(1, &["+ no opinion", "- a choice"]);
    policy(&files, "test", "p.rhai", &[&path("mine.toml"), "--update"]).expect(2, &["comments would be lost"]);
    assert_eq!(fs::read(files.path().join("mine.toml")).unwrap(), toml);
    policy(&files, "test", "p.rhai", &[&path("broken.toml")]).expect(2, &["broken.toml:2: this is not TOML"]);
}

#[test]
fn a_policy_that_fails_says_why_and_its_log_is_shown() {
    let script = b"fn route(request, candidates) { if request.id == \"question\" { print(\"asked\"); throw \"no idea\" } pass() }";
    let files = folder(&[("p.rhai", script)]);
    policy(&files, "run", "p.rhai", &[]).expect(2, &["p.rhai failed: guest_error: ", "no idea", "INFO asked"]);
}

#[test]
fn a_language_has_the_names_that_authors_give_it() {
    let folder = tempfile::tempdir().unwrap();
    let new = |lang: &str| {
        let path = folder.path().join(lang);
        run(&["policy", "new", "mine", "--lang", lang, "--path", path.to_str().unwrap()])
    };
    for (lang, file) in [
        ("rs", "Cargo.toml"),
        ("golang", "go.mod"),
        ("JavaScript", "package.json"),
        ("typescript", "src/routing.ts"),
        ("py", "requirements.txt"),
        ("C", "src/routing.c"),
        ("c++", "src/routing.cpp"),
        ("rhai", "policy.rhai"),
    ] {
        new(lang).expect(0, &[file]);
    }
    new("cobol").expect(2, &["'cobol'", "possible values: rust, go, js, ts, python, c, cpp, zig, script"]);
    run(&["policy", "new", "mine"]).expect(2, &["--lang <rust|go|js|ts|python|c|cpp|zig|script>"]);
}

#[test]
fn a_new_project_needs_a_good_name_and_an_empty_folder() {
    let files = folder(&[("there", b"x")]);
    let new = |name: &str, path: &str| {
        let path = files.path().join(path);
        run(&["policy", "new", name, "--lang", "script", "--path", path.to_str().unwrap()])
    };
    for name in ["Mine", "1st", "a--b", "a-", "../a", ""] {
        new(name, "unused").expect(2, &["lower-case letters, digits and single `-`"]);
    }
    new("mine", "there").expect(2, &["already exists"]);
    new("mine", "fresh").expect(0, &["policy.rhai", "wit/policy.wit", "next: cd "]);
    new("mine", "fresh").expect(2, &["already exists"]);
}

#[test]
fn whatever_a_policy_says_does_not_move_the_cursor() {
    let script = b"fn route(request, candidates) { throw \"\\x1b[31mred\\nnext\" }";
    let files = folder(&[("p.rhai", script), ("p.fixtures.json", fixtures(&json!({"pass": true})).as_bytes())]);
    for verb in ["inspect", "run", "test"] {
        let exit = policy(&files, verb, "p.rhai", &[]);
        exit.expect(2, &["[31mred next"]);
        assert!(!exit.text().contains('\u{1b}'), "{:?}", exit.text());
    }
}

#[test]
fn what_a_gateway_would_refuse_is_refused_here() {
    let long = [&b"fn route(request, candidates) { pass() }"[..], &vec![b' '; 256 << 10]].concat();
    let files = folder(&[
        ("long.rhai", &long),
        ("p.rhai", b"fn route(request, candidates) { pass() }"),
        ("p.fixtures.json", fixtures(&json!({"model": "small"})).as_bytes()),
    ]);
    policy(&files, "run", "long.rhai", &[]).expect(2, &["long.rhai: 262184 bytes, expected at most 262144"]);
    policy(&files, "inspect", "p.rhai", &[]).expect(2, &["not probed", "a greeting", "expected a choice"]);
    fs::write(files.path().join("p.fixtures.json"), fixtures(&json!({"pass": true}))).unwrap();
    policy(&files, "inspect", "p.rhai", &[]).expect(0, &["admitted", "world      routing-policy and cost-policy of"]);
}

#[test]
fn a_script_for_one_hook_is_asked_for_that_one_and_the_other_is_told_of() {
    let files = folder(&[("p.rhai", b"// fn estimate(\nfn route (request, candidates) { pass() }")]);
    let exit = policy(&files, "run", "p.rhai", &[]);
    exit.expect(0, &["pass", "note: not usable as a cost policy", "fn estimate(request, candidates)"]);
    policy(&files, "run", "p.rhai", &["--hook", "cost"]).expect(2, &["should define fn estimate"]);
    // One that does not speak of the other hook is not asked for it.
    fs::write(files.path().join("p.rhai"), "fn route (request, candidates) { pass() }").unwrap();
    let exit = policy(&files, "run", "p.rhai", &[]);
    exit.expect(0, &["pass"]);
    assert!(!exit.text().contains("cost"), "{}", exit.text());
}

#[test]
fn an_update_is_whole_keeps_links_and_tells_of_failures() {
    let script = b"fn route(request, candidates) { if request.prompt == \"fail\" { throw \"no idea\" } pass() }";
    let unmet = fixtures(&json!({"model": "small"}));
    let failing = unmet.replace("Hello!", "fail");
    let toml = b"[[fixtures]]\nname = \"n\"\nprompt = \"p\"\nexpect = { tier = \"low\" }\n";
    let files = folder(&[
        ("p.rhai", script),
        ("real.json", unmet.as_bytes()),
        ("failing.json", failing.as_bytes()),
        ("mine.toml", toml),
    ]);
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let read = |name: &str| fs::read_to_string(files.path().join(name)).unwrap();
    policy(&files, "test", "p.rhai", &[&path("real.json"), &path("mine.toml"), "--update"]).expect(2, &["mine.toml"]);
    assert_eq!(read("real.json"), unmet, "all or nothing");
    policy(&files, "test", "p.rhai", &[&path("failing.json"), "--update"])
        .expect(1, &["failed: guest_error", "no idea"]);
    assert_eq!(read("failing.json"), failing);
    std::os::unix::fs::symlink(path("real.json"), path("link.json")).unwrap();
    fs::set_permissions(path("real.json"), fs::Permissions::from_mode(0o600)).unwrap();
    policy(&files, "test", "p.rhai", &[&path("link.json"), "--update"]).expect(0, &["1 updated"]);
    assert!(read("real.json").contains("\"pass\": true"), "{}", read("real.json"));
    assert!(fs::symlink_metadata(path("link.json")).unwrap().is_symlink());
    assert_eq!(fs::metadata(path("real.json")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(files.path()).unwrap().count(), 5, "nothing else is left behind");
}

#[test]
fn what_is_measured_as_warm_is_one_instance() {
    // Beyond half of its limit, where a gateway would replace the instance after each call.
    let exit = run(&["policy", "bench", "complexity", "--calls", "20", "--json", "--limit", "memory_bytes=300000"]);
    exit.expect(0, &[]);
    let measured: Value = serde_json::from_str(&exit.stdout).unwrap();
    let routing = &measured[0]["hooks"]["routing"];
    assert!(routing["memory_bytes"].as_u64().unwrap() > 150_000, "{routing}");
    let (instance, warm) = (&routing["instructions"]["instance"], &routing["instructions"]["warm_call"]);
    assert!(instance.as_u64().unwrap() > 0 && warm.as_u64().unwrap() > 0, "{routing}");
}
