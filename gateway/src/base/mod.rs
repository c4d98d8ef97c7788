//! What everything may use and what knows nobody.

pub mod log_limit;
pub mod time;
