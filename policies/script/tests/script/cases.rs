//! The table of prompts of the built-in `complexity` policy: the example script decides the same.

use crate::{COMPLEXITY, decision, routing};
use wasmgate_policy::testing::{candidate, request};
use wasmgate_policy::{Routing, Tier};

#[test]
fn every_case_holds() {
    let file: toml::Table = include_str!("../../../complexity/tests/cases.toml").parse().unwrap();
    let cases = file["case"].as_array().unwrap();
    assert!(cases.len() > 60);
    let policy = routing(COMPLEXITY).unwrap();
    let candidates = ["phi2", "claude-sonnet", "tinyllama"].map(candidate);
    for case in cases {
        let text = |key| case.get(key).map_or("", |text| text.as_str().unwrap());
        let times = case.get("times").map_or(0, |times| times.as_integer().unwrap());
        let prompt = [text("prompt"), &text("repeat").repeat(times as usize), text("end")].concat();
        let decision = decision(policy.route(&request(&prompt), &candidates));
        let model = &candidates[decision.ranking[0] as usize].model;
        assert_eq!(
            (decision.complexity, decision.tier.map(Tier::name), *model),
            (case["score"].as_float(), Some(text("tier")), text("model")),
            "{}: {}",
            text("name"),
            decision.reason
        );
    }
}
