//! All that the control task knows of each slot, in one map.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::auto_rollback::OpenBreaker;
use super::compare::Comparison;
use super::desired::Desired;
use super::models::Reported;
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::SlotState;
use crate::state::Version;

/// One slot.
#[derive(Debug, Default)]
pub(super) struct SlotEntry {
    /// What serves, what served, what is blocked: this part survives a restart.
    pub(super) state: SlotState,
    /// The loaded version; `None` if the slot is empty or disabled.
    pub(super) version: Option<Arc<Version>>,
    /// What the files desired at the last reconciliation.
    pub(super) desired: Option<Desired>,
    /// The version's breaker, if it has ever opened.
    pub(super) breaker: Option<OpenBreaker>,
    /// The comparison of the version with another, if its failures made one necessary.
    pub(super) comparison: Option<Comparison>,
    /// What was last reported of the models that the version's settings name.
    pub(super) reported: Reported,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slots(BTreeMap<Slot, SlotEntry>);

impl Slots {
    /// A slot, created if it is new.
    pub(super) fn entry(&mut self, slot: &Slot) -> &mut SlotEntry {
        self.0.entry(slot.clone()).or_default()
    }

    /// A known slot.
    pub(super) fn get(&self, slot: &Slot) -> Option<&SlotEntry> {
        self.0.get(slot)
    }

    /// A known slot.
    pub(super) fn get_mut(&mut self, slot: &Slot) -> Option<&mut SlotEntry> {
        self.0.get_mut(slot)
    }

    /// The state of a known slot.
    pub(super) fn state(&self, slot: &Slot) -> Option<&SlotState> {
        self.get(slot).map(|entry| &entry.state)
    }

    /// The version loaded in a slot.
    pub(super) fn version(&self, slot: &Slot) -> Option<&Arc<Version>> {
        self.get(slot)?.version.as_ref()
    }

    /// The revision that serves in a slot, or that would serve if the slot were enabled.
    pub(super) fn serving(&self, slot: &Slot) -> Option<&crate::rollout::slot_state::Revision> {
        self.state(slot)?.serving.as_ref()
    }

    /// Unloads a slot's version and discards what is known of its failures. Its state stays.
    pub(super) fn unload(&mut self, slot: &Slot) {
        if let Some(entry) = self.get_mut(slot) {
            (entry.version, entry.breaker, entry.comparison) = (None, None, None);
        }
    }

    /// Removes a slot and its state.
    pub(super) fn remove(&mut self, slot: &Slot) {
        self.0.remove(slot);
    }

    /// All slots, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Slot, &SlotEntry)> {
        self.0.iter()
    }

    /// All slots, by name.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Slot, &mut SlotEntry)> {
        self.0.iter_mut()
    }

    /// The names of all slots.
    pub(super) fn names(&self) -> Vec<Slot> {
        self.0.keys().cloned().collect()
    }

    /// The state of each slot, empty ones too: that a start finds a slot here says that an earlier start accepted it.
    pub(super) fn states(&self) -> BTreeMap<Slot, SlotState> {
        self.0.iter().map(|(slot, entry)| (slot.clone(), entry.state.clone())).collect()
    }
}
