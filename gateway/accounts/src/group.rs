//! A group: an organisation, a team or a person. It gives keys their models and labels.

use std::collections::HashSet;

use crate::explore::Explore;
use crate::limit::{Limit, Measure};

/// Most groups above one another, the lowest included.
pub const MAX_DEPTH: usize = 8;

/// A group as the operator wrote it.
#[derive(Debug, Clone, Default)]
pub struct GroupSpec {
    /// Its name. Policies see it as the tenant; metrics have it as a label.
    pub name: String,
    /// The group above it.
    pub parent: Option<String>,
    /// The models that it may use; `None`: those of its parent.
    pub models: Option<Vec<String>>,
    /// Models that it may not use.
    pub denied_models: Vec<String>,
    /// Labels that policies see, by name. They replace those of its parent.
    pub labels: Vec<(String, String)>,
    /// Its limits, each of another measure or period.
    pub limits: Vec<Limit>,
    /// Whether it may use models without a price although it has a budget.
    pub allow_unpriced: bool,
    /// Whether, if several gateways share its limits, none borrows ahead of a request.
    pub exact: bool,
    /// How often its requests are explored; `None`: as those of its parent.
    pub explore: Option<Explore>,
}

/// A group, with what it has from the groups above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Box<str>,
    /// Itself and the groups above it, by position: itself first, the topmost last.
    pub chain: Box<[usize]>,
    /// Its labels and those of the groups above it, by name.
    pub labels: Vec<(String, String)>,
    /// Its own limits. Those of the groups above it hold too.
    pub limits: Vec<Limit>,
    /// Whether, if several gateways share its own limits, none borrows ahead of a request.
    pub exact: bool,
    /// Whether a budget of the chain forbids models without a price, whose cost nobody knows.
    pub only_priced: bool,
    /// How often its requests are explored: as it or the nearest group above it says; `None`: none says.
    pub explore: Option<Explore>,
    /// The models that all groups of the chain allow; `None`: any.
    allowed: Option<HashSet<String>>,
    /// The models that a group of the chain denies.
    denied: HashSet<String>,
}

impl Group {
    /// The group that `specs` describe, itself first, the topmost last. `chain`: their positions.
    pub(crate) fn new(specs: &[&GroupSpec], chain: Vec<usize>) -> Self {
        let mut group = Self {
            name: specs.first().map_or_else(Box::default, |spec| spec.name.as_str().into()),
            chain: chain.into(),
            labels: Vec::new(),
            limits: specs.first().map_or_else(Vec::new, |spec| spec.limits.clone()),
            exact: specs.first().is_some_and(|spec| spec.exact),
            only_priced: specs
                .iter()
                .any(|spec| !spec.allow_unpriced && spec.limits.iter().any(|limit| limit.measure == Measure::Money)),
            explore: specs.iter().find_map(|spec| spec.explore),
            allowed: None,
            denied: HashSet::new(),
        };
        let mut labelled: HashSet<&str> = HashSet::new();
        for spec in specs {
            if let Some(models) = &spec.models {
                let own: HashSet<String> = models.iter().cloned().collect();
                group.allowed = Some(match group.allowed.take() {
                    Some(below) => below.intersection(&own).cloned().collect(),
                    None => own,
                });
            }
            group.denied.extend(spec.denied_models.iter().cloned());
            for (name, value) in &spec.labels {
                if labelled.insert(name) {
                    group.labels.push((name.clone(), value.clone()));
                }
            }
        }
        group
    }

    /// Whether it may use a model.
    #[must_use]
    pub fn permits(&self, model: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(model)) && !self.denied.contains(model)
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
