//! Settings that name models, and the models that the operator configured.
//!
//! The manifest says which settings name models: the gateway checks the names in them. Of the lists that name the models of a
//! tier, the gateway makes those that the operator does not set from the configured models, because a policy's author cannot know
//! their names.
//!
//! This module must not know: how a policy uses the names.

use std::collections::BTreeMap;

use super::contract::types::{Manifest, Meaning, Setting, Tier, Value};
use super::settings::Settings;

/// The tiers, from the least to the most capable models.
const TIERS: [Tier; 3] = [Tier::Low, Tier::Medium, Tier::High];

/// Maximum of names that a message lists.
const LISTED: usize = 20;

/// Names of models, by setting.
pub type Named = BTreeMap<String, Vec<String>>;

/// A model that the operator configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownModel {
    /// Its name.
    pub name: String,
    /// What a million tokens in and a million out cost together, in nano-dollars; `None` if unpriced.
    pub price: Option<u64>,
    /// Whether its name says that it makes embeddings, so that it is in no tier.
    pub embeds: bool,
}

/// The order in which tiers were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Cheapest first.
    Price,
    /// As in the configuration, because a model has no price or all cost the same.
    Configuration,
}

impl Order {
    /// The word in answers of the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Configuration => "configuration",
        }
    }

    /// The words in messages.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Price => "by price",
            Self::Configuration => "in the configuration's order",
        }
    }
}

/// Tiers that the gateway made from the configured models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeTiers {
    /// The models of each tier that the operator did not set.
    pub models: Named,
    /// The order.
    pub order: Order,
}

/// What a policy's settings say of models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Naming {
    /// The names in the operator's settings.
    given: Named,
    /// The names in the manifest's defaults that hold, tiers excluded; of a script, those in its constants.
    defaults: Named,
    /// The settings of the tiers that the operator did not set, from the least to the most capable.
    unset: Vec<String>,
    /// The settings of all tiers, likewise.
    tiers: Vec<String>,
    /// What the gateway made of them; `None` if there are none, or the configured models are not known.
    pub(crate) made: Option<MadeTiers>,
}

impl Naming {
    /// Reads a manifest and the operator's settings, and makes the tiers that are not set.
    pub(crate) fn of(manifest: &Manifest, given: &Settings, models: Option<&[KnownModel]>) -> Self {
        let mut naming = Self::default();
        for setting in manifest.settings.iter().filter(|setting| names_models(setting)) {
            match given.get(&setting.name) {
                Some(value) => naming.given.insert(setting.name.clone(), texts(value)),
                None if tier(setting).is_some() => None,
                None => naming.defaults.insert(setting.name.clone(), texts(&setting.default)),
            };
        }
        let setting_of = |of: &Tier| manifest.settings.iter().find(|setting| tier(setting) == Some(*of));
        naming.tiers = TIERS.iter().filter_map(setting_of).map(|setting| setting.name.clone()).collect();
        naming.unset = naming.tiers.iter().filter(|name| !given.contains_key(*name)).cloned().collect();
        naming.made = models.and_then(|models| naming.make(models));
        naming
    }

    /// The same with the names in a script's constants. What such a constant is for is the author's choice, so names that no
    /// model has are reported, and never refused.
    pub(crate) fn with_constants(mut self, constants: Named) -> Self {
        self.defaults.extend(constants);
        self
    }

    /// Whether the tiers that the gateway made are those that these models give.
    pub(crate) fn fits(&self, models: &[KnownModel]) -> bool {
        self.made == self.make(models)
    }

    /// The same with tiers made from other models.
    pub(crate) fn remade(&self, models: &[KnownModel]) -> Self {
        Self { made: self.make(models), ..self.clone() }
    }

    /// The names that no configured model has, by setting; those in settings of the operator and in defaults that hold.
    pub(crate) fn unknown(&self, is_known: impl Fn(&str) -> bool) -> Named {
        let unknown = |(setting, names): (&String, &Vec<String>)| {
            let names: Vec<String> = names.iter().filter(|name| !is_known(name)).cloned().collect();
            (!names.is_empty()).then(|| (setting.clone(), names))
        };
        self.given.iter().chain(&self.defaults).filter_map(unknown).collect()
    }

    /// Why these settings are refused: the operator named models, and none of them is configured.
    pub(crate) fn refusal(&self, models: &[KnownModel]) -> Option<String> {
        let mut names = self.given.values().flatten().peekable();
        names.peek()?;
        if names.any(|name| models.iter().any(|model| model.name == *name)) {
            return None;
        }
        let known: Vec<&str> = models.iter().take(LISTED).map(|model| model.name.as_str()).collect();
        let more = if models.len() > LISTED { ", …" } else { "" };
        Some(format!(
            "no model that its settings name is configured: {}; expected names of configured models: {}{more}",
            in_words(&self.given),
            known.join(", ")
        ))
    }

    /// The lowest tier that is not set gets the first model that no set tier names, the highest tier the last one, and the
    /// tier between the others.
    fn make(&self, models: &[KnownModel]) -> Option<MadeTiers> {
        let highest = self.unset.len().checked_sub(1)?;
        let named = |model: &&KnownModel| {
            self.tiers.iter().filter_map(|tier| self.given.get(tier)).flatten().any(|name| *name == model.name)
        };
        let chats: Vec<&KnownModel> = models.iter().filter(|model| !model.embeds).collect();
        let mut left = if chats.is_empty() { models.iter().collect() } else { chats };
        left.retain(|model| !named(model));
        let prices: Option<Vec<u64>> = left.iter().map(|model| model.price).collect();
        let differ = prices.is_some_and(|prices| prices.iter().any(|price| *price != prices[0]));
        let order = if differ { Order::Price } else { Order::Configuration };
        if order == Order::Price {
            // Stable: models of one price keep their order.
            left.sort_by_key(|model| model.price);
        }
        let mut tiers: Named = self.unset.iter().map(|tier| (tier.clone(), Vec::new())).collect();
        let last = left.len().saturating_sub(1);
        for (at, model) in left.iter().enumerate() {
            let tier = match at {
                0 => 0,
                at if at == last => highest,
                _ => highest / 2,
            };
            tiers.entry(self.unset[tier].clone()).or_default().push(model.name.clone());
        }
        Some(MadeTiers { models: tiers, order })
    }
}

/// As in `low-models = ["a"], high-models = ["b", "c"]`.
#[must_use]
pub fn in_words(named: &Named) -> String {
    // The usual names of tiers in their order, all others by name.
    let usual = ["low-models", "medium-models", "high-models"];
    let rank = |setting: &str| usual.iter().position(|tier| *tier == setting).unwrap_or(usual.len());
    let mut settings: Vec<_> = named.iter().collect();
    settings.sort_by_key(|(setting, _)| rank(setting));
    settings.iter().map(|(setting, names)| format!("{setting} = {names:?}")).collect::<Vec<_>>().join(", ")
}

/// Whether a setting names models.
fn names_models(setting: &Setting) -> bool {
    matches!(setting.meaning, Meaning::Models | Meaning::Tier(_))
}

fn tier(setting: &Setting) -> Option<Tier> {
    match setting.meaning {
        Meaning::Tier(tier) => Some(tier),
        _ => None,
    }
}

/// The names in a value. An empty text names none.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Text(text) if !text.is_empty() => vec![text.clone()],
        Value::Texts(texts) => texts.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "tests/models.rs"]
mod tests;
