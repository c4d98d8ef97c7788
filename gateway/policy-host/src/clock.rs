//! The clock that bounds guests: a thread that advances the engine's epoch while guest code runs, and sleeps while none
//! does. A thread and not a task: time must advance even if guests keep all workers of the runtime busy.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Builder, Thread};
use std::time::Duration;

use wasmgate_base::worker::PerWorker;
use wasmtime::EngineWeak;

/// The interval between epochs. A time limit is accurate to one tick.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the thread sleeps. To wake it costs a call a system call, so that it must not sleep
/// between the calls of a busy gateway.
const IDLE_TICKS: u32 = 100;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Clock {
    calls: PerWorker<Calls>,
    asleep: AtomicBool,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

/// The calls of one worker, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Calls {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Guest code that runs, until this is dropped.
pub(super) struct Running<'a>(&'a Calls);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

impl Clock {
    /// Starts the clock of an engine.
    ///
    /// # Errors
    /// If the machine does not allow a thread.
    pub(super) fn start(engine: EngineWeak) -> io::Result<Arc<Self>> {
        let clock = Arc::new(Self::default());
        let own = Arc::clone(&clock);
        let thread = Builder::new().name("epoch-ticker".into()).spawn(move || own.tick(&engine))?;
        // Nothing has run yet that could wake it.
        let _ = clock.thread.set(thread.thread().clone());
        Ok(clock)
    }

    /// Notes that guest code runs from now on.
    pub(super) fn run(&self) -> Running<'_> {
        let calls = self.calls.get_or_init(Calls::default);
        calls.begun.fetch_add(1, Ordering::Relaxed);
        // Either this sees that the thread sleeps, or the thread sees this call before it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
        Running(calls)
    }

    /// Ends the clock. Nothing interrupts a guest that still runs.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Calls that have begun, unless one of them runs.
    fn idle_since(&self) -> Option<u64> {
        // Those that ended first: a call that begins and ends meanwhile must not hide another one.
        let ended: u64 = self.calls.iter().map(|calls| calls.ended.load(Ordering::Acquire)).sum();
        let begun: u64 = self.calls.iter().map(|calls| calls.begun.load(Ordering::Relaxed)).sum();
        (begun == ended).then_some(begun)
    }

    fn tick(&self, engine: &EngineWeak) {
        let (mut idle, mut since) = (0, None);
        while !self.stopped.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
            let now = self.idle_since();
            idle = if now.is_some() && now == since { idle + 1 } else { 0 };
            since = now;
            if idle >= IDLE_TICKS {
                self.sleep(since);
                idle = 0;
            }
        }
    }

    /// Sleeps until a call begins, if none has since then.
    fn sleep(&self, since: Option<u64>) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        while self.idle_since() == since && !self.stopped.load(Ordering::Relaxed) {
            thread::park();
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(module (func $f (loop (br 0))) (start $f))`
    const SPINS: &[u8] =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x08\x01\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

    /// Waits for something that the thread does.
    fn until(what: impl Fn() -> bool) {
        while !what() {
            thread::yield_now();
        }
    }

    #[test]
    fn it_sleeps_while_no_guest_runs_and_ticks_while_one_does() {
        let mut config = wasmtime::Config::new();
        let engine = wasmtime::Engine::new(config.epoch_interruption(true)).unwrap();
        let clock = Clock::start(engine.weak()).unwrap();
        let asleep = || clock.asleep.load(Ordering::Relaxed);
        let mut store = wasmtime::Store::new(&engine, ());
        for _ in 0..3 {
            until(asleep);
            let running = clock.run();
            until(|| !asleep());
            // A module whose start function spins is interrupted only if the epoch advances.
            store.set_epoch_deadline(1);
            let spins = wasmtime::Module::new(&engine, SPINS).unwrap();
            assert!(wasmtime::Instance::new(&mut store, &spins, &[]).is_err());
            drop(running);
        }
        until(asleep);
        clock.stop();
        until(|| Arc::strong_count(&clock) == 1);
    }

    #[test]
    fn a_call_that_runs_is_not_idle_whatever_others_do() {
        let clock = Clock::default();
        assert_eq!(clock.idle_since(), Some(0));
        let first = clock.run();
        drop(clock.run());
        assert_eq!(clock.idle_since(), None);
        drop(first);
        assert_eq!(clock.idle_since(), Some(2));
    }
}
