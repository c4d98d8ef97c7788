//! From a component's bytes to a policy that decided samples and its operator's fixtures: parsed, admitted, compiled,
//! linked, configured, probed. Any stage may refuse it, with a reason that says what was found and what would be right.
//!
//! This module must not know: where bytes come from, what becomes of a refusal.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::admission::{self, Outline};
use super::background::aside;
use super::fixtures::{self, Checked, Fixture, Fixtures};
use super::host::Log;
use super::link::link;
use super::pool::Pool;
use super::samples::canonical;
use super::sandbox::{Answer, Call, CallTime, Instance};
use super::settings::resolve;
use super::{
    Candidate, CostEstimate, FailureClass, GivenLimits, Hook, Limits, LoadError, Loader, Manifest, Message, Pace,
    PolicyFailure, Profile, Request, Stage, Verdict, contract, validate,
};

/// Time for what happens at load only (`describe`, the first `configure`): the guest's code and memory are touched for
/// the first time.
const LOAD_TIME: Duration = Duration::from_secs(5);

/// How often each canonical sample is asked: what a policy keeps between calls may make a later one fail.
const ROUNDS: u32 = 3;

/// Where a component came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// For messages: a path, or `built in`.
    pub origin: String,
    /// The component.
    pub bytes: Arc<[u8]>,
    /// What its operator expects of it.
    pub fixtures: Option<Fixtures>,
}

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
    hook: Hook,
    manifest: Manifest,
    digest: String,
    profile: Profile,
    limits: Limits,
    pool: Pool,
    probed: Probed,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {}@{})", self.hook.as_str(), self.manifest.name, self.manifest.version)
    }
}

impl Policy {
    /// Takes a component through all stages. Reading and compiling it take milliseconds for a Rust policy and seconds for
    /// one with a language engine inside, on other threads or in another process; what its guest does here, it does as
    /// in production, yielding at each tick. `pace` is for this and for all later calls.
    ///
    /// # Errors
    /// Where any stage refuses it.
    pub async fn load(
        loader: &Loader,
        source: &Source,
        hook: Hook,
        given: &serde_json::Map<String, Json>,
        limits: &GivenLimits,
        pace: Pace,
    ) -> Result<Self, LoadError> {
        let refuse = |stage: Stage, reason: String| LoadError { origin: source.origin.clone(), stage, reason };
        let reached = |stage: Stage| {
            tracing::debug!(stage = stage.as_str(), origin = source.origin, "policy stage reached");
        };
        let fixtures = source.fixtures.as_ref().map_or(Ok(Vec::new()), Fixtures::parse);
        let fixtures = fixtures.map_err(|reason| refuse(Stage::Parsed, reason))?;
        let bytes = Arc::clone(&source.bytes);
        let read = aside(move || (crate::base::digest::sha256(&bytes), admission::parse(&bytes))).await;
        let (digest, outline) = read.map_err(|reason| refuse(Stage::Parsed, reason))?;
        let outline = outline.map_err(|reason| refuse(Stage::Parsed, reason))?;
        reached(Stage::Parsed);
        let (profile, limits) = admit(&outline, hook, limits).map_err(|reason| refuse(Stage::Admitted, reason))?;
        reached(Stage::Admitted);
        let component = loader.component(&source.bytes, &digest).await;
        let component = component.map_err(|reason| refuse(Stage::Compiled, reason))?;
        reached(Stage::Compiled);
        let linked = link(&loader.engine, &component, hook).map_err(|reason| refuse(Stage::Linked, reason))?;
        let linked = Arc::new(linked);
        reached(Stage::Linked);

        let configured = |failure: PolicyFailure| refuse(Stage::Configured, failure.to_string());
        let unnamed = Arc::new(Log::new(source.origin.clone()));
        let at_load = CallTime::new(LOAD_TIME, pace);
        let mut first =
            Instance::new(&linked, &limits, &Arc::default(), &unnamed, at_load).await.map_err(configured)?;
        let Answer::Manifest(manifest) = first.call(Call::Describe, at_load).await.map_err(configured)? else {
            return Err(refuse(Stage::Configured, "describe did not answer with a manifest".into()));
        };
        drop(first);
        validate::check_manifest(&manifest).map_err(|reason| refuse(Stage::Configured, reason))?;
        let settings = resolve(&manifest, given).map_err(|reason| refuse(Stage::Configured, reason))?;

        let log = Arc::new(Log::new(manifest.name.clone()));
        let pool = Pool::new(linked, limits.clone(), pace, Arc::new(settings), log);
        pool.renew(at_load).await.map_err(configured)?;
        reached(Stage::Configured);
        let none = Probed { calls: 0, median: Duration::ZERO, worst: Duration::ZERO, memory_bytes: 0 };
        let mut policy = Self { hook, digest, manifest, profile, limits, pool, probed: none };
        policy.probed = policy.probe().await.map_err(|failure| refuse(Stage::Probed, failure.to_string()))?;
        policy.satisfies(&fixtures).await.map_err(|reason| refuse(Stage::Probed, reason))?;
        // What samples and fixtures left behind in its memory is not for requests to find.
        policy.pool.renew(at_load).await.map_err(configured)?;
        reached(Stage::Probed);
        Ok(policy)
    }

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
    pub fn pool_state(&self) -> super::PoolState {
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
            other => Err(other.unexpected()),
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
            other => Err(other.unexpected()),
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

    /// Whether it decides as its operator expects; the first differences in words where it does not.
    async fn satisfies(&self, fixtures: &[Fixture]) -> Result<(), String> {
        const TOLD: usize = 3;
        let checked = fixtures::check(self, fixtures).await;
        let unmet: Vec<String> = checked.iter().filter(|checked| !checked.passed()).map(Checked::to_string).collect();
        match unmet.len() {
            0 => Ok(()),
            count @ ..=TOLD => Err(format!("{count} of {} fixtures: {}", checked.len(), unmet.join(" | "))),
            count => {
                let told = unmet[..TOLD].join(" | ");
                Err(format!("{count} of {} fixtures: {told} | and {} more", checked.len(), count - TOLD))
            }
        }
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

/// Lets a component in that has the hook and imports no more than it is granted: its profile, and the limits that hold.
fn admit(outline: &Outline, hook: Hook, given: &GivenLimits) -> Result<(Profile, Limits), String> {
    contract::check(&outline.imports, &outline.exports, hook)?;
    let profile = Profile::of(outline.code_bytes);
    Ok((profile, given.over(profile)?))
}

fn invalid(detail: String) -> PolicyFailure {
    PolicyFailure { class: FailureClass::InvalidDecision, detail }
}

#[cfg(test)]
mod tests;
