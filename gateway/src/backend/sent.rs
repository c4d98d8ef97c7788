//! Whether the request of a call was written to its backend. From then on the backend may have worked for it, and its
//! provider may charge for it, whatever becomes of the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that the caller keeps and the call sets; clones are the same flag. It outlives a call that was cancelled.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// Notes that the request is being written.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Notes that the server did not process what was written.
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the request was written, at least in part.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
