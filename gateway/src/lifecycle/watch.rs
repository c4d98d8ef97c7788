//! Hints from the system that files changed: the folders of all files are watched, never the files, since editors and
//! deploy tools put new ones in their place. A hint says only that it is worth looking now; where none come (network
//! mounts, some containers) the periodic look finds the same a little later.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// See the module.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// Each folder with the device and inode that are watched.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    hint: Arc<Notify>,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> Self {
        let hint = Arc::new(Notify::new());
        let told = Arc::clone(&hint);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading changes nothing, and our own reading must not make us look again.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                told.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| {
            tracing::warn!(%error, "the system gives no hints of changed files; they are found by the periodic look");
        });
        Self { watcher: watcher.ok(), folders: BTreeMap::new(), hint }
    }

    /// Waits for a hint. However many come, while nobody waits they are one.
    pub(super) async fn hint(&self) {
        self.hint.notified().await;
    }

    /// Watches the folders of these files and no others. A folder that was removed and came back is another one.
    pub(super) fn follow<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let parent = |file: &Path| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let wanted: BTreeSet<PathBuf> = files.map(parent).collect();
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
