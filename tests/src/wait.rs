//! Waiting for something to happen, never for time to pass.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// After so long a wait has failed. Generous: a loaded machine must not fail a test, and the compiler of policies, which has the
/// lowest priority, takes half a minute of processor time for a language engine in the build that tests run.
pub const LIMIT: Duration = Duration::from_secs(400);

/// A value that threads change and wait for.
#[derive(Debug, Default)]
pub struct Shared<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Shared<T> {
    /// Holds `value`.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Looks at the value, or changes it and wakes those who wait.
    pub fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `look` gives something; `None` after the limit.
    pub fn wait<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + LIMIT;
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&mut value) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            value = self.changed.wait_timeout(value, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    // A test that panicked holding the lock has its own report; those who clean up after it must still get in.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Asks `look` until it gives something. For what can only be asked for, such as a page over HTTP: the asking itself
/// is the pause.
///
/// # Panics
/// After the limit, with what was waited for.
pub fn until<R>(what: &str, mut look: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {LIMIT:?}");
        std::thread::yield_now();
    }
}

/// As `until`, for what another program does once a second: asked for a few times a second, to leave it the machine.
///
/// # Panics
/// After the limit, with what was waited for.
pub fn until_slowly<R>(what: &str, look: impl FnMut() -> Option<R>) -> R {
    try_until_slowly(look).unwrap_or_else(|| panic!("{what} did not happen within {LIMIT:?}"))
}

/// As `until_slowly`; `None` after the limit, for those who can say more of why.
pub fn try_until_slowly<R>(mut look: impl FnMut() -> Option<R>) -> Option<R> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
