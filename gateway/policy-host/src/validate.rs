//! Validates what a policy answered: a choice among the candidates, in range, bounded. Nothing uses a guest's answer
//! before this check.

use crate::candidates::CostEstimate;
use crate::contract::types::{Manifest, Meaning, Setting, Value};
use crate::verdict::Verdict;

/// Maximum length of a reason, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 1024;
/// Maximum estimate for one request: a million dollars, in nano-dollars. A higher one is a mistake of units, and sums
/// of such estimates could overflow.
pub(super) const MAX_COST: u64 = 1_000_000_000_000_000;
/// Maximum number of reasons in a manifest, and of labels that it reads.
const MAX_REASONS: usize = 256;
const MAX_LABELS: usize = 64;

/// Checks a verdict on `candidates` candidates; the error says what is wrong.
pub(super) fn check_verdict(verdict: &Verdict, candidates: usize) -> Result<(), String> {
    match verdict {
        Verdict::Route(decision) => {
            if decision.ranking.is_empty() {
                return Err("the ranking is empty".into());
            }
            let mut seen = vec![false; candidates];
            for &index in &decision.ranking {
                match seen.get_mut(index as usize) {
                    None => return Err(format!("the ranking names candidate {index} of {candidates}, counted from 0")),
                    Some(true) => return Err(format!("the ranking names candidate {index} twice")),
                    Some(seen) => *seen = true,
                }
            }
            // A NaN is in no range.
            if let Some(complexity) = decision.complexity.filter(|complexity| !(0.0..=1.0).contains(complexity)) {
                return Err(format!("the complexity is {complexity}, expected 0 to 1"));
            }
            check_reason(&decision.reason)
        }
        Verdict::Deny(denial) => {
            if !is_word(&denial.code, 64, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                return Err("the denial's code is not 1 to 64 lower-case letters, digits and `_`".into());
            }
            check_reason(&denial.reason)
        }
        Verdict::Pass => Ok(()),
    }
}

fn check_reason(reason: &str) -> Result<(), String> {
    if reason.len() > MAX_REASON_BYTES {
        return Err(format!("the reason has {} bytes, expected at most {MAX_REASON_BYTES}", reason.len()));
    }
    // People read the reason in responses and log lines, on terminals.
    if has_control(reason) {
        return Err("the reason contains a control character".into());
    }
    Ok(())
}

/// Whether a text has a control character. Without an early exit, the first look takes many bytes at once; only what it leaves
/// in doubt is read by characters: those from U+0080 on begin with the byte C2.
fn has_control(text: &str) -> bool {
    let doubt = text.bytes().fold(false, |doubt, byte| doubt | (byte < b' ') | (byte == 0x7f) | (byte == 0xc2));
    doubt && text.chars().any(char::is_control)
}

/// Checks estimates for `candidates` candidates; the error says what is wrong.
pub(super) fn check_estimates(estimates: &[CostEstimate], candidates: usize) -> Result<(), String> {
    if estimates.len() != candidates {
        return Err(format!("it gave {} estimates, expected one for each of {candidates} candidates", estimates.len()));
    }
    if let Some(cost) = estimates.iter().find_map(|e| e.cost.filter(|&cost| cost > MAX_COST)) {
        return Err(format!("an estimate costs {cost} nano-dollars, expected at most {MAX_COST}"));
    }
    // In the contract this number stands for an estimate that is not there.
    if estimates.iter().any(|estimate| estimate.input_tokens.max(estimate.output_tokens) == u32::MAX) {
        return Err(format!("an estimate has {} tokens, expected fewer", u32::MAX));
    }
    Ok(())
}

/// Checks a manifest; the error says what is wrong.
pub(super) fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    if !is_word(&manifest.name, 64, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err(format!("the name {:?} is not 1 to 64 lower-case letters, digits and `-`", manifest.name));
    }
    if !is_word(&manifest.version, 32, |c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err(format!("the version {:?} is not 1 to 32 letters, digits, `.`, `_` and `-`", manifest.version));
    }
    if manifest.summary.len() > MAX_REASON_BYTES || manifest.summary.chars().any(char::is_control) {
        return Err(format!("the summary is over {MAX_REASON_BYTES} bytes or contains a control character"));
    }
    for (i, setting) in manifest.settings.iter().enumerate() {
        if !is_word(&setting.name, 64, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(format!("the setting's name {:?} is not 1 to 64 letters, digits, `-` and `_`", setting.name));
        }
        if manifest.settings[..i].iter().any(|other| other.name == setting.name) {
            return Err(format!("the manifest has the setting {} twice", setting.name));
        }
        check_meaning(setting)?;
    }
    check_labels(&manifest.reads.labels)?;
    if manifest.reasons.len() > MAX_REASONS {
        return Err(format!("the manifest has {} reasons, expected at most {MAX_REASONS}", manifest.reasons.len()));
    }
    manifest.reasons.iter().try_for_each(|reason| check_reason(reason))
}

/// Checks the labels that a policy reads; operators see them on terminals.
pub(super) fn check_labels(labels: &[String]) -> Result<(), String> {
    let is_label = |label: &String| is_word(label, 128, |c| c.is_ascii_graphic() && !c.is_ascii_uppercase());
    if labels.len() > MAX_LABELS || !labels.iter().all(is_label) {
        return Err(format!(
            "the labels that it reads are not up to {MAX_LABELS} names of headers in lower case, or `*`"
        ));
    }
    Ok(())
}

/// Checks that what a setting means fits its type.
fn check_meaning(setting: &Setting) -> Result<(), String> {
    let fits = match (setting.meaning, &setting.default) {
        (Meaning::Plain, Value::Number(value)) => value.is_finite(),
        (Meaning::Plain, _)
        | (Meaning::Models | Meaning::Labels, Value::Text(_) | Value::Texts(_))
        | (Meaning::Tier(_), Value::Texts(_)) => true,
        #[expect(clippy::cast_precision_loss, reason = "ranges are of numbers that people write")]
        (Meaning::Range((from, to)), Value::Integer(value)) => (from..=to).contains(&(*value as f64)),
        (Meaning::Range((from, to)), Value::Number(value)) => (from..=to).contains(value),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let expected = match setting.meaning {
        Meaning::Range((from, to)) => format!("a number from {from} to {to}"),
        Meaning::Models | Meaning::Labels => "a text or a list of texts".to_owned(),
        Meaning::Tier(_) => "a list of texts".to_owned(),
        Meaning::Plain => "a finite number".to_owned(),
    };
    Err(format!(
        "the default of the setting {} is {:?}, expected {expected} by its meaning",
        setting.name, setting.default
    ))
}

fn is_word(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_is_found() {
        for character in char::MIN..=char::MAX {
            assert_eq!(has_control(&format!("a{character}b")), character.is_control(), "{character:?}");
        }
    }
    use crate::contract::types::Tier;
    use crate::verdict::{Decision, Denial};

    fn route(ranking: &[u32], complexity: f64, reason: &str) -> Verdict {
        let (complexity, tier) = (Some(complexity), Some(Tier::Low));
        Verdict::Route(Decision { ranking: ranking.into(), complexity, tier, reason: reason.into() })
    }

    #[test]
    fn only_choices_among_the_candidates_pass() {
        assert!(check_verdict(&route(&[1, 0], 0.0, "x"), 2).is_ok());
        assert!(check_verdict(&route(&[0], 1.0, ""), 2).is_ok());
        let wrong = [
            (route(&[], 0.5, ""), "empty"),
            (route(&[2], 0.5, ""), "candidate 2 of 2"),
            (route(&[u32::MAX], 0.5, ""), "candidate 4294967295"),
            (route(&[0, 0], 0.5, ""), "twice"),
            (route(&[0], f64::NAN, ""), "NaN"),
            (route(&[0], -0.1, ""), "-0.1"),
            (route(&[0], f64::INFINITY, ""), "inf"),
            (route(&[0], 0.5, &"x".repeat(1025)), "1025 bytes"),
            (route(&[0], 0.5, "a\u{1b}[31m"), "control"),
            (Verdict::Deny(Denial { code: "Bad Code".into(), reason: String::new() }), "code"),
            (Verdict::Deny(Denial { code: String::new(), reason: String::new() }), "code"),
        ];
        for (verdict, expected) in wrong {
            let error = check_verdict(&verdict, 2).expect_err(expected);
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }

    #[test]
    fn estimates_match_the_candidates_and_are_bounded() {
        let estimate = |cost| CostEstimate { input_tokens: 1, output_tokens: 1, cost };
        assert!(check_estimates(&[estimate(None), estimate(Some(MAX_COST))], 2).is_ok());
        assert!(check_estimates(&[estimate(None)], 2).is_err());
        assert!(check_estimates(&[estimate(Some(MAX_COST + 1))], 1).is_err());
        for (input_tokens, output_tokens) in [(u32::MAX, 1), (1, u32::MAX)] {
            assert!(check_estimates(&[CostEstimate { input_tokens, output_tokens, cost: None }], 1).is_err());
        }
    }
}
