//! Keeps what policies' settings say of models in step with the configured models. It reports names that no configured model
//! has. If the models change, it makes the tiers that the operator did not set anew: the version stays, its settings change.

use std::sync::Arc;

use super::{Control, Done};
use crate::backend::{Capability, Catalog, LiveModel};
use crate::rollout::slot::Slot;
use crate::state::Version;
use wasmgate_policy_host::{
    Capabilities, KnownModel, Location, MadeTiers, Model, Named, Policy, PolicyFailure, Price, in_words,
};

/// What was last reported of a slot's version.
#[derive(Debug, Default)]
pub(super) struct Reported {
    unknown: Named,
    tiers: Option<MadeTiers>,
    /// Whether the version is being given other tiers.
    pub(super) refitting: bool,
}

/// The configured models, as policies' settings may name them.
pub(super) fn known(catalog: &Catalog) -> Vec<KnownModel> {
    let known = |live: &LiveModel| {
        let model = &live.model;
        KnownModel {
            name: model.name.clone(),
            price: model.price.map(|price| price.rates.input.0.saturating_add(price.rates.output.0)),
            // Nothing else tells a model for embeddings from one for chats.
            embeds: model.name.contains("embed") || model.backend_name.contains("embed"),
        }
    };
    catalog.models().iter().map(known).collect()
}

/// The configured models, as policies are given them.
pub(super) fn offered(catalog: &Catalog) -> Vec<Model> {
    let offered = |live: &LiveModel| {
        let (model, backend) = (&live.model, live.backend.settings());
        Model {
            name: model.name.clone(),
            backend: backend.name.clone(),
            location: match backend.location {
                crate::backend::Location::Local => Location::Local,
                crate::backend::Location::Cloud => Location::Cloud,
            },
            price: model.price.map(|price| Price { input: price.rates.input.0, output: price.rates.output.0 }),
            context_window: model.context_window,
            capabilities: model.capabilities.iter().fold(Capabilities::empty(), |set, capability| {
                set | match capability {
                    Capability::Tools => Capabilities::TOOLS,
                    Capability::Images => Capabilities::IMAGES,
                    Capability::StructuredOutput => Capabilities::STRUCTURED_OUTPUT,
                }
            }),
            labels: model.labels.clone(),
        }
    };
    catalog.models().iter().map(offered).collect()
}

/// The names in a policy's settings that no configured model has, by setting.
pub(super) fn unknown(policy: &Policy, catalog: &Catalog) -> Named {
    policy.unknown_models(|name| catalog.find(name).is_some())
}

/// The warning about unknown names in a slot; `None` if there are none.
pub(super) fn warning(slot: &Slot, unknown: &Named, catalog: &Catalog) -> Option<String> {
    let first = unknown.values().flatten().next()?;
    let near = catalog.nearest(first).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    let names = in_words(unknown);
    // A script's constants are not among its settings.
    let table = if unknown.keys().all(|key| key.starts_with("const ")) { "" } else { ".settings" };
    Some(format!("policies.{slot}{table}: no configured model has these names, which have no effect: {names}{near}"))
}

/// As in `low-models = ["a"], high-models = ["b"] (made from the configured models, by price)`.
pub(super) fn tiers(made: &MadeTiers) -> String {
    format!("{} (made from the configured models, {})", in_words(&made.models), made.order.in_words())
}

impl Control {
    /// Reports what is new of the versions in slots, and refits those whose tiers the models have outdated. Called
    /// whenever a snapshot is published.
    pub(super) fn follow_models(&mut self) {
        let models = known(&self.catalog);
        for (slot, entry) in self.slots.iter_mut() {
            let Some(version) = &entry.version else {
                entry.reported = Reported::default();
                continue;
            };
            let (unknown, made) = (unknown(&version.policy, &self.catalog), version.policy.made_tiers());
            if entry.reported.unknown != unknown
                && let Some(warning) = warning(slot, &unknown, &self.catalog)
            {
                tracing::warn!(policy = version.label, "{warning}");
            }
            if entry.reported.tiers.as_ref() != made
                && let Some(made) = made
            {
                tracing::info!(%slot, policy = version.label, tiers = tiers(made), "tiers that no setting names");
            }
            (entry.reported.unknown, entry.reported.tiers) = (unknown, made.cloned());
            // A version that failed too often gets its traffic back from the breaker, not from new models.
            if version.policy.fits(&models) || entry.reported.refitting || version.is_open() {
                continue;
            }
            entry.reported.refitting = true;
            let (slot, version, models) = (slot.clone(), Arc::clone(version), models.clone());
            self.jobs.spawn(async move {
                let outcome = version.policy.refitted(&models).await;
                Done::Refitted(slot, version, Box::new(outcome))
            });
        }
    }

    /// Puts the version with other tiers in the place of the same version with the former ones.
    pub(super) fn refitted(&mut self, slot: &Slot, before: &Arc<Version>, outcome: Result<Policy, PolicyFailure>) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.reported.refitting = false;
        // Another version may have been placed meanwhile. Publishing looks at it.
        let is_current = entry.version.as_ref().is_some_and(|version| Arc::ptr_eq(version, before));
        match outcome {
            Ok(policy) if is_current && !before.is_open() => {
                let version = Version::new(policy, before.version.clone(), before.revision.clone());
                entry.version = Some(Arc::new(version));
                (entry.breaker, entry.comparison) = (None, None);
                self.publish();
            }
            Ok(_) => self.publish(),
            Err(failure) => {
                tracing::warn!(%slot, policy = before.label, %failure, "the policy keeps its tiers: it failed with those of the changed models");
            }
        }
    }
}
