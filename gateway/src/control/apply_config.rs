//! Applies or refuses a whole configuration: models, backends, limits and slots.

use std::sync::Arc;

use super::desired::Bytes;
use super::prices::Look;
use super::reconcile::Applicable;
use super::{By, Control};
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::{Spec, UPLOADED};
use wasmgate_base::time::now;

impl Control {
    /// Records that the configuration file was refused. Returns `false` if this refusal is already known.
    pub(super) fn refuse_config(&mut self, identity: String, reason: String) -> bool {
        if self.config_refused.as_ref().is_some_and(|(known, _)| *known == identity) {
            return false;
        }
        tracing::warn!(reason, "configuration refused; the last good one keeps serving");
        self.metrics.config_reloaded(false);
        self.event(None, "config_refused", By::Files, reason.clone());
        self.config_refused = Some((identity, reason));
        true
    }

    /// Applies a new configuration.
    pub(super) fn apply_config(&mut self, applicable: Applicable, kept: &mut Vec<(Spec, Bytes)>) {
        let Applicable { config, catalog, prices, desires, loads } = applicable;
        let restart = self.started.needs_restart(&config);
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these configuration changes need a restart");
        }
        self.config = Arc::new(config);
        self.accounts.configured(&self.config);
        self.config_since = now();
        self.config_refused = None;
        self.catalog = Arc::new(catalog);
        self.catalog.take_effect();
        match prices {
            Look::New(prices) => self.set_prices(*prices),
            Look::Wrong { identity, reason } => {
                self.refuse_prices(identity, reason);
            }
            Look::Same | Look::Changing => {
                self.prices_stay();
            }
        }
        let slots = self.slots.names();
        for slot in &slots {
            let enabled = self.config.policy(slot).is_none_or(|choice| choice.enabled);
            let percent = self.config.percent(slot);
            if let Some(entry) = self.slots.get_mut(slot) {
                entry.state.configured(enabled, percent);
            }
            // No snapshot has a disabled version. Unloading it frees its memory; enabling the slot loads it anew.
            if !self.is_enabled(slot) {
                self.slots.unload(slot);
            }
        }
        for admitted in loads {
            self.admitted(admitted, kept);
        }
        for (_, entry) in self.slots.iter_mut() {
            entry.desired = None;
        }
        for (slot, desire) in desires {
            self.desired(slot, desire);
        }
        // Remove slots that the configuration no longer has, except those with an operator's upload.
        let config = Arc::clone(&self.config);
        let is_gone = |slot: &Slot| {
            let uploaded = self.slots.serving(slot).is_some_and(|serving| serving.spec.origin == UPLOADED);
            config.policy(slot).is_none() && !uploaded
        };
        let gone: Vec<Slot> = self.slots.names().into_iter().filter(is_gone).collect();
        for slot in gone {
            self.slots.remove(&slot);
        }
        // A slot may be enabled again while its desired version is blocked: restore the version that served before.
        for slot in slots {
            let serving = self.slots.serving(&slot).cloned();
            if let Some(serving) = serving.filter(|_| self.is_enabled(&slot) && self.slots.version(&slot).is_none()) {
                self.restore(slot, serving, By::Files, None);
            }
        }
        self.metrics.config_reloaded(true);
        tracing::info!(digest = self.config.digest, "configuration applied");
        self.event(None, "config_applied", By::Files, String::new());
        self.advise();
        self.say_prices();
        self.probe_backends();
    }

    /// Probes the backends of the catalog and no others.
    pub(super) fn probe_backends(&mut self) {
        let wanted = self.catalog.backends();
        self.probes.retain(|(backend, probe)| {
            let kept = wanted.iter().any(|wanted| Arc::ptr_eq(wanted, backend));
            if !kept {
                probe.abort();
            }
            kept
        });
        for backend in wanted {
            if !self.probes.iter().any(|(probed, _)| Arc::ptr_eq(probed, backend)) {
                let probe = tokio::spawn(Arc::clone(backend).keep_probing());
                self.probes.push((Arc::clone(backend), probe));
            }
        }
    }
}
