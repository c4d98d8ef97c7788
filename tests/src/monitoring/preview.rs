//! A page with the dashboards' panels, filled from a real Prometheus, for those who have no Grafana at hand.

use std::fs;

use serde_json::{Value, json};

use super::dashboards::{Dashboard, Panel, Target, View};
use super::prometheus::Api;
use crate::real;

/// The page, whole: it needs no network to be looked at.
///
/// # Panics
/// Where the drawing library is not there.
#[must_use]
pub fn page(prometheus: Api, view: &View) -> String {
    let library = real::folder().join("monitoring/preview/node_modules/uplot/dist");
    let part = |name: &str| {
        let path = library.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let dashboards: Vec<Value> = Dashboard::all().iter().map(|dashboard| filled(dashboard, prometheus, view)).collect();
    let data = json!({
        "prometheus": prometheus.url(),
        "from": view.from,
        "to": view.to,
        "dashboards": dashboards,
    });
    // No label can end the script that the data are in.
    let data = data.to_string().replace('<', "\\u003c");
    include_str!("preview.html")
        .replace("/*UPLOT_JS*/", &part("uPlot.iife.min.js"))
        .replace("/*UPLOT_CSS*/", &part("uPlot.min.css"))
        .replace("/*DATA*/", &data)
}

fn filled(dashboard: &Dashboard, prometheus: Api, view: &View) -> Value {
    let panels = dashboard.panels.iter().map(|panel| {
        let Panel { model, .. } = panel;
        json!({
            "id": model["id"],
            "title": model["title"],
            "description": model["description"],
            "type": model["type"],
            "unit": model["fieldConfig"]["defaults"]["unit"],
            "gridPos": model["gridPos"],
            "targets": targets(panel, prometheus, view),
        })
    });
    json!({
        "title": dashboard.model["title"],
        "uid": dashboard.model["uid"],
        "panels": panels.collect::<Vec<_>>(),
    })
}

fn targets(panel: &Panel, prometheus: Api, view: &View) -> Vec<Value> {
    let one = |target: &Target| {
        let (series, error) = match target.ask(prometheus, view) {
            Ok(series) => (series, Value::Null),
            Err(error) => (Vec::new(), json!(error)),
        };
        let series: Vec<Value> = series
            .iter()
            .map(|named| json!({"name": named.name, "labels": named.series.labels, "points": named.series.points}))
            .collect();
        json!({
            "refId": target.ref_id,
            "expr": view.fill(&target.expr),
            "legend": target.legend,
            "series": series,
            "error": error,
        })
    };
    panel.targets.iter().map(one).collect()
}
