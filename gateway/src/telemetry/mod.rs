//! One record per request, observed once: by the metrics, the access log and the averages that policies see.
//!
//! This module must not know: which step fills the record.

mod access_log;
mod billing;
pub mod decisions;
pub mod exploration;
pub mod gauges;
pub mod ledger;
mod observe;
pub mod record;

pub use access_log::{describe, log_request};
pub use observe::{observe, observe_decision};
pub use record::Record;
