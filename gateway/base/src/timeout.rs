//! Deadlines of futures that are mostly ready at once: the clock is read, and a timer made, only for one that has to wait.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A future, and when it must be ready. It is polled before its timer.
#[must_use = "it does nothing unless it is awaited"]
pub struct Timeout<'a, F, D> {
    future: Pin<&'a mut F>,
    deadline: Option<D>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Awaits `future`, at most until what `deadline` returns. It is asked once, when the future has to wait.
pub fn timeout<F: Future, D: FnOnce() -> Instant + Unpin>(future: Pin<&mut F>, deadline: D) -> Timeout<'_, F, D> {
    Timeout { future, deadline: Some(deadline), timer: None }
}

impl<F: Future, D: FnOnce() -> Instant + Unpin> Future for Timeout<'_, F, D> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = self.future.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        if let Some(deadline) = self.deadline.take() {
            self.timer = Some(Box::pin(sleep_until(deadline())));
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(context).map(|()| Err(Elapsed)),
            None => Poll::Pending,
        }
    }
}

impl<F, D> fmt::Debug for Timeout<'_, F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("waits", &self.timer.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_a_future_that_waits_has_a_deadline() {
        let never_asked = || -> Instant { panic!("the clock was read") };
        assert_eq!(timeout(pin!(ready(1)), never_asked).await, Ok(1));
        assert_eq!(timeout(pin!(pending::<()>()), Instant::now).await, Err(Elapsed));
        let (say, hear) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { say.send(2) });
        let in_an_hour = || Instant::now() + Duration::from_secs(3600);
        assert_eq!(timeout(pin!(hear), in_an_hour).await, Ok(Ok(2)));
    }
}
