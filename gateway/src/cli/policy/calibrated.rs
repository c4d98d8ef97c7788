//! What `wasmgate calibrate` found, in words and as JSON, and the file of settings that it writes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value as Json, json};
use wasmgate::rollout::api::PolicyStatus;
use wasmgate_base::document::{self, is_toml};
use wasmgate_base::io_reason::io_reason;
use wasmgate_decisions::Moment;
use wasmgate_decisions::replay::{Counted, Figure, LEAST, Target};
use wasmgate_policy_host::script;

use super::Failed;
use super::format::count;
use super::replayed::{Version, not_askable, version};
use crate::cli::show;
use crate::cli::table::{clean, sentences};

/// What figures rest on.
const NOTE: &str =
    "Intervals (95 %) are of the long run of such requests. A figure says nothing about the quality of answers.";

/// What was found.
pub(super) struct Calibrated {
    /// The policy with the settings that it had.
    pub(super) policy: Version,
    pub(super) folder: String,
    pub(super) target: Target,
    /// How far off a figure may be.
    pub(super) within: f64,
    pub(super) records: u64,
    /// When the first and the last request arrived.
    pub(super) period: (Moment, Moment),
    /// Decisions that could not be asked again, by reason.
    pub(super) not_asked: Vec<(&'static str, u64)>,
    pub(super) curves: Vec<Curve>,
    /// The settings that were given.
    pub(super) given: Map<String, Json>,
}

/// The figures of one setting.
pub(super) struct Curve {
    pub(super) setting: String,
    /// Its value before.
    pub(super) current: Json,
    /// By value, ascending.
    pub(super) points: Vec<Point>,
}

/// A value and its figures.
#[derive(Default)]
pub(super) struct Point {
    pub(super) at: f64,
    pub(super) value: Json,
    /// The policy's reason if it refused the value.
    pub(super) refused: Option<String>,
    /// Of the training part.
    pub(super) predicted: Option<Figure>,
    pub(super) held_out: Option<Figure>,
    pub(super) training: Counted,
    pub(super) checking: Counted,
}

/// The value that comes nearest to the target.
struct Best<'a> {
    curve: &'a Curve,
    point: &'a Point,
    predicted: Figure,
    off: f64,
}

/// The settings that reach the target, if the held-out part confirms it.
pub(super) fn confirmed(found: &Calibrated) -> Option<Map<String, Json>> {
    let best = best(found).filter(|best| best.off <= found.within && is_confirmed(found, best.point))?;
    let mut settings = found.given.clone();
    // A script is no setting of its file.
    settings.remove(script::SETTING);
    settings.insert(best.curve.setting.clone(), best.point.value.clone());
    Some(settings)
}

/// Writes the settings to a file.
pub(super) fn write(found: &Calibrated, settings: &Map<String, Json>, path: &Path) -> Result<(), Failed> {
    let text = match is_toml(&path.display().to_string()) {
        true => comments(found) + &as_toml(settings)?,
        false => format!("{:#}\n", Json::Object(settings.clone())),
    };
    std::fs::write(path, text)
        .map_err(|error| Failed::Machine(format!("{}: cannot be written: {}", path.display(), io_reason(&error))))
}

/// The report. `settings` are those that were confirmed; `applied` is what the gateway answered to them.
pub(super) fn shown(
    found: &Calibrated,
    settings: Option<&Map<String, Json>>,
    out: Option<&Path>,
    applied: Option<&Result<PolicyStatus, Failed>>,
    as_json: bool,
) -> Result<String, Failed> {
    let best = best(found);
    let applied = applied.and_then(|applied| applied.as_ref().ok());
    match as_json {
        true => Ok(format!("{:#}\n", in_json(found, best.as_ref(), settings, applied))),
        false => in_words(found, best.as_ref(), settings, out, applied),
    }
}

/// The nearest to the target; of those that are equally near, the one that changes its setting least.
fn best<'a>(found: &'a Calibrated) -> Option<Best<'a>> {
    let bests = found.curves.iter().flat_map(|curve| {
        let best = move |point: &'a Point| {
            let predicted = point.predicted?;
            Some(Best { curve, point, predicted, off: found.target.off(predicted.expected) })
        };
        curve.points.iter().filter_map(best)
    });
    let moved = |best: &Best<'a>| (best.point.at - best.curve.current.as_f64().unwrap_or(best.point.at)).abs();
    bests.min_by(|one, other| one.off.total_cmp(&other.off).then_with(|| moved(one).total_cmp(&moved(other))))
}

/// Whether the held-out figure is near the target, or cannot be told from it.
fn is_confirmed(found: &Calibrated, point: &Point) -> bool {
    point.held_out.is_some_and(|held_out| {
        let target = found.target.value();
        found.target.off(held_out.expected) <= found.within || (held_out.low..=held_out.high).contains(&target)
    })
}

/// What stands above the settings in their file.
fn comments(found: &Calibrated) -> String {
    let Some(best) = best(found) else { return String::new() };
    let (first, last) = found.period;
    let held_out = best.point.held_out.map_or("not known".to_owned(), |figure| shown_figure(&found.target, &figure));
    let [training, checking] = [best.point.training.asked, best.point.checking.asked].map(count);
    let lines = [
        format!("Written by `wasmgate calibrate` for {} {}.", found.policy.label, found.target),
        format!("Log: {} decisions from {first} to {last}.", count(found.records)),
        format!("{} was {}.", best.curve.setting, best.curve.current),
        format!("Predicted: {}, of {training} decisions.", shown_figure(&found.target, &best.predicted)),
        format!("Held out: {held_out}, of {checking} decisions."),
    ];
    // A comment ends with its line.
    lines.iter().map(|line| format!("# {}\n", clean(line))).collect()
}

fn as_toml(settings: &Map<String, Json>) -> Result<String, Failed> {
    document::as_toml(settings).map_err(|reason| Failed::Refused(format!("the settings: {reason}")))
}

fn shown_figure(target: &Target, figure: &Figure) -> String {
    let [expected, low, high] = [figure.expected, figure.low, figure.high].map(|figure| target.shown(figure));
    format!("{expected} (95 %: {low} to {high})")
}

fn in_json(
    found: &Calibrated,
    best: Option<&Best<'_>>,
    settings: Option<&Map<String, Json>>,
    applied: Option<&PolicyStatus>,
) -> Json {
    let figure = |figure: Option<Figure>| {
        figure.map(|figure| json!({"expected": figure.expected, "low": figure.low, "high": figure.high}))
    };
    let point = |point: &Point| {
        json!({
            "value": point.value,
            "refused": point.refused,
            "predicted": figure(point.predicted),
            "held_out": figure(point.held_out),
            "failed": point.training.failed + point.checking.failed,
            "too_few_answers": both(point, |counted| &counted.too_few),
            "unpriced": both(point, |counted| &counted.unpriced),
        })
    };
    let curve = |curve: &Curve| {
        let points: Vec<Json> = curve.points.iter().map(point).collect();
        json!({"setting": curve.setting, "current": curve.current, "points": points})
    };
    let found_at = best.map(|best| {
        json!({
            "setting": best.curve.setting,
            "current": best.curve.current,
            "value": best.point.value,
            "off": best.off,
            "predicted": figure(best.point.predicted),
            "held_out": figure(best.point.held_out),
            "training_decisions": best.point.training.asked,
            "held_out_decisions": best.point.checking.asked,
        })
    });
    json!({
        "policy": {"policy": found.policy.name, "version": found.policy.label, "digest": found.policy.digest},
        "log": {"folder": found.folder, "from": found.period.0, "to": found.period.1},
        "records": found.records,
        "not_askable": found.not_asked.iter().map(|(reason, count)| ((*reason).to_owned(), Json::from(*count))).collect::<Map<_, _>>(),
        "target": {"target": found.target.to_string(), "value": found.target.value(), "unit": found.target.unit(), "within": found.within},
        "reached": best.is_some_and(|best| best.off <= found.within),
        "confirmed": settings.is_some(),
        "nearest": found_at,
        "settings": settings,
        "applied": applied,
        "curves": found.curves.iter().map(curve).collect::<Vec<_>>(),
        "note": NOTE,
    })
}

/// Counts by model, of both parts.
fn both<'a>(point: &'a Point, counts: impl Fn(&'a Counted) -> &'a BTreeMap<String, u64>) -> BTreeMap<&'a str, u64> {
    let mut all = BTreeMap::new();
    for (model, count) in counts(&point.training).iter().chain(counts(&point.checking)) {
        *all.entry(model.as_str()).or_default() += count;
    }
    all
}

fn in_words(
    found: &Calibrated,
    best: Option<&Best<'_>>,
    settings: Option<&Map<String, Json>>,
    out: Option<&Path>,
    applied: Option<&PolicyStatus>,
) -> Result<String, Failed> {
    let Calibrated { target, within, .. } = found;
    let mut text = String::new();
    let mut line = |name: &str, said: &str| text += &sentences(said, &format!("{name:<11}"), &" ".repeat(11));
    line("policy", &version(&found.policy));
    line("target", &format!("{target}, within {}", target.shown_off(*within)));
    let (first, last) = found.period;
    line("log", &format!("{} decisions from {first} to {last}", count(found.records)));
    for (reason, skipped) in &found.not_asked {
        line("not asked", &format!("{}: {}", count(*skipped), not_askable(reason)));
    }
    for curve in &found.curves {
        let now = curve.points.iter().find(|point| point.value == curve.current).and_then(|point| point.predicted);
        let now = now.map_or("not known".to_owned(), |figure| target.shown(figure.expected));
        let figures = || curve.points.iter().filter_map(|point| point.predicted).map(|figure| figure.expected);
        let ends = figures().min_by(f64::total_cmp).zip(figures().max_by(f64::total_cmp));
        let ends = ends.map_or("no value of its range has a figure".to_owned(), |(least, most)| {
            format!("over its range {} to {}", target.shown(least), target.shown(most))
        });
        line("setting", &format!("{} = {}: {now}; {ends}", curve.setting, curve.current));
    }
    let Some(best) = best else {
        line("failed", &format!("no value has a figure{}", why_none(found)));
        return Ok(text);
    };
    let at = format!("{} = {}", best.curve.setting, best.point.value);
    let figure = shown_figure(target, &best.predicted);
    let training = count(best.point.training.asked);
    let reached = best.off <= *within;
    if !reached {
        line(
            "failed",
            &format!("the target cannot be reached. Nearest: {at}, predicted {figure}, of {training} decisions"),
        );
    } else {
        line("found", &format!("{at}, predicted {figure}, of {training} decisions"));
    }
    let held_out = best.point.held_out.map_or("not known".to_owned(), |figure| shown_figure(target, &figure));
    line("held out", &format!("{held_out}, of {} decisions", count(best.point.checking.asked)));
    if reached && settings.is_none() {
        line("failed", "the held-out part does not confirm it: the log has too few decisions, or its requests changed");
    }
    for (model, decisions) in both(best.point, |counted| &counted.unpriced) {
        line(
            "unpriced",
            &format!("{} decisions for {model}, which has no price, are not in the spending", count(decisions)),
        );
    }
    let failed = best.point.training.failed + best.point.checking.failed;
    if failed > 0 {
        line("failures", &format!("the policy failed on {}; the default decides then", count(failed)));
    }
    match (settings, out) {
        (Some(_), Some(path)) => line("written", &path.display().to_string()),
        (Some(settings), None) => {
            let shown = as_toml(settings)?;
            let _ = write!(text, "\n{}", shown.lines().map(|line| clean(line) + "\n").collect::<String>());
        }
        (None, _) => line("", "No settings were written"),
    }
    if let Some(status) = applied {
        let _ = write!(text, "\n{}", show::done(status));
    }
    let _ = write!(text, "\n{}", sentences(NOTE, "", ""));
    Ok(text)
}

/// Why no value has a figure, as far as one reason explains it.
fn why_none(found: &Calibrated) -> String {
    let points = || found.curves.iter().flat_map(|curve| &curve.points);
    if points().all(|point| point.training.asked == 0) {
        return ": no decision could be asked again".to_owned();
    }
    let models: std::collections::BTreeSet<&str> =
        points().flat_map(|point| point.training.too_few.keys()).map(String::as_str).collect();
    let models: Vec<&str> = models.into_iter().collect();
    format!(": the training part has fewer than {LEAST} answers of {}", models.join(", "))
}
