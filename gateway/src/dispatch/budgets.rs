//! The budgets that bound additional calls (retries and hedges), and the cutoff that ends calls of a drain.

use tokio_util::sync::CancellationToken;

use crate::backend::retry::Budget;
use crate::error::{Failure, Kind};

/// Budgets and cutoff, shared by all requests.
#[derive(Debug, Default)]
pub struct Budgets {
    /// Bounds retries.
    pub retries: Budget,
    /// Bounds hedges: calls to a second model while the first is slow.
    pub hedges: Budget,
    /// Cancelled when the drain timeout is over; ends in-flight calls.
    pub cutoff: CancellationToken,
}

/// The failure of a call that the cutoff ended.
pub(crate) fn stopping() -> Failure {
    Failure::new(Kind::Stopping, "the gateway is stopping")
}
