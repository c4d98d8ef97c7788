//! The configured models and their backends, with the recent observations of each.
//!
//! This module must not know: HTTP, dialects, how routing chooses a model.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::{Backend, Breaker, Capabilities, Location, ModelQuirks, Recent, Settings, Timeouts};
use wasmgate_base::money::Price;
use wasmgate_dialect::Quirks;

/// A model as configured.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name in clients' requests and in metric labels.
    pub name: String,
    /// Its name at the backend.
    pub backend_name: String,
    /// Its backend's position in the configuration.
    pub backend: usize,
    /// Longest input and output together, in tokens.
    pub context_window: Option<u32>,
    /// Output tokens to request if the client set no limit and the backend's dialect requires one.
    pub max_output_tokens: u32,
    /// What it supports besides text.
    pub capabilities: Capabilities,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// Its price; `None`: unpriced.
    pub price: Option<Price>,
    /// Where its price is from.
    pub priced: Priced,
    /// The version of the catalogue that its price is from, if it is.
    pub price_version: Option<Arc<str>>,
    /// Its name in the catalogue of prices, if that is not its name at the backend.
    pub priced_as: Option<String>,
    /// Models that may answer in its place if a client names it and it fails: positions in the configuration, in order.
    pub fallbacks: Vec<usize>,
    /// Its labels, for policies: name, value.
    pub labels: Vec<(String, String)>,
    /// Whether its streams are guarded: held back until they are complete.
    pub guarded: bool,
    /// How it deviates from its backend's dialect, as configured for it and its backend.
    pub quirks: Quirks,
}

/// Where the price of a model is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priced {
    /// The catalogue has its name.
    Exact,
    /// The catalogue has its name as another name of a model.
    Alias,
    /// The configuration states it.
    Override,
    /// It is local, and nobody bills it.
    Local,
    /// Nowhere: it has none.
    Unpriced,
}

impl Priced {
    /// The word in metrics, in answers and in what `wasmgate check` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Alias => "alias",
            Self::Override => "override",
            Self::Local => "local",
            Self::Unpriced => "unpriced",
        }
    }
}

/// A model with its live state.
#[derive(Debug)]
pub struct LiveModel {
    /// Its configuration.
    pub model: Model,
    /// The backend that serves it.
    pub backend: Arc<Backend>,
    /// Moving averages of its recent calls.
    pub recent: Arc<Recent>,
    /// Its circuit breaker.
    pub breaker: Arc<Breaker>,
    /// How it deviates from its backend's dialect, as configured and as learned.
    pub quirks: ModelQuirks,
}

/// All models.
#[derive(Debug)]
pub struct Catalog {
    models: Vec<LiveModel>,
    backends: Vec<Arc<Backend>>,
    by_name: HashMap<String, usize>,
}

impl Catalog {
    /// Builds the catalog of a configuration. A backend of the catalog `before` keeps its live state (its connections, its
    /// health, its queue, its models' breakers and their averages) if it is the same server, whatever its other settings
    /// are. The live state takes the settings with `take_effect`.
    ///
    /// # Errors
    /// If a backend cannot be set up.
    pub fn new(before: Option<&Self>, backends: Vec<Settings>, models: Vec<Model>) -> Result<Self, String> {
        let known = before.map_or(&[][..], |before| &before.backends);
        let backends: Vec<_> = backends
            .into_iter()
            .map(|settings| match known.iter().find(|backend| backend.settings().is_same_server(&settings)) {
                Some(backend) if *backend.settings() == settings => Ok(Arc::clone(backend)),
                Some(backend) => backend.with(settings).map(Arc::new),
                None => Backend::new(settings).map(Arc::new),
            })
            .collect::<Result<_, _>>()?;
        let by_name = models.iter().enumerate().map(|(index, model)| (model.name.clone(), index)).collect();
        let models = models
            .into_iter()
            .map(|model| {
                let backend = Arc::clone(&backends[model.backend]);
                let is_same = |live: &&LiveModel| {
                    live.model.backend_name == model.backend_name && live.backend.is_same_as(&backend)
                };
                let known = before.into_iter().flat_map(|before| &before.models).filter(is_same);
                // Two models may be one at the backend; a renamed one is still the same.
                let known = known.max_by_key(|live| live.model.name == model.name);
                let quirks = ModelQuirks::new(
                    model.quirks,
                    backend.settings().detected_quirks(),
                    known.map(|live| &live.quirks),
                );
                let (recent, breaker) = match known {
                    Some(live) => (Arc::clone(&live.recent), Arc::clone(&live.breaker)),
                    None => (Arc::default(), Arc::new(Breaker::new(backend.settings().breaker))),
                };
                LiveModel { model, backend, recent, breaker, quirks }
            })
            .collect();
        Ok(Self { models, backends, by_name })
    }

    /// Lets the live state of backends and models work by the settings of this catalog, from now on.
    pub fn take_effect(&self) {
        for backend in &self.backends {
            backend.take_effect();
        }
        for live in &self.models {
            live.breaker.set_rules(live.backend.settings().breaker);
        }
    }

    /// All models, in the configuration's order.
    #[must_use]
    pub fn models(&self) -> &[LiveModel] {
        &self.models
    }

    /// All backends, in the configuration's order.
    #[must_use]
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// A model's position.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The configured name nearest to an unknown one.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        wasmgate_base::nearest::nearest(name, self.models.iter().map(|live| live.model.name.as_str()))
    }
}

impl LiveModel {
    /// Where it runs.
    #[must_use]
    pub fn location(&self) -> Location {
        self.backend.settings().location
    }
}
