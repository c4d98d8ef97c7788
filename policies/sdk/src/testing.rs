//! Requests and candidates for an author's unit tests: plain values, to be changed field by field.

use crate::{Breaker, Candidate, Capabilities, Facts, Health, LeftOut, Location, Message, Price, Request, Role};
use alloc::vec::Vec;

/// One user message, for any model; its tokens are estimated at a quarter of its bytes.
pub fn request(prompt: &str) -> Request<'_> {
    Request {
        requested_model: None,
        answered_before: None,
        pinned: false,
        messages: Vec::from([Message { role: Role::User, text: prompt }]),
        prompt_tokens: u32::try_from(prompt.len().div_ceil(4)).unwrap_or(u32::MAX),
        max_tokens: None,
        streaming: false,
        tools: false,
        images: false,
        structured_output: false,
        message_count: 1,
        text_bytes: prompt.len() as u64,
        newest_bytes: prompt.len() as u64,
        budget: None,
        left_out: LeftOut { messages: 0, bytes: 0, labels: 0 },
        facts: Facts::default(),
    }
}

/// A healthy local model that costs nothing and has no calls so far.
pub fn candidate(model: &str) -> Candidate<'_> {
    Candidate {
        model,
        backend: "local",
        location: Location::Local,
        price: Some(Price { input: 0, output: 0 }),
        context_window: None,
        capabilities: Capabilities::empty(),
        labels: &[],
        health: Health::Healthy,
        breaker: Breaker::Closed,
        in_flight: 0,
        time_left: 600.0,
        observed: None,
        estimate: None,
    }
}

/// A healthy model at a provider, at a price in nano-dollars per million input and output tokens.
pub fn cloud(model: &str, input: u64, output: u64) -> Candidate<'_> {
    Candidate {
        backend: "provider",
        location: Location::Cloud,
        price: Some(Price { input, output }),
        ..candidate(model)
    }
}
