//! The admin listener of the real gateway, and `wasmgate policies`: who is let in, what is told, which exit codes there
//! are. What each route asks of the lifecycle is tested beside the listener.

use std::net::TcpListener;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Exit, Gateway, Setup, policies, run};

const TOKEN: &str = "correct-horse-battery-staple";

/// Fails unless `answer` is what the API's description has as `schema`.
#[track_caller]
pub(crate) fn conforms(schema: &str, answer: &Value) {
    let mut document: Value = serde_json::from_str(wasmgate::admin::OPENAPI).unwrap();
    let reference = format!("#/components/schemas/{schema}");
    let schema = json!({"$ref": reference, "components": document["components"].take()});
    if let Err(error) = jsonschema::validate(&schema, answer) {
        panic!("{error} in {answer:#}");
    }
}

#[test]
fn the_gateway_tells_operators_how_policies_stand() {
    let gateway = Gateway::setup().start();
    let status = gateway.admin_get("/policies").expect(200).json();
    conforms("Status", &status);
    let slots: Vec<_> = status["policies"].as_array().unwrap().iter().map(|policy| &policy["slot"]).collect();
    assert!(slots.contains(&&json!("routing")) && slots.contains(&&json!("cost")), "{status:#}");
    conforms("PolicyWithHistory", &gateway.admin_get("/policies/routing").expect(200).json());
    conforms("History", &gateway.admin_get("/history").expect(200).json());
    conforms("Welcome", &gateway.admin_get("/").expect(200).json());
    assert_eq!(gateway.admin_get("/openapi.json").expect(200).text(), wasmgate::admin::OPENAPI);
    conforms("Error", &gateway.admin_get("/policies/rooting").expect(404).json());
}

#[test]
fn clients_and_operators_have_listeners_of_their_own() {
    let gateway = Gateway::setup().start();
    assert_ne!(gateway.address, gateway.admin);
    let _ = gateway.get("/policies").expect(404);
    let _ = gateway.admin_get("/v1/models").expect(404);
    let _ = gateway.admin_send("POST", "/api/v1/chat", &[], b"{}").expect(404);
}

#[test]
fn a_token_comes_from_its_file_or_the_environment_which_beats_it() {
    let bearer = |token: &str| format!("Bearer {token}");
    let by_file = || {
        let setup = Gateway::setup().top("[admin]\ntoken_file = \"admin-token\"");
        setup.secret_file("admin-token", &format!("\n  {TOKEN}\n"))
    };
    let other = "another-token-of-operators";
    for (setup, right, wrong) in
        [(by_file(), TOKEN, other), (by_file().variable("WASMGATE_ADMIN_TOKEN", other), other, TOKEN)]
    {
        let gateway = setup.start();
        let ask = |headers: &[(&str, &str)]| gateway.admin_send("GET", "/policies", headers, b"");
        let _ = ask(&[("authorization", &bearer(right))]).expect(200);
        let refused = ask(&[("authorization", &bearer(wrong))]).expect(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        conforms("Error", &refused.json());
        let _ = ask(&[]).expect(401);
        assert!(!gateway.log_to_its_end().join("\n").contains(right), "the token is in the log");
    }
    // Empty is as good as not set.
    let gateway = Gateway::setup().variable("WASMGATE_ADMIN_TOKEN", "").start();
    let _ = gateway.admin_get("/policies").expect(200);
}

#[test]
fn without_a_token_browsers_are_kept_out() {
    let gateway = Gateway::setup().start();
    let denied = gateway.admin_send("POST", "/policies/routing/disable", &[("origin", "http://localhost")], b"");
    conforms("Error", &denied.expect(403).json());
    let mut client = wasmgate_tests::http::Client::connect(gateway.admin);
    let rebound = wasmgate_tests::http::request_to("evil.example", "GET", "/policies", &[], b"");
    let _ = client.send(rebound).response().expect(403);
    let line = gateway.wait_for_log("of the audit", |line| line["target"] == "audit");
    assert_eq!([&line["action"], &line["slot"], &line["outcome"]], ["disable", "routing", "denied"]);
}

#[test]
fn each_action_has_one_line_in_the_audit_log() {
    let gateway = Gateway::setup().variable("WASMGATE_LOG", "warn,wasmgate=info").start();
    let paths = ["/policies/routing/rollback", "/policies/nowhere/promote", "/policies/cost.canary/promote"];
    for path in paths {
        let answer = gateway.admin_send("POST", path, &[], b"");
        assert!(answer.status() >= 400, "{}", answer.text());
    }
    gateway.wait_for_log("the last of the audit", |line| line["slot"] == "cost.canary" && line["target"] == "audit");
    let lines: Vec<_> = gateway.log().into_iter().filter(|line| line["target"] == "audit").collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["action"].as_str().unwrap(), line["slot"].as_str().unwrap())).collect();
    assert_eq!(told, [("rollback", "routing"), ("promote", "nowhere"), ("promote", "cost.canary")]);
    assert!(lines.iter().all(|line| line["outcome"] == "refused"), "{lines:?}");
}

#[test]
fn what_is_wrong_with_a_token_is_said_with_file_line_and_key() {
    let with_file = |content: &str| {
        Gateway::setup().top("[admin]\ntoken_file = \"admin-token\"").secret_file("admin-token", content)
    };
    let said = ["wasmgate.toml:2: admin.token_file: ", "admin-token: "];
    let both = |setup: fn() -> Setup, parts: &[&str]| {
        setup().check().expect(2, parts);
        setup().refused().expect(2, parts);
    };
    with_file(" \n").check().expect(2, &[said[0], said[1], "empty"]);
    with_file("short").check().expect(2, &[said[0], said[1], "5 characters, expected at least 16"]);
    with_file(&"long".repeat(2000)).check().expect(2, &[said[0], said[1], "longer than"]);
    let open = || Gateway::setup().top("[admin]\ntoken_file = \"admin-token\"").file("admin-token", TOKEN.as_bytes());
    both(open, &[said[0], said[1], "users other than its owner", "expected mode 600"]);
    let variable = || Gateway::setup().variable("WASMGATE_ADMIN_TOKEN", "too-short");
    both(variable, &["admin: ", "WASMGATE_ADMIN_TOKEN", "9 characters, expected at least 16"]);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_for_operators_too() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (file, environment, flag) = (free(), free(), free());
    let top = format!("[admin]\nlisten = {file:?}");
    let by_environment =
        || Gateway::setup().top(&top).variable("WASMGATE_ADMIN_LISTEN", &environment).without_admin_listen();
    let gateway = by_environment().argument("--admin-listen").argument(&flag).start();
    assert_eq!(gateway.admin.to_string(), flag);
    assert_eq!(by_environment().start().admin.to_string(), environment);
    assert_eq!(Gateway::setup().top(&top).without_admin_listen().start().admin.to_string(), file);
    let off = "[admin]\nenabled = false";
    assert_eq!(Gateway::setup().top(off).without_admin_listen().start().admin.port(), 0);
    assert_ne!(Gateway::setup().top(off).start().admin.port(), 0);
}

#[test]
fn other_machines_need_a_token_wherever_the_address_comes_from() {
    let flag = |setup: Setup| setup.argument("--admin-listen").argument("0.0.0.0:0");
    let said = ["--admin-listen or WASMGATE_ADMIN_LISTEN: ", "0.0.0.0:0", "WASMGATE_ADMIN_TOKEN"];
    flag(Gateway::setup()).refused().expect(2, &said);
    let variable = Gateway::setup().variable("WASMGATE_ADMIN_LISTEN", "0.0.0.0:0").without_admin_listen();
    variable.refused().expect(2, &said);
    let gateway = flag(Gateway::setup()).variable("WASMGATE_ADMIN_TOKEN", TOKEN).start();
    assert!(gateway.admin.ip().is_unspecified());
}

#[test]
fn an_admin_address_in_use_ends_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let exit = Gateway::setup().argument("--admin-listen").argument(&address).refused();
    exit.expect(1, &[&format!("cannot listen on {address} (admin.listen)"), "--admin-listen or WASMGATE_ADMIN_LISTEN"]);
    assert!(!exit.text().contains("\"listening\""), "{}", exit.text());
}

#[test]
fn the_command_works_on_the_gateway() {
    let gateway = Gateway::setup().start();
    gateway.policies(&["list"]).expect(0, &["SLOT", "routing ", "cost ", "complexity@", "generation 1"]);
    gateway.policies(&["show", "routing"]).expect(0, &["complexity@"]);
    gateway.policies(&["history"]).expect(0, &[]);
    gateway.policies(&["show", "cost.canary"]).expect(2, &["unknown_slot", "cost.canary", "policies list"]);
    gateway.policies(&["promote", "routing.canary"]).expect(2, &["wasmgate: "]);
}

/// A place, with these fields in place of its own.
fn place(slot: &str, fields: &Value) -> Value {
    let mut place = json!({
        "slot": slot, "mode": "active", "state": "serving", "source": "complexity (built in)", "serving": null,
        "kept": null, "checking": null, "settings": {}, "limits": {}, "progress": null, "comparison": null, "agreement": null,
        "share_percent": null, "can_deny": "no", "reads": null, "default_models": null, "unknown_models": {}, "refused": null,
        "source_missing": false, "previous": [],
    });
    for (key, value) in fields.as_object().unwrap() {
        place[key] = value.clone();
    }
    place
}

fn version(version: &str, digit: &str, since: u64) -> Value {
    json!({
        "policy": "complexity", "version": version, "digest": digit.repeat(64), "revision": digit.repeat(64),
        "since": since, "rolled_back_from": version == "1.1.0",
    })
}

/// An admin listener that always tells the same.
fn scripted() -> Backend {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let refused = json!({
        "policy": "complexity@1.2.1", "digest": "c".repeat(64), "revision": "c".repeat(64), "stage": "probed", "since": now - 30,
        "reason": format!("it trapped\u{1b}[31m: {}", "out of fuel ".repeat(12)),
    });
    let routing = place(
        "routing",
        &json!({
            "serving": version("1.2.0", "a", now - 200), "refused": refused,
            "previous": [version("1.1.0", "b", now - 90_000)], "settings": {"low-below": 0.3}, "limits": {"call_time_ms": 10},
        }),
    );
    let canary = place(
        "routing.canary",
        &json!({
            "mode": "canary", "source": "next.wasm", "serving": version("1.3.0-rc.1", "d", now - 4), "share_percent": 2.5,
            "source_missing": true,
            "checking": {"source": "third.wasm", "revision": "f".repeat(64), "since": now - 80},
            "progress": {
                "calls": 30, "failures": 1, "mean_call_ms": 0.25, "ended": 28, "errors": 2, "active_ended": 500,
                "active_errors": 4, "rules": {
                    "window_seconds": 600, "min_samples": 20, "max_failure_ratio": 0.02,
                    "max_error_ratio_above_active": 0.05, "max_mean_call_ms": 5.0,
                },
            },
        }),
    );
    let event = json!({
        "at": now - 200, "slot": "routing", "event": "placed", "by": "files", "policy": "complexity@1.2.0",
        "digest": "a".repeat(64), "revision": "a".repeat(64), "detail": "as its file changed",
    });
    let configuration = json!({
        "at": now - 7300, "slot": null, "event": "config_refused", "by": "files", "policy": null, "digest": null,
        "revision": null, "detail": "wasmgate.toml:3: server.max_inflight: unknown key `max_inflight`, did you mean `max_in_flight`?",
    });
    let history = json!([event, configuration]);
    let status = json!({
        "generation": 7, "since": now - 4, "live_generations": 2, "oldest_draining_seconds": 12.3,
        "config": {"file": "wasmgate.toml", "digest": "e".repeat(64), "since": now - 7300, "refused": "no such key",
            "needs_restart": ["listen", "log.level"]},
        "prices": {"origin": "file", "file": "prices.toml", "version": "2026-11", "date": "2026-11-01", "since": now - 7300,
            "models": ["m"], "refused": "it loses the price of m"},
        "policies": [routing, canary], "history": history,
    });
    conforms("Status", &status);
    let mut page = routing;
    page["history"] = json!([history[0]]);
    let done = canary;
    Backend::with_pages(
        move |_| Reply::json(200, &done),
        move |path| match path {
            "/policies" => Reply::json(200, &status),
            "/policies/routing" => Reply::json(200, &page),
            "/history" => Reply::json(200, &json!({"history": history})),
            _ => Reply::json(404, &json!({"error": {"code": "unknown_slot", "message": "no place"}})),
        },
    )
}

/// What a command printed, where it was done; the exact seconds, which pass, left out.
#[track_caller]
fn printed(exit: &Exit) -> String {
    exit.expect(0, &[]);
    assert!(!exit.stdout.contains('\u{1b}'), "{:?}", exit.stdout);
    exit.stdout.clone()
}

#[test]
fn the_list_is_a_table_with_refusals_below() {
    let admin = scripted();
    let text = printed(&policies(&admin.url(), &["list"], &[]));
    let lines: Vec<&str> = text.lines().collect();
    let digest = |digit: &str| digit.repeat(12);
    assert_eq!(
        lines[0],
        "SLOT            MODE    STATE    POLICY                 REVISION      SINCE      SHARE  SOURCE"
    );
    let routing = format!(
        "routing         active  serving  complexity@1.2.0       {}  3 min ago         complexity (built in)",
        digest("a")
    );
    assert_eq!(lines[1], routing);
    let refused = format!("  refused complexity@1.2.1 {}, not probed, ", digest("c"));
    assert!(lines[2].starts_with(&refused), "{text}");
    assert!(lines[2].len() <= 100 && lines[3].starts_with("    "), "{text}");
    let canary = lines.iter().find(|line| line.starts_with("routing.canary")).unwrap();
    assert!(canary.contains("complexity@1.3.0-rc.1") && canary.ends_with("2.5 %  next.wasm"), "{text}");
    for part in [
        "  source missing",
        "generation 7, since",
        "1 earlier still draining, the oldest for 12 s",
        "configuration wasmgate.toml eeeeeeeeeeee, since 2 h ago",
        "  current file refused: no such key",
        "  pending until a restart: listen, log.level",
        "prices 2026-11 of 2026-11-01 (prices.toml), for 1 models",
        "  current file of prices refused: it loses the price of m",
        "  checking third.wasm ffffffffffff, for 1 min",
        "  in 600 s: 1 of 30 calls failed (aborts above 2 %), mean 0.250 ms (aborts above 5 ms),",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_place_is_shown_with_earlier_versions_and_its_history() {
    let admin = scripted();
    let text = printed(&policies(&admin.url(), &["show", "routing"], &[]));
    for part in [
        "PREVIOUS",
        "complexity@1.1.0  bbbbbbbbbbbb  bbbbbbbbbbbb  25 h ago",
        "  rolled back from: ",
        "AT ",
        "placed",
        "as its file changed",
        "SETTING    VALUE\nlow-below  0.3\n",
        "LIMIT         VALUE\ncall_time_ms  10\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let text = printed(&policies(&admin.url(), &["history"], &[]));
    assert!(text.contains("(configuration)  config_refused  files"), "{text}");
    assert!(text.contains("\n  wasmgate.toml:3: server.max_inflight"), "{text}");
}

#[test]
fn json_is_printed_as_it_came() {
    let admin = scripted();
    let text = printed(&policies(&admin.url(), &["list", "--json"], &[]));
    conforms("Status", &serde_json::from_str(&text).unwrap());
    assert!(text.starts_with("{\"generation\":7,"), "{text}");
}

#[test]
fn each_command_asks_for_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let component = file("p.wasm", "\0asm component");
    let settings = file("s.json", "{\"a b\": [1, \"+\"]}");
    let token = file("token", &format!("{TOKEN}\n"));
    let upload = ["upload", "routing.canary", &component, "--percent", "2.5", "--settings", &settings];
    let cases: [(&[&str], &str, &str); 11] = [
        (
            &upload,
            "PUT /policies/routing.canary?percent=2.5&settings=%7B%22a+b%22%3A%5B1%2C%22%2B%22%5D%7D",
            "\0asm component",
        ),
        (&["upload", "cost", &component], "PUT /policies/cost", "\0asm component"),
        (&["promote", "routing.canary"], "POST /policies/routing.canary/promote", ""),
        (&["rollback", "routing"], "POST /policies/routing/rollback", ""),
        (&["rollback", "routing", "--to", "ab12"], "POST /policies/routing/rollback", "{\"to\":\"ab12\"}"),
        (&["canary", "routing", "5"], "PUT /policies/routing.canary/share", "{\"percent\":5.0}"),
        (&["canary", "cost.canary", "0.5%"], "PUT /policies/cost.canary/share", "{\"percent\":0.5}"),
        (&["retry", "cost.shadows.a"], "POST /policies/cost.shadows.a/retry", ""),
        (&["enable", "cost"], "POST /policies/cost/enable", ""),
        (&["disable", "cost"], "POST /policies/cost/disable", ""),
        (&["disable", "cost", "--token-file", &token], "POST /policies/cost/disable", ""),
    ];
    for (arguments, line, body) in cases {
        let admin = scripted();
        let variables = [("WASMGATE_ADMIN_TOKEN", "another-token-of-operators")];
        policies(&admin.url(), arguments, &variables).expect(0, &["routing.canary"]);
        let request = admin.only_request();
        assert_eq!(format!("{} {}", request.method, request.path), line);
        assert_eq!(String::from_utf8_lossy(&request.body), body);
        let shown = if arguments.contains(&"--token-file") { TOKEN } else { variables[0].1 };
        assert_eq!(request.header("authorization"), format!("Bearer {shown}"));
    }
}

#[test]
fn refusals_end_with_2_and_failures_with_1() {
    for (status, code, exit, said) in [
        (401, "unauthorized", 2, "set WASMGATE_ADMIN_TOKEN"),
        (403, "forbidden", 2, "forbidden: because"),
        (404, "unknown_slot", 2, "`wasmgate policies list`"),
        (409, "conflict", 2, "conflict: because"),
        (422, "refused", 2, "refused: because"),
        (500, "internal", 1, "internal: because"),
        (503, "stopping", 1, "stopping: because"),
    ] {
        let answer = json!({"error": {"code": code, "message": "because"}});
        let admin = Backend::start(move |_| Reply::json(status, &answer));
        let ended = policies(&admin.url(), &["promote", "routing.canary"], &[]);
        ended.expect(exit, &[said]);
        assert_eq!(ended.stdout, "");
    }
    let other = Backend::with_pages(|_| Reply::raw(b""), |_| Reply::whole(404, "text/html", b"<h1>none</h1>"));
    policies(&other.url(), &["list"], &[]).expect(1, &["404", "is that the gateway's admin listener?"]);
    let other = Backend::with_pages(|_| Reply::raw(b""), |_| Reply::json(200, &json!({"models": []})));
    policies(&other.url(), &["list"], &[]).expect(1, &["not what this version expects"]);
}

#[test]
fn where_nobody_listens_the_command_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exit = policies(&format!("http://{free}"), &["list"], &[]);
    exit.expect(1, &[&format!("cannot reach http://{free}/"), "is the gateway running", "WASMGATE_ADMIN_URL"]);
}

#[test]
fn wrong_usage_of_the_command_ends_with_2() {
    let cases: [(&[&str], &str); 9] = [
        (&[], "list"),
        (&["lst"], "list"),
        (&["show", "rooting"], "is not a policy slot"),
        (&["canary", "routing", "150"], "expected 0 to 100"),
        (&["canary", "routing.shadows.a", "5"], "only a canary has a share"),
        (&["upload", "routing", "/nowhere.wasm"], "/nowhere.wasm: cannot be read"),
        (&["upload", "routing", "/dev/null"], "0 bytes"),
        (
            &[
                "upload",
                "routing",
                env!("CARGO_MANIFEST_PATH"),
                "--settings",
                concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs"),
            ],
            "this is not JSON",
        ),
        (&["list", "--token-file", "/dev/null"], "expected a token"),
    ];
    for (arguments, said) in cases {
        policies("http://127.0.0.1:1", arguments, &[]).expect(2, &[said]);
    }
    policies("ftp://127.0.0.1", &["list"], &[]).expect(2, &["not an http or https address"]);
    run(&["policies", "--help"]).expect(0, &["upload", "rollback", "WASMGATE_ADMIN_URL", "http://127.0.0.1:8081"]);
}
