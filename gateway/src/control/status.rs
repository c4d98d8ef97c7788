//! Builds the status for operators.

use super::Control;
use super::desired;
use super::desired::Desired;
use super::models;
use super::slots::SlotEntry;
use crate::rollout::api::{ConfigStatus, DefaultModels, PolicyStatus, Status};
use crate::rollout::slot::{Role, Slot};
use crate::rollout::slot_state::Revision;

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
            },
            policies: slots.iter().map(|slot| self.policy_status(slot)).collect(),
            history: self.history.iter().rev().cloned().collect(),
        }
    }

    /// The status of one slot.
    pub(super) fn policy_status(&self, slot: &Slot) -> PolicyStatus {
        let (choice, state) = (self.config.policy(slot), self.slots.state(slot));
        let loaded = self.slots.version(slot);
        let enabled = self.is_enabled(slot);
        PolicyStatus {
            slot: slot.clone(),
            mode: if enabled { slot.role.mode() } else { "disabled" }.to_owned(),
            state: match loaded {
                Some(version) if version.is_open() => "open",
                Some(_) => "serving",
                None => "empty",
            }
            .to_owned(),
            source: choice.map_or_else(|| crate::rollout::slot_state::UPLOADED.to_owned(), desired::origin),
            serving: state.and_then(|state| state.serving.as_ref()).map(Revision::status),
            share_percent: (slot.role == Role::Canary).then(|| self.percent(slot)),
            can_deny: loaded.map(|version| version.policy.can_deny().as_str().to_owned()),
            default_models: loaded
                .and_then(|version| version.policy.made_tiers())
                .map(|made| DefaultModels { models: made.models.clone(), order: made.order.as_str().to_owned() }),
            unknown_models: loaded.map(|version| models::unknown(&version.policy, &self.catalog)).unwrap_or_default(),
            refused: state.and_then(|state| state.blocked.as_ref()).map(|blocked| blocked.refusal.clone()),
            source_missing: matches!(self.slots.get(slot), Some(SlotEntry { desired: Some(Desired::Missing(_)), .. })),
            previous: state.map_or(Vec::new(), |state| state.previous.iter().map(Revision::status).collect()),
        }
    }
}
