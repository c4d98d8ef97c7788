use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::group::GroupSpec;
use crate::limit::WhenSpent;
use crate::window::Period;

fn limit(measure: Measure, most: u64, period: Period) -> Limit {
    Limit { measure, most, period, zone: TimeZone::UTC, when_spent: WhenSpent::Reject }
}

fn group(name: &str, parent: Option<&str>, limits: &[Limit]) -> GroupSpec {
    let parent = parent.map(str::to_owned);
    GroupSpec { name: name.into(), parent, limits: limits.to_vec(), ..GroupSpec::default() }
}

fn accounts(groups: &[GroupSpec]) -> Accounts {
    Accounts::new(groups, Vec::new()).expect("no mistake")
}

/// `acme` with two teams, `one` and `two`; the limits of `acme` and `one`.
fn teams(acme: &[Limit], one: &[Limit]) -> Accounts {
    accounts(&[group("acme", None, acme), group("one", Some("acme"), one), group("two", Some("acme"), &[])])
}

fn money(money: u64) -> Amount {
    Amount { tokens: 0, money }
}

#[test]
fn a_request_is_admitted_by_all_groups_or_by_none() {
    let limits = (limit(Measure::Requests, 3, Period::Day), limit(Measure::Requests, 1, Period::Minute));
    let meters = Meters::default();
    let chains = meters.chains(&teams(std::slice::from_ref(&limits.0), std::slice::from_ref(&limits.1)), 0);
    let [_, one, two] = &chains[..] else { panic!("three groups") };
    let first = one.reserve(money(0), 10).expect("room");
    let refused = one.reserve(money(0), 20).expect_err("no room in the team");
    assert_eq!((&*refused.group, &refused.limit, refused.ends), ("one", &limits.1, Some(60)));
    // What was refused counts nowhere: two are left of three.
    assert_eq!(two.tightest(Measure::Requests, 20).map(|standing| standing.left), Some(2));
    let more = [two.reserve(money(0), 30).expect("room"), one.reserve(money(0), 60).expect("room")];
    let refused = one.reserve(money(0), 61).expect_err("no room in either");
    assert_eq!((&*refused.group, &refused.limit, refused.ends), ("acme", &limits.0, Some(86_400)), "it ends last");
    assert_eq!(two.check(61).expect_err("no room").group, refused.group);
    drop((first, more));
    assert!(one.check(86_400).is_ok());
}

#[test]
fn what_a_request_holds_is_free_when_it_is_settled() {
    let limits = [limit(Measure::Money, 100, Period::Month), limit(Measure::Concurrent, 2, Period::Total)];
    let meters = Meters::default();
    let chain = &meters.chains(&teams(&limits, &[]), 0)[1];
    let (large, small) = (chain.reserve(money(60), 0).expect("room"), chain.reserve(money(40), 0).expect("room"));
    let refused = chain.reserve(money(0), 0).expect_err("two at a time");
    assert_eq!((refused.limit.measure, refused.ends), (Measure::Concurrent, None));
    assert_eq!(refused.limit.to_string(), "2 requests at a time");
    large.settle(money(10));
    assert_eq!(chain.tightest(Measure::Money, 0).map(|standing| standing.left), Some(50));
    // Dropped, it counts in full.
    drop(small);
    assert_eq!(chain.tightest(Measure::Money, 0).map(|standing| standing.left), Some(50));
    let rest = chain.reserve(money(50), 0).expect("room");
    assert_eq!(chain.check(0).expect_err("spent").left, 0);
    rest.settle(money(70));
    let standing = chain.tightest(Measure::Money, 0).expect("a limit");
    assert_eq!((standing.left, standing.most), (0, 100), "the bound: 20 beyond what was reserved");
}

#[test]
fn a_request_counts_in_the_window_in_which_it_was_admitted() {
    let meters = Meters::default();
    let chain = &meters.chains(&teams(&[limit(Measure::Money, 100, Period::Minute)], &[]), 0)[0];
    let late = chain.reserve(money(80), 59).expect("room");
    let left = |now| chain.tightest(Measure::Money, now).map(|standing| standing.left);
    assert_eq!((left(59), left(60)), (Some(20), Some(100)));
    let next = chain.reserve(money(30), 60).expect("room");
    late.settle(money(90));
    assert_eq!(left(61), Some(70), "it is of the minute before");
    // The clock goes back: nothing is left a second time, also not when it comes to the window again.
    assert_eq!(left(10), Some(70));
    next.settle(money(30));
    assert_eq!((left(10), left(60), left(119)), (Some(70), Some(70), Some(70)));
    assert_eq!(left(120), Some(100), "the next window");
}

#[test]
fn a_window_that_ended_without_a_request_shows_nothing_of_before() {
    let meters = Meters::default();
    let chain = &meters.chains(&teams(&[limit(Measure::Money, 100, Period::Minute)], &[]), 0)[0];
    let shown = |now| {
        let (_, standing, held) = chain.own_standings(now).remove(0);
        (standing.used, held, standing.left, standing.ends)
    };
    let held = chain.reserve(money(30), 58).expect("room");
    assert_eq!(shown(58), (0, 30, 70, Some(60)));
    held.settle(money(80));
    assert_eq!(shown(59), (80, 0, 20, Some(60)));
    assert_eq!(shown(60), (0, 0, 100, Some(120)));
}

#[test]
fn two_threads_at_the_end_of_a_window_lose_nothing() {
    let meters = Meters::default();
    let chain = &meters.chains(&teams(&[limit(Measure::Money, 100, Period::Minute)], &[]), 0)[0];
    let left = |now| chain.tightest(Measure::Money, now).map(|standing| standing.left);
    let first = chain.reserve(money(10), 60).expect("room");
    // It read the clock a second before, and comes later.
    assert_eq!(left(59), Some(90));
    let second = chain.reserve(money(1), 60).expect("room");
    assert_eq!(left(60), Some(89));
    first.settle(money(10));
    second.settle(money(1));
    assert_eq!(left(61), Some(89));
}

#[test]
fn a_clock_that_was_wrong_by_far_stops_no_window() {
    let meters = Meters::default();
    let year = 365 * 86_400;
    let chain = &meters.chains(&teams(&[limit(Measure::Money, 100, Period::Minute)], &[]), year)[0];
    let left = |now| chain.tightest(Measure::Money, now).map(|standing| standing.left);
    chain.reserve(money(40), year).expect("room").settle(money(40));
    chain.check(30).expect("room");
    assert_eq!(left(30), Some(60), "the clock is set right: what was used stays used in this window");
    assert_eq!(left(60), Some(100), "and the next one begins as usual");
}

#[test]
fn a_clock_that_jumps_ahead_and_returns_gives_nothing_a_second_time() {
    let (meters, day) = (Meters::default(), 86_400);
    let chain = &meters.chains(&teams(&[limit(Measure::Money, 100, Period::Day)], &[]), day)[0];
    let left = |now| chain.tightest(Measure::Money, now).map(|standing| standing.left);
    chain.reserve(money(70), day).expect("room").settle(money(70));
    let held = chain.reserve(money(20), day + 1).expect("room");
    chain.reserve(money(40), 9 * day).expect("a day ahead of all").settle(money(40));
    assert_eq!((left(day + 2), left(9 * day)), (Some(10), Some(60)));
    assert!(chain.reserve(money(11), day + 2).is_err(), "it returns");
    held.settle(money(20));
    chain.reserve(money(5), day + 3).expect("room").settle(money(5));
    assert_eq!((left(day + 4), left(2 * day), left(9 * day)), (Some(5), Some(100), Some(60)));
}

#[test]
fn limits_that_change_keep_what_was_used() {
    let meters = Meters::default();
    let monthly = |most| [limit(Measure::Money, most, Period::Month)];
    let before = meters.chains(&teams(&monthly(100), &[]), 0);
    let held = before[1].reserve(money(60), 0).expect("room");
    let after = meters.chains(&teams(&monthly(50), &[limit(Measure::Money, 10, Period::Day)]), 0);
    assert_eq!(after[1].check(0).expect_err("60 of 50").limit.most, 50);
    assert!(before[1].check(0).is_err(), "requests of the older snapshot count by the new limits");
    held.settle(money(20));
    assert_eq!(after[2].tightest(Measure::Money, 0).map(|standing| standing.left), Some(30));
    // The limit that came later knows what the request from before used, and knew what it held.
    assert_eq!(after[1].own_standings(0)[0].1.left, 0);
    let gone = meters.chains(&accounts(&[]), 0);
    assert!(gone.is_empty());
    let back = meters.chains(&teams(&monthly(100), &[]), 0);
    assert_eq!(back[0].tightest(Measure::Money, 0).map(|standing| standing.left), Some(80));
}

#[test]
fn a_limit_that_comes_later_or_returns_begins_with_what_its_window_has_used() {
    let (meters, hour) = (Meters::default(), 3600);
    let none = meters.chains(&teams(&[], &[]), 0);
    none[1].reserve(money(9), 10).expect("no limit").settle(money(7));
    none[2].reserve(money(9), hour).expect("no limit").settle(money(5));
    let held = none[1].reserve(Amount { tokens: 4, money: 9 }, hour + 1).expect("no limit");
    let limits = [
        limit(Measure::Money, 100, Period::Hour),
        limit(Measure::Money, 100, Period::Total),
        limit(Measure::Tokens, 100, Period::Day),
        limit(Measure::Requests, 10, Period::Hour),
        limit(Measure::Concurrent, 10, Period::Total),
    ];
    let left = |chains: &[Chain], now| -> Vec<u64> {
        chains[0].own_standings(now).iter().map(|(_, standing, _)| standing.left).collect()
    };
    let limited = meters.chains(&teams(&limits, &[]), hour + 2);
    assert_eq!(
        left(&limited, hour + 2),
        [86, 79, 96, 8, 9],
        "5 and 12 are spent, and the request in flight holds 9, 4 and its place"
    );
    held.settle(Amount { tokens: 2, money: 3 });
    assert_eq!(left(&limited, hour + 2), [92, 85, 98, 8, 10]);
    let _ = meters.chains(&teams(&[], &[]), hour + 3);
    none[2].reserve(money(1), hour + 3).expect("no limit").settle(money(1));
    let again = meters.chains(&teams(&limits, &[]), hour + 4);
    assert_eq!(left(&again, hour + 4), [91, 84, 98, 7, 10]);
}

#[test]
fn a_day_of_another_time_zone_has_used_what_was_used_in_it() {
    let daily = |zone: &str| {
        let zone = TimeZone::get(zone).expect("a zone");
        [Limit { zone, ..limit(Measure::Money, 100, Period::Day) }]
    };
    let (meters, noon) = (Meters::default(), 20_000 * 86_400 + 12 * 3600);
    let utc = meters.chains(&teams(&daily("UTC"), &[]), noon - 7 * 3600);
    // At five o'clock in the morning of UTC, and at noon: a day begins between them in Kiritimati, 14 hours ahead.
    utc[1].reserve(money(30), noon - 7 * 3600).expect("room").settle(money(30));
    utc[1].reserve(money(20), noon).expect("room").settle(money(20));
    for (zone, left) in [("Pacific/Kiritimati", 80), ("UTC", 50), ("Asia/Kolkata", 50), ("Pacific/Kiritimati", 80)] {
        let chains = meters.chains(&teams(&daily(zone), &[]), noon);
        assert_eq!(chains[1].tightest(Measure::Money, noon).map(|standing| standing.left), Some(left), "{zone}");
    }
}

#[test]
fn what_a_ledger_kept_counts_if_its_window_has_not_ended() {
    let meters = Meters::default();
    let chains = meters.chains(&teams(&[limit(Measure::Money, 100, Period::Day)], &[]), 100_000);
    chains[2].replay(86_399, money(30), 100_000);
    chains[2].replay(86_400, money(20), 100_000);
    assert_eq!(chains[1].tightest(Measure::Money, 100_000).map(|standing| standing.left), Some(80));
    let mut history = History::default();
    history.add(86_399, money(30).of_one_request());
    history.add(90_000, money(5).of_one_request());
    chains[1].restore(&history, 100_000);
    assert_eq!(chains[1].tightest(Measure::Money, 100_000).map(|standing| standing.left), Some(75));
    let total = meters.chains(&teams(&[limit(Measure::Money, 100, Period::Total)], &[]), 100_000);
    assert_eq!(total[0].tightest(Measure::Money, 100_000).map(|standing| standing.left), Some(15), "all four");
}

#[test]
fn a_budget_says_what_follows_when_it_is_spent() {
    let meters = Meters::default();
    let budget = |when_spent| Limit { when_spent, ..limit(Measure::Money, 100, Period::Day) };
    let spent = |when_spent| {
        let chain = meters.chains(&teams(&[budget(when_spent)], &[]), 0).remove(1);
        chain.reserve(money(100), 0).map(|all| all.settle(money(100))).ok();
        (chain.room(0), chain.check(0).is_ok(), chain.reserve(money(1), 0).is_ok(), chain.reserve(money(0), 0).is_ok())
    };
    assert_eq!(spent(WhenSpent::Reject), (0, false, false, true));
    assert_eq!(spent(WhenSpent::LocalOnly), (0, true, false, true), "only what is free has room");
    assert_eq!(spent(WhenSpent::Policy), (u64::MAX, true, true, true));
}

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    /// A request of a group, with what it expects and what it will use.
    Begin(usize, Amount, Amount),
    /// One of those in flight ends.
    End(usize),
    /// One of those in flight is dropped unsettled.
    Drop(usize),
    /// Time passes.
    Wait(u64),
    /// The clock jumps back.
    Back(u64),
    /// The operator takes all limits out and puts them back.
    Relimit,
    /// Somebody looks who reads another clock.
    Look(u64),
}

fn amount() -> impl Strategy<Value = Amount> {
    (0_u64..40, 0_u64..40).prop_map(|(tokens, money)| Amount { tokens, money })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, amount(), amount()).prop_map(|(group, expected, used)| Step::Begin(group, expected, used)),
        3 => any::<usize>().prop_map(Step::End),
        1 => any::<usize>().prop_map(Step::Drop),
        2 => (0_u64..100).prop_map(Step::Wait),
        1 => (0_u64..4000).prop_map(Step::Back),
        1 => Just(Step::Relimit),
        1 => (0_u64..40_000).prop_map(Step::Look),
    ]
}

proptest! {
    /// Whatever happens: no window is used beyond its limit and the stated bound, nothing stays held, and whoever is refused is
    /// refused rightly. A second account of all that was admitted is the judge.
    #[test]
    fn the_bound_holds_in_any_life(steps in proptest::collection::vec(step(), 0..200)) {
        let own = [
            limit(Measure::Money, 100, Period::Minute),
            limit(Measure::Tokens, 300, Period::Hour),
            limit(Measure::Concurrent, 3, Period::Total),
        ];
        let acme = [limit(Measure::Money, 500, Period::Total), limit(Measure::Requests, 40, Period::Day)];
        let meters = Meters::default();
        let mut chains = meters.chains(&teams(&acme, &own), 10_000);
        let (mut now, mut flying) = (10_000_u64, Vec::new());
        // Of `acme` in total and of `one` at a time.
        let (mut spent, mut beyond, mut at_once) = (0_u64, 0_u64, 0_usize);
        for step in steps {
            match step {
                Step::Begin(group, expected, used) => {
                    let held: u64 = flying.iter().map(|(_, held, _, _): &(_, Amount, _, _)| held.money).sum();
                    match chains[group].reserve(expected, now) {
                        Ok(reservation) => {
                            prop_assert!(spent + held + expected.money <= 500 + beyond);
                            at_once += usize::from(group == 1);
                            flying.push((reservation, expected, used, group));
                        }
                        Err(refused) => {
                            let fits = spent + held + expected.money <= 500;
                            prop_assert!(!(fits && refused.limit.period == Period::Total && refused.limit.measure == Measure::Money));
                            prop_assert!(group == 1 || &*refused.group == "acme");
                            prop_assert!(refused.ends.is_none_or(|ends| ends > now));
                        }
                    }
                }
                Step::End(which) | Step::Drop(which) if flying.is_empty() => { let _ = which; }
                Step::End(which) => {
                    let (reservation, expected, used, group) = flying.swap_remove(which % flying.len());
                    reservation.settle(used);
                    spent += used.money;
                    beyond += used.money.saturating_sub(expected.money);
                    at_once -= usize::from(group == 1);
                }
                Step::Drop(which) => {
                    let (reservation, expected, _, group) = flying.swap_remove(which % flying.len());
                    drop(reservation);
                    spent += expected.money;
                    at_once -= usize::from(group == 1);
                }
                Step::Wait(seconds) => now += seconds,
                Step::Back(seconds) => now = now.saturating_sub(seconds),
                Step::Look(at) => {
                    let before: Vec<_> = chains.iter().map(|chain| chain.own_standings(now)).collect();
                    let _ = (chains[1].standings(at), chains[1].room(at), chains[1].own_standings(at));
                    let after: Vec<_> = chains.iter().map(|chain| chain.own_standings(now)).collect();
                    prop_assert_eq!(before, after);
                }
                Step::Relimit => {
                    let _ = meters.chains(&teams(&[], &[]), now);
                    chains = meters.chains(&teams(&acme, &own), now);
                }
            }
            prop_assert!(at_once <= 3);
            prop_assert!(spent <= 500 + beyond);
            let standing = chains[0].tightest(Measure::Money, now).expect("a limit");
            let held: u64 = flying.iter().map(|(_, held, _, _)| held.money).sum();
            prop_assert_eq!(standing.left, 500_u64.saturating_sub(spent + held));
        }
        flying.clear();
        for chain in &chains {
            for meter in &*chain.meters {
                for (limit, _, held) in meter.standings(now) {
                    prop_assert_eq!(held, 0, "{} of {}", limit, meter.name());
                }
            }
        }
    }
}

proptest! {
    /// While no request is in flight and the clock goes forward, limits that are taken out and put back stand as before, in each
    /// window of each zone.
    #[test]
    fn limits_that_return_stand_as_if_they_had_never_gone(
        requests in proptest::collection::vec((0..3_usize, amount(), 0_u64..40_000), 0..80),
        zone in 0..3_usize,
    ) {
        let zone = TimeZone::get(["America/New_York", "Asia/Kathmandu", "UTC"][zone]).expect("a zone");
        let all = |measure| Period::ALL.map(|period| Limit { zone: zone.clone(), ..limit(measure, 1_000_000, period) });
        let limits = [Measure::Requests, Measure::Tokens, Measure::Money].map(all).concat();
        let meters = Meters::default();
        // A day before the clocks go back in New York, at the end of a month.
        let mut now = crate::time::parse("2026-10-31T12:00:00Z").expect("a time");
        let mut chains = meters.chains(&teams(&limits, &limits), now);
        for (group, amount, later) in requests {
            now += later;
            if let Ok(reservation) = chains[group].reserve(amount, now) {
                reservation.settle(amount);
            }
            let before: Vec<_> = chains.iter().map(|chain| chain.own_standings(now)).collect();
            let _ = meters.chains(&teams(&[], &[]), now);
            chains = meters.chains(&teams(&limits, &limits), now);
            let after: Vec<_> = chains.iter().map(|chain| chain.own_standings(now)).collect();
            prop_assert_eq!(before, after);
        }
    }
}

/// What a clock does that may be wrong, and who comes.
#[derive(Debug, Clone)]
enum Turn {
    /// A request, with what it expects and what it will use.
    Begin(u64, u64),
    /// One of those in flight ends.
    End(usize),
    /// Time passes.
    Wait(u64),
    /// The clock jumps, by at least minutes if back: it was wrong before.
    Jump(i64),
    /// The operator takes all limits out and puts them back.
    Relimit,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (0_u64..40, 0_u64..40).prop_map(|(expected, used)| Turn::Begin(expected, used)),
        3 => any::<usize>().prop_map(Turn::End),
        2 => (0_u64..4000).prop_map(Turn::Wait),
        2 => prop_oneof![-200_000_i64..-100, 0_i64..200_000].prop_map(Turn::Jump),
        1 => Just(Turn::Relimit),
    ]
}

proptest! {
    /// Wherever the clock jumps: what requests used and hold that were admitted in an hour or a day, as the clock showed it, is
    /// within the limit and the stated bound. A second account of all that was admitted is the judge.
    #[test]
    fn no_jump_of_the_clock_gives_anything_twice(turns in proptest::collection::vec(turn(), 0..100)) {
        let limits = [limit(Measure::Money, 100, Period::Day), limit(Measure::Requests, 5, Period::Hour)];
        let meters = Meters::default();
        let mut now = 10_000_000_u64;
        let mut chain = meters.chains(&teams(&limits, &[]), now).remove(1);
        let (mut flying, mut ended) = (Vec::new(), Vec::<(u64, u64, u64)>::new());
        for turn in turns {
            match turn {
                Turn::Begin(expected, used) => {
                    if let Ok(reservation) = chain.reserve(money(expected), now) {
                        flying.push((reservation, expected, used));
                        let day = now - now % 86_400;
                        let of_day = |at: u64| at - at % 86_400 == day;
                        let spent = ended.iter().filter(|(at, ..)| of_day(*at)).map(|(_, used, _)| used).sum::<u64>();
                        let beyond = ended.iter().filter(|(at, ..)| of_day(*at)).map(|(_, _, beyond)| beyond).sum::<u64>();
                        let here = flying.iter().filter(|(reservation, ..)| of_day(reservation.at()));
                        let held = here.map(|(_, held, _)| held).sum::<u64>();
                        prop_assert!(spent + held <= 100 + beyond, "{spent} used and {held} held in a day");
                        let times = flying.iter().map(|(reservation, ..)| reservation.at());
                        let times = times.chain(ended.iter().map(|(at, ..)| *at));
                        prop_assert!(times.filter(|at| at / 3600 == now / 3600).count() <= 5, "more in an hour");
                    }
                }
                Turn::End(_) if flying.is_empty() => {}
                Turn::End(which) => {
                    let (reservation, expected, used) = flying.swap_remove(which % flying.len());
                    ended.push((reservation.at(), used, used.saturating_sub(expected)));
                    reservation.settle(money(used));
                }
                Turn::Wait(seconds) => now += seconds,
                Turn::Jump(seconds) => now = now.saturating_add_signed(seconds),
                Turn::Relimit => {
                    let _ = meters.chains(&teams(&[], &[]), now);
                    chain = meters.chains(&teams(&limits, &[]), now).remove(1);
                }
            }
        }
        flying.clear();
        for (limit, _, held) in chain.meters.iter().flat_map(|meter| meter.standings(now)) {
            prop_assert_eq!(held, 0, "{}", limit);
        }
    }
}
