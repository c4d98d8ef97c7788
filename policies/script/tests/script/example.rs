//! The example script beyond the table: reasons, fallbacks, confidential requests, costs; the template; the README's.

use crate::{COMPLEXITY, cost, decision, routing};
use wasmgate_policy::facts::Given;
use wasmgate_policy::testing::{candidate, cloud, request};
use wasmgate_policy::{
    Candidate, Cost, CostEstimate, Decision, Denial, Facts, Health, Request, Routing, Tier, Verdict,
};

const TEMPLATE: &str = include_str!("../../../templates/script/policy.rhai");

fn models() -> [Candidate<'static>; 3] {
    [candidate("phi2"), cloud("claude-sonnet", 3_000_000_000, 15_000_000_000), candidate("tinyllama")]
}

fn reason(prompt: &str, candidates: &[Candidate]) -> String {
    decision(routing(COMPLEXITY).unwrap().route(&request(prompt), candidates)).reason.to_string()
}

fn label(name: &str, value: &str) -> Facts {
    Given { labels: vec![(name.into(), value.into())], ..Given::default() }.into()
}

fn confidential(prompt: &str) -> Request<'_> {
    Request { facts: label("x-confidential", "true"), ..request(prompt) }
}

#[test]
fn reasons() {
    let table = [
        ("", "score 0.20: length +0.1, no keywords +0.1"),
        ("What is Rust?", "score 0.00: length +0.1, simple keywords -0.1, question -0.1"),
        ("Design it", "score 0.20: length +0.1, complex keywords +0.1 (design)"),
        ("create a def f()", "score 0.70: length +0.1, no keywords +0.1, code +0.3, creation +0.2"),
        (
            "DEBUG, develop, design, refactor, optimize, analyze",
            "score 0.40: length +0.1, complex keywords +0.3 (analyze, design, refactor, optimize, debug, …)",
        ),
    ];
    for (prompt, expected) in table {
        assert_eq!(reason(prompt, &models()), expected, "{prompt}");
    }
}

#[test]
fn an_obstacle_is_named() {
    let mut candidates = models();
    candidates[2].health = Health::Down;
    let expected = "score 0.20: length +0.1, no keywords +0.1; tinyllama would be first but is down";
    assert_eq!(reason("", &candidates), expected);
    // Where all have one, the first stays the first, and there is nothing to explain.
    candidates.iter_mut().for_each(|candidate| candidate.health = Health::Down);
    assert_eq!(reason("", &candidates), "score 0.20: length +0.1, no keywords +0.1");
}

#[test]
fn confidential_requests_stay_local_or_are_denied() {
    let policy = routing(COMPLEXITY).unwrap();
    let prompt = "Design and implement a parser, and explain in detail: `def parse(s): import re`";
    let decided = decision(policy.route(&confidential(prompt), &models()));
    assert_eq!(decided.ranking, [0, 2]);
    assert!(decided.reason.to_string().ends_with("; confidential"), "{}", decided.reason);
    let denial = Denial::new("no_local_model", "the request is confidential and no local model is offered");
    assert_eq!(policy.route(&confidential(prompt), &models()[1..2]), Ok(denial.into()));
    let other = Request { facts: label("x-confidential", "false"), ..request(prompt) };
    assert_eq!(decision(policy.route(&other, &models())).ranking, [1, 0, 2]);
}

#[test]
fn the_clients_own_choice_is_left_to_it() {
    let named = Request { requested_model: Some("phi2"), ..request("Design it") };
    assert_eq!(routing(COMPLEXITY).unwrap().route(&named, &models()), Ok(Verdict::Pass));
}

#[test]
fn costs_to_the_last_nano_dollar() {
    let dear = cloud("dear", u64::MAX, u64::MAX);
    let unpriced = Candidate { price: None, ..candidate("unpriced") };
    let candidates = [cloud("claude-sonnet", 3_000_000_000, 15_000_000_000), dear, unpriced];
    let table = [
        (1000, None, 500, [Some(10_500_000), Some(27_670_116_110_564_327), None]),
        (1_000_000, Some(0), 0, [Some(3_000_000_000), Some(u64::MAX), None]),
    ];
    for (prompt_tokens, max_tokens, output_tokens, costs) in table {
        let asked = Request { prompt_tokens, max_tokens, ..request("") };
        let estimates = cost(COMPLEXITY).unwrap().estimate(&asked, &candidates).unwrap();
        let expected = costs.map(|cost| CostEstimate { input_tokens: prompt_tokens, output_tokens, cost });
        assert_eq!(estimates, expected);
    }
}

#[test]
fn the_readmes_script_decides() {
    let readme = include_str!("../../README.md");
    let script = readme.split("```").find_map(|block| block.strip_prefix("rust\n")).unwrap();
    let decided = decision(routing(script).unwrap().route(&request("Hello!"), &models()));
    assert_eq!((decided.ranking, decided.reason.to_string().as_str()), (vec![0, 2, 1], "local models first"));
}

/// The template as `wasmgate policy new` writes it with both hooks.
fn template() -> String {
    let line = |line: &str| {
        let plain = ["%routing ", "%cost ", "%both "].iter().find_map(|prefix| line.strip_prefix(prefix));
        plain.unwrap_or(line).replace("{{name}}", "mine") + "\n"
    };
    TEMPLATE.lines().filter(|line| !line.contains("%one ")).map(line).collect()
}

#[test]
fn the_template_decides() {
    let mut candidates = models();
    candidates[0].health = Health::Down;
    let policy = routing(&template()).unwrap();
    let table = [
        (199, vec![2, 1, 0], Tier::Low, "199 tokens: local models first"),
        (200, vec![1, 2, 0], Tier::High, "200 tokens: cloud models first"),
    ];
    for (prompt_tokens, ranking, tier, reason) in table {
        let asked = Request { prompt_tokens, ..request("") };
        let expected = Decision { ranking, complexity: None, tier: Some(tier), reason: reason.into() };
        assert_eq!(decision(policy.route(&asked, &candidates)), expected);
        let estimates = cost(&template()).unwrap().estimate(&asked, &candidates).unwrap();
        let dear = 3_000 * u64::from(prompt_tokens) + 500 * 15_000;
        assert_eq!(estimates.iter().map(|estimate| estimate.cost).collect::<Vec<_>>(), [Some(0), Some(dear), Some(0)]);
    }
}
