//! What a policy's manifest and settings declare together.
//!
//! - Whether it can deny requests. The gateway does not answer a request that such a policy failed on, unless the operator wants
//!   that. A policy declares it in its manifest, or by a boolean setting named `deny`, or `deny-` and more, that is true in
//!   effect; a script by calling `deny`.
//! - What it reads of requests.
//!
//! The module `models` has the settings that name models.

use crate::contract::types::{Manifest, Meaning, Reads, Value};
use crate::script;
use crate::settings::Settings;
use crate::shown::ALL_LABELS;

/// Whether the gateway takes a policy for one that can deny requests, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanDeny {
    /// Its settings declare it.
    Declared,
    /// They do not, but it has denied a request or a sample.
    HasDenied,
    /// Its settings say that it cannot, or it is built in, or it estimates costs.
    No,
    /// Neither its settings nor its decisions say.
    Unknown,
}

impl CanDeny {
    /// Whether it is taken for one that can.
    #[must_use]
    pub fn is_yes(self) -> bool {
        matches!(self, Self::Declared | Self::HasDenied)
    }

    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::HasDenied => "has_denied",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a policy with these settings declares that it can deny requests; `None` if no setting of it says.
pub(super) fn denies(manifest: &Manifest, settings: &Settings) -> Option<bool> {
    let said =
        manifest.settings.iter().filter_map(|setting| match settings.get(&setting.name).unwrap_or(&setting.default) {
            Value::Boolean(on) if setting.name == "deny" || setting.name.starts_with("deny-") => Some(*on),
            Value::Text(text) if manifest.name == script::COMPONENT && setting.name == script::SETTING => {
                Some(calls(text, "deny"))
            }
            _ => None,
        });
    said.chain(manifest.denies.then_some(true)).reduce(|one, other| one || other)
}

/// What a policy with these settings reads of requests: what its manifest says, and the labels that settings name.
pub(super) fn reads(manifest: &Manifest, settings: &Settings) -> Reads {
    let mut reads = manifest.reads.clone();
    for setting in manifest.settings.iter().filter(|setting| setting.meaning == Meaning::Labels) {
        let named = match settings.get(&setting.name).unwrap_or(&setting.default) {
            Value::Text(label) => std::slice::from_ref(label),
            Value::Texts(labels) => labels,
            _ => &[],
        };
        let named = named.iter().filter(|label| !label.is_empty()).map(|label| label.to_ascii_lowercase());
        reads.labels.extend(named);
    }
    if reads.labels.iter().any(|label| label == ALL_LABELS) {
        reads.labels = vec![ALL_LABELS.to_owned()];
    }
    reads
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

    fn declares(name: &str, default: Value, given: Option<Value>) -> Option<bool> {
        let setting = Setting { name: name.into(), summary: String::new(), default, meaning: Meaning::Plain };
        let manifest = Manifest { settings: vec![setting], ..crate::testing::manifest(script::COMPONENT) };
        denies(&manifest, &given.map(|value| (name.to_owned(), value)).into_iter().collect())
    }

    #[test]
    fn a_boolean_setting_that_is_on_declares_it() {
        for (name, default, given, expected) in [
            ("deny", true, None, Some(true)),
            ("deny", true, Some(false), Some(false)),
            ("deny-without-local", false, None, Some(false)),
            ("deny-without-local", false, Some(true), Some(true)),
            ("denying", true, None, None),
        ] {
            assert_eq!(
                declares(name, Value::Boolean(default), given.map(Value::Boolean)),
                expected,
                "{name} {given:?}"
            );
        }
        assert_eq!(declares("deny", Value::Text("yes".into()), None), None);
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
            assert_eq!(declares("script", Value::Text(script.into()), None), Some(expected), "{script}");
        }
        assert_eq!(declares("other", Value::Text("deny(1)".into()), None), None);
    }
}
