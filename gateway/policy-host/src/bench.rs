//! Measures what one policy costs: compiling its component, instantiating it, and calls in fresh and in warm instances;
//! in time on this machine and in instructions, which are the same on any machine.
//!
//! This module must not know: how figures are shown.

use std::time::{Duration, Instant as Time};

use serde_json::{Map, Value as Json};

use super::fixtures::Question;
use super::inspect::Inspection;
use crate::component::Policy;
use crate::engine::EngineError;
use crate::failure::PolicyFailure;
use crate::hook::Hook;
use crate::limits::{GivenLimits, Isolation, Profile};
use crate::load::Source;
use crate::loader::{Loader, LoaderOptions};
use crate::pace::Pace;
use crate::stage::LoadError;

/// The call whose instructions are reported: the first calls of an instance grow its memory.
const COUNTED_CALL: usize = 10;

/// How often each step is measured.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Instances that are created and called once.
    pub fresh: usize,
    /// Calls of one instance.
    pub warm: usize,
}

/// The measurements.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Reading and compiling the component, reading its manifest, configuring it and deciding the samples.
    pub load: Duration,
    /// Creating an instance, including its start functions and `configure`.
    pub instantiate: Spread,
    /// The first call of such an instance.
    pub first_call: Spread,
    /// Later calls.
    pub warm_call: Spread,
    /// Linear memories and tables of one instance after its first call, in bytes.
    pub first_memory_bytes: usize,
    /// The same after all warm calls.
    pub memory_bytes: usize,
    /// WebAssembly instructions, as the runtime counts them.
    pub instructions: Instructions,
}

/// Instructions of each part. They are the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instructions {
    /// Of creating an instance, including `configure`.
    pub instantiate: u64,
    /// Of its first call.
    pub first_call: u64,
    /// Of its tenth call.
    pub warm_call: u64,
}

/// Percentiles of many durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at =
            |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or_default();
        match times.is_empty() {
            true => Self { p50: Duration::ZERO, p99: Duration::ZERO },
            false => Self { p50: at(50), p99: at(99) },
        }
    }
}

/// Measures a policy on one question.
///
/// # Errors
/// If a stage refuses the component, or a call fails.
pub async fn bench(
    source: &Source,
    hook: Hook,
    settings: &Map<String, Json>,
    limits: &GivenLimits,
    question: &Question,
    rounds: Rounds,
) -> Result<Bench, BenchError> {
    let limits = &one_instance(source, limits);
    let began = Time::now();
    // No cache: compiling is part of the measurement.
    let loader = Loader::new(LoaderOptions::default())?;
    let policy = Policy::load(&loader, source, hook, settings, limits, None, Pace::Background).await?;
    let load = began.elapsed();
    let mut times = Times::default();
    for _ in 0..rounds.fresh {
        times.instantiate.push(timed(policy.renew()).await?);
        times.first_call.push(timed(question.ask(&policy)).await?);
    }
    let first_memory_bytes = policy.pool_state().memory_bytes;
    for _ in 0..rounds.warm {
        times.warm_call.push(timed(question.ask(&policy)).await?);
    }
    Ok(Bench {
        load,
        instantiate: Spread::of(times.instantiate),
        first_call: Spread::of(times.first_call),
        warm_call: Spread::of(times.warm_call),
        first_memory_bytes,
        memory_bytes: policy.pool_state().memory_bytes,
        instructions: instructions(source, hook, settings, limits, question).await?,
    })
}

/// The limits with age, calls and memory mark raised, so that one instance serves all warm calls.
fn one_instance(source: &Source, limits: &GivenLimits) -> GivenLimits {
    let profile = Inspection::of(&source.bytes).map_or(Profile::Compiled, |seen| seen.profile);
    GivenLimits {
        isolation: Some(Isolation::Warm),
        calls_per_instance: Some(1_000_000),
        instance_age_seconds: Some(86_400),
        instance_memory_bytes: limits.over(profile).ok().map(|limits| limits.memory_bytes),
        ..limits.clone()
    }
}

#[derive(Default)]
struct Times {
    instantiate: Vec<Duration>,
    first_call: Vec<Duration>,
    warm_call: Vec<Duration>,
}

async fn timed<T>(work: impl Future<Output = Result<T, PolicyFailure>>) -> Result<Duration, PolicyFailure> {
    let began = Time::now();
    work.await?;
    Ok(began.elapsed())
}

/// Counts instructions, in a separate engine: counting makes guests slower by half and would distort the times.
async fn instructions(
    source: &Source,
    hook: Hook,
    settings: &Map<String, Json>,
    limits: &GivenLimits,
    question: &Question,
) -> Result<Instructions, BenchError> {
    let loader = Loader::new(LoaderOptions { count_instructions: true, ..LoaderOptions::default() })?;
    let policy = Policy::load(&loader, source, hook, settings, limits, None, Pace::Background).await?;
    policy.renew().await?;
    let mut counts = vec![policy.instructions()];
    for _ in 0..COUNTED_CALL {
        question.ask(&policy).await?;
        counts.push(policy.instructions());
    }
    let since = |index: usize| counts[index].saturating_sub(counts[index - 1]);
    Ok(Instructions { instantiate: counts[0], first_call: since(1), warm_call: since(COUNTED_CALL) })
}

/// Why a policy could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The runtime could not be set up.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The component was refused.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// A call failed.
    #[error("the policy failed: {0}")]
    Failed(PolicyFailure),
}

impl From<PolicyFailure> for BenchError {
    fn from(failure: PolicyFailure) -> Self {
        Self::Failed(failure)
    }
}
