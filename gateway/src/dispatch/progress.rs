//! How far a call to a model has come, for those who watch it from outside: the hedge, and the model's breaker if the call is
//! cancelled.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::{CallOutcome, Pass};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Stage>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// The backend is not called yet.
    #[default]
    Waits,
    /// The backend is called since then, and has sent no token.
    Called(Instant),
    /// The first token of a stream has arrived.
    Begun,
}

impl Progress {
    /// Notes that the backend is called.
    pub(crate) fn call(&self, now: Instant) {
        *self.lock() = Stage::Called(now);
    }

    /// Notes that the first token of a stream has arrived.
    pub(crate) fn begin(&self) {
        *self.lock() = Stage::Begun;
    }

    /// Whether the first token of a stream has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        *self.lock() == Stage::Begun
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that its model's breaker admitted. If it is cancelled before it answers, because its client left or the other call
/// of a hedge was faster, the breaker still hears how long the model was silent: no answer would have been faster than that.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    pass: Option<Pass<'a>>,
    progress: &'a Progress,
    loads: bool,
}

impl<'a> Watched<'a> {
    /// `loads`: the backend may have to load the model first, which is not slow.
    pub(super) fn new(pass: Pass<'a>, progress: &'a Progress, loads: bool) -> Self {
        *progress.lock() = Stage::Waits;
        Self { pass: Some(pass), progress, loads }
    }

    /// Notes the call's outcome.
    pub(super) fn note(mut self, outcome: CallOutcome) {
        if let Some(pass) = self.pass.take() {
            pass.note(Instant::now(), outcome);
        }
    }

    /// Notes that nobody is to blame: the backend was not called, or refused what the client wrote.
    pub(super) fn forget(mut self) {
        self.pass = None;
    }

    /// How long the model has been silent, if the backend is called and does not load it.
    fn silent(&self, now: Instant) -> Option<Duration> {
        match *self.progress.lock() {
            Stage::Called(since) if !self.loads => Some(now.saturating_duration_since(since)),
            _ => None,
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            let now = Instant::now();
            if let Some(silent) = self.silent(now) {
                pass.note(now, CallOutcome::Cancelled(silent));
            }
        }
    }
}
