//! What everything may use and what knows nobody.

pub mod digest;
pub mod document;
pub mod json_text;
pub mod log_limit;
pub mod money;
pub mod nearest;
pub mod paths;
pub mod time;
pub mod tokens;
pub mod usage;
