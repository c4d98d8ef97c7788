//! Builds the first snapshot: loads and checks everything before the gateway binds a port. It tries the files' desired
//! state first; if a version is refused, the last good version from before the stop serves.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::StartError;
use super::advice::advice;
use super::checks::Checks;
use super::desired::{self, Bytes, Desired, Loaded};
use super::models;
use super::observed::Files;
use super::persist::Persister;
use super::prices::{self, InForce, Look, Prices};
use super::revive::from_store;
use super::slots::Slots;
use super::store::{State, Store};
use super::{About, By, Control};
use crate::accounts::ManagedAccounts;
use crate::backend::{Catalog, Priced};
use crate::config::{Config, PolicyChoice, Problem};
use crate::metrics::Metrics;
use crate::rollout::slot::{Role, Slot};
use crate::rollout::slot_state::{Begin, Override, SlotState, Spec, UPLOADED};
use crate::state::Serving;
use wasmgate_accounts::Meters;
use wasmgate_base::money::Price;
use wasmgate_base::time::{Clock, now};
use wasmgate_policy_host::{KnownModel, LoadError, Loader};

/// The initial content of a slot.
struct First {
    slot: Slot,
    state: SlotState,
    desire: Option<Desired>,
    loaded: Option<Loaded>,
    /// Why the desired version does not serve: its identity, what it is, and the error.
    refused: Option<(String, About, LoadError)>,
}

impl Control {
    /// Loads everything that a configuration desires. `meters`: what groups use of their limits; `clock`: by which
    /// these begin and end.
    ///
    /// # Errors
    /// If a policy is refused and no good version of it is stored, or a backend cannot be set up.
    pub(crate) async fn begin(
        config: Arc<Config>,
        loader: Loader,
        meters: Arc<Meters>,
        clock: Clock,
        accounts: Arc<ManagedAccounts>,
    ) -> Result<Self, StartError> {
        let store = open_store(&config);
        let State { mut places, history, denied, prices, .. } = store.as_ref().map(kept_state).unwrap_or_default();
        let stored = store.as_ref().zip(prices).and_then(|(store, kept)| Prices::stored(store, kept, &config));
        let mut files = Files::new(config.reload.settle);
        let (prices, prices_refused) = first_prices(&mut files, &config, stored)?;
        let catalog = Catalog::new(None, config.backends.clone(), prices.of(&config)).map_err(StartError::Refused)?;
        let mut versions = HashMap::new();
        for revision in places.values().flat_map(SlotState::revisions) {
            // A label that ends in the digest belongs to a second build of the version.
            let digest = revision.spec.content();
            let of_second_build = digest.get(..8).map(|digest| format!("+{digest}"));
            if !of_second_build.is_some_and(|end| revision.version.ends_with(&end)) {
                versions.insert((revision.policy.clone(), revision.version.clone()), digest);
            }
        }
        let loader = Arc::new(loader);
        let known = models::known(&catalog);
        let mut tasks = Vec::new();
        for (slot, choice) in config.policies() {
            let mut state = places.remove(&slot);
            if let Some(state) = &mut state {
                state.configured(choice.enabled, config.percent(&slot));
            }
            tasks.push(first((&loader, Some(&known)), store.as_ref(), &mut files, slot, choice, state));
        }
        let uploaded: Vec<(Slot, SlotState)> = places
            .into_iter()
            .filter(|(_, state)| state.serving.as_ref().is_some_and(|serving| serving.spec.origin == UPLOADED))
            .collect();
        let (mut firsts, refused) = firsts(tasks).await;
        if !refused.is_empty() {
            let lines: Vec<String> = refused.iter().map(ToString::to_string).collect();
            return Err(StartError::Refused(lines.join("\n")));
        }
        for (slot, state) in uploaded {
            firsts.extend(uploaded_before((&loader, Some(&known)), store.as_ref(), slot, state).await);
        }
        let catalog = Arc::new(catalog);
        let since = now();
        let snapshot = super::publish::empty(&config, &catalog, accounts.access().0, accounts.registry());
        let mut control = Self {
            serving: Arc::new(Serving::new(snapshot, clock)),
            metrics: Arc::new(Metrics::new()),
            meters,
            accounts,
            loader,
            persister: Persister::new(store),
            config_since: since,
            config_refused: None,
            catalog,
            prices: InForce::new(prices, None),
            slots: Slots::default(),
            versions,
            history: VecDeque::from(history),
            denied,
            generation: 0,
            since,
            counted: Vec::new(),
            jobs: JoinSet::new(),
            checks: Checks::default(),
            files: Some(files),
            waiting: Vec::new(),
            answering: Vec::new(),
            next_look: Instant::now() + config.reload.rescan,
            probes: Vec::new(),
            at_first_group: None,
            started: Arc::clone(&config),
            config,
        };
        let mut kept = Vec::new();
        for first in firsts {
            control.begin_with(first, &mut kept);
        }
        control.learn_denials();
        control.advise();
        control.say_prices();
        if let Some((digest, bytes)) = control.prices.prices.content() {
            let digest = digest.to_owned();
            control.persister.keep_prices(digest, bytes);
        }
        if let Some((identity, reason)) = prices_refused {
            control.refuse_prices(identity, reason);
        }
        control.publish();
        control.keep(kept);
        control.persister.finish().await;
        control.probe_backends();
        Ok(control)
    }

    /// Logs what the configuration should say differently.
    pub(super) fn advise(&self) {
        let loaded = self.slots.iter().filter_map(|(slot, entry)| Some((slot, &entry.version.as_ref()?.policy)));
        let warnings = self.config.warnings.iter().map(ToString::to_string);
        for sentence in warnings.chain(advice(&self.config, loaded)) {
            tracing::warn!("{sentence}");
        }
    }

    fn begin_with(&mut self, first: First, kept: &mut Vec<(Spec, Bytes)>) {
        let First { slot, state, desire, loaded, refused } = first;
        let serves = state.serving.as_ref().map(|serving| serving.spec.identity());
        self.slots.entry(&slot).state = state;
        match desire {
            // Reported as at run time. A blocked version stays blocked.
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
            let version = self.version(policy, &spec);
            let revision = self.revision(&version, spec);
            if serves.as_deref() == Some(&revision.spec.identity()) {
                // It served before the stop and still does: no event for the history.
                self.slots.entry(&slot).version = Some(version);
            } else {
                self.put_in_slot(&slot, version, By::Start, |state| state.deploy(revision));
            }
        }
        if let Some((identity, about, error)) = refused {
            self.refuse(&slot, identity, about, &error);
        }
    }
}

/// The prices at a start: what the configuration desires, else the last good ones, with the reason.
fn first_prices(
    files: &mut Files,
    config: &Config,
    stored: Option<Prices>,
) -> Result<(Prices, Option<(String, String)>), StartError> {
    let has_stored = stored.is_some();
    let stored = stored.unwrap_or_default();
    match prices::look(files, config, &stored, true) {
        Look::New(prices) => Ok((*prices, None)),
        Look::Wrong { identity, reason } if has_stored => Ok((stored, Some((identity, reason)))),
        Look::Wrong { reason, .. } => {
            Err(StartError::Refused(Problem::refused(&config.prices.place, reason).to_string()))
        }
        // A file that changes at this moment: what was in force, until the next look.
        Look::Same | Look::Changing => Ok((stored, None)),
    }
}

/// The initial contents of all slots, and why some have none.
async fn firsts(tasks: Vec<impl Future<Output = Result<First, Problem>>>) -> (Vec<First>, Vec<Problem>) {
    let (mut firsts, mut refused) = (Vec::new(), Vec::new());
    for outcome in join_all(tasks).await {
        match outcome {
            Ok(first) => firsts.push(first),
            Err(problem) => refused.push(problem),
        }
    }
    (firsts, refused)
}

/// Loads the initial content of a slot. `state` is its state at the last stop, `None` if it is new. A blocked version
/// stays blocked.
fn first<'a>(
    (loader, models): (&'a Loader, Option<&'a [KnownModel]>),
    store: Option<&'a Store>,
    files: &mut Files,
    slot: Slot,
    choice: &'a PolicyChoice,
    state: Option<SlotState>,
) -> impl Future<Output = Result<First, Problem>> + 'a {
    // If the last process had this canary or shadow and its file went bad, the gateway must start without it.
    let may_be_empty = state.is_some() && slot.role != Role::Active;
    let state = state.unwrap_or_default();
    let enabled = Override::or(state.enabled, choice.enabled);
    let desire = desired::look(files, choice, true, &mut false);
    let bytes = desire.spec().map(|spec| desired::read(files, choice, spec));
    async move {
        let mut first = First { slot, state, desire: Some(desire), loaded: None, refused: None };
        if !enabled {
            return Ok(first);
        }
        let desire = first.desire.as_ref();
        let kept = first.state.serving.as_ref().map(|serving| serving.spec.clone());
        let (slot, state) = (&first.slot, &first.state);
        let spec = desire.and_then(Desired::spec).cloned();
        let identity = spec.as_ref().map(Spec::identity);
        match (state.begin(identity.as_deref(), slot.role == Role::Active), &kept) {
            (Begin::Empty, _) => return Ok(first),
            (Begin::Kept, Some(kept)) => {
                if let Ok(loaded) = from_store(loader, &Checks::default(), models, store, slot, kept).await {
                    first.loaded = Some(loaded);
                    return Ok(first);
                }
            }
            (Begin::Files | Begin::Kept, _) => {}
        }
        let (identity, about, error) = match (spec, desire, bytes) {
            (Some(spec), _, Some(Ok(bytes))) => {
                match desired::load(loader, &Checks::default(), models, slot, spec.clone(), bytes).await {
                    Ok(loaded) => {
                        first.loaded = Some(loaded);
                        return Ok(first);
                    }
                    Err(error) => (spec.identity(), About::of(&spec, error.policy.clone()), error),
                }
            }
            (_, Some(Desired::Unreadable(why)), _) => unread(choice, why.clone()),
            (_, _, Some(Err(Desired::Unreadable(why)))) => unread(choice, why),
            _ => unread(choice, "cannot be read: the file does not exist".into()),
        };
        let stored = match &kept {
            None => None,
            Some(kept) => from_store(loader, &Checks::default(), models, store, slot, kept).await.ok(),
        };
        if stored.is_none() && !may_be_empty {
            return Err(Problem::refused(&choice.place.of(&error), error.to_string()));
        }
        first.loaded = stored;
        // A missing file desires no version, so none was refused.
        if !matches!(desire, Some(Desired::Missing(_))) {
            first.refused = Some((identity, about, error));
        }
        Ok(first)
    }
}

fn unread(choice: &PolicyChoice, why: String) -> (String, About, LoadError) {
    (why.clone(), About::default(), desired::unreadable(&desired::origin(choice), why))
}

/// Loads what an operator uploaded to a slot that the configuration does not name.
async fn uploaded_before(
    (loader, models): (&Loader, Option<&[KnownModel]>),
    store: Option<&Store>,
    slot: Slot,
    state: SlotState,
) -> Option<First> {
    let spec = state.serving.as_ref()?.spec.clone();
    if !Override::or(state.enabled, true) {
        return Some(First { slot, state, desire: None, loaded: None, refused: None });
    }
    match from_store(loader, &Checks::default(), models, store, &slot, &spec).await {
        Ok(loaded) => Some(First { slot, state, desire: None, loaded: Some(loaded), refused: None }),
        Err(error) => {
            tracing::warn!(%slot, %error, "the version uploaded before the stop does not load; its slot stays empty");
            Some(First { slot, state, desire: None, loaded: None, refused: None })
        }
    }
}

/// Opens the state folder. Without one the gateway serves, but a restart loses its state.
fn open_store(config: &Config) -> Option<Store> {
    let Some(folder) = config.state_folder() else {
        tracing::warn!("no state folder: a restart loses the last good versions; set `state_dir`");
        return None;
    };
    match Store::open(&folder, config.file.as_deref()) {
        Ok(store) => Some(store),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%error, %folder, "the state folder cannot be used: a restart loses the last good versions");
            None
        }
    }
}

fn kept_state(store: &Store) -> State {
    match store.load() {
        Ok(state) => state.unwrap_or_default(),
        Err(error) => {
            let folder = store.folder().display();
            tracing::warn!(%error, %folder, "the saved state cannot be read; the gateway starts with an empty one");
            State::default()
        }
    }
}

/// What a check of a configuration found.
#[derive(Debug)]
pub struct Checked {
    /// What would serve, as lines of text.
    pub summary: String,
    /// What is wrong with the policies, and advice.
    pub problems: Vec<Problem>,
}

/// Loads everything that a configuration desires, without stored state, and reports what would serve. `all_models`: whether all
/// models of the file could be read, so that names in settings can be checked.
///
/// # Errors
/// If a backend cannot be set up.
pub(crate) async fn check(config: &Config, loader: Loader, all_models: bool) -> Result<Checked, StartError> {
    let mut files = Files::new(config.reload.settle);
    let (prices, wrong_prices) = match prices::look(&mut files, config, &Prices::default(), true) {
        Look::New(prices) => (*prices, None),
        Look::Wrong { reason, .. } => (Prices::default(), Some(Problem::refused(&config.prices.place, reason))),
        Look::Same | Look::Changing => (Prices::default(), None),
    };
    let catalog = Catalog::new(None, config.backends.clone(), prices.of(config)).map_err(StartError::Refused)?;
    let known = all_models.then(|| models::known(&catalog));
    let mut tasks = Vec::new();
    for (slot, choice) in config.policies() {
        tasks.push(first((&loader, known.as_deref()), None, &mut files, slot, choice, None));
    }
    let (firsts, mut problems) = firsts(tasks).await;
    problems.extend(wrong_prices);
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let policies = firsts.iter().map(|First { slot, loaded, .. }| match loaded {
        None => format!("{slot} disabled"),
        Some(Loaded { policy, .. }) => format!("{slot} {}", policy.label()),
    });
    let mut summary = format!(
        "valid: {}, {}, {}",
        count(config.backends.len(), "backend"),
        count(config.models.len(), "model"),
        policies.collect::<Vec<_>>().join(", ")
    );
    for backend in &config.backends {
        let (name, location, by) = (&backend.name, backend.location.as_str(), backend.located_by.as_str());
        summary += &format!("\n  backend {name}: {location} ({by})");
        if !backend.kind.simulated {
            summary += &format!(", {}", backend.egress);
        }
    }
    for model in catalog.models().iter().map(|live| &live.model) {
        let name = &model.name;
        match (&model.price, model.priced) {
            (None, _) => summary += &format!("\n  model {name}: unpriced, its cost counts nowhere"),
            (_, how @ (Priced::Exact | Priced::Alias)) => {
                summary += &format!("\n  model {name}: priced by the {} ({})", prices.in_words(), how.as_str());
            }
            (Some(price), _) if *price == Price::default() => summary += &format!("\n  model {name}: free"),
            (Some(_), _) => {}
        }
    }
    let loaded = || firsts.iter().filter_map(|First { slot, loaded, .. }| Some((slot, &loaded.as_ref()?.policy)));
    for (slot, policy) in loaded() {
        if let Some(made) = policy.made_tiers() {
            summary += &format!("\n  policy {slot}: {}", models::tiers(made));
        }
    }
    let unknown =
        loaded().filter_map(|(slot, policy)| models::warning(slot, &models::unknown(policy, &catalog), &catalog));
    let file = config.routing.active.place.file.as_str();
    let sentences = unknown.chain(advice(config, loaded()));
    problems.extend(sentences.map(|sentence| Problem::advice(file, &sentence)));
    Ok(Checked { summary, problems })
}
