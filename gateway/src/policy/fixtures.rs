//! An operator's own examples of what a policy should decide, checked before it serves: a file of JSON beside the
//! component, `NAME.fixtures.json` for `NAME.wasm`.
//!
//! ```json
//! {"fixtures": [
//!   {"name": "a greeting stays local", "prompt": "Hello!", "expect": {"model": "small", "complexity": {"max": 0.3}}},
//!   {"name": "no images for strangers", "prompt": "What is this?", "images": true, "expect": {"deny": "no_images"}}
//! ]}
//! ```
//!
//! A fixture asks: `prompt` or `messages` (each with `role` and `text`; a text may be put together, as in `{"text": "Fix ",
//! "repeat": "ab", "times": 1000, "end": "?"}`), and optionally `prompt_tokens` (else what the
//! gateway would estimate), `max_tokens`, `streaming`, `tools`, `images`, `requested_model`, `tenant`, `budget`
//! (`limit_usd`, `left_usd`), `labels`, and `candidates`. Those have `model`, and optionally `backend`, `location`
//! (`local`), `input_usd_per_million_tokens` with `output_usd_per_million_tokens` (else unpriced), `context_window`,
//! `capabilities`, `health` (`healthy`), `breaker` (`closed`), `in_flight`, `latency_seconds` with
//! `time_to_first_token_seconds` and `tokens_per_second`, and `estimated_cost_usd` (else by price; null: the cost policy
//! failed). Where they are left out, `small`, `medium` and `large` stand in: see `samples::usual`.
//!
//! It expects, of a routing policy, any of `model` (the first choice), `ranking` (all of them, in order), `tier`,
//! `complexity`, `reason`, `reason_contains`, or else `deny` (the code), or `pass` (true); of a cost policy `costs`: by model, any
//! of `input_tokens`, `output_tokens`, `cost_usd` (null: not known). A number is expected to be just that, or within `min` and `max`. A
//! fixture that expects nothing of a policy's hook is not asked, so that a component with both has one file.
//!
//! This module must not know: where the file is.

mod answer;
mod expect;
mod parse;
mod read;
mod update;
mod write;

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use self::expect::Expected;
use super::samples::Sample;
use super::{Policy, PolicyFailure};

/// A file of fixtures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixtures {
    /// For messages: its path.
    pub origin: String,
    /// Its content.
    pub text: String,
}

impl Fixtures {
    /// The same file with what `checked` found in place of what was expected and not met. Everything else stays as it was.
    ///
    /// # Errors
    /// Where the file is not JSON.
    pub fn updated(&self, checked: &[Checked]) -> Result<String, String> {
        update::updated(&self.origin, &self.text, checked)
    }

    /// What is in it.
    ///
    /// # Errors
    /// Where it is not as the module says: file, place in it, what was found and what is expected.
    pub fn parse(&self) -> Result<Vec<Fixture>, String> {
        parse::parse(&self.origin, &self.text)
    }
}

/// One example.
#[derive(Debug, Clone)]
pub struct Fixture {
    name: String,
    sample: Sample,
    expect: Expected,
}

impl Fixture {
    /// What it is called, once in its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One request and its candidates, to ask a policy once.
#[derive(Debug, Clone)]
pub struct Question(Sample);

impl Question {
    /// From text in the form of a fixture without its `name` and `expect`, TOML where the origin ends so.
    ///
    /// # Errors
    /// As [`Fixtures::parse`].
    pub fn parse(origin: &str, text: &str) -> Result<Self, String> {
        parse::question(origin, text).map(Self)
    }

    /// Asks, as traffic does: what the policy decided, as a fixture would expect it.
    ///
    /// # Errors
    /// Where the policy fails.
    pub async fn ask(&self, policy: &Policy) -> Result<Json, PolicyFailure> {
        let answer = self.0.ask(policy, "question").await?;
        Ok(answer::expectation(&answer, &self.0))
    }
}

/// What became of one example.
#[derive(Debug)]
pub struct Checked {
    /// Its fixture's name.
    pub fixture: String,
    /// What the call took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// What it decided, as a fixture would expect it; null where it did not.
    pub decided: Json,
}

/// Whether a policy decided as expected.
#[derive(Debug)]
pub enum Outcome {
    /// It did.
    Met,
    /// The fixture expects nothing of this hook, and was not asked.
    Skipped,
    /// It decided otherwise.
    Unmet(Vec<Difference>),
    /// It did not decide.
    Failed(PolicyFailure),
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What: a key of `expect`.
    pub field: String,
    /// How it is.
    pub found: String,
    /// How it should be.
    pub expected: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.field, self.found, self.expected)
    }
}

impl Checked {
    /// Whether it is no reason to refuse the policy.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self.outcome, Outcome::Met | Outcome::Skipped)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fixture {:?}: ", self.fixture)?;
        match &self.outcome {
            Outcome::Met => f.write_str("as expected"),
            Outcome::Skipped => f.write_str("expects nothing of this hook"),
            Outcome::Failed(failure) => write!(f, "the policy failed: {failure}"),
            Outcome::Unmet(differences) => {
                for (index, difference) in differences.iter().enumerate() {
                    write!(f, "{}{difference}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

/// Asks a policy all examples, one after the other, as traffic does and under its limits.
pub async fn check(policy: &Policy, fixtures: &[Fixture]) -> Vec<Checked> {
    let mut checked = Vec::with_capacity(fixtures.len());
    for fixture in fixtures {
        let began = Instant::now();
        let mut decided = Json::Null;
        let outcome = if !fixture.expect.concerns(policy.hook()) {
            Outcome::Skipped
        } else {
            match fixture.sample.ask(policy, "fixture").await {
                Err(failure) => Outcome::Failed(failure),
                Ok(answer) => {
                    decided = answer::expectation(&answer, &fixture.sample);
                    match fixture.expect.differences(&answer, &fixture.sample) {
                        differences if differences.is_empty() => Outcome::Met,
                        differences => Outcome::Unmet(differences),
                    }
                }
            }
        };
        checked.push(Checked { fixture: fixture.name.clone(), took: began.elapsed(), outcome, decided });
    }
    checked
}

#[cfg(test)]
mod tests;
