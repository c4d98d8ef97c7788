//! A policy that is ready to decide: its calls, each answer checked.
//!
//! This module must not know: where its bytes come from, what becomes of a failure.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use super::contract::{Answer, Call};
use super::pool::Pool;
use super::samples::canonical;
use super::sandbox::CallTime;
use super::validate;
use crate::contract::Verdict;
use crate::contract::types::{Candidate, CostEstimate, Manifest, Message, Request};
use crate::failure::{FailureClass, PolicyFailure};
use crate::hook::Hook;
use crate::limits::{Limits, Profile};
use crate::pace::Pace;

/// Time for what happens at load only (`describe`, the first `configure`): the guest's code and memory are touched for
/// the first time.
pub(crate) const LOAD_TIME: Duration = Duration::from_secs(5);

/// How often each canonical sample is asked: what a policy keeps between calls may make a later one fail.
const ROUNDS: u32 = 3;

/// What it took a policy to decide the canonical samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// How many decisions.
    pub calls: u32,
    /// The median of what they took.
    pub median: Duration,
    /// The most that one took.
    pub worst: Duration,
    /// The largest memory that an instance of this policy had after a call, tables included.
    pub memory_bytes: usize,
}

/// A policy that is ready to decide.
pub struct Policy {
    pub(crate) hook: Hook,
    pub(crate) manifest: Manifest,
    pub(crate) digest: String,
    pub(crate) profile: Profile,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) probed: Probed,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {}@{})", self.hook.as_str(), self.manifest.name, self.manifest.version)
    }
}

impl Policy {
    /// What it decides.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the component, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What kind of component it is.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// What it may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the samples took when it was loaded.
    #[must_use]
    pub fn probed(&self) -> Probed {
        self.probed
    }

    /// Its instances at this moment.
    #[must_use]
    pub fn pool_state(&self) -> crate::pool::PoolState {
        self.pool.state()
    }

    /// Which model answers. Messages beyond the input limit are left out, oldest first.
    ///
    /// # Errors
    /// Where the policy does not give a valid verdict within its limits.
    pub async fn route(&self, request: Request<'_>, candidates: &[Candidate<'_>]) -> Result<Verdict, PolicyFailure> {
        let newest = self.newest(request.messages);
        let request = Request { messages: &newest, ..request };
        match self.pool.call(Call::Route(request, candidates)).await? {
            Answer::Verdict(verdict) => {
                validate::check_verdict(&verdict, candidates.len()).map_err(invalid)?;
                Ok(verdict)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// What the request is expected to cost on each candidate, in their order.
    ///
    /// # Errors
    /// Where the policy does not give valid estimates within its limits.
    pub async fn estimate(
        &self,
        request: Request<'_>,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<CostEstimate>, PolicyFailure> {
        let newest = self.newest(request.messages);
        let request = Request { messages: &newest, ..request };
        match self.pool.call(Call::Estimate(request, candidates)).await? {
            Answer::Estimates(estimates) => {
                validate::check_estimates(&estimates, candidates.len()).map_err(invalid)?;
                Ok(estimates)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The newest messages that fit the input limit. Where not even the newest does, its beginning.
    fn newest<'m, 't>(&self, messages: &'m [Message<'t>]) -> Cow<'m, [Message<'t>]> {
        let limit = self.limits.input_bytes;
        let mut bytes = 0;
        let fitting = messages.iter().rev().take_while(|message| {
            bytes += message.text.len();
            bytes <= limit
        });
        match (fitting.count(), messages.last()) {
            (0, Some(Message { role, text })) => {
                Cow::Owned(vec![Message { role: *role, text: &text[..text.floor_char_boundary(limit)] }])
            }
            (count, _) => Cow::Borrowed(&messages[messages.len() - count..]),
        }
    }

    /// Decides the canonical samples, several times each, under its limits and as traffic does: when it is loaded, and
    /// when a policy that failed is to show that it can decide again. Samples have the id `probe`.
    ///
    /// # Errors
    /// Where it fails one: the failure, with the sample's name.
    pub async fn probe(&self) -> Result<Probed, PolicyFailure> {
        let samples = canonical();
        let mut took = Vec::with_capacity(samples.len() * ROUNDS as usize);
        for round in 1..=ROUNDS {
            for (name, sample) in &samples {
                let began = Instant::now();
                sample.ask(self, "probe").await.map_err(|failure| PolicyFailure {
                    detail: format!("the sample of {name}, round {round}: {}", failure.detail),
                    ..failure
                })?;
                took.push(began.elapsed());
            }
        }
        took.sort_unstable();
        Ok(Probed {
            calls: u32::try_from(took.len()).unwrap_or(u32::MAX),
            median: took.get(took.len() / 2).copied().unwrap_or_default(),
            worst: took.last().copied().unwrap_or_default(),
            memory_bytes: self.pool.most_memory(),
        })
    }

    /// A fresh instance in place of all that wait.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub(super) async fn renew(&self) -> Result<(), PolicyFailure> {
        self.pool.renew(CallTime::new(LOAD_TIME, Pace::Background)).await
    }

    /// What the waiting instance that is called next has run so far, in an engine that counts.
    pub(super) fn instructions(&self) -> u64 {
        self.pool.instructions()
    }

    /// Gives back its instances and its machine code: those of calls under way when they end, all else at once. Later
    /// calls fail. For a policy that was replaced while a long answer still holds on to it. Whether there was anything to
    /// give back.
    pub fn release(&self) -> bool {
        self.pool.release()
    }
}

/// An answer of another kind than the call: only a defect of the host can cause it.
fn unexpected(_: &Answer) -> PolicyFailure {
    let detail = "the policy was asked for a hook that it was not loaded for".into();
    PolicyFailure { class: FailureClass::Host, detail }
}

fn invalid(detail: String) -> PolicyFailure {
    PolicyFailure { class: FailureClass::InvalidDecision, detail }
}

#[cfg(test)]
#[path = "tests/component.rs"]
mod tests;
