//! Tallies add up, keep the largest differences, and judge conditions only with evidence.

use super::*;
use crate::models::{ModelRow, RowPrice};
use crate::replay::learned::Gathered;
use crate::replay::sample::answered;

fn table() -> ModelTable {
    let row = |name: &str, input| ModelRow {
        name: name.to_owned(),
        backend: name.to_owned(),
        location: "cloud".to_owned(),
        price: Some(RowPrice { input, output: 1_000_000, cache_read: None, cache_write: None, reasoning: None }),
        context_window: None,
        capabilities: Vec::new(),
        labels: Vec::new(),
    };
    ModelTable::new(vec![row("this", 1), row("other", 2_000_000)])
}

fn evidence(others: u64) -> Evidence {
    let mut gathered = Gathered::default();
    (0..others).for_each(|_| gathered.note(&answered("other", 50)));
    gathered.learned()
}

/// A tally of requests, of which every second goes to `other` now.
fn tally(ids: std::ops::Range<u64>, evidence: &Evidence) -> Tally {
    let (mut tally, table) = (Tally::default(), table());
    for id in ids {
        let mut decision = answered("this", id);
        decision.id = format!("{id:03}");
        let before = Answer::logged(&decision);
        let mut after = before.clone();
        if id % 2 == 0 {
            after.choice = Some("other".to_owned());
            after.verdict.ranking = vec!["other".to_owned()];
        }
        tally.add(Case { decision: &decision, table: &table, before, after }, evidence);
    }
    tally
}

#[test]
fn tallies_of_threads_add_up_in_any_order() {
    let evidence = evidence(30);
    let whole = tally(0..100, &evidence);
    let mut parts = tally(40..100, &evidence);
    parts.merge(tally(0..40, &evidence));
    let seen = |tally: &Tally| {
        let cost = tally.cost.compared(&evidence.outputs, 1);
        let latency = tally.latency.compared(&evidence.seconds, 1);
        (tally.asked, tally.changed, tally.identical, tally.models.clone(), cost, latency)
    };
    assert_eq!(seen(&whole), seen(&parts));
    assert_eq!((whole.changed, whole.identical), (50, 50));
    assert_eq!(whole.models[&Some("this".to_owned())], [100, 50]);
    let ids = |tally: &Tally| tally.largest().iter().map(|difference| difference.id.clone()).collect::<Vec<_>>();
    parts.keep_largest();
    let mut sorted = whole;
    sorted.keep_largest();
    assert_eq!((ids(&sorted), sorted.largest().len()), (ids(&parts), LARGEST));
    // 100 input tokens and 50 to expect of the answer, less the 1000 nano-dollars that were paid.
    assert_eq!(sorted.largest()[0].change, 100.0 * 2.0 + 50.0 - 1000.0);
}

#[test]
fn a_condition_on_the_cost_cannot_be_judged_without_evidence() {
    let by_cost: Condition = "cost>+2%".parse().unwrap();
    let by_change: Condition = "changed>40%".parse().unwrap();
    let (few, enough) = (evidence(29), evidence(30));
    let without = tally(0..100, &few);
    assert_eq!(
        (without.judge(by_cost, Some(9.0), None), without.judge(by_change, None, None)),
        (None, Some((50.0, true)))
    );
    assert_eq!(without.no_cost().map(|(_, model, count)| (model, count)).collect::<Vec<_>>(), [(Some("other"), 50)]);
    let with = tally(0..100, &enough);
    assert_eq!(
        (with.judge(by_cost, Some(9.0), None), with.judge(by_cost, Some(1.0), None)),
        (Some((9.0, true)), Some((1.0, false)))
    );
    assert_eq!(Tally::default().judge(by_change, None, None), None);
    let by_score: Condition = "score<-0.02".parse().unwrap();
    let judged = [None, Some(-0.03), Some(0.1)].map(|change| with.judge(by_score, None, change));
    assert_eq!(judged, [None, Some((-0.03, true)), Some((0.1, false))]);
}
