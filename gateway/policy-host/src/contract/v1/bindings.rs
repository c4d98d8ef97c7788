//! Host bindings generated from `wit/`, and nothing else.
//!
//! Parameters are borrowed, so that a prompt is copied once, into the guest. Exports are async: a call runs on a
//! fiber that yields at each epoch tick, so that a slow policy cannot hold a worker thread.
#![allow(missing_docs, unreachable_pub)]

/// The routing hook, and the types that both hooks share.
pub mod routing {
    wasmtime::component::bindgen!({
        path: "../../wit/v1/policy.wit",
        world: "routing-policy",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The cost hook.
pub mod cost {
    wasmtime::component::bindgen!({
        path: "../../wit/v1/policy.wit",
        world: "cost-policy",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "wasmgate:policy/types": crate::contract::v1::bindings::routing::wasmgate::policy::types,
            "wasmgate:policy/settings": crate::contract::v1::bindings::routing::wasmgate::policy::settings,
            "wasmgate:policy/log": crate::contract::v1::bindings::routing::wasmgate::policy::log,
        },
    });
}
