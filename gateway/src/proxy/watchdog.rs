//! The watchdog of response bodies: ends those whose client holds them up. One task looks at all of them a few times a
//! second, so that neither a chunk nor a stream needs a timer or a task of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::body::Watched;

/// How often it looks. A body ends at most this much after its time.
const INTERVAL: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Default)]
pub struct Watchdog {
    // Those that ended are removed at the next look.
    bodies: Mutex<Vec<Weak<Watched>>>,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watchdog")
    }
}

impl Watchdog {
    /// Watches a body until it ends.
    pub(super) fn add(&self, body: &Arc<Watched>) {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(body));
    }

    /// Watches for as long as it is polled. A client may take nothing for `write_timeout`.
    pub async fn run(&self, write_timeout: Duration) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.look(Instant::now(), write_timeout);
        }
    }

    fn look(&self, now: Instant, write_timeout: Duration) {
        let bodies = || self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at outside of the lock: ending a body writes its log line.
        let mut looked_at = std::mem::take(&mut *bodies());
        looked_at.retain(|body| body.upgrade().is_some_and(|body| body.watch(now, write_timeout)));
        let mut added = bodies();
        looked_at.append(&mut added);
        *added = looked_at;
    }
}
