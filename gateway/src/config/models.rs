//! `[models.NAME]` with prices: as written, and as checked models.

use indexmap::IndexMap;
use serde::Deserialize;
use wasmgate_base::money::{self, Price};

use super::checks::check_name;
use super::error::Wrong;
use super::quirks::QuirksFile;
use crate::backend::{self, Capability, Location, Model};

/// Output tokens to ask an Anthropic backend for if neither the client nor the configuration names a limit. All current
/// models of Anthropic allow them, and long tool arguments fit.
const DEFAULT_OUTPUT_TOKENS: u32 = 32_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    backend: String,
    name: Option<String>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    timeouts: backend::TimeoutsFile,
    price: Option<PriceFile>,
    #[serde(default)]
    fallbacks: Vec<String>,
    #[serde(default)]
    guarded: bool,
    #[serde(default)]
    quirks: QuirksFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    input_usd_per_million_tokens: f64,
    output_usd_per_million_tokens: f64,
    cache_read_usd_per_million_tokens: Option<f64>,
    cache_write_usd_per_million_tokens: Option<f64>,
}

/// The models of the file, each with its backend and its fallbacks resolved.
pub(super) fn mean_models(
    file: IndexMap<String, ModelFile>,
    backends: &[backend::Settings],
) -> Result<Vec<Model>, Wrong> {
    let names: Vec<String> = file.keys().cloned().collect();
    let model = |(name, model): (String, ModelFile)| {
        let fallbacks = mean_fallbacks(&name, &model.fallbacks, &names)?;
        mean_model(name, model, fallbacks, backends)
    };
    file.into_iter().map(model).collect()
}

/// The positions of a model's fallbacks. Fallbacks of fallbacks do not count, so two models may name each other.
fn mean_fallbacks(name: &str, fallbacks: &[String], names: &[String]) -> Result<Vec<usize>, Wrong> {
    let refused = |message: String| Err((["models", name, "fallbacks"].map(str::to_owned).to_vec(), message));
    let mut positions = Vec::with_capacity(fallbacks.len());
    for fallback in fallbacks {
        let Some(position) = names.iter().position(|known| known == fallback) else {
            let near = wasmgate_base::nearest::nearest(fallback, names.iter().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
            return refused(format!("there is no [models.{fallback}]{hint}"));
        };
        if fallback == name {
            return refused(format!("{fallback:?} is this model itself, expected other models"));
        }
        if positions.contains(&position) {
            return refused(format!("{fallback:?} is there twice, expected each model once"));
        }
        positions.push(position);
    }
    Ok(positions)
}

fn mean_model(
    name: String,
    file: ModelFile,
    fallbacks: Vec<usize>,
    backends: &[backend::Settings],
) -> Result<Model, Wrong> {
    let at = |key: &str| vec!["models".to_owned(), name.clone(), key.to_owned()];
    check_name(&["models", &name], &name)?;
    if ["auto", "none", "other"].contains(&name.as_str()) {
        return Err((
            vec!["models".to_owned(), name.clone()],
            "`auto`, `none` and `other` are reserved, expected another name".into(),
        ));
    }
    let Some(backend) = backends.iter().position(|backend| backend.name == file.backend) else {
        let near = wasmgate_base::nearest::nearest(&file.backend, backends.iter().map(|b| b.name.as_str()));
        let hint = near.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        return Err((at("backend"), format!("there is no [backends.{}]{hint}", file.backend)));
    };
    for (key, value) in [("context_window", file.context_window), ("max_output_tokens", file.max_output_tokens)] {
        if value == Some(0) {
            return Err((at(key), "0, expected at least 1".into()));
        }
    }
    if file.timeouts.connect_seconds.is_some() {
        let message = "models share their backend's connections: set this in the backend's `timeouts`";
        return Err((
            vec!["models".to_owned(), name.clone(), "timeouts".to_owned(), "connect_seconds".to_owned()],
            message.into(),
        ));
    }
    let quirks = file.quirks.mean(backends[backend].kind.dialect).map_err(|(key, message)| {
        (vec!["models".to_owned(), name.clone(), "quirks".to_owned(), key.to_owned()], message)
    })?;
    let quirks = quirks.or(backends[backend].quirks);
    let timeouts = file.timeouts.or(&backends[backend].timeouts).map_err(|(key, message)| {
        (vec!["models".to_owned(), name.clone(), "timeouts".to_owned(), key.to_owned()], message)
    })?;
    let location = backends[backend].location;
    let price = match file.price {
        Some(price) => Some(mean_price(&price).map_err(|(key, message)| {
            (vec!["models".to_owned(), name.clone(), "price".to_owned(), key.to_owned()], message)
        })?),
        // A local model is free: nobody bills its electricity. A cloud model without a price is unpriced, not free.
        // `wasmgate check` names both.
        None if location == Location::Local => Some(Price {
            input: money::NanoDollars(0),
            output: money::NanoDollars(0),
            cache_read: money::NanoDollars(0),
            cache_write: money::NanoDollars(0),
        }),
        None => None,
    };
    Ok(Model {
        backend_name: file.name.unwrap_or_else(|| name.clone()),
        name,
        backend,
        context_window: file.context_window,
        max_output_tokens: file.max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS),
        capabilities: file.capabilities.into_iter().collect(),
        timeouts,
        price,
        fallbacks,
        guarded: file.guarded,
        quirks,
    })
}

fn mean_price(file: &PriceFile) -> Result<Price, (&'static str, String)> {
    let amount = |key: &'static str, usd: f64| {
        money::from_usd(usd).ok_or_else(|| (key, format!("{usd}, expected 0 to 1000000 US dollars")))
    };
    let input = amount("input_usd_per_million_tokens", file.input_usd_per_million_tokens)?;
    let cached = |key, usd: Option<f64>| usd.map_or(Ok(input), |usd| amount(key, usd));
    Ok(Price {
        input,
        output: amount("output_usd_per_million_tokens", file.output_usd_per_million_tokens)?,
        cache_read: cached("cache_read_usd_per_million_tokens", file.cache_read_usd_per_million_tokens)?,
        cache_write: cached("cache_write_usd_per_million_tokens", file.cache_write_usd_per_million_tokens)?,
    })
}
