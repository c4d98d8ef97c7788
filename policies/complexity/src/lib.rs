//! Routes by how demanding the prompt looks: a small model for simple questions, the most capable one
//! for design and code.
//!
//! `score` scores the text; this module turns the score into a ranking and a reason. Neither uses prices or latencies:
//! other policies do.

#![no_std]

mod groups;
mod keywords;
mod marks;
pub mod score;
mod words;

extern crate alloc;

use alloc::borrow::Cow;
use core::fmt::Write;
use score::{KeywordShare, Score, Scorer};
use wasmgate_policy::prelude::*;

const LOW_BELOW: Number =
    Number { name: "low-below", summary: "Scores below this, from 0 to 1, are low.", range: 0.0..=1.0, default: 0.3 };
const HIGH_ABOVE: Number = Number {
    name: "high-above",
    summary: "Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
    range: 0.0..=1.0,
    default: 0.6,
};
const LOW_MODELS: Texts = Texts {
    name: "low-models",
    summary: "Models for low scores, the first choice first. Low, medium and high models in a row go from \
              the least to the most capable: fallbacks go up that row first, then down. The gateway makes tiers that \
              are not set from its models.",
    meaning: Meaning::Tier(Tier::Low),
    default: &["tinyllama"],
};
const MEDIUM_MODELS: Texts = Texts {
    name: "medium-models",
    summary: "Models for medium scores, the first choice first.",
    meaning: Meaning::Tier(Tier::Medium),
    default: &["phi2"],
};
const HIGH_MODELS: Texts = Texts {
    name: "high-models",
    summary: "Models for high scores, the first choice first.",
    meaning: Meaning::Tier(Tier::High),
    default: &["claude-sonnet"],
};
const COMPLEX_KEYWORDS: Texts = Texts {
    name: "complex-keywords",
    summary: "Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case. Of a message \
              above 128 KiB only the first and the last 64 KiB are scored.",
    meaning: Meaning::Plain,
    default: &[
        "analyze",
        "design",
        "architect",
        "implement",
        "refactor",
        "optimize",
        "debug",
        "explain in detail",
        "comprehensive",
        "write code",
        "create function",
        "build",
        "develop",
    ],
};
const SIMPLE_KEYWORDS: Texts = Texts {
    name: "simple-keywords",
    summary: "Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
    meaning: Meaning::Plain,
    default: &[
        "summarize",
        "list",
        "what is",
        "define",
        "yes or no",
        "classify",
        "categorize",
        "is this",
        "true or false",
    ],
};

/// Bytes that are scored of each end of a very long message.
const SCORED_BYTES: usize = 64 << 10;

/// How many of the complex keywords found the reason names.
const NAMED_KEYWORDS: usize = 5;

/// The configured policy.
pub struct Complexity {
    scorer: Scorer,
    low_below: f64,
    high_above: f64,
    /// All models that the settings name, least capable first.
    models: Vec<Cow<'static, str>>,
    /// The indexes in `models` at which the medium and the high ones begin.
    medium_from: usize,
    high_from: usize,
}

impl Policy for Complexity {
    fn manifest() -> Manifest {
        manifest(
            "complexity",
            env!("CARGO_PKG_VERSION"),
            "Small models for simple prompts, the most capable one for design and code.",
            Reads::newest(),
            &[
                LOW_BELOW.entry(),
                HIGH_ABOVE.entry(),
                LOW_MODELS.entry(),
                MEDIUM_MODELS.entry(),
                HIGH_MODELS.entry(),
                COMPLEX_KEYWORDS.entry(),
                SIMPLE_KEYWORDS.entry(),
            ],
        )
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let (low_below, high_above) = (LOW_BELOW.read(settings)?, HIGH_ABOVE.read(settings)?);
        if low_below > high_above {
            return Err(format!(
                "setting {} should be at most {} ({high_above}), but is {low_below}",
                LOW_BELOW.name, HIGH_ABOVE.name
            ));
        }
        let mut models = LOW_MODELS.read(settings)?;
        let medium_from = models.len();
        models.extend(MEDIUM_MODELS.read(settings)?);
        let high_from = models.len();
        models.extend(HIGH_MODELS.read(settings)?);
        if models.is_empty() {
            return Err(format!("setting {} should name at least one model, as no tier has one", HIGH_MODELS.name));
        }
        if let Some(twice) =
            models.iter().enumerate().find_map(|(at, model)| models[..at].contains(model).then_some(model))
        {
            return Err(format!(
                "settings {}, {} and {} should name each model once, but name {twice:?} twice",
                LOW_MODELS.name, MEDIUM_MODELS.name, HIGH_MODELS.name
            ));
        }
        let scorer = Scorer::new(keyword_list(&COMPLEX_KEYWORDS, settings)?, keyword_list(&SIMPLE_KEYWORDS, settings)?);
        Ok(Self { scorer, low_below, high_above, models, medium_from, high_from })
    }
}

impl Routing for Complexity {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        let score = self.scorer.score(&scored_text(request));
        let tier = self.tier(score.value);
        let wanted = self.ranking(tier, candidates);
        let first = wanted.first().copied();
        let ranking = rank::able_first(request, candidates, wanted);
        let passed_over = first.filter(|&first| ranking.first() != Some(&first));
        let reason = self.reason(&score, passed_over.map(|index| &candidates[index as usize]), request);
        Ok(Decision::scored(ranking, score.value, tier, reason).into())
    }
}

impl Complexity {
    /// The tier of a score. A score on a threshold is medium.
    pub fn tier(&self, score: f64) -> Tier {
        if score < self.low_below {
            Tier::Low
        } else if score > self.high_above {
            Tier::High
        } else {
            Tier::Medium
        }
    }

    /// Ranks the models from the tier's first upwards, then those below the tier downwards, then all that the settings
    /// do not name.
    fn ranking(&self, tier: Tier, candidates: &[Candidate]) -> Vec<u32> {
        let from = match tier {
            Tier::Low => 0,
            Tier::Medium => self.medium_from,
            Tier::High => self.high_from,
        };
        let total = self.models.len();
        let place = |candidate: &Candidate| match self.models.iter().position(|model| *model == candidate.model) {
            Some(at) if at >= from => at - from,
            Some(at) => total - at,
            None => total + 1,
        };
        let places: Vec<usize> = candidates.iter().map(place).collect();
        let mut ranking = rank::given(candidates);
        if !places.is_sorted() {
            ranking.sort_by_key(|&index| places[index as usize]);
        }
        ranking
    }

    /// Explains the score, and names the candidate that would be first without its obstacle. The keywords in it come
    /// from the operator's settings; nothing comes from the prompt.
    fn reason(&self, score: &Score, passed_over: Option<&Candidate>, request: &Request) -> String {
        let mut reason = String::with_capacity(160);
        // Formatting a number by `write!` would cost as much as scoring the text.
        let hundredths = (score.value * 100.0 + 0.5) as u32;
        let digit = |number: u32| char::from(b'0' + (number % 10) as u8);
        reason.push_str("score ");
        reason.extend([digit(hundredths / 100), '.', digit(hundredths / 10), digit(hundredths)]);
        reason.push_str(": length ");
        reason.push_str(signed(score.length));
        reason.push_str(", ");
        reason.push_str(score.keywords.word());
        reason.push_str(" keywords ");
        reason.push_str(signed(score.keywords.contribution()));
        if score.keywords != KeywordShare::None {
            let mut before = " (";
            for (at, keyword) in self.scorer.complex_keywords(score).enumerate() {
                if at == NAMED_KEYWORDS {
                    reason.push_str(", …");
                    break;
                }
                reason.push_str(before);
                reason.push_str(keyword);
                before = ", ";
            }
            if before == ", " {
                reason.push(')');
            }
        }
        for (what, contribution) in [("code", score.code), (score.form.word(), score.form.contribution())] {
            if contribution != 0.0 {
                reason.push_str(", ");
                reason.push_str(what);
                reason.push(' ');
                reason.push_str(signed(contribution));
            }
        }
        if let Some(candidate) = passed_over
            && let Some(obstacle) = rank::obstacle(request, candidate)
        {
            let _ = write!(reason, "; {} would be first but {obstacle}", candidate.model);
        }
        reason
    }
}

/// The text of the last user message; of a very long one its beginning and its end, so that no request takes much time.
fn scored_text<'a>(request: &Request<'a>) -> Cow<'a, str> {
    let text = request.newest();
    if text.len() <= 2 * SCORED_BYTES {
        return text.into();
    }
    let (head, tail) = (text.floor_char_boundary(SCORED_BYTES), text.ceil_char_boundary(text.len() - SCORED_BYTES));
    let mut ends = String::with_capacity(2 * SCORED_BYTES + 1);
    ends.push_str(&text[..head]);
    ends.push('\n');
    ends.push_str(&text[tail..]);
    ends.into()
}

/// Formats a contribution. All contributions are tenths, up to rounding errors far below.
fn signed(contribution: f64) -> &'static str {
    match (contribution * 10.0 + 100.5) as u32 {
        99 => "-0.1",
        101 => "+0.1",
        102 => "+0.2",
        103 => "+0.3",
        105 => "+0.5",
        _ => "+0",
    }
}

/// Reads a setting's keywords. It refuses one of a single byte, which would occur nearly everywhere.
fn keyword_list(setting: &Texts, settings: &Settings) -> Result<Vec<Cow<'static, str>>, String> {
    let keywords = setting.read(settings)?;
    match keywords.iter().find(|keyword| keyword.len() < keywords::SHORTEST) {
        Some(short) => {
            Err(format!("setting {} should have keywords of two letters or more, but has {short:?}", setting.name))
        }
        None => Ok(keywords),
    }
}

wasmgate_policy::export!(routing: Complexity);

#[cfg(test)]
mod tests;
