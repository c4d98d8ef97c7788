//! `[policies]`: who decides at each hook, with which canary and shadows, as written and as meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

use super::file::{Wrong, wrong};
use super::{CanaryChoice, HookChoice, OnFailure, PolicyChoice, PolicySource};
use crate::rollout::analysis::{AbortRules, BreakerRules};
use crate::rollout::slot::{MAX_SHADOWS, is_shadow_name};
use wasmgate_policy_host::{GivenLimits, Hook, Profile};

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PoliciesFile {
    pub(super) routing: HookFile,
    pub(super) cost: HookFile,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HookFile {
    enabled: Option<bool>,
    builtin: Option<String>,
    file: Option<PathBuf>,
    on_failure: Option<OnFailure>,
    limits: GivenLimits,
    settings: serde_json::Map<String, serde_json::Value>,
    setting_files: BTreeMap<String, PathBuf>,
    breaker: BreakerRules,
    canary: Option<CanaryFile>,
    shadows: IndexMap<String, ShadowFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CanaryFile {
    enabled: Option<bool>,
    builtin: Option<String>,
    file: Option<PathBuf>,
    percent: f64,
    sticky_header: Option<String>,
    #[serde(default)]
    abort: AbortRules,
    #[serde(default)]
    limits: GivenLimits,
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    setting_files: BTreeMap<String, PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShadowFile {
    enabled: Option<bool>,
    builtin: Option<String>,
    file: Option<PathBuf>,
    #[serde(default)]
    limits: GivenLimits,
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    setting_files: BTreeMap<String, PathBuf>,
}

pub(super) fn mean_hook(hook: Hook, file: HookFile, folder: &Path) -> Result<HookChoice, Wrong> {
    let path = ["policies", hook.as_str()];
    let default = match hook {
        Hook::Routing => "complexity",
        Hook::Cost => "token-cost",
    };
    let builtin = file.builtin.or_else(|| file.file.is_none().then(|| default.to_owned()));
    let active = PolicyFile {
        enabled: file.enabled,
        builtin,
        file: file.file,
        limits: file.limits,
        settings: file.settings,
        setting_files: file.setting_files,
    };
    if let Some(message) = file.breaker.out_of_range() {
        return Err(wrong(&[path[0], path[1], "breaker"], message));
    }
    let canary = file.canary.map(|canary| mean_canary(&[path[0], path[1], "canary"], canary, folder)).transpose()?;
    if file.shadows.len() > MAX_SHADOWS {
        let message = format!("{} shadows, expected at most {MAX_SHADOWS}", file.shadows.len());
        return Err(wrong(&[path[0], path[1], "shadows"], message));
    }
    let mut shadows = IndexMap::new();
    for (name, shadow) in file.shadows {
        let path = [path[0], path[1], "shadows", &*name];
        if !is_shadow_name(&name) {
            return Err(wrong(&path, "a shadow's name has 1 to 32 letters, digits, `-` and `_`"));
        }
        let ShadowFile { enabled, builtin, file, limits, settings, setting_files } = shadow;
        let policy =
            mean_policy(&path, PolicyFile { enabled, builtin, file, limits, settings, setting_files }, folder)?;
        shadows.insert(name, policy);
    }
    Ok(HookChoice {
        on_failure: file.on_failure.unwrap_or(OnFailure::DefaultDecision),
        breaker: file.breaker,
        active: mean_policy(&path, active, folder)?,
        canary,
        shadows,
    })
}

fn mean_canary(path: &[&str], canary: CanaryFile, folder: &Path) -> Result<CanaryChoice, Wrong> {
    let CanaryFile { enabled, builtin, file, percent, sticky_header, abort, limits, settings, setting_files } = canary;
    if !(0.0..=100.0).contains(&percent) {
        return Err(wrong(&[path, &["percent"]].concat(), format!("{percent}, expected 0 to 100")));
    }
    if let Some(header) = sticky_header.as_deref().filter(|header| !is_header_name(header)) {
        let message = format!("{header:?} is not a header's name in lower case");
        return Err(wrong(&[path, &["sticky_header"]].concat(), message));
    }
    if let Some(message) = abort.out_of_range() {
        return Err(wrong(&[path, &["abort"]].concat(), message));
    }
    let policy = mean_policy(path, PolicyFile { enabled, builtin, file, limits, settings, setting_files }, folder)?;
    Ok(CanaryChoice { policy, percent, sticky_header, abort })
}

pub(super) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What the tables of all places have in common.
struct PolicyFile {
    enabled: Option<bool>,
    builtin: Option<String>,
    file: Option<PathBuf>,
    limits: GivenLimits,
    settings: serde_json::Map<String, serde_json::Value>,
    setting_files: BTreeMap<String, PathBuf>,
}

fn mean_policy(path: &[&str], file: PolicyFile, folder: &Path) -> Result<PolicyChoice, Wrong> {
    let at = |key: &str, message: String| wrong(&[path, &[key]].concat(), message);
    let source = match (file.builtin, file.file) {
        (Some(_), Some(_)) => return Err(at("file", "either `builtin` or `file`, not both".into())),
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
    // Against the wider profile: which one it is, only the component says.
    file.limits.over(Profile::Engine).map_err(|message| at("limits", message))?;
    if let Some(name) = file.setting_files.keys().find(|name| file.settings.contains_key(*name)) {
        return Err(at("setting_files", format!("`{name}` is among `settings` too, expected it in one of them")));
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
