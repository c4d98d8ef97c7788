//! What happens on a connection: how many requests came, and whether one of them is still being served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Activity {
    requests: AtomicU64,
    busy: AtomicUsize,
    multiplexed: AtomicBool,
}

/// A request that is being served: from its head to the end of its answer.
#[derive(Debug)]
pub struct Busy(Arc<Activity>);

impl Activity {
    /// A request begins: its head is complete. `multiplexed`: the protocol has streams, as HTTP/2.
    #[must_use]
    pub fn begin(self: &Arc<Self>, multiplexed: bool) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.busy.fetch_add(1, Ordering::Relaxed);
        if multiplexed {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        Busy(Arc::clone(self))
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether a request is being served.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// Whether its requests came as streams.
    #[must_use]
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
