//! Builds the status for operators.

use super::Control;
use super::desired;
use super::desired::Desired;
use super::models;
use super::slots::SlotEntry;
use crate::rollout::analysis::Progress;
use crate::rollout::api::{Agreement, ConfigStatus, DefaultModels, PolicyStatus, Status};
use crate::rollout::comparison::Compared;
use crate::rollout::slot::{Role, Slot};
use crate::rollout::slot_state::{Revision, UPLOADED};
use crate::state::Version;
use wasmgate_policy_host::Hook;

impl Control {
    /// The status of the gateway.
    pub(super) fn status(&self) -> Status {
        let (live_generations, oldest_draining_seconds) = self.serving.live();
        let configured = self.config.policies().map(|(slot, _)| slot);
        let mut slots: Vec<Slot> = configured.chain(self.slots.names()).collect();
        slots.sort();
        slots.dedup();
        Status {
            generation: self.generation,
            since: self.since,
            live_generations,
            oldest_draining_seconds,
            config: ConfigStatus {
                file: self.config.file.as_ref().map(|file| file.display().to_string()),
                digest: self.config.digest.clone(),
                since: self.config_since,
                refused: self.config_refused.as_ref().map(|(_, reason)| reason.clone()),
                needs_restart: self.started.needs_restart(&self.config).into_iter().map(str::to_owned).collect(),
            },
            prices: self.prices_status(),
            policies: slots.iter().map(|slot| self.policy_status(slot)).collect(),
            history: self.history.iter().rev().cloned().collect(),
        }
    }

    /// The status of one slot.
    pub(super) fn policy_status(&self, slot: &Slot) -> PolicyStatus {
        let (choice, state) = (self.config.policy(slot), self.slots.state(slot));
        let loaded = self.slots.version(slot);
        let enabled = self.is_enabled(slot);
        let revision = state.and_then(|state| state.serving.as_ref());
        let serving = revision.filter(|_| loaded.is_some());
        let checking = self.checks.of(slot);
        PolicyStatus {
            slot: slot.clone(),
            mode: if enabled { slot.role.mode() } else { "disabled" }.to_owned(),
            state: match loaded {
                Some(version) if version.is_open() => "open",
                Some(_) => "serving",
                None if checking.is_some() => "loading",
                None => "empty",
            }
            .to_owned(),
            source: match (serving, choice) {
                // An operator put it there, or the files have changed since.
                (Some(serving), _) if state.is_none_or(|state| !state.is_desired(serving)) => {
                    serving.spec.origin.clone()
                }
                (_, Some(choice)) => desired::origin(choice),
                (_, None) => UPLOADED.to_owned(),
            },
            serving: serving.map(Revision::status),
            kept: revision.filter(|_| !enabled).map(Revision::status),
            checking,
            settings: loaded.map(|version| version.policy.settings()).unwrap_or_default(),
            limits: loaded.map(|version| version.policy.limits().to_json()).unwrap_or_default(),
            progress: loaded.filter(|_| slot.role == Role::Canary).map(|canary| self.progress(slot, canary)),
            comparison: self.comparison(slot),
            agreement: self.agreement(slot),
            share_percent: (slot.role == Role::Canary).then(|| self.percent(slot)),
            can_deny: loaded.map(|version| version.policy.can_deny().as_str().to_owned()),
            reads: loaded.map(|version| version.policy.reads().into()),
            default_models: loaded
                .and_then(|version| version.policy.made_tiers())
                .map(|made| DefaultModels { models: made.models.clone(), order: made.order.as_str().to_owned() }),
            unknown_models: loaded.map(|version| models::unknown(&version.policy, &self.catalog)).unwrap_or_default(),
            refused: state.and_then(|state| state.blocked.as_ref()).map(|blocked| blocked.refusal.clone()),
            source_missing: matches!(self.slots.get(slot), Some(SlotEntry { desired: Some(Desired::Missing(_)), .. })),
            previous: state.map_or(Vec::new(), |state| state.previous.iter().map(Revision::status).collect()),
        }
    }
    /// The figures that the abort rules compare.
    fn progress(&self, slot: &Slot, canary: &Version) -> Progress {
        let (rules, active) = (self.abort_rules(slot), self.slots.version(&Slot::active(slot.hook)));
        let counts = |version: &Version| version.stats.counts(rules.window());
        rules.progress(&counts(canary), &active.map(|active| counts(active)).unwrap_or_default())
    }

    /// How the requests of a canary and of the active version compare.
    fn comparison(&self, slot: &Slot) -> Option<Compared> {
        let snapshot = self.serving.snapshot();
        let canary = snapshot.hook(slot.hook).canary.as_ref().filter(|_| slot.role == Role::Canary)?;
        canary.comparison.as_ref().map(|comparison| comparison.compared())
    }

    /// How often a shadow agreed with the active policy.
    fn agreement(&self, slot: &Slot) -> Option<Agreement> {
        let Role::Shadow(name) = &slot.role else { return None };
        let snapshot = self.serving.snapshot();
        let deciders = match slot.hook {
            Hook::Routing => &snapshot.routing,
            Hook::Cost => &snapshot.cost,
        };
        let shadow = deciders.shadows.iter().find(|shadow| shadow.name == *name)?;
        let [agree, disagree, failed, skipped] = shadow.metrics.counts();
        Some(Agreement { agree, disagree, failed, skipped })
    }
}
