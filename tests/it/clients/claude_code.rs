//! Claude Code, as it is installed, on backends of Anthropic and of OpenAI.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use wasmgate_tests::model::{Heard, Model, Said, obey};
use wasmgate_tests::real;

use super::{Backend, Place, the_same, told};

/// The model that it asks for unless it is told otherwise.
const MODEL: &str = "claude-opus-5-5";
const BACKENDS: [Backend; 2] = [Backend::Anthropic, Backend::OpenAi];
/// One pixel.
const PNG: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 31, 21, 196,
    137, 0, 0, 0, 13, 73, 68, 65, 84, 120, 218, 99, 100, 248, 207, 80, 15, 0, 3, 134, 1, 128, 90, 52, 125, 107, 0, 0,
    0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];

/// Runs it with a prompt in a folder with these files. What it tells at its end, but for times, ids and costs.
fn run(place: &Place, url: &str, model: &str, files: &[(&str, &[u8])], prompt: &str) -> Value {
    place.empty();
    for (name, content) in files {
        fs::write(place.work().join(name), content).unwrap();
    }
    let mut client = place.client(&real::agent("claude"));
    client.args(["-p", "--output-format", "json", "--model", model, "--permission-mode", "acceptEdits", prompt]);
    client.env("ANTHROPIC_BASE_URL", url).env("ANTHROPIC_API_KEY", "sk-unused");
    for quiet in [
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_TELEMETRY",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
    ] {
        client.env(quiet, "1");
    }
    client.env("CLAUDE_CODE_MAX_RETRIES", "3");
    let (told, well) = told(client);
    let end = &told[told.len() - 1];
    let result = end["result"].as_str().unwrap_or_default().replace(url.trim_start_matches("http://"), "ADDRESS");
    let files: Vec<(String, String)> = ["made.txt"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), fs::read_to_string(place.work().join(name)).ok()?)))
        .collect();
    json!({"ended well": well, "result": result, "is_error": end["is_error"], "turns": end["num_turns"],
        "status": end["api_error_status"], "why": end["terminal_reason"],
        "usage": [end["usage"]["input_tokens"], end["usage"]["output_tokens"]], "files": files})
}

/// The prompt that has these tools called, in a folder.
fn calling(place: &Place, calls: &[(&str, &str)]) -> String {
    let call = |(tool, file): &(&str, &str)| format!("CALL {tool} {}", json!({"file_path": place.work().join(file)}));
    format!("Please {}", calls.iter().map(call).collect::<Vec<_>>().join(" and "))
}

/// As `obey`; the system prompt is the client's own, and tells of time and place.
fn assistant(heard: &Heard) -> Said {
    let mut heard = Heard { instructions: String::new(), ..heard.clone() };
    for turn in &mut heard.turns {
        // Results have no pictures in OpenAI's dialect: they follow, and a text stands where they were.
        turn.text = turn.text.replace("The next message has the image.", "");
    }
    obey(&heard)
}

#[track_caller]
fn contains(told: &Value, part: &str) {
    assert!(told["result"].as_str().is_some_and(|text| text.contains(part)), "{told:#}");
}

#[test]
fn claude_code_gets_a_text_of_each_model() {
    for model in [MODEL, "claude-sonnet-4-5"] {
        let place = Place::new();
        let told = the_same(
            model,
            &BACKENDS,
            || Model::start(assistant),
            |url, _| run(&place, url, model, &[], "Hello there"),
        );
        contains(&told, "Hello there");
    }
}

#[test]
fn claude_code_reads_a_file() {
    let place = Place::new();
    let prompt = calling(&place, &[("Read", "note.txt")]);
    let told = the_same(
        MODEL,
        &BACKENDS,
        || Model::start(assistant),
        |url, _| run(&place, url, MODEL, &[("note.txt", b"the magic word\n")], &prompt),
    );
    contains(&told, "the magic word");
}

#[test]
fn claude_code_writes_a_file() {
    let place = Place::new();
    let input = json!({"file_path": place.work().join("made.txt"), "content": "made by a tool\n"});
    let prompt = format!("Please CALL Write {input}");
    let told = the_same(MODEL, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, MODEL, &[], &prompt));
    assert_eq!(told["files"], json!([["made.txt", "made by a tool\n"]]));
}

#[test]
fn claude_code_calls_two_tools_at_once() {
    let place = Place::new();
    let prompt = calling(&place, &[("Read", "one.txt"), ("Read", "two.txt")]) + " TOGETHER";
    let files: [(&str, &[u8]); 2] = [("one.txt", b"first\n"), ("two.txt", b"second\n")];
    let told =
        the_same(MODEL, &BACKENDS, || Model::start(assistant), |url, _| run(&place, url, MODEL, &files, &prompt));
    contains(&told, "first");
    contains(&told, "second");
}

#[test]
fn claude_code_looks_at_a_picture() {
    let place = Place::new();
    let prompt = calling(&place, &[("Read", "picture.png")]);
    let told = the_same(
        MODEL,
        &BACKENDS,
        || Model::start(assistant),
        |url, _| run(&place, url, MODEL, &[("picture.png", PNG)], &prompt),
    );
    contains(&told, "Pictures: 1.");
}

/// Names and contents of so many files of 29,000 characters, and the prompt that has all of them read.
fn large_files(place: &Place) -> (Vec<(String, Vec<u8>)>, String) {
    let file = |number: usize| {
        let line = format!("a line of the file with the number {number}\n");
        (format!("{number}.txt"), line.repeat(29_000 / line.len() + 1).into_bytes()[..29_000].to_vec())
    };
    let files: Vec<(String, Vec<u8>)> = (0..5).map(file).collect();
    let calls: Vec<(&str, &str)> = files.iter().map(|(name, _)| ("Read", name.as_str())).collect();
    let prompt = calling(place, &calls);
    (files, prompt)
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect()
}

#[test]
fn claude_code_reads_five_files_of_29_000_characters() {
    let place = Place::new();
    let (files, prompt) = large_files(&place);
    let told = the_same(
        MODEL,
        &BACKENDS,
        || Model::start(assistant),
        |url, _| run(&place, url, MODEL, &borrowed(&files), &prompt),
    );
    assert_eq!(told["turns"], 6, "{told:#}");
}

#[test]
fn claude_code_compacts_a_conversation_that_is_too_long() {
    // It is asked for a summary in words that come with each version; these have come with all so far.
    let is_for_a_summary = |heard: &Heard| {
        let last = heard.turns.last().map_or("", |turn| turn.text.as_str());
        last.contains("Do NOT call any tools") || last.contains("create a detailed summary")
    };
    let assistant = move |heard: &Heard| {
        if is_for_a_summary(heard) {
            return Said::Text("<analysis>It is long.</analysis><summary>Three files were read.</summary>".to_owned());
        }
        if heard.turns.iter().any(|turn| turn.text.contains("Three files were read.")) {
            return Said::Text("Going on after the summary.".to_owned());
        }
        if heard.results().iter().map(|result| result.text.len()).sum::<usize>() > 90_000 {
            return Said::TooLong(210_000, 200_000);
        }
        self::assistant(heard)
    };
    let place = Place::new();
    let (files, prompt) = large_files(&place);
    let told = the_same(
        MODEL,
        &BACKENDS,
        || Model::start(assistant),
        |url, _| run(&place, url, MODEL, &borrowed(&files), &prompt),
    );
    contains(&told, "Going on after the summary.");
}

#[test]
fn claude_code_waits_for_a_model_that_is_overloaded() {
    let place = Place::new();
    let model = || {
        let asked = AtomicUsize::new(0);
        Model::start(move |heard| match asked.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Said::Overloaded,
            _ => assistant(heard),
        })
    };
    let told = the_same(MODEL, &BACKENDS, model, |url, _| run(&place, url, MODEL, &[], "Hello there"));
    contains(&told, "Hello there");
}

#[test]
fn claude_code_says_that_a_model_is_overloaded() {
    let place = Place::new();
    let model = || Model::start(|_| Said::Overloaded);
    let client = |url: &str, _| {
        let mut told = run(&place, url, MODEL, &[], "Hello there");
        // The gateway says it with a status of HTTP's own; the type of the error is Anthropic's in both.
        if told["status"] == 503 {
            told["status"] = json!(529);
        }
        told
    };
    let told = the_same(MODEL, &BACKENDS, model, client);
    contains(&told, "529 Overloaded");
}
