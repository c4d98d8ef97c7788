//! Policies: Wasm components that decide which model answers (`routing`) and what that is expected to cost (`cost`).
//!
//! The gateway calls `Policy::route` and `Policy::estimate`. Both return a validated answer, or a failure of a closed
//! set of classes. Only the modules below name the Wasm runtime. This module must not know: HTTP, backends, metrics,
//! the configuration file.

mod clock;
mod component;
mod load;
mod stage;

mod admission;
pub mod bench;
pub mod builtin;
pub mod fixtures;
pub mod inspect;
mod link;
mod loader;
mod models;
mod samples;
pub mod script;
mod settings;
mod variant;

mod pool;
mod sandbox;
mod validate;

mod background;
mod candidates;
mod constants;
mod contract;
mod declared;
mod engine;
mod example;
mod failure;
mod hook;
mod host;
mod limits;
mod pace;
mod reason;
mod request;
mod shown;
mod verdict;

pub use admission::MAX_COMPONENT_BYTES;
pub use candidates::{Candidate, CostEstimate, Model, Models, Observation, Observed};
pub use component::{Policy, Probed};
pub use contract::types::{
    Breaker, Budget, Capabilities, Health, Limit, Location, Manifest, Meaning, Measure, Price, Reads, ReadsPrompt,
    Role, Setting, Tier, Value,
};
pub use declared::CanDeny;
pub use engine::EngineError;
pub use example::Example;
pub use failure::{FailureClass, PolicyFailure};
pub use fixtures::Fixtures;
pub use hook::Hook;
pub use limits::{GivenLimits, Grants, Isolation, Limits, Profile, PromptGrant};
pub use load::Source;
pub use loader::{Loader, LoaderOptions, compile_component};
pub use models::{KnownModel, MadeTiers, Named, Order, in_words};
pub use pace::Pace;
pub use pool::PoolState;
pub use request::{LAST_MODEL, Lists, Message, OwnedRequest, PINNED, Request};
pub use settings::{MAX_SETTING_BYTES, Settings};
pub use shown::{OVERHEAD_BYTES, size};
pub use stage::{LoadError, Stage};
pub use verdict::{Decision, Denial, Verdict};

/// The version of the Wasm runtime, as advisories name it.
pub const WASMTIME_VERSION: &str = env!("WASMTIME_VERSION");

#[cfg(test)]
mod testing;
