//! Shared helpers. Any crate may use them; they depend on no other crate of the workspace.

pub mod digest;
pub mod document;
pub mod history;
pub mod io_reason;
pub mod json_text;
pub mod log_limit;
pub mod money;
pub mod nearest;
pub mod overflow;
pub mod paths;
pub mod range;
pub mod text;
pub mod time;
pub mod timeout;
pub mod tokens;
pub mod usage;
pub mod worker;
