//! Machine code of a component, from this gateway's own compiler. The only place with unsafe code: the runtime executes
//! the bytes that it gets here.

use wasmtime::component::Component;

/// Trusted machine code. Only `compile` here, the reply of the compiler's process and a verified entry of the private
/// cache may become one.
pub(crate) struct Artefact(Vec<u8>);

impl Artefact {
    /// Compiles in this thread. Tens of milliseconds for a Rust policy, seconds for one with a language engine inside.
    ///
    /// # Errors
    /// If the compiler refuses the component.
    pub(super) fn compile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Self, String> {
        engine.precompile_component(wasm).map(Self).map_err(|error| format!("{error:#}"))
    }

    /// Bytes that this program wrote as an artefact. The caller must guarantee that.
    pub(super) fn returned(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the cache and for the compiler's pipe.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The component, its code copied into executable memory.
    ///
    /// # Errors
    /// If the code was compiled for another engine, machine or version of the runtime.
    pub(super) fn component(&self, engine: &wasmtime::Engine) -> Result<Component, String> {
        // SAFETY: `deserialize` requires bytes that this version of the runtime's `precompile_component` wrote and that
        // are unchanged. They are in this process's memory, so nothing changes them while the runtime reads them. They
        // came from `compile`; or through a pipe from a process that this one started from its own program file; or
        // from a folder that only this user may enter, under a checksum, keyed by the component and by everything that
        // the engine says its code depends on. `admission` has refused operators' own precompiled files.
        unsafe { Component::deserialize(engine, &self.0) }.map_err(|error| format!("{error:#}"))
    }
}
