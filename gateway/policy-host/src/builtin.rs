//! The built-in policies: components compiled from `policies/` by the build script, embedded in the binary.

/// Name and component of each.
const BUILTIN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// Their names.
#[must_use]
pub fn names() -> Vec<&'static str> {
    BUILTIN.iter().map(|(name, _)| *name).collect()
}

/// A component by its policy's name.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, component)| *component)
}

/// Whether these are the bytes of a built-in component.
pub(crate) fn is(component: &[u8]) -> bool {
    BUILTIN.iter().any(|(_, known)| *known == component)
}
