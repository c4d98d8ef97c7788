//! Components that misbehave, made from a few lines of text each, at each version of the contract.
//!
//! A guest is `guests/NAME.wat`: fields of a core module, put behind a prelude that has what every policy needs. Where
//! the guest does not define them itself, `$describe` names it after its file, `$configure` and `$set_models` are content, and
//! `$route` (or, where it says `;; world: cost-policy`, `$estimate`) takes the first candidate.
//!
//! What the prelude gives: memory, an allocator (`$alloc`) that forgets everything after each call, `$is_probe`
//! (whether a request is one of the samples that the gateway shows a policy when it loads it, by the length of its id),
//! `$text` and `$text_length` (the newest message), `$messages`, `$labels` and `$candidates` (how many there are), and the answers
//! `$decide`, `$refuse`, `$fail`.
//!
//! Lines like `;; key: value` say what the manifest of version 2 declares: `reads` (`none`, `newest`, the default, or
//! `conversation`), `labels` (`*`), `denies` (`true`). `;; version: 2` marks a guest that needs what version 1 does not have.

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Offsets are those of the canonical ABI for the records of the contract; the encoder checks the functions' types against the
/// contract, the tests check the rest.
const PRELUDE: &str = include_str!("prelude.wat");
const WORLDS: &str = include_str!("worlds.wit");

const DESCRIBE: &str = "(func $describe (result i32) (call $manifest (i32.const 64) (i32.const NAME_LENGTH)))\n";

const CONFIGURE: &str = "(func $configure (result i32) (i32.store8 (i32.const 1024) (i32.const 0)) (i32.const 1024))\n";

/// Forgets them.
const SET_MODELS: &str = "(func $set_models (param i32 i32) (call $forget (i32.const 0)))\n";

const ROUTE: &str = "(func $route (param $in i32) (result i32) (call $decide_well))\n";

/// One input token, one output token and one nano-dollar for each candidate.
const ESTIMATE: &str = "(func $estimate (param $in i32) (result i32)
    (call $estimates (call $candidates (local.get $in)) (i64.const 1)))\n";

/// The version of the contract that a guest is built against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.0.0.
    One,
    /// 2.0.0.
    Two,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    fn number(self) -> &'static str {
        match self {
            Self::One => "1.0.0",
            Self::Two => "2.0.0",
        }
    }

    fn prelude(self) -> &'static str {
        match self {
            Self::One => include_str!("prelude-1.wat"),
            Self::Two => include_str!("prelude-2.wat"),
        }
    }

    /// The imports of the prelude.
    fn imports(self) -> &'static [&'static str] {
        match self {
            Self::One => &[r#"(import "wasmgate:policy/log@VERSION" "write" (func $log (param i32 i32 i32)))"#],
            Self::Two => &[
                r#"(import "wasmgate:policy/log@VERSION" "write" (func $log (param i32 i32 i32)))"#,
                r#"(import "wasmgate:policy/request-facts@VERSION" "id" (func $id (param i32)))"#,
                r#"(import "wasmgate:policy/request-facts@VERSION" "labels" (func $all_labels (param i32)))"#,
            ],
        }
    }

    fn contract(self) -> PathBuf {
        folder().join(match self {
            Self::One => "../../wit/v1",
            Self::Two => "../../wit/policy.wit",
        })
    }
}

/// The folder of the guests.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("guests")
}

/// The versions of the contract that a guest can be built against.
///
/// # Panics
/// Where there is no such guest.
#[must_use]
pub fn versions(name: &str) -> &'static [Version] {
    if marked(&source(name), "version") == Some("2") { &[Version::Two] } else { &Version::ALL }
}

/// The component of a guest at the first version that it can be built against.
///
/// # Panics
/// Where its text is wrong.
#[must_use]
pub fn build(name: &str) -> Vec<u8> {
    build_at(name, versions(name)[0])
}

/// The component of a guest at a version of the contract.
///
/// # Panics
/// Where its text is wrong.
#[must_use]
pub fn build_at(name: &str, version: Version) -> Vec<u8> {
    let text = source(name);
    let world = marked(&text, "world").unwrap_or("routing-policy");
    let mut module = core_module(name, &text, version);
    let mut resolve = Resolve::default();
    let (policy, _) = resolve.push_path(version.contract()).unwrap_or_else(|error| panic!("the contract: {error:#}"));
    let worlds = WORLDS.replace("VERSION", version.number());
    let ours = resolve.push_str("worlds.wit", &worlds).expect("the worlds of the tests");
    let package = if world.ends_with("-policy") { policy } else { ours };
    let world = resolve.select_world(&[package], Some(world)).expect("a world of that name");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("the world");
    let encoder = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.validate(true).encode());
    encoder.unwrap_or_else(|error| panic!("guest {name}, {version:?}: {error:#}"))
}

/// A guest as a core module: what a build without the component step gives.
#[must_use]
pub fn build_core(name: &str) -> Vec<u8> {
    core_module(name, &source(name), Version::One)
}

fn source(name: &str) -> String {
    let path = folder().join(format!("{name}.wat"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a line `;; key: value`.
fn marked<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(";; ")?.strip_prefix(key)?.strip_prefix(": "))
}

fn core_module(name: &str, guest: &str, version: Version) -> Vec<u8> {
    let cost = marked(guest, "world") == Some("cost-policy");
    let (interface, decides) = if cost { ("cost", "estimate") } else { ("routing", "route") };
    // Imports come first in a module. A guest may have one of the prelude's under the same name.
    let (mut imports, rest): (Vec<_>, Vec<_>) = guest.lines().partition(|line| line.starts_with("(import "));
    imports.extend(version.imports());
    let mut text = format!("(module\n{}\n{PRELUDE}\n{}\n", imports.join("\n"), version.prelude());
    for line in rest {
        text += line;
        text.push('\n');
    }
    let default = if cost { ESTIMATE } else { ROUTE };
    let functions = [("describe", DESCRIBE), ("configure", CONFIGURE), (decides, default), ("set-models", SET_MODELS)];
    for (function, default) in functions {
        let symbol = function.replace('-', "_");
        let of_two = function == "set-models";
        if of_two && version == Version::One {
            continue;
        }
        if !guest.contains(&format!("(func ${symbol} ")) {
            text += default;
        }
        text += &format!("(export \"wasmgate:policy/{interface}@VERSION#{function}\" (func ${symbol}))\n");
        if !of_two {
            text += &format!("(export \"cabi_post_wasmgate:policy/{interface}@VERSION#{function}\" (func $forget))\n");
        }
    }
    text += &format!(
        "(export \"cabi_realloc\" (func ${}))\n)",
        if guest.contains("(func $realloc ") { "realloc" } else { "alloc" }
    );
    let reads = match marked(guest, "reads") {
        Some("none") => "0",
        Some("conversation") => "2",
        _ => "1",
    };
    let text = text
        .replace("VERSION", version.number())
        .replace("NAME_LENGTH", &name.len().to_string())
        .replace("NAME", name)
        .replace("READS_PROMPT", reads)
        .replace("READS_LABELS", if marked(guest, "labels").is_some() { "1" } else { "0" })
        .replace("DENIES", if marked(guest, "denies") == Some("true") { "1" } else { "0" });
    wat::parse_str(&text).unwrap_or_else(|error| panic!("guest {name}, {version:?}: {error}"))
}
