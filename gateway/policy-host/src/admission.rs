//! Validates a component before the runtime reads a byte: it is well-formed and uses only the Wasm proposals that
//! policies need. Lists its imports and exports.
//!
//! This module must not know: where bytes come from, what they do when they run.

use wasmparser::{Encoding, FuncValidatorAllocations, Payload, ValidPayload, Validator, WasmFeatures};

/// Maximum size of a component, in bytes. A Python policy has some 20 MiB.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// How each component and each module begins.
const WASM: &[u8] = b"\0asm";

/// A component's imports and exports, by name.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    /// Bytes of all functions in it.
    pub(super) code_bytes: usize,
}

/// Accepts only components, and only the proposals that policy toolchains need, whatever the runtime's defaults become.
pub(super) fn parse(bytes: &[u8]) -> Result<Outline, String> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(format!("it has {} bytes, expected at most {MAX_COMPONENT_BYTES}", bytes.len()));
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err("machine code compiled ahead of time, expected a WebAssembly component".into());
    }
    if !bytes.starts_with(WASM) {
        let found = no_wasm(bytes);
        return Err(format!(
            "{found}, expected a WebAssembly component, which a policy's build writes, or a script, whose name ends in .rhai"
        ));
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
            outline.code_bytes += body.as_bytes().len();
            let mut function = function.into_validator(FuncValidatorAllocations::default());
            function.validate(&body).map_err(|error| error.to_string())?;
        }
    }
    Ok(outline)
}

/// What bytes are that do not begin like WebAssembly. A text is not repeated: it may be any file, and hold a secret.
fn no_wasm(bytes: &[u8]) -> String {
    match wasmgate_base::text::of_bytes(bytes) {
        Ok("") => "the file is empty".into(),
        Ok(_) => "a text".into(),
        Err(not) if not.line.is_none() => not.found,
        Err(_) => "a binary file".into(),
    }
}
