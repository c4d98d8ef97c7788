//! A drill for those on call: one fault at a time, each on a stack of its own. The right alerts, and no others, must
//! reach the right receivers, and those that it also sets off must be kept back. The repair must send that these are
//! resolved, and nothing else. The texts must say what holds, and of what ended, that it did.
//!
//! The files are those that are shipped. Only addresses and spans of time are other than an operator's.

mod budgets;
mod deaths;
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
    /// Words of the messages about it: the worst offender.
    says: &'static [&'static str],
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

#[test]
fn what_is_spent_or_expires_reaches_those_on_call() {
    all(budgets::BUDGETS);
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
    let mut stack = start(drill.setup);

    let load = (drill.inject)(&mut stack);
    let expected = receivers(drill.told);
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
    let well = try_until_slowly(|| (told(&stack, true).is_superset(&expected) && is_quiet(&stack)).then_some(()));
    assert!(well.is_some(), "{fault}: not all is well after the repair: {}", state(&stack));
    drop(load);
    for resolved in [false, true] {
        let told = told(&stack, resolved);
        assert_eq!(told, expected, "{fault}: told, resolved {resolved}:\n{}", stack.alertmanager.texts());
    }
    assert_texts(fault, &stack, drill.says);
}

/// A stack on which nothing fires.
fn start(setup: fn(&Ollama) -> Setup) -> Stack {
    let stack = Stack::start(setup);
    until_slowly("the watchdog barks", || (firing(&stack) == ["Watchdog"]).then_some(()));
    assert_eq!(told(&stack, false), BTreeSet::new(), "before any fault");
    stack
}

fn firing(stack: &Stack) -> Vec<String> {
    stack.prometheus.api.firing()
}

/// Whether no alert fired or was about to for as long as any of them leaves out the time of one that explains it.
fn is_quiet(stack: &Stack) -> bool {
    stack.prometheus.api.query(r#"max_over_time(ALERTS{alertname!="Watchdog"}[17s])"#).is_empty()
}

fn receivers(alerts: &[(To, &str)]) -> BTreeSet<(String, String)> {
    let pairs = alerts.iter().flat_map(|(to, alert)| to.receivers().iter().map(move |to| (to, alert)));
    pairs.map(|(to, alert)| ((*to).to_owned(), (*alert).to_owned())).collect()
}

/// What fires is told with its effect, where to look and what to do; what ended, as something that was.
fn assert_texts(fault: &str, stack: &Stack, says: &[&str]) {
    for told in stack.alertmanager.told() {
        let Told { alert, text, resolved, .. } = &told;
        assert!(text.contains("(hybrid-ai-stack)"), "{fault}: no stack: {text}");
        let runbook = format!("Runbook: https://git.example.com/wasmgate/monitoring/runbooks/{alert}.md");
        let dashboard = "Dashboard: http://127.0.0.1:3000/d/hybrid-ai-stack";
        for of_firing in ["Impact: ", dashboard, &runbook, "Query: http://"].iter().chain(says) {
            // Why something was is in both.
            let both = says.contains(of_firing);
            assert_eq!(
                text.contains(of_firing),
                !resolved || both,
                "{fault}: {of_firing:?}, resolved {resolved}: {text}"
            );
        }
        for of_resolved in ["Over since ", " UTC, began at ", "The last report was: "] {
            // One that fires may be told together with another that ended.
            assert!(text.contains(of_resolved) || !resolved, "{fault}: {of_resolved:?}: {text}");
        }
    }
}

/// Who was told that which alert fires, or is resolved.
fn told(stack: &Stack, resolved: bool) -> BTreeSet<(String, String)> {
    let told = stack.alertmanager.told().into_iter();
    told.filter(|told| told.resolved == resolved).map(|Told { to, alert, .. }| (to, alert)).collect()
}
