//! Decides which series stay: those in use, and for a while those out of use, so that Prometheus scrapes their last
//! values.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::policies::PolicyLabels;
use super::register::Labels;
use crate::backend::Catalog;

/// When each label value was last in use.
#[derive(Debug, Default)]
pub(super) struct Retired {
    versions: HashMap<PolicyLabels, Instant>,
    models: HashMap<String, Instant>,
    upstreams: HashMap<String, Instant>,
    groups: HashMap<String, Instant>,
}

impl Retired {
    /// Marks these label values as in use now.
    pub(super) fn note<'a>(
        &mut self,
        versions: impl Iterator<Item = &'a PolicyLabels>,
        catalog: &Catalog,
        groups: impl Iterator<Item = &'a str>,
        now: Instant,
    ) {
        self.versions.extend(versions.map(|labels| (labels.clone(), now)));
        self.models.extend(catalog.models().iter().map(|live| (live.model.name.clone(), now)));
        let upstreams = catalog.backends().iter();
        self.upstreams.extend(upstreams.map(|backend| (backend.settings().name.clone(), now)));
        self.groups.extend(groups.map(|group| (group.to_owned(), now)));
    }

    /// Forgets label values out of use for `kept`. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Instant, kept: Duration) -> bool {
        let recent = |seen: &mut Instant| now.duration_since(*seen) < kept || *seen == now;
        let count = |retired: &Self| {
            retired.versions.len() + retired.models.len() + retired.upstreams.len() + retired.groups.len()
        };
        let before = count(self);
        self.versions.retain(|_, seen| recent(seen));
        self.models.retain(|_, seen| recent(seen));
        self.upstreams.retain(|_, seen| recent(seen));
        self.groups.retain(|_, seen| recent(seen));
        count(self) < before
    }

    /// Whether a series stays: each of its model, policy, upstream and group labels has a value that is not forgotten.
    pub(super) fn keep(&self) -> impl Fn(&Labels<'_>) -> bool + use<'_> {
        let policies: HashSet<&str> = self.versions.keys().map(|labels| &*labels.policy).collect();
        let versions: HashSet<(&str, &str, &str)> =
            self.versions.keys().map(|labels| (&*labels.policy, &*labels.version, labels.mode)).collect();
        move |labels| {
            let has = |name: &str| labels.get(name).copied();
            let is_model = |name: &str| ["none", "other"].contains(&name) || self.models.contains_key(name);
            let version = match (has("policy"), has("version"), has("mode")) {
                (Some(policy), Some(version), Some(mode)) => versions.contains(&(policy, version, mode)),
                (Some(policy), None, None) => policy == "none" || policies.contains(policy),
                _ => true,
            };
            let shadow = match (has("shadow_policy"), has("shadow_version")) {
                (Some(policy), Some(version)) => versions.contains(&(policy, version, "shadow")),
                _ => true,
            };
            let models = ["model", "from_model", "to_model", "active_model", "shadow_model"];
            version
                && shadow
                && models.iter().all(|name| has(name).is_none_or(is_model))
                && has("upstream").is_none_or(|upstream| self.upstreams.contains_key(upstream))
                && has("group").is_none_or(|group| self.groups.contains_key(group))
        }
    }
}
