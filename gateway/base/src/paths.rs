//! Finds the platform's folders for the gateway's files.

use std::path::{Path, PathBuf};

/// The gateway's folder of one kind: the first path in the service manager's variable `service`, else `wasmgate` in the
/// folder that the session's variable `session` names, else `wasmgate` in `below_home` of the user's home. Relative
/// paths do not count.
#[must_use]
pub fn platform(service: &str, session: &str, below_home: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // A service manager may list several paths, separated by colons.
    let service = std::env::var(service).ok().and_then(|paths| paths.split(':').next().map(PathBuf::from));
    let service = service.filter(|path| path.is_absolute());
    let home = || Some(variable("HOME")?.join(below_home));
    service.or_else(|| Some(variable(session).or_else(home)?.join("wasmgate")))
}

/// The folder of compiled components: the configured one, else `compiled` in the platform's cache folder.
#[must_use]
pub fn cache_folder(configured: Option<&Path>) -> Option<PathBuf> {
    // A separate folder, because only this one must be closed to other users.
    let usual = || Some(platform("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")?.join("compiled"));
    configured.map(Path::to_owned).or_else(usual)
}
