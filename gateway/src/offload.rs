//! Takes the reading and writing of large bodies off the workers.
//!
//! A worker that parses 8 MiB answers nobody else for tens of milliseconds. Such work runs on a thread of its own, for at
//! most half of the cores at a time. A request that waits for its turn and is dropped, because its client left, never
//! runs; work that has begun runs to its end. Small bodies stay on the worker: for them, moving to another thread costs
//! more than the work. This module must not know: what the work is.

use std::num::NonZero;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::{Failure, Kind};

/// Largest body that is read or written on the worker: about a millisecond of work.
pub const SMALL_BYTES: usize = 256 << 10;
/// Longest wait for a turn.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The cores are the same for all requests, so the process has one set of turns.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    Semaphore::new((cores / 2).max(1))
});

/// Whether `run` takes the work on a body of so many bytes off the worker.
#[must_use]
pub fn is_large(bytes: usize) -> bool {
    bytes > SMALL_BYTES
}

/// Runs `work` on a body of so many bytes: at once if it is small, else on a thread of its own when it is its turn.
/// Dropping the future before the turn drops the work.
///
/// # Errors
/// If the turn does not come within ten seconds, or the gateway stops.
pub async fn run<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    if is_large(bytes) { run_in(&TURNS, MAX_WAIT, work).await } else { Ok(work()) }
}

async fn run_in<T: Send + 'static>(
    turns: &'static Semaphore,
    max_wait: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let Ok(Ok(turn)) = tokio::time::timeout(max_wait, turns.acquire()).await else {
        let message = "the gateway is busy with other large requests and answers; retry shortly";
        return Err(Failure::new(Kind::Overloaded, message));
    };
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work is done, also if nobody waits for the result any more.
        let _turn = turn;
        work()
    });
    match done.await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(Failure::new(Kind::Stopping, "the gateway is stopping")),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Waker};

    use super::*;

    fn one_turn() -> &'static Semaphore {
        Box::leak(Box::new(Semaphore::new(1)))
    }

    #[tokio::test]
    async fn work_whose_client_left_before_its_turn_never_runs() {
        let turns = one_turn();
        let first = turns.acquire().await.expect("never closed");
        let ran = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&ran);
        let mut waiting = Box::pin(run_in(turns, MAX_WAIT, move || note.store(true, Ordering::Relaxed)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(waiting);
        drop(first);
        // The next one in the queue gets the turn, so the dropped one has left the queue.
        assert_eq!(run_in(turns, MAX_WAIT, || 5).await.expect("a turn"), 5);
        assert!(!ran.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_turn_ends_with_the_work_and_not_with_the_client() {
        let turns = one_turn();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut begun = Box::pin(run_in(turns, MAX_WAIT, move || wait.recv().expect("a word")));
        assert!(begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(begun);
        assert_eq!(turns.available_permits(), 0);
        go.send(()).expect("the work waits");
        drop(turns.acquire().await.expect("never closed"));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_to_retry() {
        let turns = one_turn();
        let _first = turns.acquire().await.expect("never closed");
        let failure = run_in(turns, Duration::ZERO, || ()).await.expect_err("no turn is free");
        assert_eq!(failure.kind, Kind::Overloaded);
    }
}
