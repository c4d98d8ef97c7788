//! Each transition of a breaker, with times passed in; and a property test that only one probe call is in flight.

use proptest::prelude::*;

use super::*;

const RULES: BreakerSettings = BreakerSettings {
    enabled: true,
    window_seconds: 10.0,
    min_calls: 4,
    failure_ratio: 0.5,
    slow_seconds: 1.0,
    slow_ratio: 0.5,
    retry_seconds: 5.0,
    max_retry_seconds: 15.0,
    ramp_seconds: 10.0,
};
const QUICK: CallOutcome = CallOutcome::Answered(Duration::from_millis(1));
const SLOW: CallOutcome = CallOutcome::Answered(Duration::from_secs(2));

struct Clock<'a>(&'a Breaker, Instant);

impl Clock<'_> {
    fn after(&mut self, seconds: f64) -> &mut Self {
        self.1 += Duration::from_secs_f64(seconds);
        self
    }

    /// Whether a call passes; if it does, it ends with this outcome.
    fn call(&mut self, conduct: CallOutcome) -> bool {
        match self.0.admit(self.1, false) {
            Admission::Wait(_) => false,
            Admission::Pass(pass) => {
                pass.note(self.1, conduct);
                true
            }
        }
    }

    fn calls(&mut self, times: usize, conduct: CallOutcome) {
        for _ in 0..times {
            assert!(self.call(conduct));
        }
    }
}

#[test]
fn a_cancelled_call_counts_only_if_it_was_slow_by_then() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    let cancelled = |seconds| CallOutcome::Cancelled(Duration::from_secs(seconds));
    clock.calls(100, cancelled(1));
    clock.calls(2, QUICK);
    clock.calls(1, cancelled(2));
    assert_eq!(breaker.state(clock.1), BreakerState::Closed, "three calls count");
    clock.calls(1, cancelled(2));
    assert_eq!(breaker.state(clock.1), BreakerState::Open, "two of four are slow");
    // A probe call that says nothing leaves the next one the probe; one that was slow opens the breaker again.
    assert!(clock.after(5.0).call(cancelled(1)) && clock.call(cancelled(2)));
    assert!(!clock.call(QUICK));
    // Without a rule for slowness, no time is slow.
    let breaker = Breaker::new(BreakerSettings { slow_seconds: 0.0, ..RULES });
    Clock(&breaker, Instant::now()).calls(100, cancelled(1000));
    assert_eq!(breaker.state(Instant::now()), BreakerState::Closed);
}

#[test]
fn it_opens_on_the_share_of_failures_once_there_are_enough_calls() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(2, QUICK);
    clock.calls(1, CallOutcome::Failed);
    assert_eq!(breaker.state(clock.1), BreakerState::Closed, "one of three");
    clock.calls(1, CallOutcome::Failed);
    assert_eq!(breaker.state(clock.1), BreakerState::Open, "two of four");
    assert!(!clock.after(4.9).call(QUICK));
    let Admission::Wait(wait) = breaker.admit(clock.1, false) else { panic!("it is open") };
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs_f64(0.11), "{wait:?}");
}

#[test]
fn what_left_the_window_does_not_count() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(3, CallOutcome::Failed);
    clock.after(10.0).calls(3, QUICK);
    clock.calls(1, CallOutcome::Failed);
    assert_eq!(breaker.state(clock.1), BreakerState::Closed, "one of four in the window");
}

#[test]
fn one_call_tries_and_each_failure_doubles_the_pause_up_to_a_bound() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(4, CallOutcome::Failed);
    clock.after(5.0);
    let Admission::Pass(probe) = breaker.admit(clock.1, false) else { panic!("the pause is over") };
    assert!(probe.probe);
    assert_eq!(breaker.state(clock.1), BreakerState::HalfOpen);
    assert!(matches!(breaker.admit(clock.1, true), Admission::Wait(_)), "one is under way");
    probe.note(clock.1, CallOutcome::Failed);
    assert!(!clock.after(9.9).call(QUICK), "twice the pause");
    assert!(clock.after(0.1).call(CallOutcome::Failed));
    for _ in 0..5 {
        assert!(!clock.after(14.9).call(QUICK), "the longest pause");
        assert!(clock.after(0.1).call(CallOutcome::Failed));
    }
    assert!(clock.after(15.0).call(QUICK));
    assert_eq!(breaker.state(clock.1), BreakerState::Closed);
}

#[test]
fn a_first_pause_beyond_the_bound_stays_as_it_is() {
    let breaker = Breaker::new(BreakerSettings { retry_seconds: 100.0, ..RULES });
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(4, CallOutcome::Failed);
    for _ in 0..2 {
        assert!(!clock.after(99.9).call(QUICK));
        assert!(clock.after(0.1).call(CallOutcome::Failed));
    }
}

#[test]
fn a_try_that_takes_long_does_not_keep_the_next_away() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(4, CallOutcome::Failed);
    clock.after(5.0);
    let Admission::Pass(hangs) = breaker.admit(clock.1, false) else { panic!("the pause is over") };
    assert!(!clock.after(4.9).call(QUICK));
    assert!(clock.after(0.1).call(QUICK), "another try");
    assert_eq!(breaker.state(clock.1), BreakerState::Closed);
    hangs.note(clock.1, CallOutcome::Failed);
    assert_eq!(breaker.state(clock.1), BreakerState::Closed, "one failure of two calls is too few to open it");
}

#[test]
fn the_last_candidate_is_tried_each_second_however_long_the_pause_is() {
    let breaker = Breaker::new(BreakerSettings { retry_seconds: 100.0, ..RULES });
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(4, CallOutcome::Failed);
    for _ in 0..3 {
        assert!(matches!(breaker.admit(clock.1, true), Admission::Wait(wait) if wait == Duration::from_secs(1)));
        clock.after(1.0);
        assert!(matches!(breaker.admit(clock.1, false), Admission::Wait(_)), "others are left");
        let Admission::Pass(pass) = breaker.admit(clock.1, true) else { panic!("a second is over") };
        pass.note(clock.1, CallOutcome::Failed);
    }
}

#[test]
fn a_backend_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    for (asked, pause) in [(None, 5.0), (Some(1), 5.0), (Some(60), 60.0), (Some(10_000), 300.0)] {
        let breaker = Breaker::new(RULES);
        let mut clock = Clock(&breaker, Instant::now());
        clock.calls(4, CallOutcome::Busy(asked.map(Duration::from_secs)));
        assert_eq!(breaker.state(clock.1), BreakerState::Open);
        assert!(!clock.after(pause - 0.1).call(QUICK), "{asked:?}");
        assert!(clock.after(0.1).call(QUICK), "{asked:?}");
    }
}

#[test]
fn changed_rules_keep_the_state() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(3, CallOutcome::Failed);
    breaker.set_rules(BreakerSettings { retry_seconds: 1.0, ..RULES });
    clock.calls(1, CallOutcome::Failed);
    assert_eq!(breaker.state(clock.1), BreakerState::Open, "four calls, three of them before the change");
    breaker.set_rules(RULES);
    assert_eq!(breaker.state(clock.1), BreakerState::Open);
    assert!(clock.after(1.0).call(QUICK), "the pause began under the earlier rules");
    breaker.set_rules(BreakerSettings { enabled: false, ..RULES });
    assert_eq!(breaker.state(clock.1), BreakerState::Closed);
}

#[test]
fn a_try_that_tells_nothing_leaves_the_next_call_to_try() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(4, CallOutcome::Failed);
    clock.after(5.0);
    drop(breaker.admit(clock.1, false));
    assert!(matches!(breaker.admit(clock.1, false), Admission::Pass(pass) if pass.probe));
}

#[test]
fn traffic_comes_back_little_by_little_but_for_the_last_candidate() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(4, CallOutcome::Failed);
    assert!(clock.after(5.0).call(QUICK));
    let passed = |clock: &mut Clock<'_>| (0..100).filter(|_| clock.call(QUICK)).count();
    let shares = [1.0, 4.0, 4.0].map(|seconds| passed(clock.after(seconds)));
    assert_eq!(shares, [10, 50, 90]);
    let last = (0..10).filter(|_| matches!(breaker.admit(clock.1, true), Admission::Pass(_))).count();
    assert_eq!((last, passed(clock.after(1.0))), (10, 100));
}

#[test]
fn slow_calls_open_it_but_for_the_last_candidate() {
    let breaker = Breaker::new(RULES);
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(2, QUICK);
    clock.calls(2, SLOW);
    assert_eq!(breaker.state(clock.1), BreakerState::Open);
    assert!(!clock.call(QUICK));
    assert!(matches!(breaker.admit(clock.1, true), Admission::Pass(pass) if !pass.probe));
}

#[test]
fn one_that_is_disabled_never_opens() {
    let breaker = Breaker::new(BreakerSettings { enabled: false, ..RULES });
    let mut clock = Clock(&breaker, Instant::now());
    clock.calls(100, CallOutcome::Failed);
    assert_eq!(breaker.state(clock.1), BreakerState::Closed);
}

#[derive(Debug, Clone)]
enum Step {
    /// This many milliseconds pass.
    Pass(u32),
    /// A call arrives.
    Admit { last: bool },
    /// The oldest in-flight call ends with this outcome; `None`: its client disconnected.
    End(Option<CallOutcome>),
}

fn step() -> impl Strategy<Value = Step> {
    let conduct = prop_oneof![3 => Just(Some(CallOutcome::Failed)), 2 => Just(Some(QUICK)), 1 => Just(Some(SLOW)), 1 => Just(None)];
    prop_oneof![
        (0..7000_u32).prop_map(Step::Pass),
        any::<bool>().prop_map(|last| Step::Admit { last }),
        conduct.prop_map(Step::End),
    ]
}

proptest! {
    /// For any order of events: an open breaker lets one call through in each pause and none before its pause is over,
    /// except for the last candidate: each second, or always if the breaker is only slow. A closed breaker never holds the
    /// last candidate back.
    #[test]
    fn one_call_in_a_pause_tries(steps in proptest::collection::vec(step(), 0..200)) {
        let breaker = Breaker::new(RULES);
        let mut now = Instant::now();
        let mut tried: Option<Instant> = None;
        let mut under_way = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds.into()),
                Step::Admit { last } => {
                    let state = breaker.state(now);
                    match breaker.admit(now, last) {
                        Admission::Pass(pass) => {
                            prop_assert!(state != BreakerState::Open || last, "let through while open");
                            let trying = under_way.iter().any(|pass: &Pass<'_>| pass.probe);
                            if pass.probe && trying {
                                let pause = Duration::from_secs_f64(if last { 1.0 } else { RULES.retry_seconds });
                                prop_assert!(tried.is_none_or(|tried| now >= tried + pause), "two try at once");
                            }
                            if pass.probe {
                                tried = Some(now);
                            }
                            under_way.push_back(pass);
                        }
                        Admission::Wait(wait) => {
                            prop_assert!(!(state == BreakerState::Closed && last), "the last was held back");
                            let most = if last { 1.0 } else { RULES.max_retry_seconds };
                            prop_assert!(wait <= Duration::from_secs_f64(most));
                        }
                    }
                }
                Step::End(conduct) => match (under_way.pop_front(), conduct) {
                    (Some(pass), Some(conduct)) => pass.note(now, conduct),
                    (pass, _) => {
                        if pass.as_ref().is_some_and(|pass| pass.probe) {
                            // It told nothing: the next may try at once.
                            tried = None;
                        }
                        drop(pass);
                    }
                },
            }
        }
    }
}
