//! Tests of loading a policy, of its pool and of its probes.

use super::*;
use crate::candidates::{Observation, Observed};
use crate::contract::types::{Breaker, Budget, Health};
use crate::limits::GivenLimits;
use crate::limits::Isolation;
use crate::request::OwnedRequest;
use crate::samples::{Answered, Estimate, Sample};
use crate::stage::Stage;
use crate::testing::{load, patient};

fn asked() -> Sample {
    canonical().remove(0).1
}

#[tokio::test]
async fn loading_tells_what_the_samples_took_and_keeps_none_of_their_traces() {
    let policy = load("complexity", patient(), None).await.unwrap();
    let probed = policy.probed();
    assert_eq!(probed.calls as usize, canonical().len() * ROUNDS as usize);
    assert!(Duration::ZERO < probed.median && probed.median <= probed.worst, "{probed:?}");
    assert!((64 << 10..64 << 20).contains(&probed.memory_bytes), "{probed:?}");
    let state = policy.pool_state();
    assert_eq!((state.idle, state.busy), (1, 0));
    assert!(state.memory_bytes > 0);
}

#[tokio::test]
async fn memory_is_told_of_instances_that_are_not_kept_too() {
    let limits = GivenLimits { isolation: Some(Isolation::PerCall), ..patient() };
    let policy = load("complexity", limits, None).await.unwrap();
    assert_eq!(policy.pool_state().memory_bytes, 0);
    assert!(policy.probed().memory_bytes >= 64 << 10);
}

#[tokio::test]
async fn each_built_in_policy_decides_all_samples() {
    for name in crate::builtin::names() {
        let policy = load(name, patient(), None).await.unwrap();
        assert!(policy.probe().await.is_ok(), "{name}, once more as after failures");
    }
}

#[tokio::test]
async fn a_released_policy_gives_back_everything_and_decides_no_more() {
    let policy = load("complexity", patient(), None).await.unwrap();
    let code = policy.pool.code();
    assert!(code.upgrade().is_some());
    asked().ask(&policy, "x").await.unwrap();

    policy.release();
    assert!(code.upgrade().is_none(), "the machine code is gone");
    assert_eq!(policy.pool_state(), crate::PoolState { idle: 0, busy: 0, memory_bytes: 0 });
    let failure = asked().ask(&policy, "x").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Host);
    assert!(failure.detail.contains("was released"), "{failure}");
    policy.release();
    assert_eq!(policy.manifest().name, "complexity", "its manifest stays readable");
}

#[tokio::test]
async fn a_call_under_way_ends_well_and_gives_back_its_instance() {
    let policy = load("complexity", patient(), None).await.unwrap();
    let code = policy.pool.code();
    let taken = policy.pool.borrow_one(None).await;
    policy.release();
    assert_eq!(policy.pool_state().idle, 0);
    policy.pool.give_back(taken);
    assert_eq!(policy.pool_state().idle, 0, "not kept for calls that cannot come");
    assert!(code.upgrade().is_none());
}

#[tokio::test]
async fn fixtures_that_are_not_met_refuse_the_policy() {
    let fixtures =
        |expect: &str| format!(r#"{{"fixtures": [{{"name": "a greeting", "prompt": "Hello!", "expect": {expect}}}]}}"#);
    let loaded = load("complexity", patient(), Some(&fixtures(r#"{"tier": "low", "model": "small"}"#))).await;
    assert!(loaded.is_ok(), "{loaded:?}");

    let refused = load("complexity", patient(), Some(&fixtures(r#"{"tier": "high"}"#))).await.unwrap_err();
    assert_eq!(refused.stage, Stage::Probed);
    assert_eq!(refused.reason, "1 of 1 fixtures failed: fixture \"a greeting\": tier: found low, expected high");

    let refused = load("complexity", patient(), Some(&fixtures(r#"{"teir": "high"}"#))).await.unwrap_err();
    assert_eq!(refused.stage, Stage::Parsed);
    assert_eq!(
        refused.reason,
        "complexity.fixtures.json: fixtures[0].expect.teir is an unknown key, did you mean `tier`?"
    );
}

#[tokio::test]
async fn a_denial_that_nothing_declares_is_a_failure() {
    let script = "fn route(request, candidates) { deny(\"no\", \"why\") }";
    let mut policy = crate::testing::load_with("script", script, patient(), None).await.unwrap();
    policy.declares = Some(false);
    assert!(asked().ask(&policy, "test").await.is_ok(), "of a script, the text tells only in part");
    policy.must_declare = true;
    let failure = asked().ask(&policy, "test").await.expect_err("nothing declares it");
    assert_eq!(failure.class, FailureClass::InvalidDecision);
    assert!(failure.detail.contains("its manifest says that it denies none"), "{failure}");
    policy.declares = Some(true);
    assert!(asked().ask(&policy, "test").await.is_ok());
}

#[tokio::test]
async fn a_call_gets_the_instance_that_has_its_models() {
    let policy = load("complexity", patient(), None).await.unwrap();
    let sample = asked();
    let (old, new) = (sample.offered(), sample.offered());
    sample.ask_with(&policy, "x", &old).await.unwrap();
    let first = policy.pool.borrow_one(None).await;
    sample.ask_with(&policy, "x", &new).await.unwrap();
    policy.pool.give_back(first);
    assert_eq!(policy.pool_state().idle, 2);
    for models in [&old, &new, &old, &new] {
        let taken = policy.pool.borrow_one(Some(models.id())).await;
        assert!(taken.has(models.id()), "not the one that was used last");
        policy.pool.give_back(taken);
    }
}

/// The instructions of a call in a warm instance, with a prompt of so many bytes.
async fn instructions(policy: &Policy, bytes: usize) -> u64 {
    let mut sample = asked();
    sample.request.messages[0].1 = "Describe a web service. ".repeat(bytes.div_ceil(24));
    let models = sample.offered();
    let mut before = 0;
    for _ in 0..3 {
        before = policy.instructions();
        sample.ask_with(policy, "x", &models).await.unwrap();
    }
    policy.instructions() - before
}

#[tokio::test]
async fn a_policy_that_reads_no_prompt_does_the_same_work_for_any() {
    for (name, same) in [("token-cost", true), ("cheapest-healthy", true), ("complexity", false)] {
        let limits = GivenLimits { isolation: Some(Isolation::Warm), ..patient() };
        let policy = crate::testing::load_counting(name, limits).await.unwrap();
        let (short, long) = (instructions(&policy, 300).await, instructions(&policy, 100_000).await);
        assert!(short > 100 && (short == long) == same, "{name}: {short} and {long}");
    }
}

/// Each number of a request and of a candidate arrives as itself: the host writes their records by hand.
#[tokio::test]
async fn every_number_arrives_where_it_belongs() {
    let script = r#"fn route(request, candidates) {
        let r = request;
        // Samples at load: few have two candidates, and only one has a budget.
        if r.budget == () { return pass(); }
        let c = candidates[1];
        let of_request = `${r.requested_model} ${r.prompt_tokens} ${r.max_tokens} ${r.streaming} ${r.tools} ${r.images} `
            + `${r.structured_output} ${r.budget.limit} ${r.budget.left} ${r.hints}`;
        let of_candidate = `${c.model} ${c.health} ${c.breaker} ${c.in_flight} ${c.time_left} ${c.latency} `
            + `${c.time_to_first_token} ${c.tokens_per_second} ${c.estimated_cost} ${c.labels}`;
        route_to(candidates, of_request + " | " + of_candidate)
    }"#;
    let policy = crate::testing::load_with("script", script, patient(), None).await.unwrap();
    let mut sample = asked();
    sample.request = OwnedRequest {
        requested_model: "medium".into(),
        prompt_tokens: 11,
        max_tokens: Some(12),
        streaming: true,
        images: true,
        budget: Some(Budget { limit: 1 << 40, left: 13 }),
        tenant: Some("t".into()),
        ..sample.request
    };
    let offer = &mut sample.candidates[1];
    offer.facts.labels = vec![("quality".into(), "high".into())];
    offer.now = Observation {
        health: Health::Degraded,
        breaker: Breaker::HalfOpen,
        in_flight: 14,
        observed: Some(Observed { latency: 15.5, time_to_first_token: Some(16.5), tokens_per_second: Some(17.5) }),
    };
    offer.time_left = 18.5;
    offer.estimate = Estimate::Cost(19);
    let Answered::Routing(Verdict::Route(decision)) = sample.ask(&policy, "x").await.unwrap() else {
        panic!("it routes");
    };
    let expected = "medium 11 12 true false true false 1099511627776 13 #{} | medium degraded half-open 14 18.5 15.5 \
                    16.5 17.5 19 #{\"quality\": \"high\"}";
    assert_eq!(decision.reason, expected);
}
