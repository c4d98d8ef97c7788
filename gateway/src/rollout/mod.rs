//! Slots, their state machine and the rules that take a version out: pure logic. Also the types of the admin API.
//!
//! This module must not know: files, tasks, HTTP.

pub mod analysis;
pub mod api;
pub mod comparison;
pub mod evidence;
pub mod slot;
pub mod slot_state;
pub mod stats;
