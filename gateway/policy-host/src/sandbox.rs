//! One guest instance and one call of it: time and memory armed before any guest code runs, every way of failing
//! turned into one of the closed classes, by what the error is and never by what it says.
//!
//! Dropping the future of a call drops the instance: nothing waits for a guest that nobody listens to.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant as Time};

use futures_util::FutureExt;
use wasmtime::{Store, Trap, UpdateDeadline};

use super::contract::{Answer, Call, Functions};
use super::engine::TICK;
use super::host::{Guest, Log, OutOfMemory};
use super::link::Linked;
use crate::failure::{FailureClass, PolicyFailure};
use crate::limits::Limits;
use crate::pace::Pace;
use crate::settings::Settings;

/// How long guest code may take, from the host's side.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallTime {
    /// Running, by ticks.
    run: Duration,
    /// On the wall, with the time in which the machine does not let it run.
    wall: Duration,
}

impl CallTime {
    /// `run`, and what that means on the wall at this pace.
    pub(super) fn new(run: Duration, pace: Pace) -> Self {
        let serving = run * WALL_FACTOR + WALL_BESIDE;
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
    pub(super) calls: u32,
    pub(super) born: Time,
}

/// The call under way took too long.
#[derive(Debug, thiserror::Error)]
#[error("it ran past its time")]
struct PastDeadline;

impl Instance {
    /// A new instance, within `time`. Its start functions are guest code and run here, under all limits.
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
            // An engine that counts instructions: time bounds them as ever.
            let _ = store.set_fuel(u64::MAX);
        }
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.epoch_deadline_callback(|mut context| {
            let ticks = &mut context.data_mut().ticks;
            *ticks = ticks.checked_sub(1).ok_or(PastDeadline)?;
            // Let the worker serve others before the guest goes on.
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);
        let load = async {
            let instance = linked.pre.instantiate_async(&mut store).await?;
            linked.exports.of(&mut store, &instance)
        };
        let guest = catch(time, load).await.map_err(|failure| match failure.class {
            // No value of the guest's was looked at yet: what else goes wrong is the host's lack of something.
            FailureClass::InvalidDecision | FailureClass::HostcallLimit => {
                PolicyFailure { class: FailureClass::Host, ..failure }
            }
            _ => failure,
        })?;
        Ok(Self { store, guest, calls: 0, born: Time::now() })
    }

    /// Lets the guest read its settings: once, before its first decision.
    pub(super) async fn configure(&mut self, time: CallTime) -> Result<(), PolicyFailure> {
        self.arm(time);
        catch(time, self.guest.configure(&mut self.store)).await?.map_err(guest_error)
    }

    /// One call. After a failure of any class but `GuestError` the instance must not be called again.
    pub(super) async fn call(&mut self, call: Call<'_>, time: CallTime) -> Result<Answer, PolicyFailure> {
        self.arm(time);
        self.calls += 1;
        match catch(time, self.guest.ask(&mut self.store, call)).await? {
            Some(answer) => answer.map_err(guest_error),
            None => Err(failure(FailureClass::Host, "the policy was asked for a hook that it does not have")),
        }
    }

    /// Bytes of its memories and tables.
    pub(super) fn memory(&self) -> usize {
        self.store.data().memory.used
    }

    /// Instructions that it ran, in an engine that counts them.
    pub(super) fn instructions(&self) -> u64 {
        self.store.get_fuel().map_or(0, |left| u64::MAX - left)
    }

    /// Epoch deadlines are relative and spent: each call arms its own.
    fn arm(&mut self, time: CallTime) {
        self.store.data_mut().begin_call(ticks(time.run));
        self.store.set_epoch_deadline(1);
    }
}

/// The ticks that make up a time. A guest is asked to account for each tick that it runs into, once: a thread that the
/// kernel takes off the processor for ten ticks costs its guest one, so that a busy machine is not taken for a guest
/// that spins.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
}

/// On the wall a call may take as many times longer than it may run, and this beside.
const WALL_FACTOR: u32 = 4;
const WALL_BESIDE: Duration = Duration::from_millis(100);
/// And where nobody waits for it.
const WALL_IN_BACKGROUND: Duration = Duration::from_secs(60);

/// Runs guest code, and turns every way of not returning into a class. Ticks stop a guest that runs for its time; the timer
/// stops one that waits inside a host function, where ticks do not reach, or whose machine does not let it run.
fn catch<T>(
    time: CallTime,
    code: impl Future<Output = wasmtime::Result<T>>,
) -> impl Future<Output = Result<T, PolicyFailure>> {
    AssertUnwindSafe(tokio::time::timeout(time.wall, code)).catch_unwind().map(move |caught| match caught {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(failure(classify(&error), format!("{error:#}"))),
        Ok(Err(_elapsed)) => {
            Err(failure(FailureClass::Timeout, format!("no answer within {} ms on the wall", time.wall.as_millis())))
        }
        Err(_panic) => Err(failure(FailureClass::Host, "the host panicked during the call")),
    })
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
        // The runtime's complaint, in a sentence, of a value that is not what the contract says: an unknown case,
        // a list outside of memory, text that is not UTF-8.
        FailureClass::InvalidDecision
    } else {
        // What remains when guest code or its values fail is the runtime's private type for spent host-call data.
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
