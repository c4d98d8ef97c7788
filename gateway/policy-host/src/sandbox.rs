//! One guest instance and its calls. Time and memory limits are set before any guest code runs. Every failure becomes
//! one of the closed classes, by the type of the error and never by its text.
//!
//! Dropping the future of a call drops the instance, so that nothing waits for an abandoned guest.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant as Time};

use futures_util::FutureExt;
use tokio::time::Instant;
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use super::clock::{Clock, TICK};
use super::contract::Functions;
use super::contract::call::{Answer, Call};
use super::host::{Guest, Log, OutOfMemory};
use super::link::Linked;
use crate::failure::{FailureClass, PolicyFailure};
use crate::limits::Limits;
use crate::pace::Pace;
use crate::settings::Settings;
use wasmgate_base::timeout::{Elapsed, timeout};

/// The time limits of guest code.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallTime {
    /// The running time, counted in ticks.
    run: Duration,
    /// The wall-clock time, including time in which the machine does not run the guest.
    wall: Duration,
}

impl CallTime {
    /// `run`, and the wall-clock limit that follows from it at this pace.
    pub(super) fn new(run: Duration, pace: Pace) -> Self {
        let serving = run * WALL_FACTOR + WALL_MARGIN;
        let wall = match pace {
            Pace::Serving => serving,
            Pace::Background => serving.max(WALL_IN_BACKGROUND),
        };
        Self { run, wall }
    }
}

/// A live guest.
pub(super) struct Instance {
    store: Store<Guest>,
    guest: Functions,
    clock: Arc<Clock>,
    pub(super) calls: u32,
    pub(super) born: Time,
}

/// The call ran longer than its limit.
#[derive(Debug, thiserror::Error)]
#[error("the call exceeded its time limit")]
struct PastDeadline;

impl Instance {
    /// Creates an instance within `time`. Its start functions are guest code and run here, under all limits.
    pub(super) async fn new(
        linked: &Linked,
        limits: &Limits,
        settings: &Arc<Settings>,
        log: &Arc<Log>,
        time: CallTime,
    ) -> Result<Self, PolicyFailure> {
        let guest = Guest::new(limits.memory_bytes, Arc::clone(settings), Arc::clone(log), ticks(time.run));
        let mut store = Store::new(linked.pre.engine(), guest);
        if store.get_fuel().is_ok() {
            // The engine counts instructions, which does not limit them: time still does.
            let _ = store.set_fuel(u64::MAX);
        }
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.epoch_deadline_callback(|mut context| {
            let ticks = &mut context.data_mut().ticks;
            *ticks = ticks.checked_sub(1).ok_or(PastDeadline)?;
            // Lets the worker serve others before the guest continues.
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);
        let load = async {
            let instance = linked.pre.instantiate_async(&mut store).await?;
            linked.exports.of(&mut store, &instance)
        };
        let guest = catch(&linked.clock, time, pin!(load)).await.map_err(|failure| match failure.class {
            // The host has not read a value of the guest so far: any other error means that the host lacks something.
            FailureClass::InvalidDecision | FailureClass::HostcallLimit => {
                PolicyFailure { class: FailureClass::Host, ..failure }
            }
            _ => failure,
        })?;
        Ok(Self { store, guest, clock: Arc::clone(&linked.clock), calls: 0, born: Time::now() })
    }

    /// Lets the guest read its settings, once, before its first decision.
    pub(super) async fn configure(&mut self, time: CallTime) -> Result<(), PolicyFailure> {
        self.arm(time);
        catch(&self.clock, time, pin!(self.guest.configure(&mut self.store))).await?.map_err(guest_error)
    }

    /// Runs one call. After a failure of any class but `GuestError` the instance must not serve another call.
    pub(super) async fn call(&mut self, call: Call<'_>, time: CallTime) -> Result<Answer, PolicyFailure> {
        self.arm(time);
        self.calls += 1;
        let answer = catch(&self.clock, time, pin!(self.guest.ask(&mut self.store, call))).await;
        self.store.data_mut().end_call();
        match answer? {
            Some(answer) => answer.map_err(guest_error),
            None => Err(failure(FailureClass::Host, "the host called a hook that the policy does not have")),
        }
    }

    /// Whether it has these models already, by their number.
    pub(super) fn has(&self, models: u64) -> bool {
        self.guest.has(models)
    }

    /// Bytes of its memories and tables.
    pub(super) fn memory(&self) -> usize {
        self.store.data().memory.used
    }

    /// Instructions that it ran, in an engine that counts them.
    pub(super) fn instructions(&self) -> u64 {
        self.store.get_fuel().map_or(0, |left| u64::MAX - left)
    }

    /// Sets the deadline of one call: epoch deadlines are relative, and each call uses up its own.
    fn arm(&mut self, time: CallTime) {
        self.store.data_mut().begin_call(ticks(time.run));
        self.store.set_epoch_deadline(1);
    }
}

/// The number of ticks in `time`. A guest pays once for each tick that it runs into: a thread that the kernel suspends
/// for ten ticks costs its guest one, so that a busy machine does not look like a guest that spins.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
}

/// The wall-clock limit of a call is its running time times this factor, plus this constant.
const WALL_FACTOR: u32 = 4;
const WALL_MARGIN: Duration = Duration::from_millis(100);
/// The minimum wall-clock limit if no request waits.
const WALL_IN_BACKGROUND: Duration = Duration::from_secs(60);

/// Runs guest code and turns every failure into a class. Ticks stop a guest that uses up its running time. The timer
/// stops one that waits inside a host function, where ticks do not reach, or that the machine does not run. Most calls end
/// before they yield, and need no timer.
async fn catch<T, F>(clock: &Clock, time: CallTime, code: Pin<&mut F>) -> Result<T, PolicyFailure>
where
    F: Future<Output = wasmtime::Result<T>>,
{
    let _running = clock.run();
    match AssertUnwindSafe(timeout(code, || Instant::now() + time.wall)).catch_unwind().await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(failure(classify(&error), in_words(&error))),
        Ok(Err(Elapsed)) => Err(failure(
            FailureClass::Timeout,
            format!("no answer within {} ms of wall-clock time", time.wall.as_millis()),
        )),
        Err(_panic) => Err(failure(FailureClass::Host, "the host panicked during the call")),
    }
}

/// The reason of a failure, and then the guest's functions, innermost first. The runtime would begin with the functions.
fn in_words(error: &wasmtime::Error) -> String {
    const FRAMES: usize = 8;
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let trace = backtrace.as_deref().unwrap_or_default();
    let reasons: Vec<String> =
        error.chain().map(ToString::to_string).filter(|reason| trace.is_empty() || !reason.contains(trace)).collect();
    // A line of the backtrace is `0: 0x1a2b - module!function`.
    let frames: Vec<&str> =
        trace.lines().filter_map(|line| Some(line.split_once(" - ")?.1.trim())).take(FRAMES).collect();
    let frames = if frames.is_empty() { String::new() } else { format!("; in {}", frames.join(", called by ")) };
    reasons.join(": ") + &frames
}

fn classify(error: &wasmtime::Error) -> FailureClass {
    if error.is::<PastDeadline>() {
        FailureClass::Timeout
    } else if error.is::<OutOfMemory>() {
        FailureClass::OutOfMemory
    } else if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        FailureClass::Saturated
    } else if error.is::<Trap>() || error.is::<wasmtime_wasi::I32Exit>() {
        FailureClass::Trap
    } else if error.is::<&'static str>() || error.is::<String>() || error.is::<std::str::Utf8Error>() {
        // The runtime reports a value that does not follow the contract as text: an unknown case, a list outside of
        // memory, text that is not UTF-8.
        FailureClass::InvalidDecision
    } else {
        // The only other error of guest code or its values is the runtime's private type for exceeded host-call data.
        FailureClass::HostcallLimit
    }
}

fn failure(class: FailureClass, detail: impl Into<String>) -> PolicyFailure {
    PolicyFailure { class, detail: detail.into() }
}

fn guest_error(text: String) -> PolicyFailure {
    let end = text.floor_char_boundary(super::validate::MAX_REASON_BYTES);
    failure(FailureClass::GuestError, &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_background_only_the_wall_is_wider() {
        for (run, serving, background) in [(10, 140, 60_000), (10_000, 40_100, 60_000), (20_000, 80_100, 80_100)] {
            let run = Duration::from_millis(run);
            let (here, there) = (CallTime::new(run, Pace::Serving), CallTime::new(run, Pace::Background));
            assert_eq!((here.run, there.run), (run, run));
            assert_eq!((here.wall.as_millis(), there.wall.as_millis()), (serving, background));
        }
    }
}
