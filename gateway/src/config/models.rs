//! `[models.NAME]` with prices: as written, and as checked models.

use indexmap::IndexMap;
use serde::Deserialize;
use wasmgate_base::money::{self, Price, Rates};
use wasmgate_base::nearest::close;
use wasmgate_base::range::Range;

use super::checks::{check_labels, check_name};
use super::problem::{Code, Problems, wrong};
use super::quirks::QuirksFile;
use crate::backend::{self, Capability, Location, Model, Priced};

/// Output tokens to ask an Anthropic backend for if neither the client nor the configuration names a limit. All current
/// models of Anthropic allow them, and long tool arguments fit.
const DEFAULT_OUTPUT_TOKENS: u32 = 32_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    backend: Option<String>,
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
    labels: IndexMap<String, String>,
    #[serde(default)]
    guarded: bool,
    #[serde(default)]
    quirks: QuirksFile,
    priced_as: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    input_usd_per_million_tokens: Option<f64>,
    output_usd_per_million_tokens: Option<f64>,
    cache_read_usd_per_million_tokens: Option<f64>,
    cache_write_usd_per_million_tokens: Option<f64>,
    reasoning_usd_per_million_tokens: Option<f64>,
}

/// The numbers that each setting of a model may have.
pub(super) const RANGES: &[(&str, Range)] =
    &[("context_window", Range::Whole(1, u32::MAX as u64)), ("max_output_tokens", Range::Whole(1, u32::MAX as u64))];

/// The same for prices.
pub(super) const PRICES: &[(&str, Range)] = &[
    ("input_usd_per_million_tokens", USD),
    ("output_usd_per_million_tokens", USD),
    ("cache_read_usd_per_million_tokens", USD),
    ("cache_write_usd_per_million_tokens", USD),
    ("reasoning_usd_per_million_tokens", USD),
];

const USD: Range = Range::Number(0.0, 1_000_000.0);

/// The models of the file, each with its backend and its fallbacks resolved.
pub(super) fn mean_models(
    file: IndexMap<String, ModelFile>,
    backends: &[backend::Settings],
    problems: &mut Problems,
) -> Vec<Model> {
    let names: Vec<String> = file.keys().cloned().collect();
    let mut models = Vec::with_capacity(names.len());
    for (name, model) in file {
        let fallbacks = mean_fallbacks(&name, &model.fallbacks, &names, problems);
        models.extend(mean_model(name, model, fallbacks, backends, problems));
    }
    models
}

/// The positions of a model's fallbacks. Fallbacks of fallbacks do not count, so two models may name each other.
fn mean_fallbacks(name: &str, fallbacks: &[String], names: &[String], problems: &mut Problems) -> Vec<usize> {
    let mut positions = Vec::with_capacity(fallbacks.len());
    for fallback in fallbacks {
        let path = ["models", name, "fallbacks"];
        let Some(position) = names.iter().position(|known| known == fallback) else {
            let near = close(fallback, names.iter().map(String::as_str));
            if !problems.is_left_out(&["models", fallback]) {
                problems.add(wrong(&path, Code::UnknownName, no_table("models", fallback), "").near(near));
            }
            continue;
        };
        if fallback == name {
            problems.add(wrong(&path, Code::Conflict, format!("{fallback:?} is this model itself"), "other models"));
        } else if positions.contains(&position) {
            problems.add(wrong(&path, Code::DuplicateKey, format!("{fallback:?} is there twice"), "each model once"));
        } else {
            positions.push(position);
        }
    }
    positions
}

/// As in `there is no [models.gpt]`.
fn no_table(section: &str, name: &str) -> String {
    let bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { format!("there is no [{section}.{name}]") } else { format!("there is no [{section}.{name:?}]") }
}

fn mean_model(
    name: String,
    file: ModelFile,
    fallbacks: Vec<usize>,
    backends: &[backend::Settings],
    problems: &mut Problems,
) -> Option<Model> {
    let at = |key: &'static str| ["models", &*name, key];
    problems.take(check_name(&["models", &name], &name));
    if ["auto", "none", "other"].contains(&name.as_str()) {
        let found = "`auto`, `none` and `other` are reserved";
        problems.add(wrong(&["models", &name], Code::Conflict, found, "another name"));
    }
    if file.timeouts.connect_seconds.is_some() {
        let found = "models share their backend's connections: set this in the backend's `timeouts`";
        problems.add(wrong(&["models", &name, "timeouts", "connect_seconds"], Code::Conflict, found, ""));
    }
    check_labels(&["models", &name], &file.labels, problems);
    let price = file.price.and_then(|price| mean_price(&price, &name, problems));
    let Some(wanted) = &file.backend else {
        let expected = "the NAME of one of the tables [backends.NAME]";
        problems.add(wrong(&at("backend"), Code::Missing, "missing", expected));
        return None;
    };
    let Some(backend) = backends.iter().position(|backend| backend.name == *wanted) else {
        if !problems.is_left_out(&["backends", wanted]) {
            let near = close(wanted, backends.iter().map(|backend| backend.name.as_str()));
            problems.add(wrong(&at("backend"), Code::UnknownName, no_table("backends", wanted), "").near(near));
        }
        return None;
    };
    let quirks = file.quirks.mean(backends[backend].kind.dialect, &at("quirks"), problems);
    if price.is_some() && file.priced_as.is_some() {
        let found = "the model states its `price` as well";
        problems.add(wrong(&at("priced_as"), Code::Conflict, found, "one of the two"));
    }
    // A local model is free: nobody bills its electricity. A cloud model without a price gets that of the catalogue; one that
    // is not in there is unpriced, not free. `wasmgate check` names all.
    let is_local = backends[backend].location == Location::Local && file.priced_as.is_none();
    let (price, priced) = match price {
        Some(price) => (Some(price), Priced::Override),
        None if is_local => (Some(Price::default()), Priced::Local),
        None => (None, Priced::Unpriced),
    };
    Some(Model {
        backend_name: file.name.unwrap_or_else(|| name.clone()),
        backend,
        context_window: file.context_window,
        max_output_tokens: file.max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS),
        capabilities: file.capabilities.into_iter().collect(),
        timeouts: file.timeouts.or(&backends[backend].timeouts),
        price,
        priced,
        price_version: None,
        priced_as: file.priced_as,
        fallbacks,
        labels: file.labels.into_iter().collect(),
        guarded: file.guarded,
        quirks: quirks.or(backends[backend].quirks),
        name,
    })
}

fn mean_price(file: &PriceFile, name: &str, problems: &mut Problems) -> Option<Price> {
    let required = [
        ("input_usd_per_million_tokens", file.input_usd_per_million_tokens),
        ("output_usd_per_million_tokens", file.output_usd_per_million_tokens),
    ];
    for (key, _) in required.into_iter().filter(|(_, usd)| usd.is_none()) {
        problems.add(wrong(&["models", name, "price", key], Code::Missing, "missing", format!("{USD} US dollars")));
    }
    // In range, as all numbers of the file.
    let input = money::from_usd(file.input_usd_per_million_tokens?)?;
    let output = money::from_usd(file.output_usd_per_million_tokens?)?;
    let or = |usd: Option<f64>, other| usd.and_then(money::from_usd).unwrap_or(other);
    Some(Price::flat(Rates {
        input,
        output,
        cache_read: or(file.cache_read_usd_per_million_tokens, input),
        cache_write: or(file.cache_write_usd_per_million_tokens, input),
        reasoning: or(file.reasoning_usd_per_million_tokens, output),
    }))
}
