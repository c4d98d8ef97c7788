//! A page with both dashboards, filled from a real Prometheus and drawn by the components that Grafana publishes, for
//! those who have no Grafana at hand; and what a browser shows of it. `tests/real/preview/` has the page itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::dashboards::{Dashboard, Panel, Target, View};
use super::prometheus::Api;
use crate::real;

/// The page, whole: it needs no network to be looked at.
///
/// # Panics
/// Where the page without data is not there.
#[must_use]
pub fn page(prometheus: Api, view: &View) -> String {
    let path = real::folder().join("preview/page.html");
    let page = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: `make test` makes it before it runs the tests", path.display()));
    let dashboards: Vec<Value> = Dashboard::all().iter().map(|dashboard| filled(dashboard, prometheus, view)).collect();
    let data = json!({
        "prometheus": prometheus.url(),
        "from": view.from,
        "to": view.to,
        "step": view.step,
        "dashboards": dashboards,
    });
    // No label can end the script that the data are in.
    page.replacen("/*DATA*/", &data.to_string().replace('<', "\\u003c"), 1)
}

/// The page as Chromium shows it in a window of that width, in CSS pixels: what the page reports of itself
/// (`report.js`) and the browser of the page (`failures`). Pictures of both dashboards go into that folder.
///
/// # Panics
/// Where Chromium does not show it.
#[must_use]
pub fn shown(page: &Path, width: u32, pictures: &Path) -> Value {
    let profile = tempfile::TempDir::new().expect("a temporary folder");
    let node = real::folder().join("node/node");
    let script = super::repository("tests/real/preview/look.mjs");
    let output = Command::new(node)
        .arg(script)
        .args([page, pictures, profile.path()])
        .arg(width.to_string())
        .output()
        .expect("Node.js");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn filled(dashboard: &Dashboard, prometheus: Api, view: &View) -> Value {
    let answers =
        dashboard.panels.iter().map(|panel| (panel.model["id"].to_string(), targets(panel, prometheus, view)));
    let list = |part: &Value| part["list"].as_array().cloned().unwrap_or_default();
    let model = &dashboard.model;
    json!({
        "model": model,
        "answers": answers.collect::<serde_json::Map<_, _>>(),
        "variables": list(&model["templating"]).iter().map(|one| variable(one, prometheus, view)).collect::<Vec<_>>(),
        "annotations": list(&model["annotations"]).iter().map(|one| annotation(one, prometheus, view)).collect::<Vec<_>>(),
    })
}

fn targets(panel: &Panel, prometheus: Api, view: &View) -> Value {
    let one = |target: &Target| {
        let (series, error) = match target.ask(prometheus, view) {
            Ok(series) => (series, Value::Null),
            Err(error) => (Vec::new(), json!(error)),
        };
        let series: Vec<Value> = series
            .iter()
            .map(|named| json!({"name": named.name, "labels": named.series.labels, "points": named.series.points}))
            .collect();
        json!({"refId": target.ref_id, "series": series, "error": error})
    };
    panel.targets.iter().map(one).collect()
}

/// What a variable stands for, and the values that it could have: those of a label of the series of its query.
fn variable(model: &Value, prometheus: Api, view: &View) -> Value {
    let query = model["query"].as_str().unwrap_or_default();
    let selected = &model["current"]["text"];
    let text = selected.as_str().or(selected[0].as_str()).unwrap_or_default();
    let values: BTreeSet<String> = match query.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(',')) {
        Some((selector, label)) => {
            let label = label.trim().trim_end_matches(')');
            let query = format!("group by ({label}) ({})", view.fill(selector));
            let series = prometheus.ask("/api/v1/query", &[("query", &query), ("time", &view.to.to_string())]);
            series.unwrap_or_default().into_iter().filter_map(|mut series| series.labels.remove(label)).collect()
        }
        None => [text.to_owned()].into(),
    };
    json!({"label": model["label"], "text": text, "values": values})
}

/// When what an annotation marks began: Grafana draws one region for marks that follow each other.
fn annotation(model: &Value, prometheus: Api, view: &View) -> Value {
    let query = view.fill(model["expr"].as_str().unwrap_or_default());
    let (from, to, step) = (view.from.to_string(), view.to.to_string(), view.step.to_string());
    let range = [("query", query.as_str()), ("start", &from), ("end", &to), ("step", &step)];
    let series = prometheus.ask("/api/v1/query_range", &range).unwrap_or_default();
    let begins = series.iter().flat_map(|series| {
        let times: Vec<f64> = series.points.iter().map(|(time, _)| *time).collect();
        let begins = |at: &usize| *at == 0 || times[*at] - times[*at - 1] > 1.5 * view.step;
        (0..times.len()).filter(begins).map(|at| times[at]).collect::<Vec<f64>>()
    });
    json!({"name": model["name"], "color": model["iconColor"], "times": begins.collect::<Vec<_>>()})
}
