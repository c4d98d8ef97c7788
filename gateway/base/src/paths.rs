//! Finds the platform's folders for the gateway's files.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::sha256;

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

/// The folder of a configuration's state in `state_dir`: one for each file, by its path as it is given.
///
/// # Errors
/// If the current folder cannot be read, on which a relative path depends.
pub fn configuration_folder(state_dir: &Path, file: Option<&Path>) -> io::Result<PathBuf> {
    let Some(file) = file else { return Ok(state_dir.join("embedded")) };
    // Links are not resolved: if a deploy moves a link, the gateway and its state stay the same.
    let file = std::path::absolute(file)?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(state_dir.join(format!("{stem}-{}", &sha256(file.as_os_str().as_encoded_bytes())[..16])))
}

/// The folder of compiled components: the configured one, else `compiled` in the platform's cache folder.
#[must_use]
pub fn cache_folder(configured: Option<&Path>) -> Option<PathBuf> {
    // A separate folder, because only this one must be closed to other users.
    let usual = || Some(platform("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")?.join("compiled"));
    configured.map(Path::to_owned).or_else(usual)
}
