//! Formats the admin API's answers as text, with the API's words.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value};
use wasmgate::rollout::analysis::Progress;
use wasmgate::rollout::api::{Agreement, DefaultModels, Event, PolicyStatus, Refusal, Status, VersionStatus};
use wasmgate_policy_host::in_words;

use super::compared;
use super::table::{Table, ago, clean, lasting, sentences, wrap};

/// The `history` of `/history` and of a slot's page.
#[derive(Deserialize)]
pub(super) struct Events {
    history: Vec<Event>,
}

/// `policies list`.
pub(super) fn list(status: &Status) -> String {
    let now = now();
    let mut text = policies(&status.policies, now).to_string();
    let config = &status.config;
    let file = config.file.as_deref().unwrap_or("(embedded)");
    let (since, changed) = (ago(now, status.since), ago(now, config.since));
    text += "\n";
    text += &wrap(&format!("generation {}, since {since}", status.generation), "", "");
    if status.live_generations > 1 {
        let (earlier, seconds) = (status.live_generations - 1, status.oldest_draining_seconds);
        text += &wrap(&format!("{earlier} earlier still draining, the oldest for {seconds:.0} s"), "", "");
    }
    text += &wrap(&clean(&format!("configuration {file} {}, since {changed}", short(&config.digest))), "", "");
    if let Some(reason) = &config.refused {
        text += &sentences(&format!("current file refused: {reason}"), "  ", "    ");
    }
    let prices = &status.prices;
    if let (Some(version), Some(date)) = (&prices.version, &prices.date) {
        let (origin, models) = (prices.file.as_deref().unwrap_or("built in"), prices.models.len());
        text += &wrap(&clean(&format!("prices {version} of {date} ({origin}), for {models} models")), "", "");
    }
    if let Some(reason) = &prices.refused {
        text += &sentences(&format!("current file of prices refused: {reason}"), "  ", "    ");
    }
    if !config.needs_restart.is_empty() {
        let keys = config.needs_restart.join(", ");
        text += &wrap(&clean(&format!("pending until a restart: {keys}")), "  ", "    ");
    }
    text
}

/// `policies show`.
pub(super) fn policy(policy: &PolicyStatus, events: &Events) -> String {
    let mut text = done(policy);
    text += &values("SETTING", &policy.settings);
    text += &values("LIMIT", &policy.limits);
    if !policy.previous.is_empty() {
        let mut table = Table::new(&["PREVIOUS", "REVISION", "DIGEST", "SINCE"]);
        for version in &policy.previous {
            table.row([label(version), short(&version.revision), short(&version.digest), ago(now(), version.since)]);
            if version.rolled_back_from {
                table.note("rolled back from: `rollback` passes it over, `rollback --to` returns to it");
            }
        }
        text = text + "\n" + &table.to_string();
    }
    if !events.history.is_empty() {
        text = text + "\n" + &history(events);
    }
    text
}

/// The result of an operation: the slot's new state.
pub(super) fn done(policy: &PolicyStatus) -> String {
    policies(std::slice::from_ref(policy), now()).to_string()
}

/// `policies history`.
pub(super) fn history(events: &Events) -> String {
    if events.history.is_empty() {
        return "no events yet\n".into();
    }
    let now = now();
    let mut table = Table::new(&["AT", "SLOT", "EVENT", "BY", "POLICY", "REVISION", "DETAIL"]);
    for event in &events.history {
        let slot = event.slot.as_ref().map_or("(configuration)".into(), ToString::to_string);
        let revision = event.revision.as_deref().map(short).unwrap_or_default();
        let policy = event.policy.clone().unwrap_or_default();
        // A long detail would make the row too wide, so it follows as a note.
        let (detail, note) =
            if event.detail.chars().count() > 40 { ("", &*event.detail) } else { (&*event.detail, "") };
        table.row([ago(now, event.at), slot, event.event.clone(), event.by.clone(), policy, revision, detail.into()]);
        if !note.is_empty() {
            table.note(note);
        }
    }
    table.to_string()
}

fn policies(policies: &[PolicyStatus], now: u64) -> Table {
    let mut table = Table::new(&["SLOT", "MODE", "STATE", "POLICY", "REVISION", "SINCE", "SHARE", "SOURCE"]);
    for policy in policies {
        let serving = policy.serving.as_ref();
        table.row([
            policy.slot.to_string(),
            policy.mode.clone(),
            policy.state.clone(),
            serving.map(label).unwrap_or_default(),
            serving.map(|version| short(&version.revision)).unwrap_or_default(),
            serving.map(|version| ago(now, version.since)).unwrap_or_default(),
            policy.share_percent.map(|percent| format!("{percent} %")).unwrap_or_default(),
            policy.source.clone(),
        ]);
        match policy.can_deny.as_deref() {
            Some("declared") => table.note("can deny requests: its settings declare it"),
            Some("has_denied") => table.note("can deny requests: it has denied one"),
            _ => {}
        }
        if let Some(reads) = &policy.reads {
            table.note(&format!("reads {reads}"));
        }
        if let Some(DefaultModels { models, order }) = &policy.default_models {
            table.note(&format!("default models, by {order}: {}", in_words(models)));
        }
        if !policy.unknown_models.is_empty() {
            table.note(&format!("names models that are not configured: {}", in_words(&policy.unknown_models)));
        }
        if let Some(kept) = &policy.kept {
            table.note(&format!("`enable` loads {} {} again", label(kept), short(&kept.revision)));
        }
        if let Some(checking) = &policy.checking {
            let (revision, seconds) = (short(&checking.revision), lasting(now, checking.since));
            table.note(&format!("checking {} {revision}, for {seconds}", checking.source));
        }
        if let Some(progress) = &policy.progress {
            table.note(&progressed(progress));
        }
        if let Some(comparison) = &policy.comparison {
            compared::in_words(comparison, now).iter().for_each(|sentence| table.note(sentence));
        }
        if let Some(Agreement { agree, disagree, failed, skipped }) = &policy.agreement {
            let of = agree + disagree + failed;
            table.note(&format!(
                "agreed with the active policy on {agree} of {of} requests, disagreed on {disagree}, failed on {failed}; \
                 {skipped} more skipped for lack of capacity"
            ));
        }
        if let Some(refusal) = &policy.refused {
            table.note(&refused(refusal, now));
        }
        if policy.source_missing {
            table.note("source missing: the last good version keeps serving");
        }
    }
    table
}

/// Settings or limits in force, as a table; nothing if there are none.
fn values(head: &'static str, values: &Map<String, Value>) -> String {
    if values.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[head, "VALUE"]);
    for (name, value) in values {
        table.row([name.clone(), value.to_string()]);
    }
    format!("\n{table}")
}

/// The figures that a canary's abort rules compare, each with its limit.
fn progressed(progress: &Progress) -> String {
    let Progress { calls, failures, mean_call_ms, ended, errors, active_ended, active_errors, rules } = progress;
    let mean = mean_call_ms.map_or("no mean time yet".into(), |mean| format!("mean {mean:.3} ms"));
    format!(
        "in {} s: {failures} of {calls} calls failed (aborts above {} %), {mean} (aborts above {} ms), {errors} of {ended} \
         requests ended in an error (active: {active_errors} of {active_ended}, aborts {} % above); each needs {} samples",
        rules.window_seconds,
        percent(rules.max_failure_ratio),
        rules.max_mean_call_ms,
        percent(rules.max_error_ratio_above_active),
        rules.min_samples
    )
}

/// A share in percent, with at most three decimals.
fn percent(ratio: f64) -> f64 {
    (ratio * 1e5).round() / 1e3
}

/// What the files request and does not serve. A version that passed all stages was not refused: it is held back by what
/// happened to it.
fn refused(refusal: &Refusal, now: u64) -> String {
    let Refusal { policy, digest: _, revision, stage, reason, since } = refusal;
    let names = policy.iter().cloned().chain(revision.as_deref().map(short));
    let named: String = names.map(|name| format!(" {name}")).collect();
    let ago = ago(now, *since);
    match stage.as_str() {
        "rolled_back" | "aborted" | "superseded" => {
            format!("held back{named}, {} {ago}: {reason}; `retry` tries it", stage.replace('_', " "))
        }
        // The stage that the version did not reach.
        _ => format!("refused{named}, not {stage}, {ago}: {reason}"),
    }
}

fn label(version: &VersionStatus) -> String {
    format!("{}@{}", version.policy, version.version)
}

/// The beginning of a digest or revision, enough to distinguish versions and to roll back to one.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}
