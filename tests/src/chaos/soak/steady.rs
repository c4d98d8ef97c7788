//! The client that behaves well: it asks one thing after the other of a model that answers at once, and must be answered.

use std::fmt;
use std::time::{Duration, Instant};

use super::scene::{STEADY, Scene};
use crate::faults::values_of;
use crate::http::{Client, post_json};
use crate::wire::{CLIENT_PATHS, ask as request_body, ends_well, text_of};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Steady {
    /// Requests that were answered as they should be.
    pub answered: usize,
    /// What was wrong with others.
    pub wrongs: Vec<String>,
    asked: usize,
    latencies: Vec<Duration>,
}

impl Steady {
    /// Asks, and notes how it went.
    pub(super) fn ask(&mut self, scene: &Scene) {
        let began = Instant::now();
        self.asked += 1;
        match ask(scene, self.asked) {
            Ok(()) => {
                self.answered += 1;
                self.latencies.push(began.elapsed());
            }
            Err(wrong) => self.wrongs.push(format!("the well-behaved client's request {}: {wrong}", self.asked)),
        }
    }

    /// How long its requests took since this was last asked.
    pub(super) fn take_latency(&mut self) -> Latency {
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        let at = |percent: usize| latencies.get((latencies.len() * percent / 100).min(latencies.len().wrapping_sub(1)));
        let [median, p99, longest] = [50, 99, 100].map(|percent| at(percent).copied().unwrap_or_default());
        Latency { requests: latencies.len(), median, p99, longest }
    }
}

/// How long requests took.
#[derive(Debug)]
pub(super) struct Latency {
    requests: usize,
    median: Duration,
    p99: Duration,
    longest: Duration,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let Self { requests, median, p99, longest } = self;
        let [median, p99, longest] = [median, p99, longest].map(|time| milliseconds(*time));
        write!(f, "{requests} well-behaved requests: median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms")
    }
}

/// Asks in one of the dialects, each second time for a stream, on a connection of its own.
pub(super) fn ask(scene: &Scene, number: usize) -> Result<(), String> {
    let path = CLIENT_PATHS[number / 2 % CLIENT_PATHS.len()];
    let stream = number % 2 == 1;
    let mut client = Client::connect(scene.gateway.address);
    let response = client.send(post_json(path, &request_body(path, STEADY, "hello", stream))).response();
    let text = response.text();
    let data = values_of(&text, stream && response.status() == 200);
    let whole = response.status() == 200 && (!stream || ends_well(path, &data));
    match whole && text_of(path, &data) == "always well" {
        true => Ok(()),
        false => Err(format!("{path}, stream: {stream}: {} {text:.500}", response.status())),
    }
}
