//! Codex, which speaks the Responses API alone, on backends of OpenAI (both of its APIs) and of Anthropic.

use std::fs;

use serde_json::{Value, json};
use wasmgate_tests::model::{Heard, Model, Said, obey};
use wasmgate_tests::real;

use super::{Backend, Place, the_same, told};

const MODEL: &str = "gpt-5.5";
/// A model that is told of its tools in the conversation, in namespaces, and runs programs that call them.
const NEWEST: &str = "gpt-6.2-sol";
const BACKENDS: [Backend; 3] = [Backend::Responses, Backend::OpenAi, Backend::Anthropic];

/// Runs it with a prompt. What it told, but for ids and times, and the file that it may have made.
fn run(place: &Place, url: &str, model: &str, prompt: &str) -> Value {
    place.empty();
    let settings = format!(
        r#"
        model = "{model}"
        model_provider = "test"
        check_for_update_on_startup = false
        [analytics]
        enabled = false
        [model_providers.test]
        name = "test"
        base_url = "{url}/v1"
        env_key = "OPENAI_API_KEY"
        wire_api = "responses"
        request_max_retries = 0
        stream_max_retries = 0
        "#
    );
    let home = place.home().join(".codex");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("config.toml"), settings).unwrap();
    let mut client = place.client(&real::agent("codex"));
    client.args(["exec", "--skip-git-repo-check", "--json", "--dangerously-bypass-approvals-and-sandbox", prompt]);
    client.env("CODEX_HOME", home).env("OPENAI_API_KEY", "sk-unused");
    let (told, well) = told(client);
    let items = told.iter().filter(|event| event["type"] == "item.completed").map(|event| {
        let mut item = event["item"].clone();
        item.as_object_mut().unwrap().remove("id");
        item
    });
    let usage = told.iter().filter(|event| event["type"] == "turn.completed").map(|event| event["usage"].clone());
    let failed = told.iter().filter(|event| event["type"] == "turn.failed").map(|event| event["error"].clone());
    json!({"ended well": well, "failed": failed.collect::<Vec<_>>(), "items": items.collect::<Vec<_>>(), "usage": usage.collect::<Vec<_>>(),
        "made": fs::read_to_string(place.work().join("made.txt")).ok()})
}

/// As `obey`; instructions and results of commands are the client's own, and tell of time and place.
fn assistant(heard: &Heard) -> Said {
    let mut heard = Heard { instructions: String::new(), ..heard.clone() };
    for turn in &mut heard.turns {
        if turn.text.contains("Process exited with code 0") || turn.text.contains("Wall time") {
            turn.text = "It was done.".to_owned();
        }
    }
    obey(&heard)
}

#[test]
fn codex_gets_a_text() {
    let place = Place::new();
    let told = the_same(MODEL, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, MODEL, "Hello there"));
    assert!(told["items"][0]["text"].as_str().is_some_and(|text| text.contains("Hello there")), "{told:#}");
}

#[test]
fn codex_runs_a_command() {
    let place = Place::new();
    let prompt = r#"Please CALL exec_command {"cmd": "echo made by a tool > made.txt"}"#;
    let told = the_same(MODEL, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, MODEL, prompt));
    assert_eq!(told["made"], "made by a tool\n", "{told:#}");
}

#[test]
fn codex_runs_commands_one_after_the_other_and_at_once() {
    for together in ["", " TOGETHER"] {
        let place = Place::new();
        let prompt = format!(
            r#"Please CALL exec_command {{"cmd": "echo one >> made.txt"}} and CALL exec_command {{"cmd": "echo one >> made.txt"}}{together}"#
        );
        let told = the_same(MODEL, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, MODEL, &prompt));
        assert_eq!(told["made"], "one\none\n", "{told:#}");
    }
}

#[test]
fn codex_applies_a_patch_which_is_a_tool_that_takes_text() {
    let place = Place::new();
    let patch = "*** Begin Patch\n*** Add File: made.txt\n+made by a patch\n*** End Patch\n";
    let prompt = format!("Please CALL apply_patch {}", json!({"input": patch}));
    let told = the_same(MODEL, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, MODEL, &prompt));
    assert_eq!(told["made"], "made by a patch\n", "{told:#}");
}

#[test]
fn codex_runs_a_program_that_calls_its_tools() {
    let place = Place::new();
    let program = r#"const done = await tools.exec_command({cmd: "echo made by a program > made.txt"}); text("done");"#;
    let prompt = format!("Please CALL functions__exec {}", json!({"input": program}));
    let told = the_same(NEWEST, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, NEWEST, &prompt));
    assert_eq!(told["made"], "made by a program\n", "{told:#}");
}

#[test]
fn codex_learns_that_a_conversation_is_too_long() {
    let place = Place::new();
    let prompt = r#"Please CALL exec_command {"cmd": "echo made by a tool > made.txt"}"#;
    let model = || {
        Model::start(|heard| match heard.results().is_empty() {
            true => assistant(heard),
            false => Said::TooLong(300_000, 200_000),
        })
    };
    let told = the_same(MODEL, &BACKENDS, model, |url, _| run(&place, url, MODEL, prompt));
    let message = told["failed"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("ran out of room in the model's context window"), "{told:#}");
}
