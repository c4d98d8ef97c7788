//! Decides which series stay: those in use, and for a while those out of use, so that Prometheus scrapes their last
//! values.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::groups::NO_GROUP;
use super::place::PolicyLabels;
use super::register::Labels;
use super::reloads::NO_POLICY;
use crate::backend::Catalog;

/// Maximum of versions out of use whose series stay, for each slot. Files that change every second must not add series
/// without bound.
pub(super) const MAX_RETIRED: usize = 4;

/// When each label value was last in use.
#[derive(Debug, Default)]
pub(super) struct Retired {
    versions: HashMap<PolicyLabels, Instant>,
    // Slots in which a change was refused while no policy served.
    empty_slots: HashMap<String, Instant>,
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

    /// Marks a slot in which no policy serves as in use now.
    pub(super) fn note_empty(&mut self, slot: &str, now: Instant) {
        self.empty_slots.insert(slot.to_owned(), now);
    }

    /// The label values that were noted at that time, and all slots in which no policy serves.
    pub(super) fn noted_at(&self, time: Instant) -> Self {
        fn of<K: Clone + Eq + std::hash::Hash>(all: &HashMap<K, Instant>, time: Instant) -> HashMap<K, Instant> {
            all.iter().filter(|(_, seen)| **seen == time).map(|(value, seen)| (value.clone(), *seen)).collect()
        }
        Self {
            versions: of(&self.versions, time),
            empty_slots: self.empty_slots.clone(),
            models: of(&self.models, time),
            upstreams: of(&self.upstreams, time),
            groups: of(&self.groups, time),
        }
    }

    /// Forgets label values out of use for `kept`, and of each slot all but the last versions out of use. Returns whether
    /// there were any.
    pub(super) fn expire(&mut self, now: Instant, kept: Duration) -> bool {
        let recent = |seen: &mut Instant| now.duration_since(*seen) < kept || *seen == now;
        let count = |retired: &Self| {
            let Self { versions, empty_slots, models, upstreams, groups } = retired;
            versions.len() + empty_slots.len() + models.len() + upstreams.len() + groups.len()
        };
        let before = count(self);
        self.versions.retain(|_, seen| recent(seen));
        self.empty_slots.retain(|_, seen| recent(seen));
        self.models.retain(|_, seen| recent(seen));
        self.upstreams.retain(|_, seen| recent(seen));
        self.groups.retain(|_, seen| recent(seen));
        self.forget_surplus(now);
        count(self) < before
    }

    /// Forgets of each slot all but the last versions out of use.
    fn forget_surplus(&mut self, now: Instant) {
        let retired = self.versions.iter().filter(|(_, seen)| **seen < now);
        let mut retired: Vec<(PolicyLabels, Instant)> = retired.map(|(labels, seen)| (labels.clone(), *seen)).collect();
        retired.sort_by_key(|(_, seen)| Reverse(*seen));
        let mut of_slot: HashMap<String, usize> = HashMap::new();
        for (labels, _) in retired {
            let count = of_slot.entry(labels.slot.clone()).or_default();
            *count += 1;
            if *count > MAX_RETIRED {
                self.versions.remove(&labels);
            }
        }
    }

    /// Whether a series stays: each of its model, policy, upstream and group labels has a value that is not forgotten.
    pub(super) fn keep(&self) -> impl Fn(&Labels<'_>) -> bool + use<'_> {
        let names: HashSet<&str> = self.versions.keys().map(|labels| &*labels.policy).collect();
        let policies: HashSet<(&str, &str)> =
            self.versions.keys().map(|labels| (&*labels.slot, &*labels.policy)).collect();
        let versions: HashSet<[&str; 4]> = self.versions.keys().map(version).collect();
        move |labels| {
            let has = |name: &str| labels.get(name).copied();
            let is_model = |name: &str| ["none", "other"].contains(&name) || self.models.contains_key(name);
            let slot = has("slot").unwrap_or_default();
            let policy = match (has("policy"), has("version"), has("revision"), has("shadow_policy")) {
                (None, ..) => true,
                (Some(policy), Some(version), Some(revision), _) => {
                    versions.contains(&[slot, policy, version, revision])
                }
                // The slot is the shadow's.
                (Some(active), .., Some(_)) => active == NO_POLICY || names.contains(active),
                (Some(NO_POLICY), ..) => self.empty_slots.contains_key(slot),
                (Some(policy), ..) => policies.contains(&(slot, policy)),
            };
            let shadow = match (has("shadow_policy"), has("shadow_version"), has("shadow_revision")) {
                (Some(policy), Some(version), Some(revision)) => versions.contains(&[slot, policy, version, revision]),
                _ => true,
            };
            let models = ["model", "from_model", "to_model", "active_model", "shadow_model"];
            policy
                && shadow
                && models.iter().all(|name| has(name).is_none_or(is_model))
                && has("upstream").is_none_or(|upstream| self.upstreams.contains_key(upstream))
                && has("group").is_none_or(|group| group == NO_GROUP || self.groups.contains_key(group))
        }
    }
}

/// What tells a version's series from those of all others.
fn version(labels: &PolicyLabels) -> [&str; 4] {
    [&labels.slot, &labels.policy, &labels.version, &labels.revision]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_policy_host::Hook;

    fn labels(slot: &str, revision: usize) -> PolicyLabels {
        let (slot, revision) = (slot.to_owned(), format!("{revision:012x}"));
        PolicyLabels {
            hook: Hook::Routing,
            slot,
            policy: "mine".into(),
            version: "1.0.0".into(),
            revision,
            mode: "active",
        }
    }

    #[test]
    fn of_many_revisions_of_a_slot_the_last_stay_for_their_time() {
        let (start, kept) = (Instant::now(), Duration::from_secs(300));
        let mut retired = Retired::default();
        let after = |seconds: usize| start + Duration::from_secs(seconds as u64);
        for second in 0..20 {
            for slot in ["routing", "routing.canary"] {
                retired.versions.insert(labels(slot, second), after(second));
            }
        }
        assert!(retired.expire(after(19), kept));
        let stay = |retired: &Retired, slot: &str| -> Vec<usize> {
            (0..20).filter(|revision| retired.versions.contains_key(&labels(slot, *revision))).collect()
        };
        for slot in ["routing", "routing.canary"] {
            assert_eq!(stay(&retired, slot), [15, 16, 17, 18, 19], "{slot}: the serving one and four");
        }
        assert!(!retired.expire(after(19), kept), "nothing else went");
        retired.versions.insert(labels("routing", 19), after(317));
        assert!(retired.expire(after(317), kept));
        assert_eq!(stay(&retired, "routing"), [18, 19]);
        assert_eq!(stay(&retired, "routing.canary"), [18, 19]);
    }

    #[test]
    fn a_series_stays_only_with_its_own_slot_and_revision() {
        let mut retired = Retired::default();
        retired.versions.insert(labels("routing", 1), Instant::now());
        retired.versions.insert(labels("routing.shadows.a", 2), Instant::now());
        retired.note_empty("routing.canary", Instant::now());
        let keep = retired.keep();
        let of = |pairs: &[(&'static str, &'static str)]| keep(&pairs.iter().copied().collect());
        let version =
            |slot, revision| of(&[("slot", slot), ("policy", "mine"), ("version", "1.0.0"), ("revision", revision)]);
        assert!(version("routing", "000000000001"));
        assert!(!version("routing", "000000000002") && !version("routing.canary", "000000000001"));
        assert!(of(&[("slot", "routing"), ("policy", "mine")]));
        assert!(of(&[("slot", "routing.canary"), ("policy", "none")]));
        assert!(
            !of(&[("slot", "routing.canary"), ("policy", "mine")]) && !of(&[("slot", "routing"), ("policy", "none")])
        );
        let shadow = |active, slot, revision| {
            of(&[
                ("slot", slot),
                ("policy", active),
                ("shadow_policy", "mine"),
                ("shadow_version", "1.0.0"),
                ("shadow_revision", revision),
            ])
        };
        assert!(shadow("mine", "routing.shadows.a", "000000000002"));
        assert!(shadow("none", "routing.shadows.a", "000000000002"));
        assert!(!shadow("gone", "routing.shadows.a", "000000000002"));
        assert!(!shadow("mine", "routing.shadows.b", "000000000002"));
        assert!(!shadow("mine", "routing.shadows.a", "000000000001"));
        assert!(of(&[("result", "success")]));
    }
}
