//! Timestamps in files and in the admin API, and the clock by which limits begin and end.

use std::fmt;
use std::sync::Arc;

/// A timestamp, in seconds since 1970.
pub type UnixSeconds = u64;

/// Now, in seconds since 1970.
#[must_use]
pub fn now() -> UnixSeconds {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What gives the time by which limits begin and end: this machine, or a server that several gateways ask. All that counts, shows
/// or restores limits asks the same clock: with two of them, one would begin windows that the other has left.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixSeconds + Send + Sync>);

impl Clock {
    /// A clock that shows what `now` says.
    #[must_use]
    pub fn new(now: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What it shows now.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        (self.0)()
    }
}

/// This machine's.
impl Default for Clock {
    fn default() -> Self {
        Self::new(now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
