//! The report of `wasmgate policy replay`, in words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value as Json, json};
use wasmgate_decisions::replay::{
    Compared, Condition, Difference, Evidence, Figure, LEAST, Measure, Quality, Side, Tally, mean_figure,
};
use wasmgate_decisions::{Decision, Report};

use super::format::count;
use super::quality;
use crate::cli::table::{Table, sentences};

/// The seed of intervals, so that the same log gives the same ones.
pub(super) const SEED: u64 = 0x7761_736d;
/// Nano-dollars of a dollar.
const NANO: f64 = 1e9;

/// Why a decision cannot be asked again: the policy reads text, and the log has none.
pub(super) const NO_TEXT: &str = "text_not_kept";
/// The policy reads text, and the log does not have all of it.
pub(super) const NO_WHOLE_TEXT: &str = "text_not_whole";
/// The line has what this version does not know.
pub(super) const UNREADABLE: &str = "unreadable";
/// No routing policy was asked, because the cost policy failed.
pub(super) const COST_FAILED: &str = "cost_policy_failed";
/// The gateway chose in the policy's place.
pub(super) const OVERRIDDEN: &str = "overridden";

/// What the estimates rest on.
const ASSUMED: &str = "Output lengths and latencies of a model that did not answer a request are those of requests of about the same \
                       length that it did answer.";

/// What was replayed and found.
pub(super) struct Replayed<'a> {
    pub(super) policy: Version,
    pub(super) against: Option<Version>,
    pub(super) folder: String,
    /// Decisions of the chosen time.
    pub(super) records: u64,
    pub(super) report: Report,
    pub(super) deciders: BTreeMap<Decider, u64>,
    pub(super) tally: Tally,
    pub(super) quality: Quality,
    pub(super) evidence: &'a Evidence,
    pub(super) conditions: &'a [Condition],
}

/// A version of a policy that was asked.
pub(super) struct Version {
    /// As it was named.
    pub(super) name: String,
    /// Its `name@version`.
    pub(super) label: String,
    /// SHA-256 of the component, in hex.
    pub(super) digest: String,
    /// SHA-256 of its settings, in hex: one for each set of tiers that the log's models make.
    pub(super) settings: Vec<String>,
    pub(super) reads_text: bool,
}

/// A version of a policy that decided, as the log has it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Decider {
    /// `name@version`; `none` if no policy decided.
    label: String,
    digest: String,
    settings: String,
}

impl Decider {
    pub(super) fn of(decision: &Decision) -> Self {
        match &decision.routing {
            Some(by) => Self {
                label: format!("{}@{}", by.policy, by.version),
                digest: by.digest.clone(),
                settings: by.settings.clone(),
            },
            None => Self { label: "none".to_owned(), digest: String::new(), settings: String::new() },
        }
    }

    fn is(&self, version: &Version) -> bool {
        self.digest == version.digest && version.settings.contains(&self.settings)
    }
}

/// A condition, its figure, and whether it holds; `None` if the log does not tell.
struct Judged {
    condition: Condition,
    found: Option<(f64, bool)>,
}

/// The report, and whether no condition holds.
pub(super) fn shown(replayed: &Replayed<'_>, json: bool) -> (String, bool) {
    let Replayed { tally, evidence, .. } = replayed;
    let cost = tally.cost.compared(&evidence.outputs, SEED);
    let latency = tally.latency.compared(&evidence.seconds, SEED);
    let percent = cost.and_then(|cost| cost.percent).map(|percent| percent.expected);
    let judge = |&condition: &Condition| Judged {
        condition,
        found: tally.judge(condition, percent, replayed.quality.change()),
    };
    let judged: Vec<Judged> = replayed.conditions.iter().map(judge).collect();
    let passed = judged.iter().all(|judged| judged.found.is_some_and(|(_, holds)| !holds));
    let text = match json {
        true => format!("{:#}\n", as_json(replayed, cost.as_ref(), latency.as_ref(), &judged)),
        false => in_words(replayed, cost.as_ref(), latency.as_ref(), &judged),
    };
    (text, passed)
}

fn as_json(replayed: &Replayed<'_>, cost: Option<&Compared>, latency: Option<&Compared>, judged: &[Judged]) -> Json {
    let Replayed { tally, evidence, report, .. } = replayed;
    let version = |version: &Version| {
        json!({
            "policy": version.name,
            "version": version.label,
            "digest": version.digest,
            "settings": version.settings,
            "reads_text": version.reads_text,
        })
    };
    let decider = |(decider, count): (&Decider, &u64)| {
        json!({
            "version": decider.label,
            "digest": decider.digest,
            "settings": decider.settings,
            "decisions": count,
            "is_replayed": decider.is(&replayed.policy),
        })
    };
    let mix = |name: &str, pairs: &BTreeMap<Option<String>, [u64; 2]>| -> Vec<Json> {
        pairs.iter().map(|(of, [before, after])| json!({name: of, "before": before, "after": after})).collect()
    };
    let no_cost = |(reason, model, count): (String, Option<&str>, u64)| json!({"reason": reason, "model": model, "decisions": count});
    let output = |(model, records, samples): (&str, usize, Option<&[f64]>)| {
        let mean = samples.and_then(|samples| mean_figure(samples, SEED)).map(|mean| figure(&mean, 1.0));
        json!({"model": model, "records": records, "mean": mean})
    };
    let side = |side: &Side| json!({"model": side.model, "tier": side.tier, "reason": side.reason, "cost_usd": side.cost / NANO});
    let difference = |found: &Difference| {
        let (before, after) = (side(&found.before), side(&found.after));
        json!({"request_id": found.id, "change_usd": found.change / NANO, "before": before, "after": after})
    };
    let judgement = |judged: &Judged| {
        let (found, holds) = judged.found.unzip();
        let unit = if judged.condition.measure == Measure::Score { "score" } else { "percent" };
        json!({"condition": judged.condition.to_string(), unit: found, "holds": holds})
    };
    json!({
        "policy": version(&replayed.policy),
        "against": replayed.against.as_ref().map(version),
        "log": {
            "folder": replayed.folder,
            "segments": report.segments,
            "damaged": report.damaged,
            "torn": report.torn,
            "newer": report.newer,
            "deciders": replayed.deciders.iter().map(decider).collect::<Vec<_>>(),
        },
        "records": replayed.records,
        "asked": tally.asked,
        "not_askable": tally.not_askable,
        "changed": tally.changed,
        "changed_percent": tally.changed_percent(),
        "identical": tally.identical,
        "models": mix("model", &tally.models),
        "tiers": mix("tier", &tally.tiers),
        "cost": compared(cost, "usd", |_| NANO),
        "no_cost": tally.no_cost().map(no_cost).collect::<Vec<_>>(),
        "mean_latency": compared(latency, "seconds", |latency| latency.records as f64),
        "quality": quality::as_json(&replayed.quality),
        "output_tokens": evidence.outputs.models().map(output).collect::<Vec<_>>(),
        "failures": tally.failures.iter().map(|(class, [before, after])| {
            json!({"class": class, "before": before, "after": after})
        }).collect::<Vec<_>>(),
        "largest_differences": tally.largest().iter().map(difference).collect::<Vec<_>>(),
        "fail_if": judged.iter().map(judgement).collect::<Vec<_>>(),
        "note": quality::note(&replayed.quality),
    })
}

/// A comparison in `unit`, of which one is `per` units of the figures.
fn compared(compared: Option<&Compared>, unit: &str, per: impl Fn(&Compared) -> f64) -> Json {
    let Some(compared) = compared else { return Json::Null };
    let per = per(compared);
    json!({
        "decisions": compared.records,
        "unit": unit,
        "before": figure(&compared.before, per),
        "after": figure(&compared.after, per),
        "change": figure(&compared.change, per),
        "change_percent": compared.percent.map(|percent| figure(&percent, 1.0)),
    })
}

fn figure(figure: &Figure, per: f64) -> Json {
    json!({"expected": figure.expected / per, "low": figure.low / per, "high": figure.high / per})
}

fn in_words(replayed: &Replayed<'_>, cost: Option<&Compared>, latency: Option<&Compared>, judged: &[Judged]) -> String {
    let Replayed { tally, evidence, report, .. } = replayed;
    let mut text = String::new();
    let mut line = |name: &str, said: &str| text += &sentences(said, &format!("{name:<11}"), &" ".repeat(11));
    line("policy", &version(&replayed.policy));
    let logged = replayed.deciders.iter().map(|(decider, decisions)| {
        let same = if decider.is(&replayed.policy) { ", the same version" } else { "" };
        format!("{} decided {}{same}", decider.label, count(*decisions))
    });
    match &replayed.against {
        Some(against) => line("against", &version(against)),
        None => line("against", &format!("the logged decisions: {}", logged.collect::<Vec<_>>().join("; "))),
    }
    line("records", &format!("{} decisions, {} asked again", count(replayed.records), count(tally.asked)));
    for (reason, skipped) in &tally.not_askable {
        line("not asked", &format!("{}: {}", count(*skipped), not_askable(reason)));
    }
    let lost = [(report.damaged, "damaged"), (report.torn, "incomplete"), (report.newer, "of a later version")];
    for (lines, kind) in lost.iter().filter(|(lines, _)| *lines > 0) {
        line("not read", &format!("{} lines are {kind}", count(*lines)));
    }
    if let Some(percent) = tally.changed_percent() {
        let (changed, identical) = (count(tally.changed), count(tally.identical));
        line("changed", &format!("{changed} first choices ({percent:.2} %); {identical} whole verdicts are the same"));
    }
    for (class, [before, after]) in &tally.failures {
        line(
            "failures",
            &format!("{class}: {} before, {} after; the default decides then", count(*before), count(*after)),
        );
    }
    match cost {
        Some(cost) => line(
            "cost",
            &format!("{}, of {} decisions", in_units(cost, |nano| format!("${:.6}", nano / NANO)), count(cost.records)),
        ),
        None => line("cost", "not known"),
    }
    for (reason, model, decisions) in tally.no_cost() {
        let model = model.map_or(String::new(), |model| format!(" ({model})"));
        line("", &format!("without {}: {reason}{model}", count(decisions)));
    }
    match latency {
        Some(latency) => {
            let mean = |seconds: f64| format!("{:.3} s", seconds / latency.records as f64);
            line("latency", &format!("mean {}, of {} decisions", in_units(latency, mean), count(latency.records)));
        }
        None => line("latency", "not known"),
    }
    for (at, said) in quality::in_words(&replayed.quality).iter().enumerate() {
        line(if at == 0 { "quality" } else { "" }, said);
    }
    for (model, records, samples) in evidence.outputs.models() {
        match samples.and_then(|samples| mean_figure(samples, SEED)) {
            Some(Figure { expected, low, high }) => {
                line(
                    "output",
                    &format!(
                        "{model}: mean {expected:.1} tokens (95 %: {low:.1} to {high:.1}), {} answers",
                        count(records as u64)
                    ),
                );
            }
            None => line("output", &format!("{model}: {records} answers; with fewer than {LEAST} there is no figure")),
        }
    }
    for Judged { condition, found } in judged {
        let figure = |found: &f64| match condition.measure {
            Measure::Score => format!("{found:+.4}"),
            Measure::Changed | Measure::Cost => format!("{found:+.2} %"),
        };
        let said = match found {
            Some((found, true)) => format!("holds: {}", figure(found)),
            Some((found, false)) => format!("does not hold: {}", figure(found)),
            None => "fails: the log does not tell".to_owned(),
        };
        line("fail-if", &format!("{condition} {said}"));
    }
    text += &tables(tally);
    // Writing to a String cannot fail.
    let _ = write!(text, "\n{}{}", sentences(ASSUMED, "", ""), sentences(quality::note(&replayed.quality), "", ""));
    text
}

pub(super) fn version(version: &Version) -> String {
    let settings: Vec<&str> = version.settings.iter().map(|digest| short(digest)).collect();
    let (digest, settings) = (short(&version.digest), settings.join(", "));
    format!("{} ({}), component {digest}, settings {settings}", version.name, version.label)
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

pub(super) fn not_askable(reason: &str) -> &str {
    match reason {
        NO_TEXT => "the policy reads text, and the log has none (`decisions.content = \"full\"` keeps it)",
        NO_WHOLE_TEXT => {
            "the policy reads text, and the log has it only in part (`decisions.content = \"full\"` keeps it)"
        }
        COST_FAILED => "the cost policy failed, so that no routing policy was asked",
        OVERRIDDEN => {
            "the gateway chose in the policy's place: a spent budget left only local models, or the conversation has its model"
        }
        UNREADABLE => "the input has a word or a model that this version does not know",
        other => other,
    }
}

/// Before, after and the change with its interval.
fn in_units(compared: &Compared, unit: impl Fn(f64) -> String) -> String {
    let (before, after) = (unit(compared.before.expected), unit(compared.after.expected));
    let Some(Figure { expected, low, high }) = compared.percent else {
        return format!("{before} before, {after} after");
    };
    format!("{before} before, {after} after: {expected:+.2} % (95 %: {low:+.2} to {high:+.2} %)")
}

fn tables(tally: &Tally) -> String {
    let mut text = String::new();
    let mut models = Table::new(&["MODEL", "BEFORE", "AFTER"]);
    for (model, [before, after]) in &tally.models {
        models.row([model.clone().unwrap_or_else(|| "none: denied".to_owned()), count(*before), count(*after)]);
    }
    let _ = write!(text, "\n{models}");
    if tally.tiers.keys().any(Option::is_some) {
        let mut tiers = Table::new(&["TIER", "BEFORE", "AFTER"]);
        for (tier, [before, after]) in &tally.tiers {
            tiers.row([tier.clone().unwrap_or_else(|| "none".to_owned()), count(*before), count(*after)]);
        }
        let _ = write!(text, "\n{tiers}");
    }
    if !tally.largest().is_empty() {
        let mut largest = Table::new(&["LARGEST DIFFERENCES", "CHANGE", "BEFORE", "AFTER"]);
        for Difference { id, change, before, after } in tally.largest() {
            let side = |side: &Side| {
                let model = side.model.clone().unwrap_or_else(|| "denied".to_owned());
                format!("{model} ${:.6}", side.cost / NANO)
            };
            largest.row([id.clone(), format!("{:+.6}", change / NANO), side(before), side(after)]);
            for (when, side) in [("before", before), ("after", after)] {
                if !side.reason.is_empty() {
                    largest.note(&format!("{when}: {}", side.reason));
                }
            }
        }
        let _ = write!(text, "\n{largest}");
    }
    text
}
