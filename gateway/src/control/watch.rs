//! Hints from the system that files changed: the folders of all files are watched, never the files, since editors and
//! deploy tools put new ones in their place. A hint says only that it is worth looking now; where none come (network
//! mounts, some containers) the periodic look finds the same a little later.

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
    /// Each folder with the device and inode that are watched.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    /// The names of the files.
    names: Arc<Mutex<Names>>,
    hint: Arc<Notify>,
}

type Names = BTreeSet<OsString>;

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> Self {
        let hint = Arc::new(Notify::new());
        let names = Arc::new(Mutex::new(Names::new()));
        let (told, followed) = (Arc::clone(&hint), Arc::clone(&names));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let names = followed.lock().unwrap_or_else(PoisonError::into_inner);
            if event.is_err() || event.is_ok_and(|event| concerns(&event, &names)) {
                told.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| {
            tracing::warn!(%error, "the system gives no hints of changed files; they are found by the periodic look");
        });
        Self { watcher: watcher.ok(), folders: BTreeMap::new(), names, hint }
    }

    /// Waits for a hint. However many come, while nobody waits they are one.
    pub(super) async fn hint(&self) {
        self.hint.notified().await;
    }

    /// Watches the folders of these files and no others. A folder that was removed and came back is another one.
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
                // Fails where the folder is gone, and with it the watch.
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

/// Whether what happened in a folder may be a change of the files of these names.
fn concerns(event: &Event, names: &Names) -> bool {
    match event.kind {
        // Reading changes nothing, and our own reading must not make us look again.
        EventKind::Access(_) => false,
        // A log that grows in the same folder would make us look at each of its lines. A change of the names in a folder is
        // another thing: links may be what gives a file another content.
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
        // Whether one of the events until a file of that name is there is taken for a change.
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
