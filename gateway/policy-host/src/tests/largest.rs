//! The largest requests that a policy is shown: what a policy can do with a short prompt it can do with them.

use super::*;
use crate::contract::types::Role;
use crate::limits::GivenLimits;
use crate::samples::Sample;
use crate::testing::{load_with, patient};

/// Texts of 1 MiB, the default limit of what is shown, that are hard for one function or another.
fn texts() -> Vec<(&'static str, String)> {
    let most = (1 << 20) - 200;
    let repeated = |text: &str| {
        let mut text = text.repeat(most / text.len() + 1);
        text.truncate(text.floor_char_boundary(most));
        text
    };
    vec![
        ("words", repeated("the analysi of a compar and implemen, 123-45 ignore previou ")),
        ("umlauts", repeated("Größe über alles, ĳ İstanbul K ")),
        ("Chinese", repeated("请分析并比较这些设计的优缺点。")),
        ("code", repeated("```\n```\n")),
        ("one letter", repeated("a")),
        ("lines", repeated("\n")),
    ]
}

async fn ask(policy: &Policy, function: usize, text: &str) -> Result<(), PolicyFailure> {
    let mut sample: Sample = canonical().remove(0).1;
    sample.request.labels = vec![("function".to_owned(), function.to_string())];
    sample.request.messages = vec![(Role::User, text.to_owned())];
    sample.ask(policy, "largest").await.map(|_| ())
}

#[tokio::test]
async fn scripts_can_use_each_text_function_on_the_largest_request() {
    let calls = [
        "chars(text)",
        "words(text)",
        "count_of(text, \"aa\")",
        "has(text, \"Confidential\")",
        "has_any(text, \"µß\")",
        "has_word(text, \"analysis\")",
        "keywords(text, [\"analyze\", \"compare\", \"implement\", \"a proof\", \"größer\", \"设计图\"])",
        "whole_words(text, [\"a\", \"compare\", \"implement\", \"proof\", \"aaaaaaaaaab\"])",
        "matches(text, \"(?i)ignore (all )?previous|\\\\b[0-9]{3}-[0-9]{2}-[0-9]{4}\\\\b\")",
        "code_blocks(text)",
        "text.to_upper()",
        "text.to_chars()",
        "text.split(\"\\n\")",
    ];
    // One component, which takes some seconds to compile.
    let arms = calls.iter().enumerate().map(|(number, call)| format!("\"{number}\" => {{ {call}; }}, "));
    let script = format!(
        "fn route(request, candidates) {{ let text = request.prompt;
         switch request.labels[\"function\"] {{ {} _ => () }} route_to(candidates, \"read\") }}",
        arms.collect::<String>()
    );
    let policy = load_with("script", &script, GivenLimits::default(), None).await.expect("a policy");
    for (number, call) in calls.iter().enumerate() {
        for (name, text) in texts() {
            let answered = ask(&policy, number, &text).await;
            assert!(answered.is_ok(), "{call} of {name}: {answered:?}");
        }
    }
}

#[tokio::test]
async fn each_built_in_policy_decides_the_largest_request() {
    for name in crate::builtin::names() {
        let script = "fn route(request, candidates) { route_to(candidates, request.prompt.len().to_string()) }";
        let policy = load_with(name, script, GivenLimits::default(), None).await.expect(name);
        for (kind, text) in texts() {
            let answered = ask(&policy, 0, &text).await;
            assert!(answered.is_ok(), "{name}, {kind}: {answered:?}");
        }
    }
}

/// The time that a call has grows with what it is shown and not beyond.
#[tokio::test]
async fn a_guest_that_never_ends_is_ended_whatever_it_is_shown() {
    let script = "fn route(request, candidates) { let text = request.prompt; loop { text.to_upper(); } }";
    let refused = load_with("script", script, GivenLimits::default(), None).await;
    assert!(refused.is_err(), "the samples find it");
    let script = "fn route(request, candidates) { let text = request.prompt;
        loop { if text.len() < 1000000 { break; } text.to_upper(); } route_to(candidates, \"short\") }";
    let policy = load_with("script", script, patient(), None).await.expect("the samples are short");
    let failure = ask(&policy, 0, &texts()[4].1).await.expect_err("it never ends");
    assert!(matches!(failure.class, FailureClass::Timeout | FailureClass::GuestError), "{failure:?}");
}
