//! A drill for those on call: one fault at a time, each on a stack of its own. The right alerts, and no others, must
//! reach the right receivers, those that it also sets off must be kept back, and all must be taken back after the repair.
//!
//! The files are those that are shipped. Only addresses and spans of time are other than an operator's.

mod faults;
mod parts;
mod policies;
mod traffic;

use std::collections::BTreeSet;

use wasmgate_tests::gateway::Setup;
use wasmgate_tests::monitoring::alertmanager::Told;
use wasmgate_tests::monitoring::load::Load;
use wasmgate_tests::monitoring::stack::{Ollama, Stack};
use wasmgate_tests::wait::{try_until_slowly, until_slowly};

/// A fault, and what it must come to.
struct Drill {
    fault: &'static str,
    setup: fn(&Ollama) -> Setup,
    /// Brings the fault about; the load goes on until the repair.
    inject: fn(&mut Stack) -> Vec<Load>,
    repair: fn(&mut Stack) -> Vec<Load>,
    /// Who must be told of what.
    told: &'static [(To, &'static str)],
    /// What must hold and be kept back.
    inhibited: &'static [&'static str],
    /// What may be told of after the repair, since it looks back further than the alert that kept it back, or ends with
    /// it, and word of the two does not come at once.
    remembered: &'static [&'static str],
}

/// Where alerts of a severity go.
#[derive(Clone, Copy)]
enum To {
    /// Slack's channel for critical alerts, and e-mail.
    Critical,
    /// Slack's channel for warnings.
    Warning,
    /// E-mail.
    Info,
}

impl To {
    fn receivers(self) -> &'static [&'static str] {
        match self {
            Self::Critical => &["#alerts-critical", "admin@example.com"],
            Self::Warning => &["#alerts-warning"],
            Self::Info => &["admin@example.com"],
        }
    }
}

#[test]
fn faults_of_traffic_reach_those_on_call() {
    all(traffic::TRAFFIC);
}

#[test]
fn faults_of_parts_reach_those_on_call() {
    all(parts::PARTS);
}

#[test]
fn faults_of_policies_reach_those_on_call() {
    all(policies::POLICIES);
}

/// Side by side: a drill is mostly waiting.
fn all(drills: &'static [Drill]) {
    std::thread::scope(|scope| {
        let running: Vec<_> = drills.iter().map(|drill| (drill.fault, scope.spawn(|| run(drill)))).collect();
        let failed: Vec<&str> =
            running.into_iter().filter_map(|(fault, run)| run.join().err().map(|_| fault)).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

fn run(drill: &Drill) {
    let fault = drill.fault;
    let mut stack = Stack::start(drill.setup);
    let firing = |stack: &Stack| stack.prometheus.api.firing();
    until_slowly("the watchdog barks", || (firing(&stack) == ["Watchdog"]).then_some(()));
    assert_eq!(told(&stack, false), BTreeSet::new(), "{fault}: before it");

    let load = (drill.inject)(&mut stack);
    let expected: BTreeSet<(String, String)> = drill
        .told
        .iter()
        .flat_map(|(to, alert)| to.receivers().iter().map(|&to| (to.to_owned(), (*alert).to_owned())))
        .collect();
    let inhibited: BTreeSet<String> = drill.inhibited.iter().map(|&alert| alert.to_owned()).collect();
    let mut kept_back = BTreeSet::new();
    let fired = try_until_slowly(|| {
        kept_back.extend(stack.alertmanager.inhibited());
        (told(&stack, false).is_superset(&expected) && kept_back.is_superset(&inhibited)).then_some(())
    });
    let state = |stack: &Stack| format!("firing {:?}, told {:?}", firing(stack), stack.alertmanager.told());
    assert!(fired.is_some(), "{fault}: not {expected:?}, or {inhibited:?} not kept back: {}", state(&stack));
    assert_eq!(told(&stack, false), expected, "{fault}: others were told too:\n{}", stack.alertmanager.texts());
    drop(load);

    let load = (drill.repair)(&mut stack);
    let well = try_until_slowly(|| {
        (told(&stack, true).is_superset(&expected) && firing(&stack) == ["Watchdog"]).then_some(())
    });
    assert!(well.is_some(), "{fault}: not all is well after the repair: {}", state(&stack));
    drop(load);
    let mut told = told(&stack, false);
    told.retain(|(_, alert)| !drill.remembered.contains(&alert.as_str()));
    assert_eq!(told, expected, "{fault}: others were told after the repair:\n{}", stack.alertmanager.texts());
}

/// Who was told that which alert fires, or is resolved.
fn told(stack: &Stack, resolved: bool) -> BTreeSet<(String, String)> {
    let told = stack.alertmanager.told().into_iter();
    told.filter(|told| told.resolved == resolved).map(|Told { to, alert, .. }| (to, alert)).collect()
}
