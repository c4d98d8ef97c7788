//! Which candidate is expected to be soonest, and which is explored.

extern crate std;

use super::*;
use proptest::prelude::{any, prop_assert_eq, proptest};
use wasmgate_policy::facts::Given;
use wasmgate_policy::testing::{candidate, request};
use wasmgate_policy::{Breaker, Facts, Observed};

fn policy(share: f64) -> LatencyAware {
    LatencyAware::configure(&Settings::of([(EXPLORE_SHARE.name, Value::Number(share))])).unwrap()
}

fn with_id(id: std::string::String) -> Facts {
    Given { id, ..Given::default() }.into()
}

fn decide(policy: &LatencyAware, request: &Request, candidates: &[Candidate]) -> (Vec<String>, Decision) {
    match policy.route(request, candidates) {
        Ok(Verdict::Route(decision)) => {
            (decision.ranking.iter().map(|&index| candidates[index as usize].model.to_owned()).collect(), decision)
        }
        other => std::panic!("{other:?}"),
    }
}

fn observed(model: &str, latency: f64, stream: Option<(f64, f64)>) -> Candidate<'_> {
    let (time_to_first_token, tokens_per_second) = stream.unzip();
    Candidate { observed: Some(Observed { latency, time_to_first_token, tokens_per_second }), ..candidate(model) }
}

#[test]
fn by_first_token_and_speed_or_by_whole_calls() {
    let candidates = [
        observed("whole", 2.0, None),
        observed("quick-start", 9.0, Some((0.1, 20.0))), // 500 tokens: 25.1 s; 10 tokens: 0.6 s
        observed("fast", 9.0, Some((1.0, 1000.0))),      // 1.5 s; 1.01 s
    ];
    let (ranking, decision) = decide(&policy(0.0), &request("hello"), &candidates);
    assert_eq!(ranking, ["fast", "whole", "quick-start"]);
    assert_eq!(decision.reason, Reason::coded(0, &[1500.0]));
    let short = Request { max_tokens: Some(10), ..request("hello") };
    assert_eq!(decide(&policy(0.0), &short, &candidates).0, ["quick-start", "fast", "whole"]);
}

#[test]
fn the_cost_policy_knows_the_output_better() {
    let estimate = Some(CostEstimate { input_tokens: 1, output_tokens: 10, cost: None });
    let mut candidates = [observed("a", 1.0, Some((0.1, 20.0))), observed("b", 1.0, None)];
    candidates.iter_mut().for_each(|candidate| candidate.estimate = estimate);
    assert_eq!(decide(&policy(0.0), &request("hello"), &candidates).0, ["a", "b"]);
}

#[test]
fn the_unknown_are_tried_one_call_at_a_time() {
    let mut candidates = [observed("known", 1.0, None), candidate("new")];
    let (ranking, decision) = decide(&policy(0.0), &request("hello"), &candidates);
    assert_eq!(ranking, ["new", "known"]);
    assert_eq!(decision.reason, Reason::coded(5, &[]));
    candidates[1].in_flight = 1;
    assert_eq!(decide(&policy(0.0), &request("hello"), &candidates).0, ["known", "new"]);
}

#[test]
fn who_does_badly_is_neither_first_nor_explored() {
    let ways: [fn(&mut Candidate); 4] = [
        |fastest| fastest.health = Health::Degraded,
        |fastest| fastest.health = Health::Down,
        |fastest| fastest.breaker = Breaker::Open,
        |fastest| fastest.context_window = Some(1),
    ];
    for hinder in ways {
        for fastest in [observed("fastest", 0.1, None), candidate("fastest")] {
            let mut candidates = [fastest, observed("a", 1.0, None)];
            hinder(&mut candidates[0]);
            for id in 0..100 {
                let request = Request { facts: with_id(format!("{id}")), ..request("hello") };
                assert_eq!(decide(&policy(0.5), &request, &candidates).0, ["a", "fastest"]);
            }
        }
    }
}

#[test]
fn a_share_of_requests_explores_the_others() {
    let candidates = [observed("a", 1.0, None), observed("b", 2.0, None), observed("c", 3.0, None)];
    for share in [0.0, 0.01, 0.1, 0.5] {
        let policy = policy(share);
        let (mut b, mut c) = (0, 0);
        for id in 0..20_000 {
            let request = Request { facts: with_id(format!("0193-5d2e-{id:08x}")), ..request("hello") };
            let (ranking, decision) = decide(&policy, &request, &candidates);
            match ranking.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["a", "b", "c"] => {}
                ["b", "a", "c"] => b += 1,
                ["c", "a", "b"] => c += 1,
                _ => std::panic!("{ranking:?}"),
            }
            assert_eq!(matches!(decision.reason, Reason::Code((2 | 3, _))), ranking[0] != "a");
        }
        for count in [b, c] {
            let wanted = share * 10_000.0;
            assert!((f64::from(count) - wanted).abs() <= wanted * 0.25, "{share}: {count} instead of {wanted}");
        }
    }
}

proptest! {
    #[test]
    fn a_ranking_is_a_permutation(
        candidates in proptest::collection::vec(any::<(Option<(f64, Option<f64>, Option<f64>)>, u8, bool, u32)>(), 1..12),
        id in any::<u64>(), max_tokens in any::<Option<u32>>(),
    ) {
        let candidates: Vec<_> = candidates.into_iter().map(|(observed, health, open, in_flight)| Candidate {
            observed: observed.map(|(latency, time_to_first_token, tokens_per_second)| {
                Observed { latency, time_to_first_token, tokens_per_second }
            }),
            health: [Health::Unknown, Health::Healthy, Health::Degraded, Health::Down][usize::from(health % 4)],
            breaker: if open { Breaker::Open } else { Breaker::Closed },
            in_flight,
            ..candidate("any")
        }).collect();
        let request = Request { facts: with_id(format!("{id}")), max_tokens, ..request("") };
        let mut ranking = decide(&policy(0.5), &request, &candidates).1.ranking;
        ranking.sort();
        prop_assert_eq!(ranking, rank::given(&candidates));
    }
}
