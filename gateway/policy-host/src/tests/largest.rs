//! The largest requests that the default limits of a gateway let in are decided by each built-in policy within its default
//! limits: a policy that a request's size makes fail is a policy that a client can bypass.
//!
//! Time on a busy machine is noise, so the tests count instructions. Seven a nanosecond were measured on shared cores
//! (`policies/script/README.md`); two, on a slow machine, are 20 million in the 10 ms of a call.

use std::fmt::Write;

use tempfile::TempDir;

use super::*;
use crate::contract::types::Role;
use crate::loader::LoaderOptions;
use crate::request::OwnedRequest;
use crate::samples::Sample;
use crate::shown::size;
use crate::testing::{load_with, settings_of};

/// What a call may take.
const INSTRUCTIONS: u64 = 20_000_000;
/// The default limits of requests.
const MESSAGES: usize = 8192;
const CHARACTERS: usize = 100_000;

/// One request of each shape that is as large as it can be, by name.
fn largest() -> Vec<(String, OwnedRequest)> {
    let said = |messages: Vec<(Role, String)>| OwnedRequest { messages, ..OwnedRequest::default() };
    let user = |text: String| said(vec![(Role::User, text)]);
    let filled = |unit: &str| unit.chars().cycle().take(CHARACTERS).collect::<String>();
    let mut shapes = vec![
        ("empty messages".to_owned(), said(vec![(Role::User, String::new()); MESSAGES])),
        ("small messages".to_owned(), said(vec![(Role::Assistant, "y".repeat(CHARACTERS / MESSAGES)); MESSAGES])),
        ("tool results".to_owned(), said(vec![(Role::Tool, "\u{7ffb}".repeat(CHARACTERS / MESSAGES)); MESSAGES])),
    ];
    let units = [
        "\u{7ffb}",
        "\u{1f469}",
        "x",
        " ",
        "\n",
        "?",
        "`",
        "```\n",
        "f(x)",
        "design ",
        "DESIGN",
        "is ",
        "\u{130}",
        "\u{212a}",
        "a b ",
        "{\"a\": 1}\n",
    ];
    shapes.extend(units.iter().map(|unit| (format!("one text of {unit:?}"), user(filled(unit)))));
    let labels = (0..8).map(|number| (format!("x-label-{number}"), "v".repeat(4000))).collect();
    shapes.push(("labels".to_owned(), OwnedRequest { labels, ..user(filled("x")) }));
    shapes
}

/// The instructions of a call that is not the instance's first, by shape.
async fn counted(name: &str, script: Option<&str>, cache: &TempDir) -> Vec<(String, u64)> {
    let cache = Some(cache.path().to_owned());
    let options = LoaderOptions { count_instructions: true, cache, ..LoaderOptions::default() };
    let settings = settings_of(name, script);
    let (policy, _loader) = load_with(options, name, &settings, patient(), None).await.unwrap();
    let mut counts = Vec::new();
    for (shape, request) in largest() {
        let lists = request.lists();
        assert!(size(&request.request(&lists)) <= Profile::Compiled.limits().input_bytes, "{shape} is shown whole");
        let sample = Sample { request, ..Sample::default() };
        sample.ask(&policy, "x").await.unwrap_or_else(|failure| panic!("{name}, {shape}: {failure}"));
        let before = policy.instructions();
        sample.ask(&policy, "x").await.unwrap_or_else(|failure| panic!("{name}, {shape}: {failure}"));
        counts.push((shape, policy.instructions() - before));
    }
    counts
}

fn excess(name: &str, counts: &[(String, u64)]) -> String {
    let mut over = String::new();
    for (shape, count) in counts.iter().filter(|(_, count)| *count > INSTRUCTIONS) {
        let _ = write!(over, "\n{name}, {shape}: {count} instructions, expected at most {INSTRUCTIONS}");
    }
    over
}

#[tokio::test]
async fn each_built_in_policy_decides_the_largest_requests_within_its_time() {
    let (mut over, cache) = (String::new(), TempDir::new().unwrap());
    for name in crate::builtin::names() {
        let counts = counted(name, None, &cache).await;
        over += &excess(name, &counts);
    }
    assert!(over.is_empty(), "{over}");
}

#[tokio::test]
async fn a_script_reads_the_largest_requests_within_its_time() {
    let (mut over, cache) = (String::new(), TempDir::new().unwrap());
    for reading in [
        "has(request.conversation, \"password\")",
        "keywords(request.conversation, [\"design\", \"build\", \"password\"]).len() > 9",
        "has_word(request.prompt, \"design\")",
        "whole_words(request.prompt, [\"design\", \"x\", \"f\"]).len() > 9",
        "words(request.prompt) + chars(request.prompt) + count_of(request.prompt, \"?\") < 0",
        "has_any(request.prompt, \"\u{7ffa}\")",
        "code_blocks(request.prompt).len() < 0",
        "matches(request.prompt, \"[0-9]{4} ?[0-9]{4}\")",
    ] {
        let deny = format!("if {reading} {{ return deny(\"no\", \"no\"); }} route_to(candidates, \"fine\")");
        let counts = counted("script", Some(&format!("fn route(request, candidates) {{ {deny} }}")), &cache).await;
        over += &excess(reading, &counts);
    }
    assert!(over.is_empty(), "{over}");
}
