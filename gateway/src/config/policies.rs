//! `[policies]`: the active policy, canary and shadows of each hook, as written and as checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

use super::checks::is_header_name;
use super::document::one_of;
use super::problem::{Code, Problems, wrong};
use super::{CanaryChoice, HookChoice, OnFailure, Place, PolicyChoice, PolicySource};
use crate::rollout::analysis::{AbortRules, BreakerRules};
use crate::rollout::slot::{MAX_SHADOWS, Role, is_shadow_name};
use wasmgate_base::range::Range;
use wasmgate_policy_host::inspect::Inspection;
use wasmgate_policy_host::{GivenLimits, Grants, Hook, Profile, builtin, script};

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PoliciesFile {
    pub(super) routing: SlotFile,
    pub(super) cost: SlotFile,
}

/// A slot as written: one table for all three roles. `check_role` refuses keys of another role.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SlotFile {
    enabled: Option<bool>,
    builtin: Option<String>,
    file: Option<PathBuf>,
    limits: GivenLimits,
    grants: Grants,
    settings: serde_json::Map<String, serde_json::Value>,
    setting_files: BTreeMap<String, PathBuf>,
    // Only in the active slot.
    on_failure: Option<OnFailure>,
    breaker: Option<BreakerRules>,
    canary: Option<Box<SlotFile>>,
    shadows: Option<IndexMap<String, SlotFile>>,
    // Only in a canary's slot.
    percent: Option<f64>,
    sticky_header: Option<String>,
    abort: Option<AbortRules>,
}

impl SlotFile {
    /// Refuses keys that belong to another role.
    fn check_role(&self, path: &[&str], role: &Role, problems: &mut Problems) {
        let active = [
            ("on_failure", self.on_failure.is_some()),
            ("breaker", self.breaker.is_some()),
            ("canary", self.canary.is_some()),
            ("shadows", self.shadows.is_some()),
        ];
        let canary = [
            ("percent", self.percent.is_some()),
            ("sticky_header", self.sticky_header.is_some()),
            ("abort", self.abort.is_some()),
        ];
        let mut refused = |keys: &[(&str, bool)], whose: &str, expected: &str| {
            for (key, _) in keys.iter().filter(|(_, given)| *given) {
                let found = format!("this key belongs to {whose}");
                problems.add(wrong(&[path, &[*key]].concat(), Code::Conflict, found, expected));
            }
        };
        if *role != Role::Active {
            refused(&active, "the active policy", "it one table up");
        }
        if *role != Role::Canary {
            refused(&canary, "a canary", "it in the table `canary`");
        }
    }
}

/// The numbers that the settings of a canary may have.
pub(super) const CANARY: &[(&str, Range)] = &[("percent", Range::Number(0.0, 100.0))];

pub(super) fn mean_hook(hook: Hook, mut file: SlotFile, folder: &Path, problems: &mut Problems) -> HookChoice {
    let path = ["policies", hook.as_str()];
    file.check_role(&path, &Role::Active, problems);
    let default = match hook {
        Hook::Routing => "complexity",
        Hook::Cost => "token-cost",
    };
    if file.file.is_none() {
        file.builtin.get_or_insert_with(|| default.to_owned());
    }
    let breaker = file.breaker.unwrap_or_default();
    let canary = file.canary.take();
    let canary = canary.and_then(|canary| mean_canary(&[path[0], path[1], "canary"], *canary, folder, problems));
    let written = file.shadows.take().unwrap_or_default();
    if written.len() > MAX_SHADOWS {
        let found = format!("{} shadows", written.len());
        problems.add(wrong(&[path[0], path[1], "shadows"], Code::OutOfRange, found, format!("at most {MAX_SHADOWS}")));
    }
    let mut shadows = IndexMap::new();
    for (name, shadow) in written {
        let path = [path[0], path[1], "shadows", &*name];
        if !is_shadow_name(&name) {
            let expected = "1 to 32 letters, digits, `-` and `_`";
            problems.add(wrong(&path, Code::InvalidValue, "invalid name of a shadow", expected));
            continue;
        }
        shadow.check_role(&path, &Role::Shadow(name.clone()), problems);
        if let Some(shadow) = mean_policy(&path, shadow, folder, problems) {
            shadows.insert(name.clone(), shadow);
        }
    }
    let on_failure = file.on_failure;
    let active = mean_policy(&path, file, folder, problems).unwrap_or_else(|| built_in(default));
    HookChoice { on_failure, breaker, active, canary, shadows }
}

/// The names of the built-in policies that have a hook.
fn known_for(hook: &str) -> Vec<&'static str> {
    let has_hook = |name: &&str| {
        let inspected = builtin::component(name).and_then(|component| Inspection::of(component).ok());
        inspected.is_some_and(|inspected| inspected.hooks.iter().any(|known| known.as_str() == hook))
    };
    builtin::names().into_iter().filter(has_hook).collect()
}

/// What stands for a policy whose table is wrong, so that the rest of the file can be checked. It is never loaded.
fn built_in(name: &str) -> PolicyChoice {
    PolicyChoice {
        place: Place::default(),
        enabled: false,
        source: PolicySource::BuiltIn(name.to_owned()),
        limits: GivenLimits::default(),
        settings: serde_json::Map::new(),
        setting_files: BTreeMap::new(),
    }
}

fn mean_canary(path: &[&str], mut canary: SlotFile, folder: &Path, problems: &mut Problems) -> Option<CanaryChoice> {
    canary.check_role(path, &Role::Canary, problems);
    let percent = canary.percent;
    if percent.is_none() {
        problems.add(wrong(&[path, &["percent"]].concat(), Code::Missing, "missing", "0 to 100"));
    }
    let sticky_header = canary.sticky_header.take();
    if let Some(header) = sticky_header.as_deref().filter(|header| !is_header_name(header)) {
        let found = format!("{header:?} is not a header name");
        let expected = "lower-case letters, digits and `-`";
        problems.add(wrong(&[path, &["sticky_header"]].concat(), Code::InvalidValue, found, expected));
    }
    let abort = canary.abort.unwrap_or_default();
    let policy = mean_policy(path, canary, folder, problems)?;
    Some(CanaryChoice { policy, percent: percent?, sticky_header, abort })
}

fn mean_policy(path: &[&str], mut file: SlotFile, folder: &Path, problems: &mut Problems) -> Option<PolicyChoice> {
    let before = problems.len();
    let mut refused = |key: &str, code: Code, found: String, expected: &str| {
        problems.add(wrong(&[path, &[key]].concat(), code, found, expected));
    };
    // Checked against the wider profile, because only the component says which one applies.
    if let Err(message) = file.limits.over(Profile::Engine) {
        refused("limits", Code::OutOfRange, message, "");
    }
    if !file.limits.grants.is_unrestricted() {
        refused("limits", Code::Conflict, "`grants` is in it".into(), "the table `grants` next to `limits`");
    }
    file.limits.grants = file.grants;
    if let Some(name) = file.setting_files.keys().find(|name| file.settings.contains_key(*name)) {
        let found = format!("`{name}` is also in `settings`");
        refused("setting_files", Code::Conflict, found, "it in only one of them");
    }
    let source = match (file.builtin, file.file) {
        (Some(_), Some(_)) => {
            refused("file", Code::Conflict, "`builtin` is also set".into(), "only one of them");
            return None;
        }
        (None, None) => {
            problems.add(wrong(path, Code::Missing, "no policy", "`builtin` or `file`"));
            return None;
        }
        // A script is text for the built-in policy that runs it.
        (None, Some(script)) if script::is_script(&script) => {
            if file.settings.contains_key(script::SETTING) || file.setting_files.contains_key(script::SETTING) {
                let found = format!("it is a script, but the setting `{}` is also given", script::SETTING);
                refused("file", Code::Conflict, found, "only one of them");
            }
            file.setting_files.insert(script::SETTING.into(), script);
            PolicySource::BuiltIn(script::COMPONENT.into())
        }
        (None, Some(file)) => PolicySource::File(folder.join(file)),
        (Some(name), None) => {
            let known = builtin::names();
            if !known.contains(&name.as_str()) {
                let known = known_for(path.get(1).copied().unwrap_or_default());
                let begins = || known.iter().copied().find(|known| !name.is_empty() && known.starts_with(&name));
                let near = wasmgate_base::nearest::close(&name, known.iter().copied()).or_else(begins);
                let expected = if near.is_some() { String::new() } else { one_of(&known) };
                let found = format!("there is no built-in policy {name:?}");
                let path = [path, &["builtin"]].concat();
                problems.add(wrong(&path, Code::UnknownName, found, expected).near(near));
                return None;
            }
            PolicySource::BuiltIn(name)
        }
    };
    let usable = problems.len() == before && !problems.is_left_out(path);
    usable.then(|| PolicyChoice {
        place: Place::default(),
        enabled: file.enabled.unwrap_or(true),
        source,
        limits: file.limits,
        settings: file.settings,
        setting_files: file.setting_files.into_iter().map(|(name, file)| (name, folder.join(file))).collect(),
    })
}
