//! One reconciliation: observes the configuration and all files, and takes what changed through all stages. Changes in
//! one configuration file apply together or not at all; without such a change each policy is deployed or refused by
//! itself.
//!
//! Runs in the background. The control task decides whether to apply the result, because an operator may have changed a
//! slot meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::checks::Checks;
use super::desired;
use super::desired::{Desired, Loaded};
use super::models;
use super::observed::{Files, Observed};
use super::prices::{self, Look, Prices};
use super::slots::SlotEntry;
use crate::backend::Catalog;
use crate::config::{Config, PolicyChoice};
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::{Override, SlotState, Spec};
use crate::state::Version;
use wasmgate_base::digest::sha256;
use wasmgate_policy_host::{KnownModel, LoadError, Loader};

/// The input of a reconciliation.
pub(super) struct Reconciliation {
    pub(super) loader: Arc<Loader>,
    pub(super) checks: Checks,
    pub(super) files: Files,
    /// The configuration that serves.
    pub(super) config: Arc<Config>,
    pub(super) catalog: Arc<Catalog>,
    /// The prices in force.
    pub(super) prices: Prices,
    pub(super) slots: BTreeMap<Slot, SlotView>,
    /// Identity of the last refused configuration.
    pub(super) refused: Option<String>,
}

/// A slot as it was when the reconciliation began.
pub(super) struct SlotView {
    pub(super) state: SlotState,
    /// Its policy, if it is loaded.
    pub(super) version: Option<Arc<Version>>,
}

impl SlotView {
    pub(super) fn of(entry: &SlotEntry) -> Self {
        Self { state: entry.state.clone(), version: entry.version.clone() }
    }
}

/// The result of a reconciliation.
pub(super) struct Reconciled {
    pub(super) files: Files,
    /// Whether a file is still changing.
    pub(super) unsettled: bool,
    /// Whether the configuration file has the content that serves.
    pub(super) config_serves: bool,
    /// The attempt at a new configuration, if there is one.
    pub(super) config: Option<Attempt>,
    /// What the serving configuration desires of the prices; `None` if a new configuration says it, or nobody looked.
    pub(super) prices: Option<Look>,
    /// The desired states by the serving configuration, without slots whose files are still changing.
    pub(super) desires: Vec<(Slot, Desired)>,
    /// Slots whose files were rewritten with the same content.
    pub(super) touched: Vec<Slot>,
    /// The desired versions that were tried.
    pub(super) loads: Vec<Load>,
}

/// An attempt at a new configuration.
pub(super) struct Attempt {
    /// Digest of the text and of the files that it names; it tells attempts apart.
    pub(super) identity: String,
    pub(super) outcome: Result<Box<Applicable>, String>,
}

/// A new configuration whose parts are all ready.
pub(super) struct Applicable {
    pub(super) config: Config,
    pub(super) catalog: Catalog,
    /// What it desires of the prices, by which the catalog has its prices.
    pub(super) prices: Look,
    pub(super) desires: Vec<(Slot, Desired)>,
    pub(super) loads: Vec<Admitted>,
}

/// A version that passed all stages.
pub(super) struct Admitted {
    pub(super) slot: Slot,
    /// See `Load::operator_epoch`.
    pub(super) operator_epoch: u64,
    pub(super) loaded: Loaded,
}

/// A version that was tried.
pub(super) struct Load {
    pub(super) slot: Slot,
    pub(super) spec: Spec,
    /// The slot's operator epoch when the reconciliation began.
    pub(super) operator_epoch: u64,
    pub(super) outcome: Result<Loaded, LoadError>,
}

/// The observed state of all slots.
struct Looked {
    desires: Vec<(Slot, Desired)>,
    touched: Vec<Slot>,
    unsettled: bool,
}

impl Reconciliation {
    pub(super) async fn run(mut self) -> Reconciled {
        let mut reconciled = Reconciled {
            files: Files::new(self.config.reload.settle),
            unsettled: false,
            config_serves: false,
            config: None,
            prices: None,
            desires: Vec::new(),
            touched: Vec::new(),
            loads: Vec::new(),
        };
        match self.read_config().await {
            Text::Serves => reconciled.config_serves = true,
            Text::Changing => reconciled.unsettled = true,
            Text::Wrong { identity, reason } => reconciled.config = Some(Attempt { identity, outcome: Err(reason) }),
            Text::New(config) => reconciled.config = self.attempt(*config, &mut reconciled.unsettled).await,
        }
        // A configuration that is still changing may bring new settings for policies that are complete: they wait for
        // it.
        if reconciled.unsettled {
            reconciled.files = self.files;
            return reconciled;
        }
        if !matches!(reconciled.config, Some(Attempt { outcome: Ok(_), .. })) {
            let config = Arc::clone(&self.config);
            let prices = self.look_at_prices(&config).await;
            let looked = self.look(&config).await;
            reconciled.unsettled |= looked.unsettled || matches!(prices, Look::Changing);
            reconciled.prices = Some(prices);
            let wanted: Vec<(Slot, Spec)> = looked
                .desires
                .iter()
                .filter_map(|(slot, desire)| Some((slot.clone(), desire.spec()?.clone())))
                .filter(|(slot, spec)| self.is_wanted(slot, spec))
                .collect();
            (reconciled.desires, reconciled.touched) = (looked.desires, looked.touched);
            for (slot, spec, tried) in self.try_all(&config, &models::known(&self.catalog), wanted).await {
                let operator_epoch = self.operator_epoch(&slot);
                let outcome = match tried {
                    Tried::Changing => {
                        reconciled.unsettled = true;
                        continue;
                    }
                    Tried::Loaded(loaded) => Ok(*loaded),
                    Tried::Refused(error) => Err(error),
                };
                reconciled.loads.push(Load { slot, spec, operator_epoch, outcome });
            }
        }
        reconciled.files = self.files;
        reconciled
    }

    /// Reads and parses the configuration file.
    async fn read_config(&mut self) -> Text {
        let Some(path) = self.config.file.clone() else { return Text::Serves };
        // Standard input and pipes of a shell are read once.
        if path.starts_with("/dev") || path.starts_with("/proc") {
            return Text::Serves;
        }
        let serves = self.config.digest.clone();
        let wrong = |identity: String, reason: String| Text::Wrong {
            identity,
            reason: format!("{reason}\nuntil this is mended, a restart fails"),
        };
        self.block(move |files| match files.look_for(&path) {
            Observed::Settled { digest, .. } if digest == serves => Text::Serves,
            Observed::Settled { digest, .. } => match files.read(&path, &digest) {
                Err(_changing) => Text::Changing,
                Ok(bytes) => match Config::parse_file(&bytes, &path) {
                    Ok(config) => Text::New(Box::new(config)),
                    Err(error) => wrong(digest, error.to_string()),
                },
            },
            Observed::Unsettled => Text::Changing,
            Observed::Missing => wrong("missing".into(), format!("{}: the file does not exist", path.display())),
            Observed::Unreadable(why) => wrong(why.clone(), format!("{}: {why}", path.display())),
        })
        .await
    }

    /// Loads everything that a new configuration desires, or gives all reasons why it cannot be applied. `None` if
    /// it was refused before or a file is still changing.
    async fn attempt(&mut self, config: Config, unsettled: &mut bool) -> Option<Attempt> {
        let prices = self.look_at_prices(&config).await;
        let looked = self.look(&config).await;
        if looked.unsettled || matches!(prices, Look::Changing) {
            *unsettled = true;
            return None;
        }
        let of_prices = match &prices {
            Look::New(prices) => prices.kept().map_or("new", |kept| kept.digest.as_str()),
            Look::Wrong { identity, .. } => identity,
            Look::Same | Look::Changing => "same",
        };
        let identity = looked.desires.iter().map(|(slot, desire)| match desire {
            Desired::Spec(spec) => format!("{slot} {}", spec.identity()),
            other => format!("{slot} {other:?}"),
        });
        let identity =
            sha256(format!("{} {of_prices} {}", config.digest, identity.collect::<Vec<_>>().join(" ")).as_bytes());
        if self.refused.as_ref() == Some(&identity) {
            return None;
        }
        let mut reasons: Vec<String> = Vec::new();
        let models = match &prices {
            Look::New(prices) => prices.of(&config),
            Look::Same | Look::Changing | Look::Wrong { .. } => self.prices.of(&config),
        };
        // If the file went bad before, its last good content stays in force; a new one must be good.
        if let Look::Wrong { reason, .. } = &prices
            && !self.prices.is_from(config.prices.file.as_deref())
        {
            reasons.push(format!("{}: {reason}", config.prices.place));
        }
        let catalog = match Catalog::new(Some(&self.catalog), config.backends.clone(), models) {
            Ok(catalog) => catalog,
            Err(reason) => return Some(Attempt { identity, outcome: Err(reason) }),
        };
        let known = models::known(&catalog);
        let mut wanted = Vec::new();
        for (slot, desire) in &looked.desires {
            let choice = config.policy(slot)?;
            // A change can only fail by the slots it changes: if another slot's file went bad before, its last good
            // version keeps serving.
            let about = self.config.policy(slot).is_none_or(|before| !before.asks_the_same(choice));
            let serves = self.is_loaded(slot);
            match desire {
                Desired::Spec(spec) if self.is_wanted(slot, spec) || about && !self.serves(slot, spec) => {
                    wanted.push((slot.clone(), (**spec).clone()));
                }
                // It is not loaded anew, but the models that its settings name may have changed.
                Desired::Spec(spec) if self.serves(slot, spec) => {
                    let version = self.slots.get(slot).and_then(|view| view.version.as_ref());
                    let refusal = version.and_then(|version| version.policy.names_none_of(&known));
                    reasons.extend(refusal.map(|reason| format!("{}: {reason}", choice.place)));
                }
                Desired::Missing(path) if about || !serves => {
                    reasons.push(format!("{}: {path} does not exist", choice.place));
                }
                Desired::Unreadable(why) if about || !serves => {
                    reasons.push(format!("{}: {why}", choice.place));
                }
                _ => {}
            }
        }
        let mut loads = Vec::new();
        for (slot, _, tried) in self.try_all(&config, &known, wanted).await {
            match tried {
                Tried::Loaded(loaded) => {
                    let operator_epoch = self.operator_epoch(&slot);
                    loads.push(Admitted { slot, operator_epoch, loaded: *loaded });
                }
                Tried::Changing => {
                    *unsettled = true;
                    return None;
                }
                Tried::Refused(error) => {
                    let place = config.policy(&slot).map(|choice| choice.place.of(&error)).unwrap_or_default();
                    reasons.push(format!("{place}: {error}"));
                }
            }
        }
        if !reasons.is_empty() {
            return Some(Attempt { identity, outcome: Err(reasons.join("\n")) });
        }
        let applicable = Applicable { config, catalog, prices, desires: looked.desires, loads };
        Some(Attempt { identity, outcome: Ok(Box::new(applicable)) })
    }

    /// Looks at what a configuration desires of the prices.
    async fn look_at_prices(&mut self, config: &Config) -> Look {
        let (config, current) = (config.clone(), self.prices.clone());
        self.block(move |files| {
            files.settle_for(config.reload.settle);
            prices::look(files, &config, &current, false)
        })
        .await
    }

    /// Observes the files of all enabled slots.
    async fn look(&mut self, config: &Config) -> Looked {
        let choices: Vec<(Slot, PolicyChoice)> = config
            .policies()
            .filter(|(slot, choice)| {
                Override::or(self.slots.get(slot).and_then(|view| view.state.enabled), choice.enabled)
            })
            .map(|(slot, choice)| (slot, choice.clone()))
            .collect();
        let settle = config.reload.settle;
        self.block(move |files| {
            files.settle_for(settle);
            let mut looked = Looked { desires: Vec::new(), touched: Vec::new(), unsettled: false };
            for (slot, choice) in choices {
                let mut touched = false;
                let desire = desired::look(files, &choice, false, &mut touched);
                if touched {
                    looked.touched.push(slot.clone());
                }
                match desire {
                    Desired::Unsettled => looked.unsettled = true,
                    desire => looked.desires.push((slot, desire)),
                }
            }
            looked
        })
        .await
    }

    fn is_loaded(&self, slot: &Slot) -> bool {
        self.slots.get(slot).is_some_and(|view| view.version.is_some())
    }

    fn serves(&self, slot: &Slot, spec: &Spec) -> bool {
        let serving = self.slots.get(slot).and_then(|view| view.state.serving.as_ref());
        self.is_loaded(slot) && serving.is_some_and(|serving| serving.spec.identity() == spec.identity())
    }

    /// Whether the spec needs an attempt: it neither serves nor is blocked.
    fn is_wanted(&self, slot: &Slot, spec: &Spec) -> bool {
        self.slots.get(slot).is_none_or(|view| view.state.needs_attempt(&spec.identity(), view.version.is_some()))
    }

    fn operator_epoch(&self, slot: &Slot) -> u64 {
        self.slots.get(slot).map_or(0, |view| view.state.operator_epoch)
    }

    /// Takes each spec through all stages, concurrently.
    async fn try_all(
        &mut self,
        config: &Config,
        models: &[KnownModel],
        wanted: Vec<(Slot, Spec)>,
    ) -> Vec<(Slot, Spec, Tried)> {
        let mut ready = Vec::new();
        for (slot, spec) in wanted {
            let Some(choice) = config.policy(&slot).cloned() else { continue };
            let wanted = spec.clone();
            let bytes = self.block(move |files| desired::read(files, &choice, &wanted)).await;
            ready.push((slot, spec, bytes));
        }
        let (loader, checks) = (&self.loader, &self.checks);
        join_all(ready.into_iter().map(|(slot, spec, bytes)| async move {
            let tried = match bytes {
                Ok(bytes) => match desired::load(loader, checks, Some(models), &slot, spec.clone(), bytes).await {
                    Ok(loaded) => Tried::Loaded(Box::new(loaded)),
                    Err(error) => Tried::Refused(error),
                },
                Err(Desired::Unreadable(why)) => Tried::Refused(desired::unreadable(&spec.origin, why)),
                Err(_) => Tried::Changing,
            };
            (slot, spec, tried)
        }))
        .await
    }

    /// Runs `work` with the files on a thread where it may block.
    async fn block<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Files) -> T + Send + 'static) -> T {
        let mut files = std::mem::replace(&mut self.files, Files::new(self.config.reload.settle));
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut files);
            (files, done)
        });
        match done.await {
            Ok((files, done)) => {
                self.files = files;
                done
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }
}

/// The outcome for one spec.
enum Tried {
    Loaded(Box<Loaded>),
    Refused(LoadError),
    /// A file changed before it was read.
    Changing,
}

/// The content of the configuration file.
enum Text {
    /// It is the content that serves.
    Serves,
    /// It is still changing.
    Changing,
    /// It is missing, cannot be read or is invalid: the reason.
    Wrong { identity: String, reason: String },
    /// It is a new configuration.
    New(Box<Config>),
}
