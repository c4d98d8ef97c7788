//! Timestamps in files and in the admin API.

/// A timestamp, in seconds since 1970.
pub type UnixSeconds = u64;

/// Now, in seconds since 1970.
#[must_use]
pub fn now() -> UnixSeconds {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}
