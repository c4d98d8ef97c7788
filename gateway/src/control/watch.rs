//! Watches the folders of all files, never the files, because editors and deploy tools replace files. A watch event
//! only triggers an early reconciliation. If none arrive (network mounts, some containers), the periodic rescan finds
//! the change a little later.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{Event, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// See the module.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// Each watched folder with its device and inode.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    /// The names of the files to watch for.
    names: Arc<Mutex<Names>>,
    hint: Arc<Notify>,
}

type Names = BTreeSet<OsString>;

impl Watch {
    /// A watch without folders.
    pub(super) fn new() -> Self {
        let hint = Arc::new(Notify::new());
        let names = Arc::new(Mutex::new(Names::new()));
        let (notified, followed) = (Arc::clone(&hint), Arc::clone(&names));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let names = followed.lock().unwrap_or_else(PoisonError::into_inner);
            if event.is_err() || event.is_ok_and(|event| concerns(&event, &names)) {
                notified.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| {
            tracing::warn!(%error, "file watching is not available; the periodic rescan finds changed files");
        });
        Self { watcher: watcher.ok(), folders: BTreeMap::new(), names, hint }
    }

    /// Waits for a watch event. Events between two waits count as one.
    pub(super) async fn hint(&self) {
        self.hint.notified().await;
    }

    /// Watches the folders of these files and no others. A folder that was removed and created anew is watched anew.
    pub(super) fn follow<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let files: Vec<&Path> = files.collect();
        let names = files.iter().filter_map(|file| file.file_name()).map(OsString::from).collect();
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        let parent = |file: &Path| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let wanted: BTreeSet<PathBuf> = files.into_iter().map(parent).collect();
        let identity = |folder: &Path| std::fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        self.folders.retain(|folder, watched| {
            let kept = wanted.contains(folder) && identity(folder) == Some(*watched);
            if !kept {
                // Fails if the folder no longer exists; its watch ended with it.
                let _ = watcher.unwatch(folder);
            }
            kept
        });
        for folder in wanted {
            let Some(now) = identity(&folder) else { continue };
            if self.folders.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder, now);
                }
                Err(error) => tracing::debug!(%error, folder = %folder.display(), "a folder cannot be watched"),
            }
        }
    }
}

/// Whether an event in a folder may concern the files with these names.
fn concerns(event: &Event, names: &Names) -> bool {
    match event.kind {
        // Reads change nothing, and the gateway's own reads must not trigger a reconciliation.
        EventKind::Access(_) => false,
        // Written data counts only for the named files; otherwise each line of a log in the same folder would trigger a
        // reconciliation. Changed names always count: a link may give a file other content.
        EventKind::Modify(ModifyKind::Data(_)) => {
            event.paths.iter().filter_map(|path| path.file_name()).any(|name| names.contains(name))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_grows_beside_the_files_is_no_change_of_theirs() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["wasmgate.toml", "log"] {
            fs::write(at(name), "before").expect("a file");
        }
        let (tell, told) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let _ = tell.send(event.expect("an event"));
        });
        let mut watcher = watcher.expect("a watcher");
        watcher.watch(folder.path(), RecursiveMode::NonRecursive).expect("it watches");
        let add = |name: &str| {
            let mut file = fs::OpenOptions::new().append(true).open(at(name)).expect("a file");
            file.write_all(b"more").expect("it is written");
        };
        // Whether any event before the creation of the fence file counts as a change.
        let changed = |fence: &str| {
            fs::write(at(fence), "").expect("a file");
            let is_fence = |event: &Event| matches!(event.kind, EventKind::Create(_)) && event.paths == [at(fence)];
            let names = Names::from(["wasmgate.toml".into()]);
            told.iter().take_while(|event| !is_fence(event)).filter(|event| concerns(event, &names)).count() > 0
        };
        assert!(!changed("first"));
        add("log");
        assert!(!changed("second"), "a line of a log");
        add("wasmgate.toml");
        assert!(changed("third"), "the file itself");
        fs::rename(at("log"), at("log.1")).expect("renamed");
        assert!(changed("fourth"), "another name");
    }
}
