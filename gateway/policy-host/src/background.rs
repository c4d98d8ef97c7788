//! Work that traffic must not feel: on a thread of its own, at the lowest priority, that ends with its work.
//!
//! This module must not know: what the work is.

use tokio::sync::oneshot;

/// Does `work` aside. Linux keeps priorities by thread, and an unprivileged one cannot raise its own again: that is
/// why this is no thread of a pool. A future that is dropped leaves its work to end unheard.
///
/// # Errors
/// Where no thread can be had, or the work panicked.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("policy-aside".into()).spawn(move || {
        step_back();
        // Nobody may be listening any more.
        let _ = done.send(work());
    });
    thread.map_err(|error| format!("no thread could be started: {error}"))?;
    result.await.map_err(|_panicked| "the host panicked".to_owned())
}

/// Takes the calling thread to the lowest priority, where the machine lets it: it goes on at its own otherwise.
pub(super) fn step_back() {
    let _ = rustix::process::nice(19);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_at_the_lowest_priority_and_a_panic_is_an_error() {
        assert_eq!(aside(|| rustix::process::nice(0)).await, Ok(Ok(19)));
        assert_eq!(rustix::process::nice(0), Ok(0), "no other thread is concerned");
        assert_eq!(aside(|| -> u8 { panic!("on purpose") }).await, Err("the host panicked".to_owned()));
    }
}
