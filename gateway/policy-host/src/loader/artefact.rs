//! Machine code of a component, made by this gateway's own compiler. The one place with unsafe code: the runtime
//! executes what it is given here.

use wasmtime::component::Component;

/// See the module. A value of this type is a promise about its bytes: only `compile` here, the reply of the compiler's
/// process and a verified entry of the private cache become one.
pub(crate) struct Artefact(Vec<u8>);

impl Artefact {
    /// Compiles in this thread. Tens of milliseconds for a Rust policy, seconds for one with a language engine inside.
    ///
    /// # Errors
    /// Where the compiler refuses the component.
    pub(super) fn compile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Self, String> {
        engine.precompile_component(wasm).map(Self).map_err(|error| format!("{error:#}"))
    }

    /// Bytes that were an artefact's when they left this program. The caller answers for that.
    pub(super) fn returned(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// For the cache and for the compiler's pipe.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The component, its code copied into executable memory.
    ///
    /// # Errors
    /// Where it was made for another engine, machine or version of the runtime.
    pub(super) fn component(&self, engine: &wasmtime::Engine) -> Result<Component, String> {
        // SAFETY: `deserialize` asks for bytes that this version of the runtime's `precompile_component` wrote and
        // nobody changed since. They are in this process's memory, so nobody changes them under the runtime's eyes. They
        // came from `compile`; or through a pipe from a process that this one started from its own program file; or from
        // a folder that only this user may enter, under a checksum, keyed by the component and by everything that the
        // engine says its code depends on. Operators' own precompiled files are refused before (`admission`).
        unsafe { Component::deserialize(engine, &self.0) }.map_err(|error| format!("{error:#}"))
    }
}
