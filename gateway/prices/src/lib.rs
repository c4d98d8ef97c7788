//! Catalogues of prices: what providers charge for their models, by the providers' names. A catalogue is a file of the format
//! that `gateway/PRICES.md` describes; importers make one from two public formats. Prices are decimals in files and integer
//! nano-dollars inside; no floating-point number lies between.
//!
//! This crate must not know: which models are configured, where files lie, when they change.

mod builtin;
mod catalogue;
mod compare;
mod date;
mod decimal;
pub mod import;
mod node;
mod read;
mod write;

pub use builtin::builtin;
pub use catalogue::{Catalogue, Entry, Match};
pub use compare::{Change, Sought, compare};
pub use date::Date;
pub use decimal::{Decimal, DecimalError, usd};
pub use read::read;
pub use write::write;
