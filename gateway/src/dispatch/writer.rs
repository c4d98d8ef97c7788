//! The client side of a relay: whom it writes to, and how. This module must not know: the backend, deadlines.

use wasmgate_base::money::Price;
use wasmgate_dialect::{Dialect, Encoder, Facts, Forwarded};

/// The client side of a relay.
#[derive(Debug)]
pub(crate) struct Client {
    /// The dialect that the client speaks.
    pub(crate) dialect: Dialect,
    /// What the encoder writes into the stream besides the model's output.
    pub(crate) facts: Facts,
    /// The model's price.
    pub(crate) price: Option<Price>,
}

/// How frames reach the client.
pub(super) enum Writer {
    /// Unchanged, except for usage that only the gateway requested.
    Forward { hide_usage: bool },
    /// Unchanged, except for marks on what only this backend understands.
    Mark(Box<Forwarded>),
    /// Translated into the client's dialect.
    Translate(Box<Encoder>),
}

impl Writer {
    /// How the stream of a backend that speaks `spoken` reaches a client.
    pub(super) fn new(spoken: Dialect, client: Dialect, facts: Facts) -> Self {
        match client {
            _ if spoken != client => Self::Translate(Box::new(Encoder::new(client, facts))),
            Dialect::Responses => Self::Mark(Box::new(Forwarded::new(facts))),
            _ => Self::Forward {
                hide_usage: matches!(client, Dialect::OpenAi | Dialect::Completions) && !facts.include_usage,
            },
        }
    }

    /// Whether the backend's own frames reach the client.
    pub(super) fn forwards(&self) -> bool {
        matches!(self, Self::Forward { .. } | Self::Mark(_))
    }
}
