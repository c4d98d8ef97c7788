//! Formats the admin API's answers as text, with the API's words.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use wasmgate::rollout::api::{DefaultModels, Event, PolicyStatus, Refusal, Status, VersionStatus};
use wasmgate_policy_host::in_words;

use super::table::{Table, ago, clean, wrap};

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
        text += &wrap(&clean(&format!("current file refused: {reason}")), "  ", "    ");
    }
    text
}

/// `policies show`.
pub(super) fn policy(policy: &PolicyStatus, events: &Events) -> String {
    let mut text = done(policy);
    if !policy.previous.is_empty() {
        let mut table = Table::new(&["PREVIOUS", "REVISION", "DIGEST", "SINCE"]);
        for version in &policy.previous {
            table.row([label(version), short(&version.revision), short(&version.digest), ago(now(), version.since)]);
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
        if let Some(DefaultModels { models, order }) = &policy.default_models {
            table.note(&format!("default models, by {order}: {}", in_words(models)));
        }
        if !policy.unknown_models.is_empty() {
            table.note(&format!("names models that are not configured: {}", in_words(&policy.unknown_models)));
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
