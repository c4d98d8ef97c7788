//! Loads a version from the store: the last good one at start, or an earlier one for a rollback.

use super::checks::Checks;
use super::desired::{self, Bytes, Loaded};
use super::store::Store;
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::Spec;
use wasmgate_policy_host::{Fixtures, KnownModel, LoadError, Loader, Stage};

/// Loads a stored version.
pub(super) async fn from_store(
    loader: &Loader,
    checks: &Checks,
    models: Option<&[KnownModel]>,
    store: Option<&Store>,
    slot: &Slot,
    spec: &Spec,
) -> Result<Loaded, LoadError> {
    let missing = |reason: &str| LoadError {
        origin: spec.origin.clone(),
        stage: Stage::Observed,
        reason: reason.to_owned(),
        policy: None,
        settings: Vec::new(),
    };
    let Some(store) = store else { return Err(missing("no earlier version is stored: there is no state folder")) };
    let (store, spec_read) = (store.clone(), spec.clone());
    let read = tokio::task::spawn_blocking(move || {
        let fixtures = spec_read.fixtures.as_deref().map(|digest| store.get(digest));
        (store.get(&spec_read.digest), fixtures)
    });
    let gone = || missing("the stored component or its fixtures are missing or damaged");
    let (component, fixtures) = read.await.map_err(|_ended| gone())?;
    let fixtures = match fixtures {
        None => None,
        Some(text) => Some(Fixtures {
            origin: format!("fixtures of {}", spec.origin),
            text: String::from_utf8_lossy(&text.ok_or_else(gone)?).into_owned(),
        }),
    };
    let bytes = Bytes { component: component.ok_or_else(gone)?.into(), fixtures };
    desired::load(loader, checks, models, slot, spec.clone(), bytes).await
}
