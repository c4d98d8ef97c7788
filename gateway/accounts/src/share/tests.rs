//! What one gateway knows of its loans, with a store that answers as asked. The real one is in the tests of the whole.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::tz::TimeZone;

use super::*;
use crate::accounts::Accounts;
use crate::group::GroupSpec;
use crate::limit::{Exceeded, WhenSpent};
use crate::reserve::{Chain, Meters};
use crate::window::Period;

fn limit(measure: Measure, most: u64) -> Limit {
    Limit { measure, most, period: Period::Minute, zone: TimeZone::UTC, when_spent: WhenSpent::Reject }
}

struct Node {
    sharing: Arc<Sharing>,
    meters: Meters,
    chain: Chain,
    woken: Arc<AtomicUsize>,
}

fn node(limits: &[Limit], exact: bool) -> Node {
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    let wake = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let sharing = Arc::new(Sharing::new(10.0, Box::new(wake)));
    sharing.begin_life();
    sharing.set_reach(Reach::Reached);
    let meters = Meters::shared(Arc::clone(&sharing));
    let chain = meters.chains(&accounts(limits, exact), 0).remove(0);
    Node { sharing, meters, chain, woken }
}

fn accounts(limits: &[Limit], exact: bool) -> Accounts {
    let group = GroupSpec { name: "acme".into(), limits: limits.to_vec(), exact, ..GroupSpec::default() };
    Accounts::new(&[group], Vec::new()).expect("no mistake")
}

impl Node {
    /// A store that grants all, up to the limit, where others have taken this much.
    fn answer(&self, claims: &[Claim], others: u64) -> Vec<Terms> {
        for claim in claims {
            let terms = claim.terms;
            let room = claim.limit.most.saturating_sub(others + terms.borrowed - terms.returned);
            let granted = if room < terms.min { 0 } else { terms.want.min(room) };
            let borrowed = terms.borrowed + granted;
            let life = self.sharing.life();
            let (returned, taken) = (terms.returned, others + borrowed - terms.returned);
            claim.answered(&Answer { borrowed, returned, taken, life });
        }
        claims.iter().map(|claim| claim.terms).collect()
    }

    fn round(&self, round: Round, now: u64) -> Vec<Terms> {
        self.answer(&self.meters.claims(None, round, now), 0)
    }

    fn reserve(&self, money: u64, now: u64) -> Result<crate::reserve::Reservation, Exceeded> {
        self.chain.reserve(Amount { tokens: 0, money }, now)
    }
}

#[test]
fn a_gateway_borrows_for_a_request_and_a_slice_ahead_and_returns_what_is_idle() {
    let node = node(&[limit(Measure::Money, 1000)], false);
    let refused = node.reserve(30, 0).expect_err("nothing is borrowed");
    assert!(refused.lacks && refused.left == 1000, "{refused:?}");
    let terms = node.answer(&node.chain.lacking(Amount { tokens: 0, money: 30 }, 0), 0);
    assert_eq!((terms[0].min, terms[0].want), (30, 130));
    let first = node.reserve(30, 0).expect("borrowed");
    // By what was borrowed ahead, without asking; below half of a slice there is something due.
    let more = [node.reserve(40, 0).expect("ahead"), node.reserve(20, 0).expect("ahead")];
    let woken = node.woken.load(Ordering::Relaxed);
    assert_eq!(node.sharing.take_due().len(), 1, "woken {woken} times");
    assert_eq!(node.round(Round::Due, 0)[0].want, 60);
    first.settle(Amount { tokens: 0, money: 10 });
    more.into_iter().for_each(|reservation| reservation.settle(Amount { tokens: 0, money: 20 }));
    let terms = node.round(Round::Beat { renew: false }, 0)[0];
    assert_eq!((terms.borrowed, terms.used, terms.returned), (190, 50, 40), "a slice of 100 is kept");
    for _ in 0..IDLE_ROUNDS {
        node.round(Round::Beat { renew: false }, 0);
    }
    let terms = node.round(Round::Beat { renew: true }, 0)[0];
    assert_eq!((terms.borrowed - terms.returned, terms.used), (50, 50), "nobody asked for half a minute");
}

#[test]
fn exact_groups_and_small_limits_keep_nothing_ahead() {
    for node in [node(&[limit(Measure::Money, 1000)], true), node(&[limit(Measure::Money, 9)], false)] {
        let terms = node.answer(&node.chain.lacking(Amount { tokens: 0, money: 5 }, 0), 0);
        assert_eq!((terms[0].min, terms[0].want), (5, 5));
        let reservation = node.reserve(5, 0).expect("borrowed");
        let _ = node.sharing.take_due();
        reservation.settle(Amount { tokens: 0, money: 2 });
        assert_eq!(node.sharing.take_due().len(), 1, "what is left goes back at once");
        let terms = node.round(Round::Due, 0)[0];
        assert_eq!((terms.borrowed, terms.used, terms.returned, terms.want), (5, 2, 3, 0));
    }
}

#[test]
fn what_is_used_beyond_a_loan_is_told_and_a_new_window_owes_nothing() {
    let node = node(&[limit(Measure::Money, 1000)], true);
    node.answer(&node.chain.lacking(Amount { tokens: 0, money: 5 }, 0), 0);
    node.reserve(5, 0).expect("borrowed").settle(Amount { tokens: 0, money: 50 });
    let terms = node.round(Round::Due, 0)[0];
    assert_eq!((terms.borrowed, terms.used, terms.returned), (50, 50, 0));
    // An answer for the window before changes nothing.
    let late = node.meters.claims(None, Round::Beat { renew: true }, 59);
    assert!(node.reserve(1, 60).is_err());
    late.iter().for_each(|claim| claim.answered(&Answer { borrowed: 900, returned: 0, taken: 900, life: 1 }));
    let terms = node.meters.claims(None, Round::Beat { renew: true }, 60)[0].terms;
    assert_eq!((terms.borrowed, terms.used), (0, 0));
}

#[test]
fn a_limit_that_others_have_taken_refuses_without_asking_and_asks_for_news() {
    let node = node(&[limit(Measure::Money, 100)], true);
    node.answer(&node.chain.lacking(Amount { tokens: 0, money: 5 }, 0), 98);
    let refused = node.reserve(5, 0).expect_err("others have it");
    assert_eq!((refused.lacks, refused.left), (false, 2));
    let claims = node.meters.claims(Some(&node.sharing.take_due()), Round::Due, 0);
    assert_eq!((claims.len(), claims[0].terms.want), (1, 0));
}

#[test]
fn without_the_store_the_chosen_rule_holds() {
    let limits = [limit(Measure::Requests, 20), limit(Measure::Money, 1000)];
    let admitted = |reach: Reach| {
        let node = node(&limits, false);
        node.answer(&node.chain.lacking(Amount { tokens: 0, money: 10 }, 0), 0);
        node.sharing.set_reach(reach);
        let mut held = Vec::new();
        loop {
            match node.reserve(10, 0) {
                Ok(reservation) => held.push(reservation),
                Err(exceeded) => break (held.len(), exceeded.lacks, exceeded.limit.measure),
            }
        }
    };
    // One request and a slice of two; money for one and a slice of a hundred.
    assert_eq!(admitted(Reach::BorrowedOnly), (3, true, Measure::Requests));
    assert_eq!(admitted(Reach::Closed), (0, true, Measure::Requests));
    assert_eq!(admitted(Reach::LocalShare(2)), (10, false, Measure::Requests));
    assert_eq!(admitted(Reach::LocalShare(1)), (11, true, Measure::Money), "dollars are never a share");
}

#[test]
fn a_store_that_begins_a_new_life_is_told_what_it_said_before() {
    let node = node(&[limit(Measure::Money, 1000), limit(Measure::Concurrent, 5000)], false);
    node.answer(&node.chain.lacking(Amount { tokens: 0, money: 10 }, 0), 400);
    let held = node.reserve(10, 0).expect("borrowed");
    assert!(node.round(Round::Beat { renew: true }, 0).iter().all(|terms| terms.floor == 0));
    node.answer(&node.meters.claims(None, Round::Beat { renew: true }, 0), 400);
    node.sharing.begin_life();
    let claims = node.meters.claims(None, Round::Beat { renew: false }, 0);
    let money = claims.iter().find(|claim| claim.limit.measure == Measure::Money).expect("a claim").terms;
    assert_eq!(money.floor, 400 + money.borrowed);
    // Of requests at a time only those count that a living gateway speaks of.
    assert!(claims.iter().all(|claim| claim.limit.measure == Measure::Money || claim.terms.floor == 0));
    drop(held);
}

#[test]
fn what_was_used_before_the_start_is_not_reported_as_this_gateways() {
    let (mut node, limits) = (node(&[], false), [limit(Measure::Money, 1000)]);
    node.chain.replay(10, Amount { tokens: 0, money: 40 }, 10);
    node.reserve(5, 10).expect("no limit").settle(Amount { tokens: 0, money: 5 });
    node.chain = node.meters.chains(&accounts(&limits, false), 20).remove(0);
    let left = node.chain.tightest(Measure::Money, 20).map(|standing| standing.left);
    assert_eq!(left, Some(955), "the limit that comes later knows both");
    let terms = node.meters.claims(None, Round::Beat { renew: true }, 20)[0].terms;
    assert_eq!((terms.borrowed, terms.used), (5, 5));
    assert_eq!(terms.floor, 45, "a store that has forgotten all learns both");
}

#[test]
fn a_limit_that_returns_learns_what_it_had_borrowed_and_returned() {
    let (mut node, limits) = (node(&[limit(Measure::Money, 1000)], true), [limit(Measure::Money, 1000)]);
    let _ = node.meters.chains(&accounts(&[], true), 10);
    node.chain = node.meters.chains(&accounts(&limits, true), 20).remove(0);
    let claims = node.meters.claims(None, Round::Lacking(Amount { tokens: 0, money: 1 }), 20);
    claims[0].answered(&Answer { borrowed: 101, returned: 60, taken: 541, life: 1 });
    assert!(node.reserve(42, 20).is_err());
    assert!(node.reserve(41, 20).is_ok());
    let terms = node.meters.claims(None, Round::Due, 20)[0].terms;
    assert_eq!((terms.borrowed, terms.returned, terms.used), (101, 60, 41));
}
