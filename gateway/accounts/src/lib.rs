//! Who may use the gateway, and how much: keys, the groups that they belong to, and the groups' limits. An organisation, a team
//! and a person are groups; each group may have a parent, and what a parent forbids no child allows.
//!
//! All of it is pure: groups and keys are built from what the operator wrote and read without a lock, also those keys that change
//! while the gateway runs (`registry`); meters count with short locks; the caller gives the time. This crate must not know: HTTP,
//! the configuration's format, files, the models' backends.

mod accounts;
mod explore;
mod group;
mod hash;
mod key;
mod limit;
mod meter;
mod registry;
mod reserve;
mod share;
pub mod time;
mod window;

pub use accounts::{Accounts, Mistake, Place, Wrong};
pub use explore::{Explore, LEAST_PERCENT, MOST_PERCENT};
pub use group::{Group, GroupSpec, MAX_DEPTH};
pub use hash::{KeyHash, PREFIX, new_key, without_keys};
pub use jiff::tz::TimeZone;
pub use key::{ID_BYTES, Key, KeyId, Labels, NEVER, Previous, Refused};
pub use limit::{Amount, Exceeded, Limit, Measure, Standing, WhenSpent};
pub use meter::Meter;
pub use registry::{KeyList, Registry, SameText};
pub use reserve::{Chain, Meters, Reservation};
pub use share::{Answer, Claim, Reach, Round, Sharing, Terms};
pub use window::{Period, Window};
