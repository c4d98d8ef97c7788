//! The first snapshot: everything is loaded and checked before a port is bound. What files ask for is tried first; where
//! that is refused, the version that served well before the last stop goes on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::StartError;
use super::desired::{self, Bytes, Desired, Loaded};
use super::observed::Files;
use super::persist::Persister;
use super::revive::from_store;
use super::slots::Slots;
use super::store::{State, Store};
use super::{By, Control};
use crate::backend::Catalog;
use crate::config::{Config, PolicyChoice};
use crate::metrics::Metrics;
use crate::rollout::slot::{Role, Slot};
use crate::rollout::slot_state::{Begin, Override, SlotState, Spec, UPLOADED};
use crate::state::Serving;
use wasmgate_base::paths::platform;
use wasmgate_base::time::now;
use wasmgate_policy_host::{LoadError, Loader};

/// What a place begins with.
struct First {
    slot: Slot,
    place: SlotState,
    desire: Option<Desired>,
    loaded: Option<Loaded>,
    /// Why what files ask for is not it.
    refused: Option<(String, Option<String>, LoadError)>,
}

impl Control {
    /// Loads all that a configuration asks for.
    ///
    /// # Errors
    /// Where a policy is refused and no good version of it is kept, or a backend cannot be set up.
    pub(crate) async fn begin(config: Config, loader: Loader) -> Result<Self, StartError> {
        let catalog =
            Catalog::new(None, config.backends.clone(), config.models.clone()).map_err(StartError::Refused)?;
        let store = open_store(&config);
        let State { mut places, history, .. } = store.as_ref().map(kept_state).unwrap_or_default();
        let mut versions = HashMap::new();
        for placed in places.values().flat_map(SlotState::revisions) {
            // Whose digest is in its label is a second build.
            if !placed.version.ends_with(&format!("+{}", &placed.spec.digest[..8])) {
                versions.insert((placed.policy.clone(), placed.version.clone()), placed.spec.digest.clone());
            }
        }
        let loader = Arc::new(loader);
        let mut files = Files::new(config.reload.settle);
        let mut tasks = Vec::new();
        for (slot, choice) in config.policies() {
            let mut place = places.remove(&slot);
            if let Some(place) = &mut place {
                place.configured(choice.enabled, config.percent(&slot));
            }
            tasks.push(first(&loader, store.as_ref(), &mut files, slot, choice, place));
        }
        let uploaded: Vec<(Slot, SlotState)> = places
            .into_iter()
            .filter(|(_, place)| place.serving.as_ref().is_some_and(|serving| serving.spec.origin == UPLOADED))
            .collect();
        let mut firsts = join_all(tasks).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        for (slot, place) in uploaded {
            firsts.extend(uploaded_before(&loader, store.as_ref(), slot, place).await);
        }
        let catalog = Arc::new(catalog);
        let since = now();
        let snapshot = super::publish::empty(&config, &catalog);
        let mut lifecycle = Self {
            serving: Arc::new(Serving::new(snapshot)),
            metrics: Arc::new(Metrics::new()),
            loader,
            persister: Persister::new(store),
            config_since: since,
            config_refused: None,
            catalog,
            slots: Slots::default(),
            versions,
            history: VecDeque::from(history),
            generation: 0,
            since,
            counted: Vec::new(),
            jobs: JoinSet::new(),
            files: Some(files),
            waiting: Vec::new(),
            answering: Vec::new(),
            next_look: Instant::now() + config.reload.rescan,
            probes: Vec::new(),
            config: Arc::new(config),
        };
        let mut kept = Vec::new();
        for first in firsts {
            lifecycle.begin_with(first, &mut kept);
        }
        lifecycle.publish();
        lifecycle.keep(kept);
        lifecycle.persister.finish().await;
        lifecycle.probe_backends();
        Ok(lifecycle)
    }

    fn begin_with(&mut self, first: First, kept: &mut Vec<(Spec, Bytes)>) {
        let First { slot, place, desire, loaded, refused } = first;
        let serves = place.serving.as_ref().map(|serving| serving.spec.identity());
        self.slots.entry(&slot).state = place;
        match desire {
            // Said as while serving; what is set aside stays so.
            Some(desire @ Desired::Missing(_)) => {
                self.desired(slot.clone(), desire);
            }
            Some(desire) => {
                if let Some(spec) = desire.spec() {
                    self.slots.entry(&slot).state.desire(spec.identity());
                }
                self.slots.entry(&slot).desired = Some(desire);
            }
            None => {}
        }
        if let Some(Loaded { spec, policy, bytes }) = loaded {
            kept.push((spec.clone(), bytes));
            let version = self.version(policy);
            let placed = self.placed(&version, spec);
            if serves.as_deref() == Some(&placed.spec.identity()) {
                // Served before the last stop and goes on: nothing happened that history should tell.
                self.slots.entry(&slot).version = Some(version);
            } else {
                self.settle(&slot, version, By::Start, |place| place.deploy(placed));
            }
        }
        if let Some((identity, digest, error)) = refused {
            self.refuse(&slot, identity, digest, &error);
        }
    }
}

/// What a place begins with; `place` as it was at the last stop, `None` where it is new. What was set aside stays so.
fn first<'a>(
    loader: &'a Loader,
    store: Option<&'a Store>,
    files: &mut Files,
    slot: Slot,
    choice: &'a PolicyChoice,
    place: Option<SlotState>,
) -> impl Future<Output = Result<First, StartError>> + 'a {
    // A canary or shadow that the last process had, and whose file went bad, must not keep this one from starting.
    let may_be_empty = place.is_some() && slot.role != Role::Active;
    let place = place.unwrap_or_default();
    let enabled = Override::or(place.enabled, choice.enabled);
    let desire = desired::look(files, choice, true, &mut false);
    let bytes = desire.spec().map(|spec| desired::read(files, choice, spec));
    async move {
        let mut first = First { slot, place, desire: Some(desire), loaded: None, refused: None };
        if !enabled {
            return Ok(first);
        }
        let desire = first.desire.as_ref();
        let kept = first.place.serving.as_ref().map(|serving| serving.spec.clone());
        let (slot, place) = (&first.slot, &first.place);
        let spec = desire.and_then(Desired::spec).cloned();
        let identity = spec.as_ref().map(Spec::identity);
        match (place.begin(identity.as_deref(), slot.role == Role::Active), &kept) {
            (Begin::Empty, _) => return Ok(first),
            (Begin::Kept, Some(kept)) => {
                if let Ok(loaded) = from_store(loader, store, slot, kept).await {
                    first.loaded = Some(loaded);
                    return Ok(first);
                }
            }
            (Begin::Files | Begin::Kept, _) => {}
        }
        let (identity, digest, error) = match (spec, desire, bytes) {
            (Some(spec), _, Some(Ok(bytes))) => match desired::load(loader, slot, spec.clone(), bytes).await {
                Ok(loaded) => {
                    first.loaded = Some(loaded);
                    return Ok(first);
                }
                Err(error) => (spec.identity(), Some(spec.digest), error),
            },
            (_, Some(Desired::Unreadable(why)), _) => unread(choice, why.clone()),
            (_, _, Some(Err(Desired::Unreadable(why)))) => unread(choice, why),
            _ => unread(choice, "cannot be read: it is not there".into()),
        };
        let stored = match &kept {
            None => None,
            Some(kept) => from_store(loader, store, slot, kept).await.ok(),
        };
        if stored.is_none() && !may_be_empty {
            return Err(StartError::Refused(format!("{}: {error}", choice.place)));
        }
        first.loaded = stored;
        // A file that is not there asks for nothing that could be refused.
        if !matches!(desire, Some(Desired::Missing(_))) {
            first.refused = Some((identity, digest, error));
        }
        Ok(first)
    }
}

fn unread(choice: &PolicyChoice, why: String) -> (String, Option<String>, LoadError) {
    (why.clone(), None, desired::unreadable(&desired::origin(choice), why))
}

/// What an operator uploaded to a place that no configuration names.
async fn uploaded_before(loader: &Loader, store: Option<&Store>, slot: Slot, place: SlotState) -> Option<First> {
    let spec = place.serving.as_ref()?.spec.clone();
    if !Override::or(place.enabled, true) {
        return Some(First { slot, place, desire: None, loaded: None, refused: None });
    }
    match from_store(loader, store, &slot, &spec).await {
        Ok(loaded) => Some(First { slot, place, desire: None, loaded: Some(loaded), refused: None }),
        Err(error) => {
            tracing::warn!(%slot, %error, "what was uploaded before the last stop does not load now");
            Some(First { slot, place, desire: None, loaded: None, refused: None })
        }
    }
}

/// Opens the folder for state. A gateway without one serves; it only remembers nothing.
fn open_store(config: &Config) -> Option<Store> {
    let Some(folder) =
        config.state_dir.clone().or_else(|| platform("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state"))
    else {
        tracing::warn!("there is no folder for state: a restart will not know of good versions; `state_dir` names one");
        return None;
    };
    match Store::open(&folder, config.file.as_deref()) {
        Ok(store) => Some(store),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%error, %folder, "the folder for state cannot be used: a restart will not know of good versions");
            None
        }
    }
}

fn kept_state(store: &Store) -> State {
    match store.load() {
        Ok(state) => state.unwrap_or_default(),
        Err(error) => {
            let folder = store.folder().display();
            tracing::warn!(%error, %folder, "the state that was kept cannot be read; it is begun anew");
            State::default()
        }
    }
}

/// Loads all that a configuration asks for, without any state, and says what would serve.
///
/// # Errors
/// As `begin`.
pub(crate) async fn check(config: &Config, loader: Loader) -> Result<String, StartError> {
    Catalog::new(None, config.backends.clone(), config.models.clone()).map_err(StartError::Refused)?;
    let mut files = Files::new(config.reload.settle);
    let mut tasks = Vec::new();
    for (slot, choice) in config.policies() {
        tasks.push(first(&loader, None, &mut files, slot, choice, None));
    }
    let firsts = join_all(tasks).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let policies = firsts.iter().map(|First { slot, loaded, .. }| match loaded {
        None => format!("{slot} disabled"),
        Some(Loaded { policy, .. }) => format!("{slot} {}@{}", policy.manifest().name, policy.manifest().version),
    });
    Ok(format!(
        "valid: {}, {}, {}",
        count(config.backends.len(), "backend"),
        count(config.models.len(), "model"),
        policies.collect::<Vec<_>>().join(", ")
    ))
}
