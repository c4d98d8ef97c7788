//! The dashboards as Grafana reads them, and their panels filled as Grafana does: variables put in, each query asked of
//! a Prometheus, each series named by its legend.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::prometheus::{Api, Series};
use super::repository;

/// The files below `monitoring/grafana/`.
pub const FILES: [&str; 2] = ["hybrid-ai-stack-dashboard.json", "policies-dashboard.json"];

/// A dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// The whole model.
    pub model: Value,
    /// Its panels, in their order; rows are none.
    pub panels: Vec<Panel>,
}

/// A panel.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Its part of the model.
    pub model: Value,
    /// Its queries.
    pub targets: Vec<Target>,
}

/// A query of a panel.
#[derive(Debug, Clone)]
pub struct Target {
    /// `A`, `B` …
    pub ref_id: String,
    /// In PromQL, with variables.
    pub expr: String,
    /// With labels in double braces; empty where the panel has none.
    pub legend: String,
    /// Whether it asks for the newest value only.
    pub instant: bool,
}

/// A series as a panel shows it.
#[derive(Debug, Clone)]
pub struct Named {
    /// The legend, its labels put in.
    pub name: String,
    /// What Prometheus gave.
    pub series: Series,
}

/// What the variables stand for, and when.
#[derive(Debug, Clone)]
pub struct View {
    /// Seconds since 1970.
    pub from: f64,
    /// Seconds since 1970.
    pub to: f64,
    /// In seconds.
    pub step: f64,
    /// What `$__rate_interval` is, as in `10s`.
    pub rate_interval: String,
}

impl Dashboard {
    /// Both, in their order.
    ///
    /// # Panics
    /// Where a file is not there, or no JSON.
    #[must_use]
    pub fn all() -> Vec<Self> {
        FILES.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &str) -> Self {
        let path = repository("monitoring/grafana").join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let model: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let panels = model["panels"].as_array().into_iter().flatten();
        let panels = panels.filter(|panel| panel["type"] != "row").map(Panel::of).collect();
        Self { model, panels }
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        text(&self.model["title"])
    }
}

impl Panel {
    fn of(model: &Value) -> Self {
        let targets = model["targets"].as_array().into_iter().flatten();
        let target = |target: &Value| Target {
            ref_id: text(&target["refId"]).to_owned(),
            expr: text(&target["expr"]).to_owned(),
            legend: text(&target["legendFormat"]).to_owned(),
            instant: target["instant"] == true,
        };
        Self { model: model.clone(), targets: targets.map(target).collect() }
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        text(&self.model["title"])
    }
}

impl Target {
    /// What it gives.
    ///
    /// # Errors
    /// What Prometheus says where it refuses the query.
    pub fn ask(&self, prometheus: Api, view: &View) -> Result<Vec<Named>, String> {
        let query = view.fill(&self.expr);
        let (from, to, step) = (view.from.to_string(), view.to.to_string(), view.step.to_string());
        let series = match self.instant {
            true => prometheus.ask("/api/v1/query", &[("query", &query), ("time", &to)]),
            false => prometheus
                .ask("/api/v1/query_range", &[("query", &query), ("start", &from), ("end", &to), ("step", &step)]),
        };
        Ok(series?.into_iter().map(|series| Named { name: self.name(&series.labels), series }).collect())
    }

    /// The names in double braces of its legend.
    #[must_use]
    pub fn legend_labels(&self) -> Vec<String> {
        let parts = self.legend.split("{{").skip(1);
        parts.filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim().to_owned()).collect()
    }

    fn name(&self, labels: &BTreeMap<String, String>) -> String {
        if self.legend.is_empty() || self.legend == "__auto" {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            return pairs.join(" ");
        }
        let mut name = self.legend.clone();
        for label in self.legend_labels() {
            let value = labels.get(&label).map_or("", String::as_str);
            name = name.replace(&format!("{{{{{label}}}}}"), value);
        }
        name
    }
}

impl View {
    /// A query with its variables put in, all values of each chosen.
    #[must_use]
    pub fn fill(&self, query: &str) -> String {
        let range = format!("{}s", (self.to - self.from).round().max(1.0));
        query
            .replace("$__rate_interval", &self.rate_interval)
            .replace("$__range", &range)
            .replace("$job", ".+")
            .replace("$instance", ".+")
            .replace("$hook", ".+")
            .replace("$slot", ".+")
            .replace("$policy", ".+")
            .replace("$version", ".+")
            .replace("$mode", ".+")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
