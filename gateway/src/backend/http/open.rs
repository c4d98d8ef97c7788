//! How many connections to a server are open, by protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }
}

/// The open connections of one server.
#[derive(Debug, Default)]
pub(super) struct Open(Arc<[AtomicU32; 2]>);

/// A connection that is open. Dropping it counts it no more.
#[derive(Debug)]
pub(super) struct Counted(Arc<[AtomicU32; 2]>, Protocol);

impl Open {
    /// Counts one more.
    pub(super) fn count(&self, protocol: Protocol) -> Counted {
        self.0[protocol as usize].fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.0), protocol)
    }

    /// How many there are.
    pub(super) fn of(&self, protocol: Protocol) -> u32 {
        self.0[protocol as usize].load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
