//! The catalogue of prices in force, and the next one: read, compared with the one in force, applied or refused. A file that is
//! refused changes nothing; the last good one stays, also over a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::observed::{Files, Observed};
use super::store::Store;
use super::{By, Control};
use crate::backend::{Catalog, Priced, priced, sought};
use crate::config::{self, Config};
use crate::metrics::PriceCatalogue;
use crate::rollout::api::PricesStatus;
use wasmgate_base::time::{UnixSeconds, now};
use wasmgate_prices::{Catalogue, Sought, compare};

/// Most changes that the refusal of a file names.
const NAMED: usize = 5;

/// A catalogue and where it is from.
#[derive(Debug, Clone, Default)]
pub(super) struct Prices {
    /// `None`: only the configuration states prices.
    pub(super) catalogue: Option<Arc<Catalogue>>,
    origin: Origin,
    /// The content of its file.
    bytes: Option<Arc<[u8]>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Origin {
    #[default]
    None,
    BuiltIn,
    File(Kept),
}

/// A file of prices: what the state keeps of it. Its content is stored under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) digest: String,
}

/// The prices in force.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) prices: Prices,
    /// Since when they are in force.
    since: UnixSeconds,
    /// The last refused file: its identity and the reason.
    pub(super) refused: Option<(String, String)>,
    /// When the catalogue next changes a price by itself.
    next: Option<UnixSeconds>,
}

/// What the configuration desires of the prices.
pub(super) enum Look {
    /// What is in force.
    Same,
    /// Another catalogue, which may replace it.
    New(Box<Prices>),
    /// The file is still changing.
    Changing,
    /// A file that is refused. `identity` tells refusals apart.
    Wrong { identity: String, reason: String },
}

impl Prices {
    /// The file that is in force.
    pub(super) fn kept(&self) -> Option<&Kept> {
        match &self.origin {
            Origin::File(kept) => Some(kept),
            Origin::None | Origin::BuiltIn => None,
        }
    }

    /// The file that is in force, with its content.
    pub(super) fn content(&self) -> Option<(&str, Arc<[u8]>)> {
        Some((&self.kept()?.digest, Arc::clone(self.bytes.as_ref()?)))
    }

    /// Whether they are from this file.
    pub(super) fn is_from(&self, path: Option<&Path>) -> bool {
        self.kept().is_some_and(|kept| Some(kept.path.as_path()) == path)
    }

    /// The models of a configuration with their prices at this time.
    pub(super) fn of(&self, config: &Config) -> Vec<crate::backend::Model> {
        priced(&config.models, &config.backends, self.catalogue.as_deref(), now())
    }

    fn read(kept: Kept, bytes: Arc<[u8]>) -> Result<Self, String> {
        let shown = kept.path.display().to_string();
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("{shown}: not a text in UTF-8"))?;
        let catalogue = Some(Arc::new(wasmgate_prices::read(&shown, text)?));
        Ok(Self { catalogue, origin: Origin::File(kept), bytes: Some(bytes) })
    }

    /// The last good file of the configuration, from before the stop.
    pub(super) fn stored(store: &Store, kept: Kept, config: &Config) -> Option<Self> {
        let bytes = store.get(&kept.digest).filter(|_| config.prices.file.as_ref() == Some(&kept.path))?;
        Self::read(kept, bytes.into()).ok()
    }

    /// As in `catalogue 2026-11-29 of 2026-11-29 (prices.json)`; empty without one.
    pub(super) fn in_words(&self) -> String {
        let Some(catalogue) = &self.catalogue else { return String::new() };
        let from = match &self.origin {
            Origin::File(kept) => kept.path.display().to_string(),
            Origin::None | Origin::BuiltIn => "built in: list prices that nobody vouches for".to_owned(),
        };
        format!("catalogue {} of {} ({from})", catalogue.version(), catalogue.date())
    }

    fn origin(&self) -> &'static str {
        match self.origin {
            Origin::None => "none",
            Origin::BuiltIn => "builtin",
            Origin::File(_) => "file",
        }
    }
}

/// Looks at what a configuration desires. `at_once`: the file need not have settled. Blocks.
pub(super) fn look(files: &mut Files, config: &Config, current: &Prices, at_once: bool) -> Look {
    let wanted = &config.prices;
    let Some(path) = &wanted.file else {
        let origin = if wanted.builtin { Origin::BuiltIn } else { Origin::None };
        if current.origin == origin {
            return Look::Same;
        }
        let catalogue = wanted.builtin.then(|| Arc::new(wasmgate_prices::builtin()));
        return Look::New(Box::new(Prices { catalogue, origin, bytes: None }));
    };
    let shown = path.display();
    // What is in the configuration decides as well whether a file is refused.
    let wrong = |identity: &str, reason| Look::Wrong { identity: format!("{identity} {}", config.digest), reason };
    let observed = if at_once { files.look(path, true) } else { files.look_for(path) };
    let digest = match observed {
        Observed::Settled { digest, .. } => digest,
        Observed::Unsettled => return Look::Changing,
        Observed::Missing => return wrong("missing", format!("{shown}: the file does not exist")),
        Observed::Unreadable(why) => return wrong(&why, format!("{shown}: {why}")),
    };
    let kept = Kept { path: path.clone(), digest };
    if current.kept() == Some(&kept) {
        return Look::Same;
    }
    let Ok(bytes) = files.read(path, &kept.digest) else { return Look::Changing };
    let digest = kept.digest.clone();
    let new = match Prices::read(kept, bytes) {
        Ok(new) => new,
        Err(reason) => return wrong(&digest, reason),
    };
    if current.is_from(Some(path))
        && !wanted.accepts(&digest)
        && let (Some(before), Some(after)) = (&current.catalogue, &new.catalogue)
        && let Some(reason) = refusal(config, before, after, &digest)
    {
        return wrong(&digest, reason);
    }
    Look::New(Box::new(new))
}

/// Why a catalogue may not replace the one in force without an operator's word; `None` if it may.
fn refusal(config: &Config, before: &Catalogue, after: &Catalogue, digest: &str) -> Option<String> {
    let used: Vec<Sought<'_>> = sought(&config.models, &config.backends).collect();
    let changes = compare(before, after, &used, now(), config.prices.max_change);
    if changes.is_empty() {
        return None;
    }
    let mut named: Vec<String> = changes.iter().take(NAMED).map(ToString::to_string).collect();
    if changes.len() > NAMED {
        named.push(format!("{} more models", changes.len() - NAMED));
    }
    let factor = config.prices.max_change.map_or_else(String::new, |factor| {
        format!("; a price may become at most {factor} times as much or as little (`max_change`)")
    });
    let accept = config::Prices::acceptance(digest);
    Some(format!(
        "the catalogue {} changes too much: {}{factor}. If that is right, set accept = \"{accept}\" in [prices]",
        after.version(),
        named.join("; "),
    ))
}

impl InForce {
    pub(super) fn new(prices: Prices, refused: Option<(String, String)>) -> Self {
        let now = now();
        let mut in_force = Self { prices, since: now, refused, next: None };
        in_force.turn(now);
        in_force
    }

    /// Notes the time. Returns whether the catalogue has other prices then than at the time before: the next change is another
    /// one, also after a clock was set back that had been wrong.
    fn turn(&mut self, now: UnixSeconds) -> bool {
        let next = self.prices.catalogue.as_ref().and_then(|catalogue| catalogue.next_change(now));
        std::mem::replace(&mut self.next, next) != next
    }
}

impl Control {
    /// Puts other prices in force. The caller builds the catalog of models with them, and publishes it.
    pub(super) fn set_prices(&mut self, prices: Prices) {
        let said = prices.in_words();
        self.prices = InForce::new(prices, None);
        self.metrics.prices_reloaded(true);
        tracing::info!(prices = said, "prices applied");
        self.event(None, "prices_applied", By::Files, said);
        if let Some((digest, bytes)) = self.prices.prices.content() {
            self.persister.keep_prices(digest.to_owned(), bytes);
        }
    }

    /// Records that a file of prices was refused. Returns `false` if this refusal is already known.
    pub(super) fn refuse_prices(&mut self, identity: String, reason: String) -> bool {
        if self.prices.refused.as_ref().is_some_and(|(known, _)| *known == identity) {
            return false;
        }
        tracing::warn!(reason, "prices refused; the last good ones stay in force");
        self.metrics.prices_reloaded(false);
        self.event(None, "prices_refused", By::Files, reason.clone());
        self.prices.refused = Some((identity, reason));
        true
    }

    /// The file of prices has the content that is in force. Returns whether it did not before.
    pub(super) fn prices_stay(&mut self) -> bool {
        let back = self.prices.refused.take().is_some();
        if back {
            tracing::info!("the file of prices has the content that is in force again");
            self.event(None, "prices_applied", By::Files, "the file has the content that is in force again".into());
        }
        back
    }

    /// Gives the models of the configuration the prices in force.
    pub(super) fn reprice(&mut self) {
        let models = self.prices.prices.of(&self.config);
        match Catalog::new(Some(&self.catalog), self.config.backends.clone(), models) {
            Ok(catalog) => {
                self.catalog = Arc::new(catalog);
                self.catalog.take_effect();
                self.probe_backends();
            }
            // The same backends could be set up before.
            Err(reason) => tracing::error!(reason, "the models keep their former prices"),
        }
        self.say_prices();
    }

    /// Applies the changes of prices whose day has come, and takes those back that a wrong clock applied. Returns whether there were
    /// any.
    pub(super) fn prices_due(&mut self) -> bool {
        if !self.prices.turn(now()) {
            return false;
        }
        let detail = "a change of prices with today's date";
        tracing::info!(catalogue = self.prices.prices.in_words(), "prices change by their date");
        self.event(None, "prices_applied", By::Files, detail.into());
        self.reprice();
        true
    }

    /// Logs which models have prices of the catalogue.
    pub(super) fn say_prices(&self) {
        let models: Vec<&str> = self.priced_by_catalogue().collect();
        if !models.is_empty() {
            let catalogue = self.prices.prices.in_words();
            tracing::info!(catalogue, models = models.join(", "), "models priced by the catalogue");
        }
    }

    fn priced_by_catalogue(&self) -> impl Iterator<Item = &str> {
        let models = self.catalog.models().iter().map(|live| &live.model);
        let by = models.filter(|model| matches!(model.priced, Priced::Exact | Priced::Alias));
        by.map(|model| model.name.as_str())
    }

    /// Sets the gauges of the catalogue.
    pub(super) fn update_price_gauges(&self) {
        let InForce { prices, refused, .. } = &self.prices;
        let catalogue = prices.catalogue.as_ref().map(|catalogue| PriceCatalogue {
            origin: prices.origin(),
            version: catalogue.version(),
            date: catalogue.date().begins(),
        });
        self.metrics.set_prices(catalogue, refused.is_none());
    }

    /// The prices, for operators.
    pub(super) fn prices_status(&self) -> PricesStatus {
        let InForce { prices, since, refused, .. } = &self.prices;
        let catalogue = prices.catalogue.as_ref();
        PricesStatus {
            origin: prices.origin().to_owned(),
            file: prices.kept().map(|kept| kept.path.display().to_string()),
            version: catalogue.map(|catalogue| catalogue.version().to_owned()),
            date: catalogue.map(|catalogue| catalogue.date().to_string()),
            since: *since,
            models: self.priced_by_catalogue().map(str::to_owned).collect(),
            refused: refused.as_ref().map(|(_, reason)| reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_price_comes_with_its_day_and_goes_with_a_clock_that_was_wrong() {
        let text = "format = 1\nversion = \"1\"\ndate = 2026-11-29\n[models.m]\n\
                    usd_per_million_tokens = { input = 3, output = 15 }\n[[models.m.changes]]\nfrom = 2026-12-01\n\
                    usd_per_million_tokens = { input = 2, output = 12 }\n";
        let catalogue = Arc::new(wasmgate_prices::read("prices.toml", text).expect("a catalogue"));
        let prices = Prices { catalogue: Some(catalogue), ..Prices::default() };
        let mut in_force = InForce { prices, since: 0, refused: None, next: None };
        // The last day of November of 2026, and a day and a year later.
        let (before, day) = (1_796_000_000, 86_400);
        let turned = [before, before + 1, before + 2 * day, before + 365 * day, before, before + 2 * day];
        assert_eq!(turned.map(|now| in_force.turn(now)), [true, false, true, false, true, true]);
    }
}
