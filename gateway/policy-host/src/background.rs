//! Runs work that must not slow down traffic: on its own thread, at the lowest priority. The thread ends with the work.
//!
//! This module must not know: what the work is.

use tokio::sync::oneshot;

/// Runs `work` on a background thread. Linux keeps priorities by thread, and an unprivileged thread cannot raise its
/// own, so this is not a thread of a pool. If the future is dropped, the work still runs to its end and its result is
/// discarded.
///
/// # Errors
/// If no thread can be started, or the work panics.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("policy-aside".into()).spawn(move || {
        step_back();
        // The receiver may be gone.
        let _ = done.send(work());
    });
    thread.map_err(|error| format!("cannot start a thread: {error}"))?;
    result.await.map_err(|_panicked| "the host panicked".to_owned())
}

/// Lowers the calling thread to the lowest priority. If the machine refuses, the thread keeps its priority.
pub(super) fn step_back() {
    let _ = rustix::process::nice(19);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_at_the_lowest_priority_and_a_panic_is_an_error() {
        assert_eq!(aside(|| rustix::process::nice(0)).await, Ok(Ok(19)));
        assert_eq!(rustix::process::nice(0), Ok(0), "no other thread is affected");
        assert_eq!(aside(|| -> u8 { panic!("on purpose") }).await, Err("the host panicked".to_owned()));
    }
}
