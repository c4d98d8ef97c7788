//! Which components are let in: well-formed, only proposals that policies need, no import beyond what is granted, the
//! wanted hook among the exports. All of it is decided before the runtime sees a byte.
//!
//! This module must not know: where bytes come from, what they do when they run.

use wasmparser::{Encoding, FuncValidatorAllocations, Payload, ValidPayload, Validator, WasmFeatures};

use super::Hook;

/// Largest component, in bytes. A Python policy has some 20 MiB.
pub(super) const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// What a component asks for and offers, by name.
#[derive(Debug, Default)]
pub(super) struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Only components, only proposals that policy toolchains need: whatever the runtime's defaults may become.
pub(super) fn parse(bytes: &[u8]) -> Result<Outline, String> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(format!("{} bytes, expected at most {MAX_COMPONENT_BYTES}", bytes.len()));
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err("machine code compiled ahead of time, expected a WebAssembly component".into());
    }
    let features = WasmFeatures::WASM2
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::MULTI_MEMORY;
    let mut validator = Validator::new_with_features(features);
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| error.to_string())?;
        match &payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err("a core WebAssembly module, expected a component (as `wasm32-wasip2` builds give, or \
                     `wasm-tools component new` makes)"
                    .into());
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    outline.imports.push(import.map_err(|error| error.to_string())?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    outline.exports.push(export.map_err(|error| error.to_string())?.name.name.to_owned());
                }
            }
            _ => {}
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(|error| error.to_string())? {
            let mut function = function.into_validator(FuncValidatorAllocations::default());
            function.validate(&body).map_err(|error| error.to_string())?;
        }
    }
    Ok(outline)
}

/// Imports within what policies are granted, the wanted hook among the exports.
pub(super) fn admit(outline: &Outline, hook: Hook) -> Result<(), String> {
    // Filesystem and sockets too: standard libraries import them even where nothing uses them. All of WASI is
    // linked and empty.
    const GRANTED: [&str; 9] = [
        "wasmgate:policy/types@1.0.",
        "wasmgate:policy/settings@1.0.",
        "wasmgate:policy/log@1.0.",
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
    ];
    for name in &outline.imports {
        if !GRANTED.iter().any(|granted| name.starts_with(granted)) {
            return Err(format!(
                "it imports `{name}`, which policies are not granted; they may import wasmgate:policy@1.0 \
                 (settings, log) and WASI 0.2, which is empty"
            ));
        }
    }
    let wanted = format!("wasmgate:policy/{}@1.0.0", hook.as_str());
    if !outline.exports.contains(&wanted) {
        return Err(format!("it does not export `{wanted}`; it exports {:?}", outline.exports));
    }
    Ok(())
}
