//! Whether somebody waits for a policy.

/// What the clock on the wall means for a policy's calls. The time that a guest may run is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for the answer: a call that has taken four times its time and 100 ms is given up.
    Serving,
    /// Nobody waits, and the thread has the lowest priority: on a busy machine it may not run for long, which is no fault
    /// of the guest's. A call is given up after a minute.
    Background,
}
