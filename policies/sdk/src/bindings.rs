//! What `wit-bindgen` makes of the contract, and nothing else.
//!
//! One module for each world. The second one borrows the first one's types, so that a request or a
//! candidate is the same Rust type in both hooks.

#![allow(missing_docs, unreachable_pub, clippy::all)] // generated code

pub mod routing {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "routing-policy",
        pub_export_macro: true,
        export_macro_name: "export_routing_world",
        additional_derives: [PartialEq],
    });
}

pub mod cost {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "cost-policy",
        pub_export_macro: true,
        export_macro_name: "export_cost_world",
        with: {
            "wasmgate:policy/types@1.0.0": crate::bindings::routing::wasmgate::policy::types,
            "wasmgate:policy/settings@1.0.0": crate::bindings::routing::wasmgate::policy::settings,
            "wasmgate:policy/log@1.0.0": crate::bindings::routing::wasmgate::policy::log,
        },
    });
}
