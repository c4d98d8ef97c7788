//! What a policy's manifest and settings declare beyond the contract's fields, which cannot grow within version 1.
//!
//! - Whether it can deny requests. The gateway does not answer a request that such a policy failed on, unless the operator wants
//!   that. A policy declares it by a boolean setting named `deny`, or `deny-` and more, that is true in effect; a script by
//!   calling `deny`.
//! - Whether it decides by tenants' budgets.

use crate::contract::types::{Manifest, Value};
use crate::settings::Settings;

/// Whether a policy with these settings declares that it can deny requests.
pub(super) fn denies(manifest: &Manifest, settings: &Settings) -> bool {
    manifest.settings.iter().any(|setting| match settings.get(&setting.name).unwrap_or(&setting.default) {
        Value::Boolean(on) => *on && (setting.name == "deny" || setting.name.starts_with("deny-")),
        Value::Text(text) => setting.name == "script" && calls(text, "deny"),
        Value::Integer(_) | Value::Number(_) | Value::Texts(_) => false,
    })
}

/// Whether a policy decides by tenants or their budgets: the built-in one, or a script that reads them.
pub(super) fn reads_budgets(manifest: &Manifest, settings: &Settings) -> bool {
    let reads = |value: &Value| match value {
        Value::Text(script) => [".budget", ".tenant"].iter().any(|property| script.contains(property)),
        _ => false,
    };
    manifest.name == "budget-guard" || settings.get("script").is_some_and(reads)
}

/// Whether a script calls a function of this name; a comment that shows such a call counts too.
fn calls(script: &str, function: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    script.match_indices(function).any(|(at, _)| {
        let rest = script[at + function.len()..].trim_start();
        rest.starts_with('(') && !script[..at].ends_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::types::Setting;

    fn declares(name: &str, default: Value, given: Option<Value>) -> bool {
        let setting = Setting { name: name.into(), summary: String::new(), default };
        let manifest =
            Manifest { name: "p".into(), version: "1".into(), summary: String::new(), settings: vec![setting] };
        denies(&manifest, &given.map(|value| (name.to_owned(), value)).into_iter().collect())
    }

    #[test]
    fn a_boolean_setting_that_is_on_declares_it() {
        for (name, default, given, expected) in [
            ("deny", true, None, true),
            ("deny", true, Some(false), false),
            ("deny-without-local", false, None, false),
            ("deny-without-local", false, Some(true), true),
            ("denying", true, None, false),
        ] {
            assert_eq!(
                declares(name, Value::Boolean(default), given.map(Value::Boolean)),
                expected,
                "{name} {given:?}"
            );
        }
        assert!(!declares("deny", Value::Text("yes".into()), None));
    }

    #[test]
    fn a_script_that_calls_deny_declares_it() {
        for (script, expected) in [
            ("if bad { return deny(\"no\", \"why\"); }", true),
            ("deny\n  (\"no\", \"why\")", true),
            ("route_to(candidates, \"nothing to deny\")", false),
            ("fn may_deny(x) { x } may_deny(1)", false),
            ("", false),
        ] {
            assert_eq!(declares("script", Value::Text(script.into()), None), expected, "{script}");
        }
        assert!(!declares("other", Value::Text("deny(1)".into()), None));
    }
}
