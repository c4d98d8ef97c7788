//! Where policies serve, and when a version is taken out: pure rules and the types of the admin API.
//!
//! This module must not know: files, tasks, HTTP.

pub mod analysis;
pub mod api;
pub mod slot;
pub mod slot_state;
pub mod stats;
