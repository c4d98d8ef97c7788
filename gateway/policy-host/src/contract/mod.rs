//! The versions of the contract that this host supports: one module for each major version. Only that module names the
//! version's interfaces and types.
//!
//! The host uses the types of the newest version, re-exported here. The module of a next version will take that place.
//! The module before it then keeps its own bindings and converts: requests and candidates down, verdicts and estimates
//! up. The names of a component's exports show the version that it was built against, before the runtime reads a byte.
//! Within a major version nothing needs conversion: imports may gain functions, which older components do not import
//! (`wit/README.md` has the full promise).
//!
//! This module must not know: limits, instances, how an answer is used.

mod v1;

pub(super) use v1::{Answer, Call, Exports, Functions, Host, add_to_linker, log, settings, types};
pub use v1::{Decision, Denial, Tier, Verdict};

use crate::hook::Hook;

/// The contract's package, without its version.
const PACKAGE: &str = "wasmgate:policy/";

/// The interfaces of WASI, all linked and empty: filesystem and sockets too, because standard libraries import them
/// even if nothing uses them.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// What an import gives a policy; `None` if policies may not import it.
pub(super) fn grant(import: &str) -> Option<&'static str> {
    if WASI.iter().any(|granted| import.starts_with(granted)) {
        return Some("nothing: WASI is present but empty, its clocks stand still, and output goes to the log");
    }
    if foreign_version(import).is_some() { None } else { v1::grant(import) }
}

/// Refuses a component whose imports or exports do not match the contract.
pub(super) fn check(imports: &[String], exports: &[String], hook: Hook) -> Result<(), String> {
    if let Some(other) = imports.iter().chain(exports).find_map(|name| foreign_version(name)) {
        return Err(format!(
            "it was built against {PACKAGE}…@{other}; this gateway speaks version {} and compatible versions",
            v1::VERSION
        ));
    }
    for name in imports {
        if grant(name).is_none() {
            return Err(format!(
                "it imports `{name}`, which policies are not granted; they may import wasmgate:policy@{} \
                 (settings, log) and WASI 0.2, which is empty",
                v1::VERSION
            ));
        }
    }
    // Any version: those that the host does not support were refused above.
    let interface = format!("{PACKAGE}{}@", hook.as_str());
    if !exports.iter().any(|export| export.starts_with(&interface)) {
        let names: Vec<String> = exports.iter().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let other = Hook::ALL.into_iter().find(|other| {
            *other != hook && exports.iter().any(|export| export.starts_with(&format!("{PACKAGE}{}@", other.as_str())))
        });
        let other = other.map(|other| format!(", so it is a {} policy", other.as_str())).unwrap_or_default();
        return Err(format!("it does not export `{interface}{}`; it exports {names}{other}", v1::VERSION));
    }
    Ok(())
}

/// The version of the contract that a component with these exports was built against.
pub(super) fn version(exports: &[String]) -> Option<&str> {
    exports.iter().find_map(|export| Some(export.strip_prefix(PACKAGE)?.split_once('@')?.1))
}

/// The version in a name of the contract's package, if this host does not support it.
fn foreign_version(name: &str) -> Option<&str> {
    let (_interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    (!v1::speaks(version)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(imports: &[&str], exports: &[&str]) -> Result<(), String> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        check(&owned(imports), &owned(exports), Hook::Routing)
    }

    #[test]
    fn versions() {
        let routing = "wasmgate:policy/routing@1.0.0";
        assert_eq!(checked(&["wasmgate:policy/settings@1.0.0", "wasi:io/streams@0.2.6"], &[routing]), Ok(()));
        let patched = checked(&["wasmgate:policy/log@1.0.7"], &["wasmgate:policy/routing@1.0.7"]);
        assert_eq!(patched, Ok(()), "a patch adds nothing");
        for (imports, exports, version) in [
            ("wasmgate:policy/settings@1.1.0", routing, "1.1.0"),
            ("wasmgate:policy/settings@1.0.0", "wasmgate:policy/routing@2.0.0", "2.0.0"),
            ("wasmgate:policy/settings@0.9.0", routing, "0.9.0"),
            ("wasmgate:policy/settings@1.0.0-rc.1", routing, "1.0.0-rc.1"),
        ] {
            let error = checked(&[imports], &[exports]).expect_err("another version");
            assert!(error.contains(&format!("@{version};")) && error.contains("speaks version 1.0.0"), "{error}");
        }
    }

    #[test]
    fn imports_and_exports() {
        let error = checked(&["wasi:http/outgoing-handler@0.2.0"], &[]).expect_err("not granted");
        assert!(error.contains("`wasi:http/outgoing-handler@0.2.0`, which policies are not granted"), "{error}");
        let error = checked(&["wasmgate:policy/secrets@1.0.0"], &[]).expect_err("not there");
        assert!(error.contains("`wasmgate:policy/secrets@1.0.0`, which policies are not granted"), "{error}");
        let error = checked(&[], &["wasmgate:policy/cost@1.0.0"]).expect_err("another hook");
        assert!(error.starts_with("it does not export `wasmgate:policy/routing@1.0.0`"), "{error}");
    }
}
