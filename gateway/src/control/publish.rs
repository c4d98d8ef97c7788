//! Builds the snapshot from the slots and their loaded versions, and publishes it.

use std::sync::Arc;

use super::desired::Desired;
use super::{By, Control, models};
use crate::backend::Catalog;
use crate::config::{Access, Config};
use crate::metrics::LastReload;
use crate::rollout::comparison::Comparison;
use crate::rollout::slot::{Role, Slot};
use crate::rollout::slot_state::Override;
use crate::state::{Canary, Decider, Deciders, Shadow, Snapshot, Version};
use crate::telemetry::gauges;
use wasmgate_accounts::Registry;
use wasmgate_base::time::now;
use wasmgate_policy_host::{Hook, Models};

/// A snapshot without policies, for the time before the gateway serves.
pub(super) fn empty(config: &Config, catalog: &Arc<Catalog>, access: Access, registry: &Arc<Registry>) -> Snapshot {
    Snapshot {
        generation: 0,
        limits: config.server.clone(),
        log_requests: config.log.requests,
        catalog: Arc::clone(catalog),
        policy_models: Models::new(models::offered(catalog)),
        models: Vec::new(),
        access,
        registry: Arc::clone(registry),
        groups: Vec::new(),
        chains: Vec::new(),
        routing: Deciders::default(),
        cost: Deciders::default(),
    }
}

impl Control {
    /// Publishes a snapshot of the slots as they are now.
    pub(super) fn publish(&mut self) {
        self.generation += 1;
        self.since = now();
        self.learn_denials();
        let metrics = &self.metrics;
        let (access, changes) = self.accounts.access();
        let snapshot = Snapshot {
            generation: self.generation,
            // The same as before if nothing has changed, so that policies need not be given them again.
            policy_models: self.serving.snapshot().policy_models.renewed(models::offered(&self.catalog)),
            models: self.catalog.models().iter().map(|live| metrics.model(live)).collect(),
            groups: (access.accounts.groups().iter().enumerate())
                .map(|(position, group)| metrics.group(position, &group.name))
                .collect(),
            chains: self.meters.chains(&access.accounts, self.serving.now()),
            routing: self.deciders(Hook::Routing),
            cost: self.deciders(Hook::Cost),
            ..empty(&self.config, &self.catalog, access, self.accounts.registry())
        };
        let has_groups = !snapshot.groups.is_empty();
        self.serving.swap(snapshot);
        match self.at_first_group.take_if(|_| has_groups) {
            None => self.accounts.published(changes),
            Some(begin) => {
                let accounts = Arc::clone(&self.accounts);
                drop(tokio::task::spawn_blocking(move || {
                    begin();
                    accounts.published(changes);
                }));
            }
        }
        self.update_gauges();
        self.flush_counted();
        self.follow_models();
    }

    /// Sets the gauges that describe what serves.
    fn update_gauges(&self) {
        let last = self.slots.iter().filter_map(|(slot, entry)| {
            let (version, state) = (entry.version.as_ref()?, &entry.state);
            // A superseded version was replaced by a good one.
            let refused = state.blocked.as_ref().map(|blocked| &blocked.refusal.stage).filter(|at| *at != "superseded");
            let missing = matches!(entry.desired, Some(Desired::Missing(_))).then(|| "missing".to_owned());
            Some(LastReload {
                hook: slot.hook,
                slot: slot.to_string(),
                policy: version.policy.manifest().name.clone(),
                refused: missing.or_else(|| refused.cloned()),
                at: state.serving.as_ref()?.since,
            })
        });
        let config = (self.config_refused.is_none(), self.config_since);
        self.update_price_gauges();
        gauges::set_serving(&self.metrics, &self.serving, &last.collect::<Vec<_>>(), config);
    }

    fn deciders(&self, hook: Hook) -> Deciders {
        let choice = self.config.hook(hook);
        let decider = |version: &Arc<Version>, slot: &Slot| {
            Arc::new(Decider {
                metrics: self.metrics.policy(version.labels(slot), &self.catalog),
                version: Arc::clone(version),
                on_failure: choice.on_failure,
            })
        };
        let working = |slot: &Slot| self.slots.version(slot).filter(|_| self.is_enabled(slot));
        let (active_slot, canary_slot) = (Slot::active(hook), Slot::canary(hook));
        let active = working(&active_slot);
        let canary = working(&canary_slot).map(|version| Canary {
            decider: decider(version, &canary_slot),
            comparison: active.and_then(|active| self.comparison_of(hook, version, active)),
            percent: self.percent(&canary_slot),
            sticky_header: choice.canary.as_ref().and_then(|canary| canary.sticky_header.clone()),
        });
        let shadows = self.slots.iter().map(|(slot, _)| slot).filter(|slot| slot.hook == hook);
        let shadows = shadows.filter_map(|slot| match &slot.role {
            Role::Shadow(name) => Some((slot, name, working(slot)?)),
            Role::Active | Role::Canary => None,
        });
        let active_name = active.map(|active| &*active.policy.manifest().name);
        let shadows = shadows.map(|(slot, name, version)| Shadow {
            name: name.clone(),
            metrics: self.metrics.shadow(active_name, version.labels(slot)),
            decider: decider(version, slot),
        });
        Deciders { shadows: shadows.collect(), canary, active: active.map(|version| decider(version, &active_slot)) }
    }

    /// The comparison of a canary with the active version: the one that goes on if both serve already, at the same share.
    fn comparison_of(&self, hook: Hook, canary: &Arc<Version>, active: &Arc<Version>) -> Option<Arc<Comparison>> {
        if hook != Hook::Routing {
            return None;
        }
        let (before, percent) = (self.serving.snapshot(), self.percent(&Slot::canary(hook)));
        let Deciders { active: active_before, canary: canary_before, .. } = before.hook(hook);
        let goes_on = canary_before.as_ref().filter(|before| {
            Arc::ptr_eq(&before.decider.version, canary)
                && active_before.as_ref().is_some_and(|before| Arc::ptr_eq(&before.version, active))
                && before.percent.to_bits() == percent.to_bits()
        });
        match goes_on {
            Some(before) => before.comparison.clone(),
            None => Comparison::begin(percent).map(Arc::new),
        }
    }

    /// Whether a slot is enabled: by the operator's override, else by the configuration.
    pub(super) fn is_enabled(&self, slot: &Slot) -> bool {
        let configured = self.config.policy(slot).is_none_or(|choice| choice.enabled);
        Override::or(self.slots.state(slot).and_then(|state| state.enabled), configured)
    }

    /// A canary's share in percent: by the operator's override, else by the configuration.
    pub(super) fn percent(&self, slot: &Slot) -> f64 {
        Override::or(self.slots.state(slot).and_then(|state| state.percent), self.config.percent(slot))
    }

    /// Records an event that changes the snapshot, publishes the snapshot and saves the state.
    pub(super) fn changed(&mut self, slot: &Slot, event: &str, by: By, detail: String) {
        self.event(Some(slot), event, by, detail);
        self.publish();
        self.keep(Vec::new());
    }
}
