//! Inspects a component without running it.
//!
//! This module must not know: settings, an operator's limits, the policy's manifest.

use super::{admission, contract};
use crate::hook::Hook;
use crate::limits::Profile;

/// What a component's bytes show.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// Its size, in bytes.
    pub bytes: usize,
    /// The size of all functions in it, in bytes.
    pub code_bytes: usize,
    /// Which limits apply if the operator gives none.
    pub profile: Profile,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// What it exports, in its order.
    pub exports: Vec<String>,
    /// The version of the contract that it was built against.
    pub contract: Option<String>,
    /// The hooks that it can be used for.
    pub hooks: Vec<Hook>,
    /// Why it would not be admitted for any hook.
    pub refusal: Option<String>,
}

/// An import and what it gives a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Interface and version.
    pub name: String,
    /// What it gives a policy; `None` if policies may not import it.
    pub grant: Option<&'static str>,
}

impl Inspection {
    /// Inspects a component.
    ///
    /// # Errors
    /// If the bytes are not a component, or use a feature that policies may not use: what was found and what is
    /// expected.
    pub fn of(component: &[u8]) -> Result<Self, String> {
        let outline = admission::parse(component)?;
        let admitted = |hook: &Hook| contract::check(&outline.imports, &outline.exports, *hook);
        let (hooks, refusal) = match Hook::ALL.into_iter().filter(|hook| admitted(hook).is_ok()).collect::<Vec<_>>() {
            hooks if hooks.is_empty() => (hooks, admitted(&Hook::Routing).err()),
            hooks => (hooks, None),
        };
        let import = |name: &String| Import { name: name.clone(), grant: contract::grant(name) };
        Ok(Self {
            digest: wasmgate_base::digest::sha256(component),
            bytes: component.len(),
            code_bytes: outline.code_bytes,
            profile: Profile::of(outline.code_bytes),
            imports: outline.imports.iter().map(import).collect(),
            contract: contract::version(&outline.exports).map(str::to_owned),
            exports: outline.exports,
            hooks,
            refusal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_policy_seen_from_outside() {
        let component = crate::testing::component("complexity");
        let seen = Inspection::of(&component).expect("a component");
        assert_eq!(
            (seen.bytes, seen.profile, &seen.hooks[..]),
            (component.len(), Profile::Compiled, &[Hook::Routing][..])
        );
        assert!(seen.refusal.is_none() && 0 < seen.code_bytes && seen.code_bytes < seen.bytes, "{seen:?}");
        assert!(seen.imports.iter().all(|import| import.grant.is_some()), "{seen:?}");
        assert!(Inspection::of(b"no component").is_err());
    }
}
