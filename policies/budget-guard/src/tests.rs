//! When the guard is active, and what it does.

extern crate std;

use super::*;
use proptest::prelude::{any, prop_assert, proptest};
use wasmgate_policy::testing::{candidate, cloud, request};

fn policy<const N: usize>(settings: [(&str, Value); N]) -> BudgetGuard {
    BudgetGuard::configure(&Settings::of(settings)).unwrap()
}

fn with_budget(left: u64, limit: u64) -> Request<'static> {
    Request { budget: Some(Budget { limit, left }), ..request("hello") }
}

fn models() -> [Candidate<'static>; 4] {
    [cloud("sonnet", 3, 15), candidate("phi2"), cloud("haiku", 1, 5), candidate("tinyllama")]
}

fn decide(policy: &BudgetGuard, request: &Request, candidates: &[Candidate]) -> (Vec<String>, String) {
    match policy.route(request, candidates) {
        Ok(Verdict::Route(decision)) => {
            let models = decision.ranking.iter().map(|&index| candidates[index as usize].model.to_owned());
            (models.collect(), decision.reason.to_string())
        }
        Ok(Verdict::Deny(denial)) => (vec![denial.code], denial.reason),
        other => std::panic!("{other:?}"),
    }
}

#[test]
fn the_guard_holds_below_the_threshold() {
    let all = ["sonnet", "phi2", "haiku", "tinyllama"].as_slice();
    let local = ["phi2", "tinyllama"].as_slice();
    let table = [
        (100, 100, 0.1, all, "100 % of the budget left; by preference"),
        (10, 100, 0.1, all, "10 % of the budget left; by preference"),
        (9, 100, 0.1, local, "9 % of the budget left; local models only"),
        (0, 100, 0.1, local, "0 % of the budget left; local models only"),
        (0, 100, 0.0, local, "0 % of the budget left; local models only"),
        (1, 100, 0.0, all, "1 % of the budget left; by preference"),
        (99, 100, 1.0, local, "99 % of the budget left; local models only"),
        (u64::MAX, u64::MAX, 1.0, all, "100 % of the budget left; by preference"),
    ];
    for (left, limit, threshold, models_in_order, reason) in table {
        let policy = policy([(LOCAL_BELOW.name, Value::Number(threshold))]);
        let (ranking, given) = decide(&policy, &with_budget(left, limit), &models());
        assert_eq!(
            (ranking.as_slice(), given.as_str()),
            (&*models_in_order.iter().map(|&model| model.into()).collect::<Vec<String>>(), reason)
        );
    }
}

#[test]
fn without_a_budget_nothing_is_guarded() {
    let (ranking, reason) = decide(&policy([]), &request("hello"), &models());
    assert_eq!((ranking.len(), reason.as_str()), (4, "no budget to guard; by preference"));
}

#[test]
fn preference_comes_from_the_settings() {
    let policy = policy([(MODELS.name, Value::Texts(vec!["haiku".into(), "gone".into(), "tinyllama".into()]))]);
    assert_eq!(decide(&policy, &request("hello"), &models()).0, ["haiku", "tinyllama", "sonnet", "phi2"]);
    assert_eq!(decide(&policy, &with_budget(1, 100), &models()).0, ["tinyllama", "phi2"]);
}

#[test]
fn local_models_that_cannot_answer_stay_a_fallback() {
    let mut candidates = models();
    candidates[1].health = Health::Down;
    assert_eq!(decide(&policy([]), &with_budget(1, 100), &candidates).0, ["tinyllama", "phi2"]);
}

#[test]
fn without_a_local_model_the_operator_decides() {
    let refusing = policy([(DENY_WITHOUT_LOCAL.name, Value::Boolean(true))]);
    let mut candidates = models();
    candidates[1].health = Health::Down;
    candidates[3].context_window = Some(1);
    let (ranking, reason) = decide(&policy([]), &with_budget(1, 100), &candidates);
    assert_eq!(ranking, ["sonnet", "haiku", "phi2", "tinyllama"]);
    assert_eq!(reason, "1 % of the budget left, but no local model can take the request; by preference");
    let (code, reason) = decide(&refusing, &with_budget(1, 100), &candidates);
    assert_eq!(code, ["budget_exhausted"]);
    assert_eq!(reason, "1 % of the budget left, and no local model can take the request");
    assert_eq!(decide(&refusing, &with_budget(50, 100), &candidates).0.len(), 4);
    assert_eq!(decide(&refusing, &with_budget(1, 100), &models()).0, ["phi2", "tinyllama"]);
    assert_eq!(decide(&refusing, &with_budget(1, 100), &candidates[..1]).0, ["budget_exhausted"]);
}

proptest! {
    #[test]
    fn a_ranking_is_never_empty_and_has_none_twice(
        candidates in proptest::collection::vec(any::<(bool, bool)>(), 1..12), budget in any::<Option<(u64, u64)>>(),
    ) {
        let candidates: Vec<_> = candidates.into_iter().map(|(local, down)| Candidate {
            health: if down { Health::Down } else { Health::Healthy },
            ..if local { candidate("local") } else { cloud("cloud", 1, 1) }
        }).collect();
        let budget = budget.map(|(limit, left)| Budget { limit, left });
        let verdict = policy([]).route(&Request { budget, ..request("") }, &candidates);
        let Ok(Verdict::Route(decision)) = verdict else { std::panic!("{verdict:?}") };
        let mut ranking = decision.ranking.clone();
        ranking.sort();
        ranking.dedup();
        prop_assert!(!ranking.is_empty() && ranking.len() == decision.ranking.len());
        prop_assert!(ranking.iter().all(|&index| (index as usize) < candidates.len()));
    }
}
