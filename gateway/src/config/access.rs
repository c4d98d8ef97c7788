//! Who may use the gateway: `server.auth`, `[groups.NAME]` and `[keys.NAME]`. The file has no key, only hashes of keys.
//! `managed.rs` joins them with the groups that the gateway keeps itself.

use std::net::SocketAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use wasmgate_accounts::{
    Accounts, Explore, Group, GroupSpec, Key, KeyHash, KeyId, MAX_DEPTH, Mistake, NEVER, Place, Previous, TimeZone,
    WhenSpent, time,
};
use wasmgate_base::nearest::close;
use wasmgate_base::range::Range;
use wasmgate_decisions::Keep;

use super::checks::{check_labels, check_name};
use super::decisions::{ContentFile, KeepContent};
use super::explore::{self, ExploreFile};
use super::limits::{LimitsFile, Reserve};
use super::problem::{Code, Problems, Wrong, wrong};
use crate::backend::Model;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Who may use the gateway.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Whether requests need a key.
    pub auth: Auth,
    /// The groups and keys.
    pub accounts: Arc<Accounts>,
    /// The groups as the file has them.
    pub(super) written: Arc<IndexMap<String, GroupFile>>,
    /// What requests of groups with a budget reserve.
    pub reserve: Reserve,
    /// What of their prompts the decision log keeps.
    pub keep_content: KeepContent,
    /// How often requests are explored whose group says nothing, or that have none; `None`: never.
    pub explore: Option<Explore>,
}

impl Access {
    /// How often requests of the group at a position are explored; `None`: never.
    #[must_use]
    pub fn explore(&self, group: Option<usize>) -> Option<Explore> {
        let own = group.and_then(|group| self.accounts.groups().get(group)).and_then(|group| group.explore);
        own.or(self.explore).filter(|explore| explore.is_on())
    }

    /// Whether any request is explored.
    pub(super) fn explores(&self) -> bool {
        let groups = self.accounts.groups().iter().filter_map(|group| group.explore);
        groups.chain(self.explore).any(Explore::is_on)
    }
}

/// Whether requests need a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auth {
    /// Each request needs a valid key.
    Required,
    /// A request may have none. One that has a key of the gateway's form needs a valid one.
    Optional,
    /// The operator said that no request needs one. Keys are not read.
    Off,
    /// The operator said nothing, and the file has no keys: clients of this machine need none.
    #[default]
    Unset,
}

impl Auth {
    /// Refuses an address that other machines can reach if nobody said that they need no key.
    ///
    /// # Errors
    /// Then.
    pub fn check_reach(self, listen: SocketAddr) -> Result<(), String> {
        if self != Self::Unset || listen.ip().is_loopback() {
            return Ok(());
        }
        Err(format!(
            "other machines can reach {listen} and requests need no key: set server.auth to \"required\" and make keys with \
             `wasmgate keys new`, or to \"off\" if anyone who reaches it may use its models, or listen on a loopback address such \
             as 127.0.0.1:8080"
        ))
    }
}

/// `server.auth` as written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthFile {
    Required,
    Optional,
    Off,
}

/// `when_spent` as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum WhenSpentFile {
    #[default]
    Reject,
    LocalOnly,
    Policy,
}

/// A group as written. What it leaves out is left out too when it is shown.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GroupFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denied_models: Vec<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    labels: IndexMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "LimitsFile::is_empty")]
    limits: LimitsFile,
    #[serde(skip_serializing_if = "WhenSpentFile::is_usual")]
    when_spent: WhenSpentFile,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_unpriced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentFile>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    exact: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explore: Option<ExploreFile>,
}

impl WhenSpentFile {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    group: Option<String>,
    sha256: Option<String>,
    previous_sha256: Option<String>,
    previous_until: Option<String>,
    created: Option<String>,
    expires_after_days: Option<u32>,
    #[serde(default)]
    blocked: bool,
}

/// The numbers of a group, apart from its limits.
pub(super) const GROUPS: &[(&str, Range)] = &[("explore.percent", explore::PERCENT)];

/// The numbers of a key.
pub(super) const KEYS: &[(&str, Range)] = &[("expires_after_days", Range::Whole(1, 36_500))];

/// Checks and resolves the three.
pub(super) fn mean_access(
    auth: Option<AuthFile>,
    groups: IndexMap<String, GroupFile>,
    keys: IndexMap<String, KeyFile>,
    reserve: Reserve,
    keep: Keep,
    models: &[Model],
    problems: &mut Problems,
) -> Access {
    let has_keys = !keys.is_empty();
    let at = ["server", "auth"];
    let auth = match auth {
        Some(AuthFile::Required) => Auth::Required,
        Some(AuthFile::Optional) => Auth::Optional,
        Some(AuthFile::Off) => {
            if has_keys {
                let found = "\"off\", so that nobody reads the keys of this file";
                problems.warn(wrong(&at, Code::Unused, found, "\"required\" or \"optional\""));
            }
            Auth::Off
        }
        None if has_keys => Auth::Required,
        None => Auth::Unset,
    };
    let own = groups.iter().filter_map(|(name, group)| Some((name.clone(), group.content()?)));
    let keep_content = KeepContent { others: keep, groups: own.collect() };
    let specs: Vec<GroupSpec> = (groups.iter())
        .map(|(name, group)| {
            let zone = zone(&groups, name, problems);
            check_group(name, group, models, problems);
            group.spec(name, &zone)
        })
        .collect();
    let keys: Vec<Arc<Key>> = keys.into_iter().filter_map(|(id, key)| mean_key(id, key, problems)).collect();
    let accounts = match Accounts::new(&specs, keys) {
        Ok(accounts) => accounts,
        Err(mistakes) => {
            let names: Vec<&str> = groups.keys().map(String::as_str).collect();
            mistakes.into_iter().for_each(|mistake| problems.add(mean_mistake(&mistake, &names)));
            Accounts::default()
        }
    };
    for group in accounts.groups() {
        problems.take(check_permits(group, models));
    }
    Access { auth, accounts: Arc::new(accounts), written: Arc::new(groups), reserve, keep_content, explore: None }
}

/// Refuses a group that permits no configured model.
pub(super) fn check_permits(group: &Group, models: &[Model]) -> Result<(), Wrong> {
    if models.is_empty() || models.iter().any(|model| group.permits(&model.name)) {
        return Ok(());
    }
    let found = "this group and the groups above it together permit no configured model";
    Err(wrong(&["groups", &group.name], Code::Conflict, found, "at least one"))
}

/// The time zone of a group: its own, or that of the nearest group above it that has one, or UTC.
pub(super) fn zone(groups: &IndexMap<String, GroupFile>, name: &str, problems: &mut Problems) -> TimeZone {
    let mut at = name;
    for _ in 0..MAX_DEPTH {
        let Some(group) = groups.get(at) else { break };
        if let Some(zone) = &group.timezone {
            let unknown = |_| {
                let found = format!("{zone:?} is not a time zone");
                wrong(&["groups", at, "timezone"], Code::UnknownValue, found, "one as in \"Europe/Berlin\" or \"UTC\"")
            };
            // A mistake is reported at the group that has it.
            return match TimeZone::get(zone).map_err(unknown) {
                Err(wrong) if at == name => problems.take(Err(wrong)).unwrap_or(TimeZone::UTC),
                found => found.unwrap_or(TimeZone::UTC),
            };
        }
        let Some(parent) = &group.parent else { break };
        at = parent;
    }
    TimeZone::UTC
}

/// Checks what a group says, apart from its place among the groups.
pub(super) fn check_group(name: &str, file: &GroupFile, models: &[Model], problems: &mut Problems) {
    problems.take(check_name(&["groups", name], name));
    if ["none", "other"].contains(&name) {
        let found = "`none` and `other` are reserved";
        problems.add(wrong(&["groups", name], Code::Conflict, found, "another name"));
    }
    let denied = file.denied_models.iter().map(|model| ("denied_models", model));
    for (key, model) in file.models.iter().flatten().map(|model| ("models", model)).chain(denied) {
        // A model that was left out because it is wrong was meant.
        if !models.iter().any(|known| known.name == *model) && !problems.is_left_out(&["models", model]) {
            let near = close(model, models.iter().map(|known| known.name.as_str()));
            let found = format!("there is no model {model:?}");
            problems.add(wrong(&["groups", name, key], Code::UnknownName, found, "").near(near));
        }
    }
    check_labels(&["groups", name], &file.labels, problems);
}

impl GroupFile {
    /// What of its prompts the decision log keeps; `None`: what it keeps of others.
    pub(super) fn content(&self) -> Option<Keep> {
        self.content.map(ContentFile::mean)
    }

    /// The group as the rules have it.
    pub(super) fn spec(&self, name: &str, zone: &TimeZone) -> GroupSpec {
        let when_spent = match self.when_spent {
            WhenSpentFile::Reject => WhenSpent::Reject,
            WhenSpentFile::LocalOnly => WhenSpent::LocalOnly,
            WhenSpentFile::Policy => WhenSpent::Policy,
        };
        GroupSpec {
            name: name.to_owned(),
            parent: self.parent.clone(),
            models: self.models.clone(),
            denied_models: self.denied_models.clone(),
            labels: self.labels.iter().map(|(label, value)| (label.clone(), value.clone())).collect(),
            limits: self.limits.mean(zone, when_spent),
            allow_unpriced: self.allow_unpriced,
            exact: self.exact,
            explore: self.explore.map(ExploreFile::mean),
        }
    }
}

fn mean_key(id: String, file: KeyFile, problems: &mut Problems) -> Option<Arc<Key>> {
    problems.take(check_name(&["keys", &id], &id));
    let known = KeyId::of(&id);
    if let KeyId::Made(_) = known {
        let found = "such names are those of keys that the gateway makes itself";
        problems.add(wrong(&["keys", &id], Code::Conflict, found, "another name"));
    }
    let at = |key: &'static str| ["keys", &*id, key];
    let group = file
        .group
        .ok_or_else(|| wrong(&at("group"), Code::Missing, "missing", "the NAME of one of the tables [groups.NAME]"));
    let hash = file.sha256.ok_or_else(|| {
        let expected = "the hash that `wasmgate keys new` prints: 64 hexadecimal digits";
        wrong(&at("sha256"), Code::Missing, "missing", expected)
    });
    let hash = hash.and_then(|text| mean_hash(&at("sha256"), &text));
    let (group, hash) = (problems.take(group), problems.take(hash));
    let created = problems.take(file.created.map(|text| mean_time(&at("created"), &text)).transpose()).flatten();
    let expires = match (created, file.expires_after_days) {
        (Some(created), Some(days)) => created + u64::from(days) * DAY,
        (None, Some(_)) => {
            let expected = "a time as in \"2026-11-29T12:00:00Z\", from which `expires_after_days` counts";
            problems.add(wrong(&at("created"), Code::Missing, "missing", expected));
            NEVER
        }
        (_, None) => NEVER,
    };
    let previous = match (file.previous_sha256, file.previous_until) {
        (Some(hash), Some(until)) => {
            let hash = problems.take(mean_hash(&at("previous_sha256"), &hash));
            let until = problems.take(mean_time(&at("previous_until"), &until));
            hash.zip(until).map(|(hash, until)| Box::new(Previous { hash, until }))
        }
        (Some(_), None) => {
            let expected = "the time at which the older key ends, as in \"2026-11-29T12:00:00Z\"";
            problems.add(wrong(&at("previous_until"), Code::Missing, "missing", expected));
            None
        }
        (None, Some(_)) => {
            problems.add(wrong(&at("previous_sha256"), Code::Missing, "missing", "the hash of the older key"));
            None
        }
        (None, None) => None,
    };
    let (group, hash) = (group?.into(), hash?);
    Some(Arc::new(Key { id: known, group, hash, previous, expires, blocked: file.blocked, name: None, labels: None }))
}

/// A hash. What is written in its place may be the key itself, so an error does not repeat it.
fn mean_hash(path: &[&str], text: &str) -> Result<KeyHash, Wrong> {
    let expected = "the hash that `wasmgate keys new` prints: 64 hexadecimal digits, not the key";
    KeyHash::parse(text).ok_or_else(|| wrong(path, Code::InvalidValue, "not the hash of a key", expected))
}

fn mean_time(path: &[&str], text: &str) -> Result<u64, Wrong> {
    let found =
        || wrong(path, Code::InvalidValue, format!("{text:?} is not a time"), "one as in \"2026-11-29T12:00:00Z\"");
    // Four digits of a year are enough for any expiry to be counted.
    time::parse(text).ok_or_else(found)
}

/// A mistake in words, at its place in the file.
pub(super) fn mean_mistake(mistake: &Mistake, groups: &[&str]) -> Wrong {
    use wasmgate_accounts::Wrong as W;
    let (table, name, key) = match &mistake.place {
        Place::Group(name) => ("groups", name, "parent"),
        Place::Key(id) => ("keys", id, "group"),
    };
    let path = [table, name, key];
    match &mistake.wrong {
        W::NoGroup(group) => {
            let near = close(group, groups.iter().copied());
            wrong(&path, Code::UnknownName, format!("there is no group {group:?}"), "").near(near)
        }
        W::Circle(names) => {
            wrong(&path, Code::Conflict, format!("the group is above itself: {}", names.join(" below ")), "")
        }
        W::TooDeep => {
            let found = format!("more than {MAX_DEPTH} groups are above one another");
            wrong(&path, Code::Conflict, found, format!("at most {MAX_DEPTH}"))
        }
        W::SameKey(other) => {
            wrong(&[table, name], Code::Conflict, format!("the same hash as in [keys.{other}]"), "a key of its own")
        }
    }
}
