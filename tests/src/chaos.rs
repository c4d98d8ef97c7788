//! Random faults under load, and hostile actors for a while (`soak`).
//!
//! Random faults: one gateway, clients of each kind, a backend that fails as a seed says, changes of the
//! configuration and of the policy meanwhile. What must hold whatever happens is checked from outside.
//!
//! The seed decides what is asked and answered, and the counts of requests decide when something changes, so that a
//! seed can be run again. Which thread comes first, no seed decides.

mod check;
mod client;
mod plan;
mod scene;
pub mod soak;

use std::fmt;
use std::time::Instant;

use check::{Facts, endings_counted};
use client::{End, Seen, While};
use plan::{CLIENTS, Draws, Plan};
use scene::Scene;

use crate::wait::until;

/// Threads and descriptors that come and go: the runtime's spare threads, a connection for each client on either side.
const SPARE: usize = 2 * CLIENTS + 10;
/// What the memory of a process that leaks nothing may grow by when it is warm, in bytes.
const SPARE_BYTES: u64 = 48 << 20;
/// Changes in a run.
const CHANGES: usize = 12;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    sent: usize,
    answered: usize,
    told: usize,
    left: usize,
    calls: usize,
    changes: usize,
    held: [Held; 2],
}

/// What the process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    threads: usize,
    descriptors: usize,
    bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, sent, answered, told, left, calls, changes, held } = self;
        let [before, after] = held.map(|held| held.bytes >> 20);
        write!(
            f,
            "seed {seed}: {sent} requests: {answered} answered, {told} told an error, {left} left; {calls} calls to \
             models, {changes} changes, {before} MiB when warm, {after} MiB at the end"
        )
    }
}

/// The seed after this one.
#[must_use]
pub fn next_seed(seed: u64) -> u64 {
    Draws(seed).next()
}

/// Sends so many requests, and checks what must hold.
///
/// # Panics
/// Where it does not; the seed is said.
#[must_use]
pub fn run(seed: u64, requests: usize) -> Report {
    let plan = Plan { seed };
    let _while = While(format!("seed {seed}, {requests} requests"));
    let each = requests / CLIENTS;
    let started = Instant::now();
    let scene = Scene::start(plan);
    let change_every = requests / CHANGES;
    let warm = each / 3;
    let mut seen = client::run(&scene, plan, &(0..warm), change_every);
    settle(&scene, &seen);
    let before = held(&scene);
    seen.extend(client::run(&scene, plan, &(warm..each), change_every));
    settle(&scene, &seen);
    let changes = scene.wait_changed();
    nothing_is_held(&scene, before);
    let after = held(&scene);
    let (calls, metrics, log) = (scene.calls(), scene.gateway.metrics(), scene.gateway.log());
    let elapsed = started.elapsed().as_secs_f64();
    let mut wrongs = Facts { seen: &seen, calls: &calls, metrics: &metrics, log: &log, plan, elapsed }.wrongs();
    let complaints = scene.gateway.process.lines().into_iter();
    wrongs.extend(complaints.filter(|line| line.contains("\"level\":\"ERROR\"") || line.contains("panicked")));
    let count = |is: fn(&Seen) -> bool| seen.iter().filter(|seen| is(seen)).count();
    let report = Report {
        seed,
        sent: seen.len(),
        answered: count(|seen| seen.end == End::Answered),
        told: count(|seen| matches!(seen.end, End::Told(_))),
        left: count(|seen| seen.end == End::Left),
        calls: calls.values().sum(),
        changes,
        held: [before, after],
    };
    // A run in which nothing happens proves nothing.
    if report.answered < report.sent / 8 {
        wrongs.push(format!("too few are answered: {report}"));
    }
    for (name, labels) in [
        ("api_gateway_retries_total", &[][..]),
        ("api_gateway_fallbacks_total", &[]),
        ("api_gateway_errors_total", &[("reason", "breaker_open")]),
        ("api_gateway_abandoned_requests_total", &[]),
        ("api_gateway_config_reloads_total", &[("result", "success")]),
        ("api_gateway_policy_reloads_total", &[("result", "success")]),
    ] {
        if metrics.find(name, labels).unwrap_or(0.0) == 0.0 {
            wrongs.push(format!("{name} {labels:?} is 0"));
        }
    }
    let shown = wrongs.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrongs.is_empty(), "seed {seed}, {requests} requests: {} invariants do not hold:\n{shown}", wrongs.len());
    report
}

/// Waits until nothing is under way any more, and the log has said all that was counted.
fn settle(scene: &Scene, seen: &[Seen]) {
    let gateway = &scene.gateway;
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    until("no call to a backend is under way", || {
        let health = gateway.get("/health").json();
        let backends = health["backends"].as_array().expect("backends").iter();
        backends.map(|backend| &backend["in_flight"]).all(|calls| calls == 0).then_some(())
    });
    let is = |seen: &&Seen| seen.asked.manner == plan::Manner::Junk(plan::Junk::NoHttp);
    let no_http = seen.iter().filter(is).count();
    until("the log has a line for each request", || {
        let counted = endings_counted(&gateway.metrics(), no_http).map(|(_, count)| count).iter().sum::<usize>();
        let logged = gateway.process.lines().iter().filter(|line| line.contains("\"ending\":")).count();
        (counted == logged).then_some(())
    });
}

fn held(scene: &Scene) -> Held {
    let process = &scene.gateway.process;
    Held { threads: process.held("task"), descriptors: process.held("fd"), bytes: process.memory("VmRSS") }
}

/// Waits until the process holds about what it held before.
fn nothing_is_held(scene: &Scene, before: Held) {
    until(&format!("no more is held than {before:?}, but {SPARE} and {SPARE_BYTES} bytes"), || {
        let now = held(scene);
        let no_more = now.threads <= before.threads + SPARE
            && now.descriptors <= before.descriptors + SPARE
            && now.bytes <= before.bytes + SPARE_BYTES;
        no_more.then_some(())
    });
}
