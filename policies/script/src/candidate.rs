//! Candidates in scripts.

use crate::call::{Call, Named};
use crate::value::{Property, map, optional, properties, text, whole};
use rhai::{Array, Dynamic, Engine};
use std::sync::Arc;
use wasmgate_policy::{Breaker, Candidate, Capabilities, Health, Location, Observed, Price, rank};

/// A model that may answer.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) call: Arc<Call>,
    /// Its index among the candidates of the call.
    pub(crate) index: u32,
}

/// Named as in the contract, with `_` for `-`; the parts of `capabilities`, `observed` and `estimate` are properties
/// here.
const CANDIDATE: [Property<Offered>; 19] = [
    ("index", |of| whole(of.index)),
    ("model", |of| of.named().model.clone().into()),
    ("backend", |of| of.named().backend.clone().into()),
    ("location", |of| text(location(of.candidate().location))),
    ("price", |of| optional(of.candidate().price, Dynamic::from)),
    ("context_window", |of| optional(of.candidate().context_window, whole)),
    ("tools", |of| of.candidate().capabilities.contains(Capabilities::TOOLS).into()),
    ("images", |of| of.candidate().capabilities.contains(Capabilities::IMAGES).into()),
    ("structured_output", |of| of.candidate().capabilities.contains(Capabilities::STRUCTURED_OUTPUT).into()),
    ("labels", |of| map(&of.named().labels).into()),
    ("health", |of| text(health(of.candidate().health))),
    ("breaker", |of| text(breaker(of.candidate().breaker))),
    ("in_flight", |of| whole(of.candidate().in_flight)),
    ("time_left", |of| of.candidate().time_left.into()),
    ("latency", |of| of.seen(|seen| Some(seen.latency))),
    ("time_to_first_token", |of| of.seen(|seen| seen.time_to_first_token)),
    ("tokens_per_second", |of| of.seen(|seen| seen.tokens_per_second)),
    ("estimated_cost", |of| optional(of.candidate().estimate.and_then(|estimate| estimate.cost), whole)),
    ("obstacle", |of| of.obstacle().map_or_else(String::new, |obstacle| obstacle.to_string()).into()),
];

const PRICE: [Property<Price>; 2] = [("input", |of| whole(of.input)), ("output", |of| whole(of.output))];

pub(crate) fn register(engine: &mut Engine) {
    properties(engine, "candidate", &CANDIDATE);
    properties(engine, "price", &PRICE);
}

/// All candidates of a call, in the given order.
pub(crate) fn offered(call: &Arc<Call>) -> Array {
    (0..call.candidates.len() as u32).map(|index| Dynamic::from(Offered { call: call.clone(), index })).collect()
}

impl Offered {
    pub(crate) fn named(&self) -> &Named {
        &self.call.candidates[self.index as usize]
    }

    pub(crate) fn candidate(&self) -> &Candidate<'static> {
        &self.named().numbers
    }

    /// Why this candidate should not get the request.
    pub(crate) fn obstacle(&self) -> Option<rank::Obstacle> {
        rank::obstacle(&self.call.request, self.candidate())
    }

    fn seen(&self, what: fn(Observed) -> Option<f64>) -> Dynamic {
        optional(self.candidate().observed.and_then(what), Dynamic::from)
    }
}

fn location(location: Location) -> &'static str {
    match location {
        Location::Local => "local",
        Location::Cloud => "cloud",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Down => "down",
    }
}

fn breaker(breaker: Breaker) -> &'static str {
    match breaker {
        Breaker::Closed => "closed",
        Breaker::HalfOpen => "half-open",
        Breaker::Open => "open",
    }
}
