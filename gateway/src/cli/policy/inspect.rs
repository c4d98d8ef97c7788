//! `wasmgate policy inspect`: shows a policy's properties, and whether a gateway would admit it.

use std::fmt::Write;

use serde_json::{Value as Json, json};
use wasmgate_policy_host::{Hook, Isolation, Limits, Policy, Value};

use super::target::{Loaded, Subject, fixtures};
use super::{Failed, format};
use crate::cli::table::clean;
use wasmgate::rollout::api::ReadsStatus;

/// See the module.
pub(super) async fn inspect(subject: &Subject, json: bool) -> Result<String, Failed> {
    let mut loaded = subject.read()?;
    let own = subject.own_fixtures();
    if own.exists() {
        // The fixtures are part of admission.
        loaded.source.fixtures = Some(fixtures(&own)?);
    }
    let mut hooks = Vec::new();
    for &hook in &loaded.hooks {
        hooks.push((hook, loaded.load(hook).await));
    }
    let text = if json { format!("{:#}\n", as_json(&loaded, &hooks)) } else { in_words(&loaded, &hooks) };
    let admitted = hooks.iter().filter(|(_, policy)| policy.is_ok()).count();
    let enough = if loaded.some_hook_will_do { 1 } else { hooks.len().max(1) };
    if admitted >= enough { Ok(text) } else { Err(Failed::Told(text)) }
}

type Hooks = [(Hook, Result<Policy, Failed>)];

fn in_words(loaded: &Loaded, hooks: &Hooks) -> String {
    let seen = &loaded.inspection;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "component  {}", loaded.name);
    let _ = writeln!(text, "digest     {}", seen.digest);
    let _ = writeln!(text, "size       {}, {} of it code", format::bytes(seen.bytes), format::bytes(seen.code_bytes));
    if let Some(version) = &seen.contract {
        let worlds: Vec<_> = seen.hooks.iter().map(|hook| format!("{}-policy", hook.as_str())).collect();
        let _ = writeln!(text, "world      {} of wasmgate:policy@{version}", worlds.join(" and "));
    }
    let _ = writeln!(text, "imports");
    for import in &seen.imports {
        let grant = import.grant.unwrap_or("NOT GRANTED: a gateway refuses the component");
        let _ = writeln!(text, "  {}: {grant}", import.name);
    }
    let _ = writeln!(text, "exports\n  {}", seen.exports.join("\n  "));
    if let Some(reason) = &seen.refusal {
        let _ = writeln!(text, "refused    not admitted: {reason}");
    }
    if let Ok(limits) = loaded.limits.over(seen.profile) {
        let _ = writeln!(text, "limits     profile {}: {}", seen.profile.as_str(), limits_in_words(&limits));
    }
    for (hook, policy) in hooks {
        let _ = writeln!(text, "\n{}", hook.as_str());
        match policy {
            Ok(policy) => policy_in_words(&mut text, policy),
            Err(Failed::Refused(reason) | Failed::Machine(reason) | Failed::Unmet(reason) | Failed::Told(reason)) => {
                let _ = writeln!(text, "  {}", clean(reason));
            }
        }
    }
    text
}

fn limits_in_words(limits: &Limits) -> String {
    let isolation = match limits.isolation {
        Isolation::Warm => {
            format!("{} warm instances of {} calls each", limits.warm_instances, limits.calls_per_instance)
        }
        Isolation::PerCall => "a fresh instance for each call".to_owned(),
    };
    format!("{} ms a call, {} of memory, {isolation}", limits.call_time_ms, format::bytes(limits.memory_bytes))
}

fn policy_in_words(text: &mut String, policy: &Policy) {
    let (manifest, probed) = (policy.manifest(), policy.probed());
    let _ = writeln!(text, "  {}@{}: {}", manifest.name, manifest.version, manifest.summary);
    let (median, worst) = (format::time(probed.median), format::time(probed.worst));
    let memory = format::bytes(probed.memory_bytes);
    let _ =
        writeln!(text, "  admitted; {} sample calls: median {median}, worst {worst}, {memory} of memory", probed.calls);
    let _ = writeln!(text, "  reads {}", ReadsStatus::from(policy.reads()));
    for setting in &manifest.settings {
        let _ = writeln!(text, "  {} = {}\n      {}", setting.name, value(&setting.default), clean(&setting.summary));
    }
}

fn value(value: &Value) -> Json {
    match value {
        Value::Boolean(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Number(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Texts(value) => json!(value),
    }
}

fn as_json(loaded: &Loaded, hooks: &Hooks) -> Json {
    let seen = &loaded.inspection;
    let imports = seen.imports.iter().map(|import| json!({"name": import.name, "grant": import.grant}));
    let hooks = hooks.iter().map(|(hook, policy)| {
        let told = match policy {
            Ok(policy) => {
                let (manifest, probed) = (policy.manifest(), policy.probed());
                let setting = |setting: &wasmgate_policy_host::Setting| {
                    json!({"name": setting.name, "default": value(&setting.default), "summary": setting.summary})
                };
                json!({
                    "name": manifest.name,
                    "version": manifest.version,
                    "summary": manifest.summary,
                    "reads": ReadsStatus::from(policy.reads()),
                    "settings": manifest.settings.iter().map(setting).collect::<Vec<_>>(),
                    "sample_call_median_seconds": probed.median.as_secs_f64(),
                    "sample_call_worst_seconds": probed.worst.as_secs_f64(),
                    "memory_bytes": probed.memory_bytes,
                })
            }
            Err(Failed::Refused(reason) | Failed::Machine(reason) | Failed::Unmet(reason) | Failed::Told(reason)) => json!({"refused": reason}),
        };
        (hook.as_str().to_owned(), told)
    });
    json!({
        "component": loaded.name,
        "digest": seen.digest,
        "bytes": seen.bytes,
        "code_bytes": seen.code_bytes,
        "contract": seen.contract,
        "profile": seen.profile.as_str(),
        "limits": loaded.limits.over(seen.profile).ok(),
        "imports": imports.collect::<Vec<_>>(),
        "exports": seen.exports,
        "refused": seen.refusal,
        "hooks": hooks.collect::<serde_json::Map<_, _>>(),
    })
}
