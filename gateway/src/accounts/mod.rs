//! Keys and groups that operators make while the gateway runs. The gateway keeps them in its state folder (`log`) and in memory,
//! where requests find keys without a lock; those of the configuration file are of the file.
//!
//! A change is checked, written to the disk, and then takes effect: for the next request if it is of a key, with the next
//! snapshot, which the control task publishes at once, if it is of a group. `spread` tells it to other gateways, and takes theirs.
//!
//! This module must not know: HTTP, snapshots, who asks for a change.

pub mod api;
mod change;
mod exchange;
mod fields;
mod groups;
mod joined;
mod keys;
mod log;
mod mark;
mod meet;
mod show;
mod spread;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tokio::sync::watch;

use crate::config::{Access, Config, ManagedGroup};
use api::NotDone;
pub use change::Change;
pub use exchange::run as spread;
use joined::{Groups, Joined};
use log::{Log, LogError};
use mark::{Kept, Mark, Marked, Marks};
pub use show::{MAX_PAGE, Query};
pub use spread::Spread;
use wasmgate_accounts::{Registry, SameText};
use wasmgate_base::time::now;

/// Most groups that the gateway keeps itself.
const MAX_GROUPS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct ManagedAccounts {
    registry: Arc<Registry>,
    groups: Mutex<Groups>,
    /// Held from the check of a change until it has taken effect, so that changes are made one after the other.
    writer: Mutex<Writer>,
    /// How the exchange with other gateways is going.
    spread: Arc<Spread>,
    /// Counts changes of groups.
    changed: watch::Sender<u64>,
    /// As many of them are in the snapshot that serves, and whether it is the last.
    published: watch::Sender<(u64, bool)>,
}

/// Who changes something has it.
#[derive(Debug)]
struct Writer {
    /// `Err`: why there is none.
    log: Result<Log, String>,
    marks: Marks,
    /// What other gateways are to be told; `None`: there are none.
    outbox: Option<spread::Outbox>,
}

impl ManagedAccounts {
    /// Opens the accounts in a folder. Without one, or if it cannot be made, the gateway serves the keys of the file and takes no
    /// changes.
    ///
    /// # Errors
    /// If there are accounts that cannot be read: whoever is blocked in them must not be valid again.
    pub fn open(folder: Option<PathBuf>, config: Arc<Config>) -> Result<Arc<Self>, String> {
        let shares = config.shared.is_some();
        let mut kept = Kept::new(shares);
        let opened = folder.map(|folder| {
            let opened = Log::open(&folder, |change| kept.take(change));
            (folder, opened)
        });
        let log = match opened {
            None => Err("the gateway has no state folder; set `state_dir`".to_owned()),
            Some((folder, Err(LogError::NoFolder(error)))) => {
                let message = format!("the folder {} cannot be made: {error}", folder.display());
                tracing::warn!(%error, folder = %folder.display(), "keys and groups cannot be made while the gateway runs");
                Err(message)
            }
            Some((folder, Err(error))) => return Err(unreadable(&folder.join("changes.log"), &error)),
            Some((folder, Ok((log, found)))) => {
                if found.torn > 0 {
                    let (file, bytes) = (folder.join("changes.log"), found.torn);
                    tracing::warn!(
                        file = %file.display(),
                        bytes,
                        "the last change of keys or groups is not complete and does not count; the process before was ended \
                         while it wrote, and answered nobody"
                    );
                }
                if found.lines > 0 {
                    let (keys, groups) = (kept.list.len(), kept.groups.len());
                    tracing::info!(keys, groups, folder = %folder.display(), "keys read");
                }
                Ok(log)
            }
        };
        let outbox = shares.then(|| spread::Outbox::new(&kept, log.as_ref().ok().map(Log::folder)));
        let Kept { list, groups, marks } = kept;
        Ok(Arc::new(Self {
            registry: Arc::new(Registry::new(list)),
            groups: Mutex::new(Groups::new(groups, config)),
            writer: Mutex::new(Writer { log, marks, outbox }),
            spread: Arc::default(),
            changed: watch::Sender::new(0),
            published: watch::Sender::new((0, false)),
        }))
    }

    /// The keys, for requests.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// How the exchange with other gateways is going.
    #[must_use]
    pub fn exchange(&self) -> &Arc<Spread> {
        &self.spread
    }

    /// Everything there is, as changes that make it of nothing: groups first, what is deleted last. No change is made meanwhile.
    fn write_all<T>(&self, marks: &Marks, write: impl FnOnce(&mut dyn Iterator<Item = Marked>) -> T) -> T {
        let marked = |change: Change| Marked { mark: marks.of(&change.name()), change };
        let groups: Vec<ManagedGroup> = self.lock_groups().managed.values().cloned().collect();
        self.registry.read(|list| {
            // One after the other: a million of them would take as much memory again.
            let keys = list.keys().iter().map(|key| Change::Key((**key).clone()));
            write(&mut groups.into_iter().map(Change::Group).chain(keys).map(marked).chain(marks.all_gone()))
        })
    }

    /// A receiver that is notified when the groups have changed, so that a new snapshot is due.
    #[must_use]
    pub fn group_changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Notes the configuration that serves from now on.
    pub fn configured(&self, config: &Arc<Config>) {
        let mut groups = self.lock_groups();
        groups.config = Arc::clone(config);
        groups.changed();
    }

    /// Who may use the gateway: what the file says, with the groups that the gateway keeps; and the number of changes that are in
    /// it, to be given to `published`.
    #[must_use]
    pub fn access(&self) -> (Access, u64) {
        let number = *self.changed.borrow();
        let mut groups = self.lock_groups();
        let joined = groups.joined().clone();
        groups.report(&joined, &self.registry);
        (joined.access, number)
    }

    /// Notes that the snapshot that serves has so many changes of groups.
    pub fn published(&self, number: u64) {
        self.published.send_if_modified(|(published, _)| {
            let is_later = number > *published;
            *published = number.max(*published);
            is_later
        });
    }

    /// Notes that no other snapshot comes: the gateway stops.
    pub fn published_last(&self) {
        self.published.send_modify(|(_, is_last)| *is_last = true);
    }

    /// Does an operation where it may block, and waits until what it changed serves. If other gateways can be asked, it knows of
    /// their changes, and they can know of it.
    ///
    /// # Errors
    /// If it is not done, or the gateway stops before it serves: then it counts after the next start.
    pub async fn operate<T: Send + 'static>(
        self: &Arc<Self>,
        operation: impl FnOnce(&Self) -> Result<T, NotDone> + Send + 'static,
    ) -> Result<T, NotDone> {
        self.spread.wait().await;
        let own = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || operation(&own)).await.map_err(|_ended| NotDone::Stopping)??;
        if self.spread.untold() > 0 {
            self.spread.wait().await;
        }
        let number = *self.changed.borrow();
        let mut published = self.published.subscribe();
        let waited = published.wait_for(|(published, is_last)| *published >= number || *is_last).await;
        let serves = waited.is_ok_and(|published| published.0 >= number);
        if serves { Ok(done) } else { Err(NotDone::Stopping) }
    }

    /// Whether another process writes to the folder, so that this one should look whether it has ended.
    #[must_use]
    pub fn is_follower(&self) -> bool {
        // Busy: somebody is changing something, so that it is ours.
        let Ok(writer) = self.writer.try_lock() else { return false };
        writer.log.as_ref().is_ok_and(|log| !log.is_ours())
    }

    /// Takes the folder over if the process that wrote to it has ended. Blocks on the disk.
    pub fn take_over(&self) {
        if let Err(NotDone::NotSaved(why)) = self.begin().map(drop) {
            tracing::debug!(why, "another process keeps the keys and groups");
        }
    }

    /// Begins a change: the right to make it.
    fn begin(&self) -> Result<MutexGuard<'_, Writer>, NotDone> {
        let mut writer = self.lock_writer();
        let Writer { log, marks, outbox } = &mut *writer;
        let log = log.as_mut().map_err(|why| NotDone::NotSaved(why.clone()))?;
        if !log.is_ours() {
            let kept = take_over(log, Kept::new(outbox.is_some()))?;
            if let Some(outbox) = outbox {
                *outbox = spread::Outbox::new(&kept, Some(log.folder()));
            }
            let Kept { list, groups: managed, marks: found } = kept;
            *marks = found;
            self.registry.replace(list);
            self.change_groups(|groups| *groups = managed);
            tracing::info!(folder = %log.folder().display(), "this gateway keeps the keys and groups from now on");
        }
        if log.is_gone() {
            let folder = log.folder().display().to_string();
            self.write_all(marks, |all| log.restore(all)).map_err(|error| not_saved(&error))?;
            tracing::warn!(
                folder,
                "the folder or the file of keys and groups was removed, replaced or cut while the gateway served; the gateway wrote it anew"
            );
        }
        Ok(writer)
    }

    /// Makes a change that was checked. Other gateways are told of it.
    fn make(&self, mut writer: MutexGuard<'_, Writer>, change: Change) -> Result<(), NotDone> {
        if let Some(SameText(other)) = self.same_text(&change) {
            return Err(NotDone::Conflict(format!("a key has the same text as the key {other}")));
        }
        let (name, shares) = (change.name(), writer.outbox.is_some());
        let known = self.state(&writer.marks, &name).map(|state| state.mark);
        let mark = match known {
            None => Mark::NEW,
            // Nobody else knows it, so that nobody needs to know how often it was changed.
            Some(mark) if mark.base == 0 && !shares => Mark::NEW,
            Some(mark) => Mark { revision: mark.revision + 1, base: mark.base, gone: None },
        };
        let is_remembered = change.is_deletion() && mark != Mark::NEW;
        let mark = Mark { gone: is_remembered.then(now), ..mark };
        self.commit(&mut writer, vec![Marked { change, mark }])?;
        if let Some(outbox) = &mut writer.outbox {
            outbox.add(name);
            self.spread.due(outbox.len());
        }
        Ok(())
    }

    /// Another key that has a text of the key that a change is of.
    fn same_text(&self, change: &Change) -> Option<SameText> {
        let Change::Key(key) = change else { return None };
        let hashes = [Some(key.hash), key.previous.as_ref().map(|previous| previous.hash)];
        let mut others = hashes.into_iter().flatten().filter_map(|hash| self.registry.find(&hash));
        others.find(|other| other.id != key.id).map(|other| SameText(other.id.clone()))
    }

    /// Writes changes to the disk; then they take effect.
    fn commit(&self, writer: &mut Writer, changes: Vec<Marked>) -> Result<(), NotDone> {
        let Writer { log, marks, .. } = writer;
        let log = log.as_mut().map_err(|why| NotDone::NotSaved(why.clone()))?;
        log.append(&changes, true).map_err(|error| not_saved(&error))?;
        let mut groups = Vec::new();
        for Marked { change, mark } in changes {
            marks.note(&change, mark);
            match change {
                Change::Key(key) => {
                    // Nobody else changes keys meanwhile, and it was checked, so that this is not reached.
                    if let Err(SameText(other)) = self.registry.put(key) {
                        tracing::error!(key = %other, "another key has the same text; it does not count");
                    }
                }
                Change::DeletedKey(id) => drop(self.registry.remove(&id)),
                group => groups.push(group),
            }
        }
        if !groups.is_empty() {
            self.change_groups(|managed| {
                for change in groups {
                    match change {
                        Change::Group(group) => drop(managed.insert(group.name.clone(), group)),
                        Change::DeletedGroup(name) => drop(managed.shift_remove(&name)),
                        Change::Key(_) | Change::DeletedKey(_) => {}
                    }
                }
            });
        }
        self.shorten(log, marks);
        Ok(())
    }

    /// Writes the log anew if most of its lines have been replaced by later ones.
    fn shorten(&self, log: &mut Log, marks: &mut Marks) {
        let needed = self.registry.len() + self.lock_groups().managed.len() + marks.count_gone();
        if !log.is_long(needed) {
            return;
        }
        marks.prune(now());
        if let Err(error) = self.write_all(marks, |all| log.rewrite(all)) {
            tracing::warn!(%error, folder = %log.folder().display(), "the changes of keys cannot be written in a shorter form");
        }
    }

    fn change_groups(&self, change: impl FnOnce(&mut IndexMap<String, ManagedGroup>)) {
        let mut groups = self.lock_groups();
        change(&mut groups.managed);
        groups.changed();
        drop(groups);
        self.changed.send_modify(|number| *number += 1);
    }

    fn joined(&self) -> Joined {
        self.lock_groups().joined().clone()
    }

    fn lock_groups(&self) -> MutexGuard<'_, Groups> {
        // Whoever panicked while it held the lock had changed all or nothing.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the log over from a process that has ended.
fn take_over(log: &mut Log, mut kept: Kept) -> Result<Kept, NotDone> {
    match log.take_over(|change| kept.take(change)) {
        Ok(true) => Ok(kept),
        Ok(false) => Err(NotDone::NotSaved(format!(
            "another gateway with this configuration keeps the keys and groups in {}: ask that one, or give this one another \
             `state_dir`",
            log.folder().display()
        ))),
        Err(error) => Err(NotDone::NotSaved(unreadable(&log.folder().join("changes.log"), &error))),
    }
}

fn not_saved(error: &std::io::Error) -> NotDone {
    NotDone::NotSaved(format!("the change cannot be written to the disk, so that nothing is changed: {error}"))
}

fn unreadable(file: &std::path::Path, error: &LogError) -> String {
    let file = file.display();
    match error {
        LogError::NoFolder(error) | LogError::Io(error) => format!("the keys in {file} cannot be read: {error}"),
        LogError::Damaged(line) => format!(
            "{file}:{line}: this change of keys or groups is damaged, or of a later version, expected the line as it was written: \
             restore the file from a backup, or remove the line; then what it changed does not count, such as that a key is blocked"
        ),
    }
}

#[cfg(test)]
mod tests;
