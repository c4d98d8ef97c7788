//! The decision log: what each routed chat was asked, answered and became, in files that other programs read.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_decisions::{Content, CostBasis, Decision, ModelTable, VerdictKind, find_feedback, read, read_contents};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::http::{Response, Stream, request, request_to};
use wasmgate_tests::real;
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const PATH: &str = "/v1/chat/completions";
/// At a dollar a million input tokens and two a million output tokens: 0.003 dollars.
const USAGE: Usage = Usage { input: 1000, output: 1000 };
const LOG: &str = "[decisions]\ndir = \"log\"\n";

fn logging() -> Setup {
    Gateway::setup().top(LOG)
}

/// A key of each of these groups, named as its group, and what else their tables have.
fn groups(groups: &[(&str, &str)]) -> String {
    let table = |(name, more): &(&str, &str)| {
        let hash = KeyHash::of(key(name).as_bytes());
        format!("[groups.{name}]\n{more}\n[keys.{name}]\ngroup = \"{name}\"\nsha256 = \"{hash}\"\n")
    };
    groups.iter().map(table).collect()
}

fn key(group: &str) -> String {
    format!("wg-{group}-0123456789")
}

fn chat(gateway: &Gateway, group: &str, prompt: &str) -> Response {
    let key = key(group);
    let headers = [("content-type", "application/json"), ("x-api-key", &*key), ("x-team", "blue")];
    gateway.send(request("POST", PATH, &headers, ask(PATH, "auto", prompt, false).to_string().as_bytes()))
}

fn wait_written(gateway: &Gateway, count: f64) {
    gateway.wait_metric("api_gateway_decision_log_lines_total", &[("result", "written")], count);
}

/// The decisions in the log, in the order of their ends.
fn decisions(gateway: &Gateway) -> Vec<(Decision, Arc<ModelTable>)> {
    let mut found = Vec::new();
    let report = read(&gateway.path("log"), |decision, table| {
        found.push((decision, Arc::clone(table)));
        ControlFlow::Continue(())
    });
    let report = report.unwrap();
    assert_eq!((report.damaged, report.newer), (0, 0));
    found
}

fn decision_of(gateway: &Gateway, answer: &Response) -> Decision {
    let id = answer.header("x-wasmgate-request-id").to_owned();
    until(&format!("the decision on {id}"), || {
        decisions(gateway).into_iter().map(|(decision, _)| decision).find(|decision| decision.id == id)
    })
}

/// All files of the log as text.
fn text(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

#[test]
fn a_line_has_what_was_asked_what_was_answered_and_what_came_of_it() {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("forty-two herons", USAGE)));
    let setup = logging().top(&groups(&[("acme", "limits = { usd_per_month = 10 }")]));
    let setup = setup.server("label_headers = [\"x-team\"]").routing("builtin = \"cheapest-healthy\"");
    let gateway = setup.model("only", Dialect::OpenAi, &backend).start();
    let answer = chat(&gateway, "acme", "hello there").expect(200);
    let decision = decision_of(&gateway, &answer);
    assert_eq!((decision.group.as_deref(), &*decision.dialect, decision.propensity), (Some("acme"), "openai", 1.0));
    let asked = &decision.request;
    assert_eq!((asked.messages, asked.text_bytes, asked.newest_bytes, &*asked.requested), (1, 11, 11, "auto"));
    assert_eq!(asked.budget.map(|budget| budget.limit), Some(10_000_000_000));
    let labels: Vec<_> = asked.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels, [("x-team", "blue")]);
    let [candidate] = &decision.candidates[..] else { panic!("{decision:?}") };
    assert!(candidate.model == "only" && candidate.estimate.is_some_and(|estimate| estimate.cost > Some(0)));
    let routing = decision.routing.as_ref().expect("a policy decides");
    assert_eq!((&*routing.policy, &*routing.slot, &*routing.mode), ("cheapest-healthy", "routing", "active"));
    assert!(routing.digest.len() == 64 && routing.settings.len() == 64 && routing.failure.is_none());
    assert_eq!(decision.cost.as_ref().map(|cost| &*cost.slot), Some("cost"));
    assert_eq!((decision.verdict.kind, &decision.verdict.ranking[..]), (VerdictKind::Route, &["only".to_owned()][..]));
    assert!(!decision.verdict.reason.is_empty());
    let outcome = &decision.outcome;
    assert_eq!((&*outcome.ending, outcome.model.as_deref(), outcome.cost), ("finished", Some("only"), Some(3_000_000)));
    assert_eq!((outcome.cost_basis, outcome.calls.len()), (Some(CostBasis::Reported), 1));
    let (_, table) = &decisions(&gateway)[0];
    assert_eq!(table.rows()[0].price.map(|price| price.output), Some(2_000_000_000));
    // Nothing of prompts and answers, and no key.
    let text = text(&gateway.path("log"));
    for secret in ["hello there", "forty-two herons", &key("acme")] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn without_a_folder_nothing_is_written_and_a_chat_that_no_policy_saw_has_no_line() {
    let gateway = Gateway::setup().start();
    let _ = gateway.chat("hello").expect(200);
    assert!(!gateway.path("log").exists());
    let gateway = logging().start();
    let _ = gateway.post("/api/v1/chat", &json!({})).expect(400);
    let _ = gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200);
    let _ = gateway.chat("hello").expect(200);
    wait_written(&gateway, 1.0);
    assert_eq!(decisions(&gateway).len(), 1);
}

#[test]
fn a_failure_a_fallback_a_denial_and_the_default_are_told_apart() {
    let failing = Backend::start(|_| Reply::json(500, &json!({})));
    let answering = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hi", USAGE)));
    let two =
        |setup: Setup| setup.model("first", Dialect::OpenAi, &failing).model("spare", Dialect::OpenAi, &answering);
    let gateway = two(logging().routing("enabled = false").cost("enabled = false")).start();
    let fell_back = decision_of(&gateway, &gateway.chat("hello").expect(200));
    assert_eq!((fell_back.verdict.kind, fell_back.verdict.ranking.len()), (VerdictKind::Default, 2));
    assert_eq!((fell_back.chosen.as_deref(), fell_back.outcome.model.as_deref()), (Some("first"), Some("spare")));
    let attempts = &fell_back.outcome.attempts;
    assert!(attempts.len() == 1 && attempts[0].model == "first" && !attempts[0].retried, "{attempts:?}");
    assert!(fell_back.routing.is_none() && fell_back.candidates[0].estimate.is_none());

    let gateway = logging().guest("denies").start();
    let denied = decision_of(&gateway, &gateway.chat("hello").expect(403));
    assert_eq!((denied.verdict.kind, &denied.chosen, &denied.outcome.model), (VerdictKind::Deny, &None, &None));
    assert!(denied.verdict.code.is_some() && denied.outcome.ending == "rejected", "{:?}", denied.outcome);

    let gateway = logging().guest("passes").start();
    let passed = decision_of(&gateway, &gateway.chat("hello").expect(200));
    assert_eq!((passed.verdict.kind, passed.verdict.ranking.len()), (VerdictKind::Pass, 3));

    let gateway = logging().guest("traps").routing("on_failure = \"default-decision\"").start();
    let failed = decision_of(&gateway, &gateway.chat("hello").expect(200));
    assert_eq!((failed.verdict.kind, failed.verdict.ranking.len()), (VerdictKind::Failed, 3));
    assert_eq!(failed.routing.and_then(|asked| asked.failure).as_deref(), Some("trap"));
}

#[test]
fn the_share_of_the_version_that_decided_is_its_propensity() {
    let canary = "[policies.routing.canary]\nbuiltin = \"cheapest-healthy\"\npercent = 30";
    let gateway = logging().top(canary).routing("builtin = \"complexity\"").start();
    for _ in 0..40 {
        let _ = gateway.chat("hello").expect(200);
    }
    wait_written(&gateway, 40.0);
    for (decision, _) in decisions(&gateway) {
        let routing = decision.routing.as_ref().unwrap();
        let share = if routing.mode == "canary" { 0.3 } else { 0.7 };
        assert!((decision.propensity - share).abs() < 1e-9, "{routing:?} {}", decision.propensity);
    }
}

#[test]
fn what_is_kept_of_texts_is_the_operators_choice_for_each_group() {
    let tables = [
        ("silent", ""),
        ("hashed", "content = \"hash\""),
        ("below", "parent = \"hashed\""),
        ("careful", "content = \"redacted\""),
        ("open", "content = \"full\""),
    ];
    let gateway = logging().reloading().top(&groups(&tables)).start();
    let prompt = "call me: jane@example.com, key sk-abcdefghij0123456789";
    for (group, _) in tables {
        let _ = chat(&gateway, group, prompt).expect(200);
    }
    wait_written(&gateway, 9.0);
    let contents = || {
        let mut found: Vec<Content> = Vec::new();
        let each = |content| {
            found.push(content);
            ControlFlow::Continue(())
        };
        read_contents(&gateway.path("log"), each).unwrap();
        found
    };
    let kept = contents();
    let [hashed, below, careful, open] = &kept[..] else { panic!("{kept:?}") };
    assert!(
        hashed.messages[0].hash.is_some() && hashed.messages == below.messages && hashed.messages[0].text.is_none()
    );
    assert_eq!(careful.messages[0].text.as_deref(), Some("call me: [email], key [secret]"));
    assert_eq!((open.messages[0].text.as_deref(), &*open.messages[0].role), (Some(prompt), "user"));
    for content in &kept {
        assert!(decisions(&gateway).iter().any(|(decision, _)| decision.id == content.id));
    }
    // A changed choice holds from the next request on.
    gateway.edit_config("content = \"full\"", "content = \"none\"");
    gateway.wait_metric("api_gateway_config_reloads_total", &[("result", "success")], 1.0);
    let _ = chat(&gateway, "open", prompt).expect(200);
    wait_written(&gateway, 10.0);
    assert_eq!(contents().len(), 4);
}

#[test]
fn nothing_that_was_written_is_lost_when_the_process_is_killed() {
    let mut gateway = logging().start();
    for round in 1..=3 {
        for _ in 0..5 {
            let _ = gateway.chat("hello").expect(200);
        }
        wait_written(&gateway, 5.0);
        gateway = gateway.restart("KILL");
        assert_eq!(decisions(&gateway).len(), 5 * round);
    }
    // A second gateway keeps none, and says so.
    let second = gateway.beside();
    second.wait_for_log("about the other gateway", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("another gateway writes the decision log"))
    });
    let _ = second.chat("hello").expect(200);
}

#[test]
fn what_is_wrong_in_the_table_is_named() {
    for (lines, expected) in [
        ("max_age_days = 0", "decisions.max_age_days"),
        ("max_bytes = 10", "decisions.max_bytes"),
        ("dir = \"\"", "decisions.dir"),
        ("content = \"some\"", "content"),
        ("contents = \"full\"", "did you mean `content`"),
    ] {
        Gateway::setup().top(&format!("[decisions]\n{lines}")).refused().expect(2, &[expected]);
    }
    let unused = Gateway::setup().top("[decisions]\ncontent = \"full\"").check();
    assert!(unused.text().contains("decisions.dir"), "{}", unused.text());
}

#[test]
fn operators_can_have_a_request_explained() {
    let failing = Backend::start(|_| Reply::json(500, &json!({})));
    let answering = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hi", USAGE)));
    let setup = logging().routing("builtin = \"cheapest-healthy\"");
    let gateway = setup.model("first", Dialect::OpenAi, &failing).model("spare", Dialect::OpenAi, &answering).start();
    let answer = gateway.chat("hello").expect(200);
    let _ = decision_of(&gateway, &answer);
    let (id, config) = (answer.header("x-wasmgate-request-id"), gateway.path("wasmgate.toml"));
    let explain = |more: &[&str]| run(&[&["explain", "--config", config.to_str().unwrap()], more].concat());
    let expected = [
        "cheapest-healthy@",
        "route to first, spare",
        "failed    first: ",
        "finished, model spare",
        "texts     not kept",
    ];
    explain(&[id]).expect(0, &expected);
    let all: Value = serde_json::from_str(&explain(&[id, "--json"]).stdout).unwrap();
    assert_eq!((&all["decision"]["id"], &all["content"], &all["feedback"]), (&json!(id), &json!(null), &json!([])));
    let unknown = id.replace(|c: char| c.is_ascii_digit(), "7");
    explain(&[&unknown]).expect(1, &["no decision on this request"]);
    run(&["explain", id]).expect(2, &["--folder FOLDER"]);
}

#[test]
fn operators_page_through_decisions_and_see_no_text() {
    let tables = [("acme", "content = \"full\""), ("rival", "")];
    let gateway = logging().top(&groups(&tables)).start();
    let mut ids = Vec::new();
    for number in 0..5 {
        let group = if number == 2 { "rival" } else { "acme" };
        ids.push(chat(&gateway, group, "a secret prompt").expect(200).header("x-wasmgate-request-id").to_owned());
    }
    let page = |query: &str| {
        let answer = gateway.admin_get(&format!("/decisions{query}")).expect(200);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        answer.json()
    };
    let of = |page: &Value| -> Vec<String> {
        let decisions = page["decisions"].as_array().unwrap();
        decisions.iter().map(|decision| decision["id"].as_str().unwrap().to_owned()).collect()
    };
    let newest: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(of(&page("")), newest);
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = page(&query);
        seen.extend(of(&page));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(seen, newest);
    assert_eq!(of(&page("?group=rival")), [ids[2].clone()]);
    for (query, count) in [
        ("?policy=complexity", 5),
        ("?policy=nobody", 0),
        ("?outcome=finished", 5),
        ("?outcome=failed", 0),
        ("?since=2026-01-01T00:00:00Z", 5),
        ("?since=2999-01-01T00:00:00Z", 0),
        ("?model=claude-sonnet&group=nobody", 0),
    ] {
        assert_eq!(of(&page(query)).len(), count, "{query}");
    }
    for wrong in ["?limit=0", "?limit=1001", "?since=yesterday", "?cursor=x", "?grup=acme"] {
        let _ = gateway.admin_get(&format!("/decisions{wrong}")).expect(400);
    }
    let one = gateway.admin_get(&format!("/decisions/{}", ids[0])).expect(200);
    assert!(!one.text().contains("secret"));
    assert_eq!((&one.json()["decision"]["id"], &one.json()["content"]), (&json!(ids[0]), &json!("full")));
    let _ = gateway.admin_get("/decisions/0123").expect(404);
    // Without a log there is nothing to see, and the answer says how to get one.
    let without = Gateway::setup().start();
    assert!(without.admin_get("/decisions").expect(409).text().contains("decisions.dir"));
}

#[test]
fn another_policy_is_asked_about_the_same_request() {
    let shadow = "[policies.routing.shadows.cheap]\nbuiltin = \"cheapest-healthy\"";
    let tables = [("acme", "content = \"full\""), ("rival", "")];
    let gateway = logging().top(shadow).top(&groups(&tables)).start();
    let ask_about = |group: &str, slot: &str| {
        let answer = chat(&gateway, group, "Prove that there are infinitely many primes").expect(200);
        let decision = decision_of(&gateway, &answer);
        let headers = [("content-type", "application/json")];
        let body = json!({"slot": slot}).to_string();
        (
            decision.clone(),
            gateway.admin_send("POST", &format!("/decisions/{}/ask", decision.id), &headers, body.as_bytes()),
        )
    };
    // One that reads no text can always be asked.
    let (_, cheap) = ask_about("rival", "routing.shadows.cheap");
    let cheap = cheap.expect(200).json();
    assert_eq!((&cheap["verdict"]["kind"], &cheap["failure"]), (&json!("route"), &json!(null)));
    // The policy that decided decides the same again, where it can read the same text.
    let (decision, again) = ask_about("acme", "routing");
    let again = again.expect(200).json();
    assert_eq!(again["same_first_choice"], true);
    assert_eq!(again["verdict"], serde_json::to_value(&decision.verdict).unwrap());
    let (_, unread) = ask_about("rival", "routing");
    assert!(unread.expect(409).text().contains("was not kept"));
    for (slot, status) in [("routing.canary", 404), ("cost", 404), ("nowhere", 404)] {
        let (_, refused) = ask_about("acme", slot);
        let _ = refused.expect(status);
    }
}

#[test]
fn operators_follow_decisions_as_they_are_made() {
    let gateway = logging().start();
    let address = gateway.admin.to_string();
    let asked = request_to(&address, "GET", "/decisions/stream", &[], b"");
    let mut stream = Stream::open(gateway.admin, &asked);
    for _ in 0..3 {
        let answer = gateway.chat("hello").expect(200);
        let event = loop {
            let event = stream.event().expect("an event");
            if event.contains("data: ") {
                break event;
            }
        };
        assert!(event.contains("event: decision"), "{event}");
        assert!(event.contains(answer.header("x-wasmgate-request-id")), "{event}");
    }
    // It does not hold up the end of the process.
    let _ = gateway.log_to_its_end();
}

#[test]
fn clients_say_what_an_answer_of_their_own_group_was_worth() {
    let gateway = logging().top(&groups(&[("acme", ""), ("rival", "")])).start();
    let answer = chat(&gateway, "acme", "hello").expect(200);
    let id = answer.header("x-wasmgate-request-id").to_owned();
    let say = |group: &str, body: &Value| {
        let key = key(group);
        let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
        gateway.send(request("POST", "/v1/feedback", &headers, body.to_string().as_bytes()))
    };
    let _ = say("acme", &json!({"request_id": id, "score": 0.25, "source": "judge"})).expect(202);
    let _ = say("acme", &json!({"request_id": id, "score": 1})).expect(202);
    gateway.wait_metric("api_gateway_feedback_total", &[], 2.0);
    let refused = say("rival", &json!({"request_id": id, "score": 1})).expect(404);
    let unknown = say("rival", &json!({"request_id": "../../etc/passwd", "score": 1})).expect(404);
    // Nobody learns which ids there are.
    assert_eq!(refused.json()["error"]["message"], unknown.json()["error"]["message"]);
    for wrong in [
        json!({"request_id": id, "score": 2}),
        json!({"score": 1}),
        json!({"request_id": id, "score": 1, "source": ""}),
    ] {
        let _ = say("acme", &wrong).expect(400);
    }
    let headers = [("content-type", "application/json")];
    let _ = gateway.send(request("POST", "/v1/feedback", &headers, b"{}")).expect(401);
    let scores = until("both lines", || {
        let found = find_feedback(&gateway.path("log"), &id).unwrap();
        (found.len() == 2).then(|| found.into_iter().map(|said| (said.score, said.source)).collect::<Vec<_>>())
    });
    assert_eq!(scores, [(0.25, "judge".to_owned()), (1.0, "client".to_owned())]);
    assert_eq!(gateway.metrics().value("api_gateway_feedback_total", &[]), 2.0);
    let _ = Gateway::setup().start().post("/v1/feedback", &json!({"request_id": id, "score": 1})).expect(404);
}

#[test]
fn the_queries_of_the_readme_run_on_it() {
    let gateway = logging().start();
    for _ in 0..3 {
        let _ = gateway.chat("hello").expect(200);
    }
    wait_written(&gateway, 3.0);
    // What the process before wrote is compressed.
    let gateway = gateway.restart("TERM");
    let _ = gateway.chat("hello").expect(200);
    wait_written(&gateway, 1.0);
    let folder = gateway.path("log");
    until("a compressed segment", || {
        let mut files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        files.find(|file| file.extension().is_some_and(|end| end == "zst"))
    });
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new(real::python())
        .arg(here.join("real/decisions.py"))
        .args([&folder, &here.join("../gateway/README.md")])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let answers: Vec<Value> =
        String::from_utf8_lossy(&run.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(answers.len() >= 3, "{answers:?}");
    assert_eq!(answers[0][0]["requests"], 4, "{answers:?}");
    assert_eq!(answers[1][0]["requests"], 4, "{answers:?}");
    assert!(answers[2][0]["usd"].as_f64().is_some(), "{answers:?}");
}

#[test]
fn feedback_on_ids_that_are_nowhere_holds_up_no_chat() {
    // More than wait to be joined, and far fewer than are sent.
    let gateway = logging().server("max_in_flight = 24").start();
    let answer = gateway.chat("hello").expect(200);
    wait_written(&gateway, 1.0);
    let id = answer.header("x-wasmgate-request-id").replace(|c: char| c.is_ascii_digit(), "7");
    std::thread::scope(|scope| {
        let say = || gateway.post("/v1/feedback", &json!({"request_id": id, "score": 1}));
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(move || (0..40).map(|_| say()).collect::<Vec<_>>())).collect();
        let many: Vec<_> = (0..56).map(|_| scope.spawn(say)).collect();
        let sequences = senders.into_iter().flat_map(|sender| sender.join().unwrap());
        let alone = many.into_iter().map(|sender| sender.join().unwrap());
        for answer in sequences.chain(alone) {
            let is_busy = answer.status() == 503 && answer.text().contains("too much feedback waits");
            assert!(answer.status() == 404 || is_busy, "{} {}", answer.status(), answer.text());
        }
    });
    let _ = gateway.chat("hello").expect(200);
}
