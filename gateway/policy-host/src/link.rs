//! Links a compiled component: resolves its imports and finds its exports, so that it can be instantiated.

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};

use super::clock::Clock;
use super::contract::{self, Exports};
use super::engine::Engine;
use super::host::Guest;
use crate::hook::Hook;

/// A component with its imports resolved, and the positions of its exports.
pub(super) struct Linked {
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
    /// What bounds the time of its calls.
    pub(super) clock: Arc<Clock>,
}

pub(super) fn link(engine: &Engine, component: &Component, hook: Hook) -> Result<Linked, String> {
    let link = || -> wasmtime::Result<Linked> {
        let mut linker = Linker::<Guest>::new(&engine.inner);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        contract::add_to_linker(&mut linker)?;
        let pre = linker.instantiate_pre(component)?;
        let exports = Exports::find(&pre, hook)?;
        Ok(Linked { pre, exports, clock: Arc::clone(&engine.clock) })
    };
    link().map_err(|error| format!("{error:#}"))
}
