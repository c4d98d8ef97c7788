//! Whether a request waits for a policy.

/// The wall-clock limit of a policy's calls. The time that a guest may run is the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// A request waits for the answer: a call is aborted after four times its running time plus 100 ms.
    Serving,
    /// No request waits, and the thread has the lowest priority: on a busy machine it may not run for long, which is
    /// not the guest's fault. A call is aborted after a minute, or after the limit of `Serving` if that is longer.
    Background,
}
