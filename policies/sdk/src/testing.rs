//! Requests and candidates for an author's unit tests: plain values, to be changed field by field.

use crate::{Breaker, Candidate, Capabilities, Dialect, Health, Location, Message, Price, Request, Role};
use alloc::vec::Vec;

/// One user message, for any model; its tokens are estimated at a quarter of its bytes.
pub fn request(prompt: &str) -> Request {
    Request {
        id: "test".into(),
        dialect: Dialect::Native,
        requested_model: "auto".into(),
        messages: Vec::from([Message { role: Role::User, text: prompt.into() }]),
        prompt_tokens: u32::try_from(prompt.len().div_ceil(4)).unwrap_or(u32::MAX),
        max_tokens: None,
        streaming: false,
        tools: false,
        images: false,
        tenant: None,
        budget: None,
        labels: Vec::new(),
        hints: Vec::new(),
    }
}

/// A healthy local model that costs nothing and has no calls so far.
pub fn candidate(model: &str) -> Candidate {
    Candidate {
        model: model.into(),
        backend: "local".into(),
        location: Location::Local,
        price: Some(Price { input: 0, output: 0 }),
        context_window: None,
        capabilities: Capabilities::empty(),
        health: Health::Healthy,
        breaker: Breaker::Closed,
        in_flight: 0,
        observed: None,
        estimate: None,
    }
}

/// A healthy model at a provider, at a price in nano-dollars per million input and output tokens.
pub fn cloud(model: &str, input: u64, output: u64) -> Candidate {
    Candidate {
        backend: "provider".into(),
        location: Location::Cloud,
        price: Some(Price { input, output }),
        ..candidate(model)
    }
}
