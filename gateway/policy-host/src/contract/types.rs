//! The types of the newest version that the host uses as its own.

pub(crate) use super::v2::bindings::routing::wasmgate::policy::types::LeftOut;
pub use super::v2::bindings::routing::wasmgate::policy::types::{
    Breaker, Budget, Capabilities, Health, Limit, Location, Manifest, Meaning, Measure, Price, Reads, ReadsPrompt,
    Role, Setting, Tier, Value,
};
