//! The part of a replay's report that says what the answers would have been worth, in words and as JSON.

use serde_json::{Value as Json, json};
use wasmgate_decisions::replay::{CLIP, Estimate, Figure, Quality};

use super::format::count;

/// What the report does not say if there is no estimate.
const NOTHING: &str = "This compares choices, cost and latency. It says nothing about the quality of answers.";
/// What estimates rest on.
const ASSUMED: &str = "The quality is that of requests with feedback, and as those judge who give it. Which requests get feedback must \
                       not depend on the model that answered.";

/// What the reader has to know.
pub(super) fn note(quality: &Quality) -> &'static str {
    if quality.estimates.is_ok() { ASSUMED } else { NOTHING }
}

/// See the module.
pub(super) fn as_json(quality: &Quality) -> Json {
    let figure = |figure: &Figure| json!({"expected": figure.expected, "low": figure.low, "high": figure.high});
    let estimate = |estimate: &Estimate| {
        let (before, after) = (figure(&estimate.before), figure(&estimate.after));
        json!({"estimator": estimate.name, "before": before, "after": after, "change": figure(&estimate.change)})
    };
    let (estimates, refusal) = match &quality.estimates {
        Ok(estimates) => (estimates.iter().map(estimate).collect(), Json::Null),
        Err(no) => (Vec::new(), json!({"reason": no.as_str(), "message": no.to_string()})),
    };
    let sides = |before: Json, after: Json| json!({"before": before, "after": after});
    let ([before, after], [equal_before, equal_after]) = (quality.matched, quality.effective);
    json!({
        "decisions": quality.scored,
        "changed": quality.changed,
        "matched": sides(before.into(), after.into()),
        "effective": sides(equal_before.into(), equal_after.into()),
        "weight_clip": CLIP,
        "weights_clipped": quality.clipped,
        "unknown_percent": quality.lost * 100.0,
        "logged_mean": quality.logged,
        "estimates": estimates,
        "not_known": refusal,
    })
}

/// Lines of the report.
pub(super) fn in_words(quality: &Quality) -> Vec<String> {
    let mut lines = Vec::new();
    match &quality.estimates {
        Ok(estimates) => {
            lines.push(format!(
                "mean score, of {} decisions with feedback, {} of which change",
                count(quality.scored),
                count(quality.changed)
            ));
            lines.extend(estimates.iter().map(|Estimate { name, before, after, change }| {
                let name = match *name {
                    "doubly_robust" => "doubly robust",
                    "snips" => "SNIPS",
                    _ => "IPS",
                };
                let (before, after) = (before.expected, after.expected);
                let Figure { expected, low, high } = change;
                format!("{name}: {before:.4} before, {after:.4} after: {expected:+.4} (95 %: {low:+.4} to {high:+.4})")
            }));
        }
        Err(no) => lines.push(format!("not known: {no}")),
    }
    if let Some(logged) = quality.logged {
        let [_, matched] = quality.matched;
        let [_, effective] = quality.effective;
        let unknown = quality.lost * 100.0;
        lines.push(format!(
            "scores as given: mean {logged:.4}; the gateway made {} of the decisions as the policy does, which weigh as much as \
             {effective:.0} equal ones; weights are clipped at {CLIP} ({} are); unknown {unknown:.1} %",
            count(matched),
            count(quality.clipped)
        ));
    }
    lines
}
