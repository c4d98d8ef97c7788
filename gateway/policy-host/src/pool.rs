//! The instances of one policy. Warm instances are bounded in number, and replaced by calls, age, memory or any failure
//! but an error of the guest's own. A call gets a fresh instance if all warm ones are busy, or always if the operator
//! wants that.
//!
//! An instance serves one call at a time. Dropping a call drops its instance. Guest code never runs under the lock: an
//! instance that a call took belongs to that call until it is returned.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Time};

use super::contract::call::{Answer, Call};
use super::host::Log;
use super::link::Linked;
use super::sandbox::{CallTime, Instance};
use crate::failure::{FailureClass, PolicyFailure};
use crate::limits::{Isolation, Limits};
use crate::pace::Pace;
use crate::settings::Settings;

/// The instances of one policy at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Idle instances.
    pub idle: usize,
    /// Instances in a call.
    pub busy: usize,
    /// The largest memory of an idle instance, in bytes. An instance in a call cannot be measured: during calls, what the
    /// last one had after its call counts, too.
    pub memory_bytes: usize,
}

/// The pool of one policy.
pub(super) struct Pool {
    stock: Mutex<Stock>,
    limits: Limits,
    time: CallTime,
    pace: Pace,
    settings: Arc<Settings>,
    log: Arc<Log>,
    busy: AtomicUsize,
    most_memory: AtomicUsize,
    last_memory: AtomicUsize,
}

/// What a call needs.
struct Stock {
    idle: Vec<Instance>,
    /// The machine code; `None` after the pool was released.
    linked: Option<Arc<Linked>>,
}

/// What a call starts with.
enum Taken {
    Warm(Instance),
    None(Arc<Linked>),
}

/// Counts a call as in flight until dropped.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// The operator's settings.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn new(linked: Arc<Linked>, limits: Limits, pace: Pace, settings: Arc<Settings>, log: Arc<Log>) -> Self {
        Self {
            stock: Mutex::new(Stock { idle: Vec::new(), linked: Some(linked) }),
            time: CallTime::new(limits.call_time(), pace),
            pace,
            limits,
            settings,
            log,
            busy: AtomicUsize::new(0),
            most_memory: AtomicUsize::new(0),
            last_memory: AtomicUsize::new(0),
        }
    }

    /// A pool of the same machine code and limits with other settings, still without an instance.
    pub(super) fn with_settings(&self, settings: Arc<Settings>) -> Result<Self, PolicyFailure> {
        let linked = self.stock().linked.clone().ok_or_else(released)?;
        Ok(Self {
            stock: Mutex::new(Stock { idle: Vec::new(), linked: Some(linked) }),
            time: self.time,
            pace: self.pace,
            limits: self.limits.clone(),
            settings,
            log: Arc::clone(&self.log),
            busy: AtomicUsize::new(0),
            most_memory: AtomicUsize::new(0),
            last_memory: AtomicUsize::new(0),
        })
    }

    /// Replaces all idle instances with a fresh one, created within `time`.
    pub(super) async fn renew(&self, time: CallTime) -> Result<(), PolicyFailure> {
        let old = std::mem::take(&mut self.stock().idle);
        drop(old);
        let linked = self.stock().linked.clone().ok_or_else(released)?;
        let instance = self.fresh(&linked, time).await?;
        self.keep(instance);
        Ok(())
    }

    /// Runs one call, in a warm instance if there is one.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, PolicyFailure> {
        let busy = self.busy.fetch_add(1, Ordering::Relaxed);
        let _busy = Busy(&self.busy);
        if busy >= self.limits.concurrent_calls {
            let detail = format!("{busy} calls in flight, the limit (concurrent_calls)");
            return Err(PolicyFailure { class: FailureClass::Saturated, detail });
        }
        let mut instance = match self.take(call.question().map(|question| question.models.id()))? {
            Taken::Warm(instance) => instance,
            Taken::None(linked) => self.fresh(&linked, self.time).await?,
        };
        let shown = call.question().map_or(0, |question| question.shown.bytes());
        let time = match self.limits.time_to_read(shown) {
            Duration::ZERO => self.time,
            more => CallTime::new(self.limits.call_time() + more, self.pace),
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

    /// Frees idle instances at once, and busy ones when their calls end. Later calls fail. Returns whether there was
    /// anything to free.
    pub(super) fn release(&self) -> bool {
        let mut stock = self.stock();
        let (idle, linked) = (std::mem::take(&mut stock.idle), stock.linked.take());
        drop(stock);
        drop(idle);
        linked.is_some()
    }

    pub(super) fn state(&self) -> PoolState {
        let stock = self.stock();
        let busy = self.busy.load(Ordering::Relaxed);
        let last = if busy > 0 { self.last_memory.load(Ordering::Relaxed) } else { 0 };
        let memory_bytes = stock.idle.iter().map(Instance::memory).max().unwrap_or(0).max(last);
        PoolState { idle: stock.idle.len(), busy, memory_bytes }
    }

    /// The instructions that the next idle instance has run so far, in an engine that counts them.
    pub(super) fn instructions(&self) -> u64 {
        self.stock().idle.last().map_or(0, Instance::instructions)
    }

    /// The largest memory that an instance had after a call.
    pub(super) fn most_memory(&self) -> usize {
        self.most_memory.load(Ordering::Relaxed)
    }

    /// Creates and configures an instance.
    async fn fresh(&self, linked: &Linked, time: CallTime) -> Result<Instance, PolicyFailure> {
        let mut instance = Instance::new(linked, &self.limits, &self.settings, &self.log, time).await?;
        instance.configure(time).await?;
        Ok(instance)
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the most recently used instance, because its memory is the likeliest to be in the processor's caches; of those
    /// that have these models, if one does: while the models change, requests with the old ones and the new ones come
    /// in turns.
    fn take(&self, models: Option<u64>) -> Result<Taken, PolicyFailure> {
        let mut expired = Vec::new();
        // Locked after `expired` is created, so unlocked before it is dropped: freeing an instance takes microseconds.
        let mut stock = self.stock();
        let age = Duration::from_secs(self.limits.instance_age_seconds);
        let now = Time::now();
        let place = |idle: &[Instance]| {
            let last = idle.len().checked_sub(1)?;
            let with_these = models.and_then(|models| idle.iter().rposition(|instance| instance.has(models)));
            Some(with_these.unwrap_or(last))
        };
        while let Some(place) = place(&stock.idle) {
            let instance = stock.idle.remove(place);
            if now.duration_since(instance.born) < age {
                return Ok(Taken::Warm(instance));
            }
            expired.push(instance);
        }
        stock.linked.clone().map(Taken::None).ok_or_else(released)
    }

    fn keep(&self, instance: Instance) {
        let memory = instance.memory();
        self.last_memory.store(memory, Ordering::Relaxed);
        if memory > self.most_memory.load(Ordering::Relaxed) {
            self.most_memory.fetch_max(memory, Ordering::Relaxed);
        }
        let mark = match self.limits.instance_memory_bytes {
            0 => self.limits.memory_bytes / 2,
            mark => mark,
        };
        if self.limits.isolation == Isolation::PerCall
            || instance.calls >= self.limits.calls_per_instance
            || memory > mark
        {
            return;
        }
        let mut stock = self.stock();
        if stock.linked.is_some() && stock.idle.len() < self.limits.warm_instances {
            stock.idle.push(instance);
        }
    }
}

#[cfg(test)]
impl Pool {
    /// Whether the machine code is still held.
    pub(super) fn code(&self) -> std::sync::Weak<Linked> {
        self.stock().linked.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    /// Takes an instance like a call with these models; `give_back` returns it.
    pub(super) async fn borrow_one(&self, models: Option<u64>) -> Instance {
        match self.take(models).expect("not released") {
            Taken::Warm(instance) => instance,
            Taken::None(linked) => self.fresh(&linked, self.time).await.expect("an instance"),
        }
    }

    pub(super) fn give_back(&self, instance: Instance) {
        self.keep(instance);
    }
}

fn released() -> PolicyFailure {
    let detail = "the policy was released: another version replaced it, and this request outlived its drain";
    PolicyFailure { class: FailureClass::Host, detail: detail.into() }
}
