//! A future next to another in one task, which the other one wakes often: it is polled only after it was woken itself.
//!
//! A connection's task wakes several times for each request, the signal that ends the connection once. To poll that signal
//! each time would take a lock that all connections share, and look at its timers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// See the module.
pub(super) struct OnWake<F> {
    future: F,
    signal: Arc<Signal>,
    /// What wakes the future.
    waker: Waker,
}

struct Signal {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future + Unpin> OnWake<F> {
    pub(super) fn new(future: F) -> Self {
        // It begins as woken: its first poll is what makes it wait.
        let signal = Arc::new(Signal { woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future, waker: Waker::from(Arc::clone(&signal)), signal }
    }
}

impl<F: Future + Unpin> Future for OnWake<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // Each time, for a wake takes the task that is registered; and before the look at `woken`, so that a wake after that look
        // finds the task.
        this.signal.task.register(context.waker());
        if !this.signal.woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_polled_only_after_it_was_woken_and_wakes_whoever_polled_last() {
        let (polls, inner) = (Cell::new(0), Cell::new(None::<Waker>));
        let future = std::future::poll_fn(|context| {
            polls.set(polls.get() + 1);
            inner.set(Some(context.waker().clone()));
            if polls.get() == 3 { Poll::Ready("over") } else { Poll::Pending }
        });
        let mut future = OnWake::new(future);
        let tasks = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
        let wakers = tasks.each_ref().map(|task| Waker::from(Arc::clone(task)));
        let mut poll = |task: usize| Pin::new(&mut future).poll(&mut Context::from_waker(&wakers[task]));
        let wakes = || tasks.each_ref().map(|task| task.0.load(Ordering::Relaxed));
        for _ in 0..3 {
            assert_eq!(poll(0), Poll::Pending);
        }
        assert_eq!((polls.get(), wakes()), (1, [0, 0]));
        let waker = inner.take().unwrap();
        waker.wake_by_ref();
        assert_eq!(wakes(), [1, 0]);
        assert_eq!(poll(0), Poll::Pending);
        assert_eq!(polls.get(), 2);
        // The task that polls it changes.
        assert_eq!(poll(1), Poll::Pending);
        inner.take().unwrap().wake_by_ref();
        assert_eq!((polls.get(), wakes()), (2, [1, 1]));
        assert_eq!(poll(1), Poll::Ready("over"));
    }
}
