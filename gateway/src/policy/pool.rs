//! The instances of one policy: kept warm and bounded, replaced by calls, age, memory or any failure, with a fresh
//! instance for a single call where all kept ones are busy, or for each where the operator wants that.
//!
//! An instance serves one call at a time. A call that is dropped takes its instance with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Time};

use super::component::Linked;
use super::host::Log;
use super::sandbox::{Answer, Call, Instance};
use super::{FailureClass, Isolation, Limits, PolicyFailure, Settings};

/// The instances of one policy at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Kept and waiting.
    pub idle: usize,
    /// In a call.
    pub busy: usize,
    /// The largest memory of the waiting ones, in bytes.
    pub memory_bytes: usize,
}

/// See the module.
pub(super) struct Pool {
    linked: Arc<Linked>,
    limits: Limits,
    settings: Arc<Settings>,
    log: Arc<Log>,
    idle: Mutex<Vec<Instance>>,
    busy: AtomicUsize,
}

/// Counts a call as under way until dropped.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(linked: Arc<Linked>, limits: Limits, settings: Arc<Settings>, log: Arc<Log>) -> Self {
        Self { linked, limits, settings, log, idle: Mutex::default(), busy: AtomicUsize::new(0) }
    }

    /// Makes the first instance, with the time that first touches need.
    pub(super) async fn fill(&self, time: Duration) -> Result<(), PolicyFailure> {
        let mut instance = self.fresh(time).await?;
        instance.configure(time).await?;
        self.keep(instance);
        Ok(())
    }

    /// One call, in a warm instance where there is one.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, PolicyFailure> {
        let busy = self.busy.fetch_add(1, Ordering::Relaxed);
        let _busy = Busy(&self.busy);
        if busy >= self.limits.concurrent_calls {
            let detail = format!("{busy} calls under way, its limit");
            return Err(PolicyFailure { class: FailureClass::Saturated, detail });
        }
        let time = self.limits.call_time();
        let mut instance = match self.take() {
            Some(instance) => instance,
            None => {
                let mut instance = self.fresh(time).await?;
                instance.configure(time).await?;
                instance
            }
        };
        let answer = instance.call(call, time).await;
        let alive = match &answer {
            Ok(_) => true,
            Err(failure) => failure.class == FailureClass::GuestError,
        };
        if alive {
            self.keep(instance);
        }
        answer
    }

    pub(super) fn state(&self) -> PoolState {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        PoolState {
            idle: idle.len(),
            busy: self.busy.load(Ordering::Relaxed),
            memory_bytes: idle.iter().map(Instance::memory).max().unwrap_or(0),
        }
    }

    async fn fresh(&self, time: Duration) -> Result<Instance, PolicyFailure> {
        Instance::new(&self.linked, &self.limits, &self.settings, &self.log, time).await
    }

    /// The instance used last, since its memory is the likeliest to be in the processor's caches.
    fn take(&self) -> Option<Instance> {
        let mut expired = Vec::new();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let age = Duration::from_secs(self.limits.instance_age_seconds);
        let now = Time::now();
        while let Some(instance) = idle.pop() {
            if now.duration_since(instance.born) < age {
                return Some(instance);
            }
            // Freeing an instance takes microseconds; not under the lock.
            expired.push(instance);
        }
        None
    }

    fn keep(&self, instance: Instance) {
        let mark = match self.limits.instance_memory_bytes {
            0 => self.limits.memory_bytes / 2,
            mark => mark,
        };
        if self.limits.isolation == Isolation::PerCall
            || instance.calls >= self.limits.calls_per_instance
            || instance.memory() > mark
        {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.limits.warm_instances {
            idle.push(instance);
        }
    }
}
