//! The versions of the contract that this host supports: one module for each major version. Only that module names the
//! version's interfaces and types.
//!
//! The host uses the types of the newest version where they fit, re-exported here. An older version's module has its own
//! bindings and converts: requests and candidates down, verdicts and estimates up. The names of a component's exports show
//! the version that it was built against, before the runtime reads a byte. Within a major version nothing needs
//! conversion: imports may gain functions, which older components do not import (`wit/README.md` has the full promise).
//!
//! This module must not know: limits, instances, how an answer is used.

pub(super) mod call;
pub(super) mod types;
mod v1;
mod v2;

use wasmtime::component::{Instance, InstancePre, Linker};
use wasmtime::{Result as WasmResult, Store};

use crate::hook::Hook;
use call::{Answer, Call};
pub(super) use v2::{Host as HostV2, log, request_facts, settings};

/// The imports of version 2 as names of types only.
pub(super) use v2::types as types_v2;

/// The imports of version 1, for the store's data.
pub(super) mod imports_v1 {
    #[cfg(test)]
    pub(crate) use crate::contract::v1::meaning;
    pub(crate) use crate::contract::v1::{Host, log, settings, types, value};
}

/// The contract's package, without its version.
const PACKAGE: &str = "wasmgate:policy/";

/// The interfaces of WASI, all linked and empty: filesystem and sockets too, because standard libraries import them
/// even if nothing uses them.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// The interfaces that a policy may import, and what each gives it.
const GRANTED: [(&str, &str); 4] = [
    ("types", "nothing: names of types"),
    ("settings", "what the operator configured"),
    ("log", "lines to the operator's log"),
    (
        "request-facts",
        "the request's id and dialect; its labels and tenant as far as the manifest says that it reads them",
    ),
];

/// The major versions that this host supports, oldest first: the version of the bindings, and how many of the interfaces
/// above it has.
const SUPPORTED: [(&str, usize); 2] = [(v1::VERSION, 3), (v2::VERSION, 4)];

/// What an import gives a policy; `None` if policies may not import it.
pub(super) fn grant(import: &str) -> Option<&'static str> {
    if WASI.iter().any(|granted| import.starts_with(granted)) {
        return Some("nothing: WASI is present but empty, its clocks stand still, and output goes to the log");
    }
    let (interface, version) = import.strip_prefix(PACKAGE)?.split_once('@')?;
    let (_, interfaces) = supported(version)?;
    GRANTED[..interfaces].iter().find(|(name, _)| *name == interface).map(|(_, grant)| *grant)
}

/// Refuses a component whose imports or exports do not match the contract.
pub(super) fn check(imports: &[String], exports: &[String], hook: Hook) -> Result<(), String> {
    let spoken = || SUPPORTED.map(|(version, _)| version).join(" and ");
    if let Some(other) = imports.iter().chain(exports).find_map(|name| foreign_version(name)) {
        return Err(format!(
            "it was built against {PACKAGE}…@{other}; this gateway speaks versions {} and compatible versions",
            spoken()
        ));
    }
    for name in imports {
        if grant(name).is_none() {
            return Err(format!(
                "it imports `{name}`, which policies are not granted; they may import {PACKAGE}… {} \
                 (settings, log, in version 2 request-facts) and WASI 0.2, which is empty",
                spoken()
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
        return Err(format!("it does not export `{interface}{}`; it exports {names}{other}", v2::VERSION));
    }
    let mut versions = imports.iter().chain(exports).filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'));
    let first = versions.next().map(|(_, version)| version);
    match versions.find(|(_, version)| first.is_some_and(|first| major(first) != major(version))) {
        Some((_, other)) => Err(format!(
            "it mixes versions {} and {other} of {PACKAGE}…, expected one version for all its imports and exports",
            first.unwrap_or_default()
        )),
        None => Ok(()),
    }
}

/// The version of the contract that a component with these exports was built against.
pub(super) fn version(exports: &[String]) -> Option<&str> {
    exports.iter().find_map(|export| Some(export.strip_prefix(PACKAGE)?.split_once('@')?.1))
}

/// The version in a name of the contract's package, if this host does not support it.
fn foreign_version(name: &str) -> Option<&str> {
    let (_interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    supported(version).is_none().then_some(version)
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

/// The entry of a version: the same major version, and no later minor version. Patches only change comments.
fn supported(version: &str) -> Option<(&'static str, usize)> {
    let numbers = |version: &str| -> Option<[u32; 3]> {
        let numbers: Option<Vec<u32>> = version.split('.').map(|number| number.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let [major, minor, _] = numbers(version)?;
    SUPPORTED.into_iter().find(|(known, _)| {
        numbers(known).is_some_and(|[known_major, known_minor, _]| major == known_major && minor <= known_minor)
    })
}

/// Store data that implements the imports of all versions.
pub(super) trait Host: v1::Host + v2::Host {}

/// Links the imports of all versions.
pub(super) fn add_to_linker<T: Host>(linker: &mut Linker<T>) -> WasmResult<()> {
    v1::add_to_linker(linker)?;
    v2::add_to_linker(linker)
}

/// The positions of a hook's functions in a component.
pub(super) enum Exports {
    V1(v1::Exports),
    V2(v2::Exports),
}

impl Exports {
    pub(super) fn find<T: Host>(pre: &InstancePre<T>, hook: Hook) -> WasmResult<Self> {
        let component = pre.component();
        let exports = component.component_type();
        let exports: Vec<String> = exports.exports(component.engine()).map(|(name, _)| name.to_owned()).collect();
        match version(&exports).map(major) {
            Some("1") => v1::Exports::find(pre, hook).map(Self::V1),
            _ => v2::Exports::find(pre, hook).map(Self::V2),
        }
    }

    /// The hook's functions in an instance.
    pub(super) fn of<T: Host>(&self, store: &mut Store<T>, instance: &Instance) -> WasmResult<Functions> {
        Ok(match self {
            Self::V1(exports) => Functions::V1(exports.of(store, instance)?),
            Self::V2(exports) => Functions::V2(exports.of(store, instance)?),
        })
    }
}

/// The functions of a hook in an instance.
pub(super) enum Functions {
    V1(v1::Functions),
    V2(v2::Functions),
}

impl Functions {
    /// Calls `configure`, in which the guest reads its settings.
    pub(super) async fn configure<T: Host>(&self, store: &mut Store<T>) -> WasmResult<Result<(), String>> {
        match self {
            Self::V1(functions) => functions.configure(store).await,
            Self::V2(functions) => functions.configure(store).await,
        }
    }

    /// Whether a call with these models need not give them first.
    pub(super) fn has(&self, models: u64) -> bool {
        match self {
            // It gets them with each call.
            Self::V1(_) => true,
            Self::V2(functions) => functions.has(models),
        }
    }

    /// Calls the guest; `None` if it does not have that hook.
    pub(super) async fn ask<T: Host>(
        &mut self,
        store: &mut Store<T>,
        call: Call<'_>,
    ) -> WasmResult<Option<Result<Answer, String>>> {
        match self {
            Self::V1(functions) => functions.ask(store, call).await,
            Self::V2(functions) => functions.ask(store, call).await,
        }
    }
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
            ("wasmgate:policy/settings@1.0.0", "wasmgate:policy/routing@2.1.0", "2.1.0"),
            ("wasmgate:policy/settings@3.0.0", "wasmgate:policy/routing@3.0.0", "3.0.0"),
            ("wasmgate:policy/settings@0.9.0", routing, "0.9.0"),
            ("wasmgate:policy/settings@1.0.0-rc.1", routing, "1.0.0-rc.1"),
        ] {
            let error = checked(&[imports], &[exports]).expect_err("another version");
            assert!(
                error.contains(&format!("@{version};")) && error.contains("speaks versions 1.0.0 and 2.0.0"),
                "{error}"
            );
        }
    }

    #[test]
    fn one_version_in_a_component() {
        let two = "wasmgate:policy/routing@2.0.0";
        let facts = "wasmgate:policy/request-facts@2.0.0";
        assert_eq!(checked(&["wasmgate:policy/settings@2.0.3", facts], &[two]), Ok(()));
        let error = checked(&["wasmgate:policy/settings@1.0.0"], &[two]).expect_err("mixed");
        assert!(error.contains("mixes versions 1.0.0 and 2.0.0"), "{error}");
        let error = checked(&["wasmgate:policy/request-facts@1.0.0"], &["wasmgate:policy/routing@1.0.0"]);
        assert!(error.expect_err("not in version 1").contains("not granted"));
    }

    #[test]
    fn imports_and_exports() {
        let error = checked(&["wasi:http/outgoing-handler@0.2.0"], &[]).expect_err("not granted");
        assert!(error.contains("`wasi:http/outgoing-handler@0.2.0`, which policies are not granted"), "{error}");
        let error = checked(&["wasmgate:policy/secrets@1.0.0"], &[]).expect_err("not there");
        assert!(error.contains("`wasmgate:policy/secrets@1.0.0`, which policies are not granted"), "{error}");
        let error = checked(&[], &["wasmgate:policy/cost@1.0.0"]).expect_err("another hook");
        assert!(error.starts_with("it does not export `wasmgate:policy/routing@2.0.0`"), "{error}");
    }
}
