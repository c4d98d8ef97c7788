//! Which model answers.

use core::fmt::Write;

use wasmgate_policy::prelude::*;

use crate::score::{Score, score};

/// What the policy says of itself, at both hooks.
pub const SUMMARY: &str = "Small models for simple prompts, capable ones for design and code, local ones for secrets.";

const LOW_BELOW: Number =
    Number { name: "low-below", summary: "Scores below this, from 0 to 1, are low.", range: 0.0..=1.0, default: 0.3 };
const HIGH_ABOVE: Number =
    Number { name: "high-above", summary: "Scores above this, from 0 to 1, are high.", range: 0.0..=1.0, default: 0.6 };
const LOW_MODELS: Texts = Texts {
    name: "low-models",
    summary: "Models for low scores, the first choice first.",
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
    summary: "Words that raise the score by 0.1 each, by 0.3 at most.",
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
    summary: "Words that lower the score by 0.1 where no complex keyword occurs.",
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
const CONFIDENTIAL_LABEL: Text = Text {
    name: "confidential-label",
    summary: "The label that keeps a request on local models where it is `true`.",
    meaning: Meaning::Labels,
    words: &[],
    default: "x-confidential",
};

/// How many of the complex keywords that were found the reason names.
const NAMED_KEYWORDS: usize = 5;

/// The policy, set up.
pub struct Complexity {
    low_below: f64,
    high_above: f64,
    /// All models that the settings name, least capable first.
    models: Vec<String>,
    /// Where in `models` the medium and the high ones begin.
    medium_from: usize,
    high_from: usize,
    complex_keywords: Vec<String>,
    simple_keywords: Vec<String>,
    confidential_label: String,
}

impl Policy for Complexity {
    fn manifest() -> Manifest {
        let settings = [
            LOW_BELOW.entry(),
            HIGH_ABOVE.entry(),
            LOW_MODELS.entry(),
            MEDIUM_MODELS.entry(),
            HIGH_MODELS.entry(),
            COMPLEX_KEYWORDS.entry(),
            SIMPLE_KEYWORDS.entry(),
            CONFIDENTIAL_LABEL.entry(),
        ];
        let manifest = manifest("complexity-rust", env!("CARGO_PKG_VERSION"), SUMMARY, Reads::newest(), &settings);
        Manifest { denies: true, ..manifest }
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let (low_below, high_above) = (LOW_BELOW.read(settings)?, HIGH_ABOVE.read(settings)?);
        if low_below > high_above {
            return Err(format!("setting low-below should be at most high-above ({high_above}), but is {low_below}"));
        }
        let list = |setting: &Texts| {
            let texts = setting.read(settings)?;
            Ok::<_, String>(texts.into_iter().map(|text| text.into_owned()).collect::<Vec<String>>())
        };
        let mut models = list(&LOW_MODELS)?;
        let medium_from = models.len();
        models.extend(list(&MEDIUM_MODELS)?);
        let high_from = models.len();
        models.extend(list(&HIGH_MODELS)?);
        if models.is_empty() {
            return Err("setting high-models should name at least one model, as no tier has one".into());
        }
        if let Some(twice) = models.iter().enumerate().find(|(at, model)| models[..*at].contains(model)) {
            return Err(format!(
                "settings low-models, medium-models and high-models should name each model once, but name {:?} twice",
                twice.1
            ));
        }
        let keywords = |setting: &Texts| {
            let mut keywords: Vec<String> = Vec::new();
            for keyword in list(setting)? {
                if keyword.len() < 2 {
                    let name = setting.name;
                    return Err(format!(
                        "setting {name} should have keywords of two bytes or more, but has {keyword:?}"
                    ));
                }
                let keyword = keyword.to_lowercase();
                if !keywords.contains(&keyword) {
                    keywords.push(keyword);
                }
            }
            Ok(keywords)
        };
        Ok(Self {
            low_below,
            high_above,
            complex_keywords: keywords(&COMPLEX_KEYWORDS)?,
            simple_keywords: keywords(&SIMPLE_KEYWORDS)?,
            confidential_label: CONFIDENTIAL_LABEL.read(settings)?,
            models,
            medium_from,
            high_from,
        })
    }
}

impl Routing for Complexity {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        if request.requested_model.is_some() {
            return Ok(Verdict::Pass);
        }
        let score = score(request.newest(), &self.complex_keywords, &self.simple_keywords);
        let tier = self.tier(score.value);
        let confidential = request.label(&self.confidential_label).is_some_and(|value| value == "true");
        let mut wanted = self.row(tier, candidates);
        if confidential {
            wanted.retain(|&index| candidates[index as usize].location == Location::Local);
        }
        let Some(&first) = wanted.first() else {
            let reason = "the request is confidential and no local model is offered";
            return Ok(Denial::new("no_local_model", reason).into());
        };
        let ranking = rank::able_first(request, candidates, wanted);
        let passed_over = (ranking[0] != first).then(|| &candidates[first as usize]);
        let mut reason = in_words(&score);
        if let Some(candidate) = passed_over
            && let Some(obstacle) = rank::obstacle(request, candidate)
        {
            let _ = write!(reason, "; {} would be first but {obstacle}", candidate.model);
        }
        if confidential {
            reason.push_str("; confidential");
        }
        Ok(Decision::scored(ranking, score.value, tier, reason).into())
    }
}

impl Complexity {
    fn tier(&self, score: f64) -> Tier {
        if score < self.low_below {
            Tier::Low
        } else if score > self.high_above {
            Tier::High
        } else {
            Tier::Medium
        }
    }

    /// The models from the tier's first upwards, then those below it downwards, then all that the settings do not name.
    fn row(&self, tier: Tier, candidates: &[Candidate]) -> Vec<u32> {
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
        rank::sorted(candidates, |one, other| place(one).cmp(&place(other)))
    }
}

/// What a score is made of.
fn in_words(score: &Score) -> String {
    let kind = match (score.complex.is_empty(), score.simple) {
        (false, _) => "complex",
        (true, true) => "simple",
        (true, false) => "no",
    };
    // Hundredths, halves up, as whole numbers: formatting would round halves to even.
    let hundredths = (score.value * 100.0 + 0.5) as u32;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let mut words =
        format!("score {whole}.{part:02}: length {:+.1}, {kind} keywords {:+.1}", score.length, score.keywords);
    if !score.complex.is_empty() {
        let named = &score.complex[..score.complex.len().min(NAMED_KEYWORDS)];
        let rest = if named.len() < score.complex.len() { ", …" } else { "" };
        let _ = write!(words, " ({}{rest})", named.join(", "));
    }
    let form = if score.form < 0.0 { "question" } else { "creation" };
    for (what, share) in [("code", score.code), (form, score.form)] {
        if share != 0.0 {
            let _ = write!(words, ", {what} {share:+.1}");
        }
    }
    words
}
