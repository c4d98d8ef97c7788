//! What the gateway holds, and whether that stays as it is.

use std::fmt;
use std::time::Duration;

use super::scene::Scene;
use super::steady::Latency;
use crate::wait::until;

/// Threads and descriptors that come and go: the runtime's spare threads, connections kept for later.
const SPARE: usize = 40;
/// What the memory of a process that leaks nothing may grow by when it is warm, in bytes.
const SPARE_BYTES: u64 = 64 << 20;
/// Fewer samples than this say nothing of growth.
const SAMPLES: usize = 6;

/// What the process holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    threads: usize,
    descriptors: usize,
    bytes: u64,
}

impl Held {
    pub(super) fn by(scene: &Scene) -> Self {
        let process = &scene.gateway.process;
        Self { threads: process.held("task"), descriptors: process.held("fd"), bytes: process.memory("VmRSS") }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, descriptors, bytes } = self;
        write!(f, "{} MiB, {descriptors} descriptors, {threads} threads", bytes >> 20)
    }
}

/// How it stood at one time.
#[derive(Debug)]
pub(super) struct Sample {
    /// Since the beginning.
    pub at: Duration,
    /// By the gateway.
    pub held: Held,
    /// Of the well-behaved client since the sample before.
    pub latency: Latency,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5} s: {}; {}", self.at.as_secs(), self.held, self.latency)
    }
}

/// Says whether memory grew: the middle of the last third of the samples against that of the second, since in the first
/// the process becomes warm.
pub(super) fn grown(samples: &[Sample]) -> Option<String> {
    let third = samples.len() / 3;
    if samples.len() < SAMPLES {
        return None;
    }
    let middle = |samples: &[Sample]| {
        let mut bytes: Vec<u64> = samples.iter().map(|sample| sample.held.bytes).collect();
        bytes.sort_unstable();
        bytes[bytes.len() / 2]
    };
    let (warm, last) = (middle(&samples[third..2 * third]), middle(&samples[2 * third..]));
    (last > warm + SPARE_BYTES).then(|| format!("memory grew from {} MiB when warm to {} MiB", warm >> 20, last >> 20))
}

/// Waits until nothing is under way, and threads and descriptors are about as many as before.
pub(super) fn settle(scene: &Scene, before: Held) -> Held {
    scene.gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    until(&format!("no more threads and descriptors are held than {before}, but {SPARE}"), || {
        let now = Held::by(scene);
        let no_more = now.threads <= before.threads + SPARE && now.descriptors <= before.descriptors + SPARE;
        no_more.then_some(now)
    })
}
