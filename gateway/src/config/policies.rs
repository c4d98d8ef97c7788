//! `[policies]`: the active policy, canary and shadows of each hook, as written and as checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

use super::error::{Wrong, wrong};
use super::{CanaryChoice, HookChoice, OnFailure, PolicyChoice, PolicySource};
use crate::rollout::analysis::{AbortRules, BreakerRules};
use crate::rollout::slot::{MAX_SHADOWS, Role, is_shadow_name};
use wasmgate_policy_host::{GivenLimits, Hook, Profile};

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
    fn check_role(&self, path: &[&str], role: &Role) -> Result<(), Wrong> {
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
        let refused = |keys: &[(&str, bool)], whose: &str| match keys.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((key, _)) => Err(wrong(&[path, &[*key]].concat(), format!("this key belongs to {whose}"))),
        };
        if *role != Role::Active {
            refused(&active, "the active policy, expected it one table up")?;
        }
        if *role != Role::Canary {
            refused(&canary, "a canary, expected it in the table `canary`")?;
        }
        Ok(())
    }
}

pub(super) fn mean_hook(hook: Hook, mut file: SlotFile, folder: &Path) -> Result<HookChoice, Wrong> {
    let path = ["policies", hook.as_str()];
    file.check_role(&path, &Role::Active)?;
    let default = match hook {
        Hook::Routing => "complexity",
        Hook::Cost => "token-cost",
    };
    if file.file.is_none() {
        file.builtin.get_or_insert_with(|| default.to_owned());
    }
    let breaker = file.breaker.unwrap_or_default();
    if let Some(message) = breaker.out_of_range() {
        return Err(wrong(&[path[0], path[1], "breaker"], message));
    }
    let canary = file.canary.take();
    let canary = canary.map(|canary| mean_canary(&[path[0], path[1], "canary"], *canary, folder)).transpose()?;
    let written = file.shadows.take().unwrap_or_default();
    if written.len() > MAX_SHADOWS {
        let message = format!("{} shadows, expected at most {MAX_SHADOWS}", written.len());
        return Err(wrong(&[path[0], path[1], "shadows"], message));
    }
    let mut shadows = IndexMap::new();
    for (name, shadow) in written {
        let path = [path[0], path[1], "shadows", &*name];
        if !is_shadow_name(&name) {
            return Err(wrong(&path, "invalid name of a shadow, expected 1 to 32 letters, digits, `-` and `_`"));
        }
        shadow.check_role(&path, &Role::Shadow(name.clone()))?;
        shadows.insert(name.clone(), mean_policy(&path, shadow, folder)?);
    }
    Ok(HookChoice { on_failure: file.on_failure, breaker, active: mean_policy(&path, file, folder)?, canary, shadows })
}

fn mean_canary(path: &[&str], mut canary: SlotFile, folder: &Path) -> Result<CanaryChoice, Wrong> {
    canary.check_role(path, &Role::Canary)?;
    let Some(percent) = canary.percent else {
        return Err(wrong(&[path, &["percent"]].concat(), "missing, expected 0 to 100"));
    };
    if !(0.0..=100.0).contains(&percent) {
        return Err(wrong(&[path, &["percent"]].concat(), format!("{percent}, expected 0 to 100")));
    }
    let sticky_header = canary.sticky_header.take();
    if let Some(header) = sticky_header.as_deref().filter(|header| !is_header_name(header)) {
        let message = format!("{header:?} is not a header name, expected lower-case letters, digits and `-`");
        return Err(wrong(&[path, &["sticky_header"]].concat(), message));
    }
    let abort = canary.abort.unwrap_or_default();
    if let Some(message) = abort.out_of_range() {
        return Err(wrong(&[path, &["abort"]].concat(), message));
    }
    Ok(CanaryChoice { policy: mean_policy(path, canary, folder)?, percent, sticky_header, abort })
}

pub(super) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn mean_policy(path: &[&str], file: SlotFile, folder: &Path) -> Result<PolicyChoice, Wrong> {
    let at = |key: &str, message: String| wrong(&[path, &[key]].concat(), message);
    let source = match (file.builtin, file.file) {
        (Some(_), Some(_)) => return Err(at("file", "`builtin` is also set, expected only one of them".into())),
        (None, None) => return Err(wrong(path, "expected `builtin` or `file`")),
        (None, Some(file)) => PolicySource::File(folder.join(file)),
        (Some(name), None) => {
            let known = wasmgate_policy_host::builtin::names();
            if !known.contains(&name.as_str()) {
                let hint = wasmgate_base::nearest::nearest(&name, known.iter().copied())
                    .map_or_else(|| format!(", expected one of {known:?}"), |near| format!(", did you mean {near:?}?"));
                return Err(at("builtin", format!("there is no built-in policy {name:?}{hint}")));
            }
            PolicySource::BuiltIn(name)
        }
    };
    // Checked against the wider profile, because only the component says which one applies.
    file.limits.over(Profile::Engine).map_err(|message| at("limits", message))?;
    if let Some(name) = file.setting_files.keys().find(|name| file.settings.contains_key(*name)) {
        return Err(at("setting_files", format!("`{name}` is also in `settings`, expected it in only one of them")));
    }
    Ok(PolicyChoice {
        place: String::new(),
        enabled: file.enabled.unwrap_or(true),
        source,
        limits: file.limits,
        settings: file.settings,
        setting_files: file.setting_files.into_iter().map(|(name, file)| (name, folder.join(file))).collect(),
    })
}
