//! The client side of a relay: whom it writes to, and how. This module must not know: the backend, deadlines.

use wasmgate_base::money::Price;
use wasmgate_dialect::{Dialect, Encoder, Facts};

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
    /// Translated into the client's dialect.
    Translate(Box<Encoder>),
}
