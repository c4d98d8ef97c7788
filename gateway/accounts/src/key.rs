//! A key: whose it is, and until when it is valid.

use wasmgate_base::time::UnixSeconds;

use crate::hash::KeyHash;

/// A key as the operator wrote it.
#[derive(Debug, Clone)]
pub struct KeySpec {
    /// Its id, which logs show: never the key itself.
    pub id: String,
    /// The name of its group.
    pub group: String,
    /// The hash of its text.
    pub hash: KeyHash,
    /// Its text before the last rotation, which clients may still send for a while.
    pub previous: Option<Previous>,
    /// When it expires; `None`: never.
    pub expires: Option<UnixSeconds>,
    /// Whether the operator blocked it.
    pub blocked: bool,
}

/// What a key was before it was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The hash of the older text.
    pub hash: KeyHash,
    /// The first second at which it is no longer valid.
    pub until: UnixSeconds,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: Box<str>,
    /// Its group, by position.
    pub group: usize,
    /// When it expires; `None`: never.
    pub expires: Option<UnixSeconds>,
    /// Whether the operator blocked it.
    pub blocked: bool,
}

/// Why a key does not admit a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No key has this text.
    Unknown,
    /// The operator blocked it.
    Blocked,
    /// It has expired.
    Expired,
    /// It was rotated, and the time in which its older text was valid is over.
    Rotated,
}
