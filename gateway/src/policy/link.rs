//! A compiled component with its imports met and its exports found, ready to be instantiated.

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::Hook;
use super::bindings::cost::CostPolicyIndices;
use super::bindings::routing::RoutingPolicyIndices;
use super::bindings::routing::wasmgate::policy::{log, settings, types};
use super::engine::Engine;
use super::host::Guest;

/// A component with its imports met, and where its exports are.
pub(super) struct Linked {
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
}

pub(super) enum Exports {
    Routing(RoutingPolicyIndices),
    Cost(CostPolicyIndices),
}

pub(super) fn link(engine: &Engine, component: &Component, hook: Hook) -> Result<Linked, String> {
    let link = || -> wasmtime::Result<Linked> {
        let mut linker = Linker::<Guest>::new(&engine.inner);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        settings::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        let pre = linker.instantiate_pre(component)?;
        let exports = match hook {
            Hook::Routing => Exports::Routing(RoutingPolicyIndices::new(&pre)?),
            Hook::Cost => Exports::Cost(CostPolicyIndices::new(&pre)?),
        };
        Ok(Linked { pre, exports })
    };
    link().map_err(|error| format!("{error:#}"))
}
