//! What retries and hedges may add to the traffic, and when calls must end.

use tokio_util::sync::CancellationToken;

use crate::backend::retry::Budget;
use crate::error::{Failure, Kind};

/// Shared by all requests.
#[derive(Debug, Default)]
pub struct Budgets {
    /// Calls that are made again.
    pub retries: Budget,
    /// Calls to a second model while the first is slow.
    pub hedges: Budget,
    /// Cancelled when the drain time is over: calls in flight end.
    pub cutoff: CancellationToken,
}

/// The failure of a call that the gateway's stop ended.
pub(crate) fn stopping() -> Failure {
    Failure::new(Kind::Stopping, "the gateway is stopping")
}
