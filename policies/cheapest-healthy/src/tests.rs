//! Which candidate comes first, and why.

extern crate std;

use super::*;
use proptest::prelude::{any, prop_assert_eq, proptest};
use wasmgate_policy::Breaker;
use wasmgate_policy::testing::{candidate, cloud, request};

fn decide(request: &Request, candidates: &[Candidate]) -> (Vec<String>, Decision) {
    let policy = CheapestHealthy::configure(&Settings::of([])).unwrap();
    match policy.route(request, candidates) {
        Ok(Verdict::Route(decision)) => {
            (decision.ranking.iter().map(|&index| candidates[index as usize].model.to_owned()).collect(), decision)
        }
        other => std::panic!("{other:?}"),
    }
}

/// From the most expensive to the cheapest.
fn models() -> [Candidate<'static>; 4] {
    let unpriced = Candidate { price: None, ..candidate("unpriced") };
    [
        unpriced,
        cloud("dear", 9_000_000_000, 9_000_000_000),
        cloud("cheap", 1_000_000_000, 1_000_000_000),
        candidate("free"),
    ]
}

#[test]
fn by_cost_and_unpriced_last() {
    let (ranking, decision) = decide(&request("hello, you"), &models());
    assert_eq!(ranking, ["free", "cheap", "dear", "unpriced"]);
    assert_eq!(decision.reason, Reason::coded(0, &[0.0]));
    assert_eq!((decision.complexity, decision.tier), (None, None));
}

#[test]
fn the_cost_policy_has_the_word() {
    let mut candidates = models();
    candidates[1].estimate = Some(CostEstimate { input_tokens: 1, output_tokens: 1, cost: Some(1) });
    candidates[3].estimate = Some(CostEstimate { input_tokens: 1, output_tokens: 1, cost: Some(2) });
    assert_eq!(decide(&request("hello"), &candidates).0, ["dear", "free", "cheap", "unpriced"]);
}

#[test]
fn health_comes_before_cost() {
    type Way = (fn(&mut Candidate), [&'static str; 4]);
    let ways: [Way; 5] = [
        (|free| free.health = Health::Degraded, ["cheap", "dear", "unpriced", "free"]),
        (|free| free.breaker = Breaker::HalfOpen, ["free", "cheap", "dear", "unpriced"]),
        (|free| free.health = Health::Down, ["cheap", "dear", "unpriced", "free"]),
        (|free| free.context_window = Some(1), ["cheap", "dear", "unpriced", "free"]),
        (|free| free.health = Health::Unknown, ["free", "cheap", "dear", "unpriced"]),
    ];
    for (change, expected) in ways {
        let mut candidates = models();
        change(&mut candidates[3]);
        assert_eq!(decide(&request("hello"), &candidates).0, expected);
    }
}

#[test]
fn the_less_busy_of_equals() {
    let mut candidates = ["a", "b", "c"].map(candidate);
    candidates[0].in_flight = 3;
    assert_eq!(decide(&request("hello"), &candidates).0, ["b", "c", "a"]);
}

#[test]
fn a_ranking_of_the_unfit_says_so() {
    let mut candidates = [candidate("a"), candidate("b")];
    candidates[0].health = Health::Down;
    candidates[1].breaker = Breaker::Open;
    let (ranking, decision) = decide(&request("hello"), &candidates);
    assert_eq!(ranking, ["a", "b"]);
    assert_eq!(decision.reason, "no candidate is fit to answer; cheapest is a, which is down");
}

proptest! {
    #[test]
    fn a_ranking_is_a_permutation(
        candidates in proptest::collection::vec(any::<(Option<u64>, u8, bool, u32, Option<u32>)>(), 1..12),
        tokens in any::<(u32, Option<u32>)>(),
    ) {
        let candidates: Vec<_> = candidates.into_iter().map(|(price, health, open, in_flight, context_window)| Candidate {
            price: price.map(|price| Price { input: price, output: price }),
            health: [Health::Unknown, Health::Healthy, Health::Degraded, Health::Down][usize::from(health % 4)],
            breaker: if open { Breaker::Open } else { Breaker::Closed },
            in_flight,
            context_window,
            ..candidate("any")
        }).collect();
        let request = Request { prompt_tokens: tokens.0, max_tokens: tokens.1, ..request("") };
        let mut ranking = decide(&request, &candidates).1.ranking;
        ranking.sort();
        prop_assert_eq!(ranking, rank::given(&candidates));
    }
}
