//! Folders where a platform keeps a program's files.

use std::path::{Path, PathBuf};

/// A folder of ours where the platform keeps such things: what the service manager made, else what the user's session
/// says, else the usual one below the home.
#[must_use]
pub fn platform(service: &str, session: &str, below_home: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // A service manager may give several, separated by colons.
    let service = std::env::var(service).ok().and_then(|paths| paths.split(':').next().map(PathBuf::from));
    let service = service.filter(|path| path.is_absolute());
    let home = || Some(variable("HOME")?.join(below_home));
    service.or_else(|| Some(variable(session).or_else(home)?.join("wasmgate")))
}

/// Where compiled components are kept.
#[must_use]
pub fn cache_folder(configured: Option<&Path>) -> Option<PathBuf> {
    // A folder of its own, since it must be closed to others, and what is beside it need not be.
    let usual = || Some(platform("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")?.join("compiled"));
    configured.map(Path::to_owned).or_else(usual)
}
