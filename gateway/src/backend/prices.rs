//! Gives models the prices of a catalogue.
//!
//! This module must not know: where the catalogue is from.

use std::sync::Arc;

use super::catalog::{Model, Priced};
use super::settings::Settings;
use wasmgate_base::money::Price;
use wasmgate_base::time::UnixSeconds;
use wasmgate_prices::{Catalogue, Match, Sought};

/// The models, each with its price at `now`: what the configuration states, else what the catalogue says of its name.
#[must_use]
pub fn priced(models: &[Model], backends: &[Settings], catalogue: Option<&Catalogue>, now: UnixSeconds) -> Vec<Model> {
    let version = catalogue.map(|catalogue| Arc::<str>::from(catalogue.version()));
    let mut models = models.to_vec();
    for model in models.iter_mut().filter(|model| model.priced == Priced::Unpriced) {
        if let Some((price, how)) = found(model, backends, catalogue, now) {
            model.priced = match how {
                Match::Exact => Priced::Exact,
                Match::Alias => Priced::Alias,
            };
            (model.price, model.price_version) = (Some(price), version.clone());
        }
    }
    models
}

/// A model's price at `at`; `None`: unpriced.
#[must_use]
pub fn price_at(model: &Model, backends: &[Settings], catalogue: Option<&Catalogue>, at: UnixSeconds) -> Option<Price> {
    model.price.or_else(|| found(model, backends, catalogue, at).map(|(price, _)| price))
}

fn found(
    model: &Model,
    backends: &[Settings],
    catalogue: Option<&Catalogue>,
    at: UnixSeconds,
) -> Option<(Price, Match)> {
    let Sought { name, kind } = sought_of(model, backends);
    let (entry, how) = catalogue?.find(name, kind)?;
    Some((entry.price(at), how))
}

/// The models of a configuration whose prices are sought in the catalogue.
pub fn sought<'a>(models: &'a [Model], backends: &'a [Settings]) -> impl Iterator<Item = Sought<'a>> {
    models.iter().filter(|model| model.priced == Priced::Unpriced).map(|model| sought_of(model, backends))
}

fn sought_of<'a>(model: &'a Model, backends: &'a [Settings]) -> Sought<'a> {
    let name = model.priced_as.as_deref().unwrap_or(&model.backend_name);
    Sought { name, kind: backends[model.backend].kind.name }
}
