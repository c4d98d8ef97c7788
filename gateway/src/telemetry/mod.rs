//! One record a request, observed once: by the metrics, the log and the averages that policies see.
//!
//! This module must not know: who fills the record.

mod access_log;
pub mod gauges;
mod observe;
pub mod record;

pub use access_log::log;
pub use observe::{observe, observe_decision};
pub use record::Record;
