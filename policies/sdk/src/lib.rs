//! Write Wasmgate policies in Rust.
//!
//! A policy is a type that holds its settings, and a line that makes it a component:
//!
//! ```
//! use wasmgate_policy::prelude::*;
//!
//! struct FirstComeFirstServed;
//!
//! impl Policy for FirstComeFirstServed {
//!     fn manifest() -> Manifest {
//!         manifest("first-come", "1.0.0", "Keeps the configured order.", Reads::nothing(), &[])
//!     }
//!     fn configure(_: &Settings) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Routing for FirstComeFirstServed {
//!     fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
//!         let ranking = rank::able_first(request, candidates, rank::given(candidates));
//!         Ok(Decision::unscored(ranking, "the configured order").into())
//!     }
//! }
//!
//! wasmgate_policy::export!(routing: FirstComeFirstServed);
//! ```
//!
//! Built for `wasm32-wasip2` as a `cdylib`, it is a component. For any other target the last line expands to nothing,
//! so that `cargo test` runs the policy's tests like those of any other crate: requests and candidates are plain
//! structs, [`testing`] creates them, and [`Settings::of`] replaces the operator's settings.
//!
//! This crate does not use `std`, and a policy need not either: see the feature `bare`.

#![no_std]

extern crate alloc;
// Native builds have the standard library: for `log`, and for the allocator of the linking crate.
#[cfg(not(target_family = "wasm"))]
extern crate std;

pub mod candidate;
pub mod decision;
pub mod facts;
pub mod log;
#[doc(hidden)]
pub mod models;
pub mod money;
pub mod policy;
pub mod rank;
pub mod request;
pub mod settings;
pub mod testing;

#[cfg(any(test, all(feature = "bare", target_family = "wasm")))]
mod arena;
#[cfg(all(feature = "bare", target_family = "wasm"))]
mod bare;
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub use once_cell::race::OnceBox;

pub use bindings::routing::exports::wasmgate::policy::routing::{Decision, Denial, Reason, Verdict};
pub use bindings::routing::wasmgate::policy::types::{
    Breaker, Budget, Capabilities, Health, LeftOut, Limit, Location, Manifest, Meaning, Measure, Model, Price, Reads,
    ReadsPrompt, Role, Setting, Tier, Value,
};
pub use candidate::{Candidate, CostEstimate, Observed};
pub use facts::Facts;
pub use policy::{Cost, Policy, Routing, manifest};
pub use request::{Message, Request};
pub use settings::Settings;

/// Everything that a policy usually needs, including the allocating types that a crate without `std` lacks.
pub mod prelude {
    pub use crate::settings::{Boolean, Integer, Number, Text, Texts};
    pub use crate::{
        Breaker, Budget, Candidate, Capabilities, Cost, CostEstimate, Decision, Denial, Health, Limit, Location,
        Manifest, Meaning, Measure, Policy, Price, Reads, Reason, Request, Role, Routing, Settings, Tier, Value,
        Verdict, log, manifest, rank,
    };
    pub use alloc::borrow::ToOwned;
    pub use alloc::format;
    pub use alloc::string::{String, ToString};
    pub use alloc::vec;
    pub use alloc::vec::Vec;
}
