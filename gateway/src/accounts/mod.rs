//! Keys and groups that operators make while the gateway runs. The gateway keeps them in its state folder (`log`) and in memory,
//! where requests find keys without a lock; those of the configuration file are of the file.
//!
//! A change is checked, written to the disk, and then takes effect: for the next request if it is of a key, with the next
//! snapshot, which the control task publishes at once, if it is of a group. `apply` takes changes from elsewhere.
//!
//! This module must not know: HTTP, snapshots, who asks for a change.

pub mod api;
mod change;
mod fields;
mod groups;
mod keys;
mod log;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tokio::sync::{mpsc, watch};

use crate::config::{Access, Auth, Config, ManagedGroup, Suspended};
use api::NotDone;
pub use change::Change;
use log::{Log, LogError};
pub use show::{MAX_PAGE, Query};
use wasmgate_accounts::{Accounts, KeyList, Registry};

/// Most groups that the gateway keeps itself.
const MAX_GROUPS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct ManagedAccounts {
    registry: Arc<Registry>,
    groups: Mutex<Groups>,
    /// Held from the check of a change until it has taken effect, so that changes are made one after the other.
    writer: Mutex<Writer>,
    /// Counts changes of groups.
    changed: watch::Sender<u64>,
    /// As many of them are in the snapshot that serves, and whether it is the last.
    published: watch::Sender<(u64, bool)>,
}

/// The groups, and what the configuration makes of them.
#[derive(Debug)]
struct Groups {
    managed: IndexMap<String, ManagedGroup>,
    config: Arc<Config>,
    /// `None`: they have changed since.
    joined: Option<Joined>,
    /// The groups whose keys are refused, and why, as it was logged.
    reported: BTreeMap<String, String>,
    /// Whether it was logged that requests need a key and there is none.
    lacks_keys: bool,
}

/// The groups of the file and those of the gateway.
#[derive(Debug, Clone)]
struct Joined {
    access: Access,
    suspended: Arc<[Suspended]>,
}

#[derive(Debug)]
struct Writer {
    /// `Err`: why there is none.
    log: Result<Log, String>,
    /// Whoever wants to know what is changed here.
    followers: Vec<mpsc::UnboundedSender<Change>>,
}

impl ManagedAccounts {
    /// Opens the accounts in a folder. Without one, or if it cannot be made, the gateway serves the keys of the file and takes no
    /// changes.
    ///
    /// # Errors
    /// If there are accounts that cannot be read: whoever is blocked in them must not be valid again.
    pub fn open(folder: Option<PathBuf>, config: Arc<Config>) -> Result<Arc<Self>, String> {
        let (mut list, mut managed) = (KeyList::default(), IndexMap::new());
        let opened = folder.map(|folder| {
            let opened = Log::open(&folder, |change| load(&mut list, &mut managed, change));
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
                    tracing::info!(keys = list.len(), groups = managed.len(), folder = %folder.display(), "keys read");
                }
                Ok(log)
            }
        };
        Ok(Arc::new(Self {
            registry: Arc::new(Registry::new(list)),
            groups: Mutex::new(Groups { managed, config, joined: None, reported: BTreeMap::new(), lacks_keys: false }),
            writer: Mutex::new(Writer { log, followers: Vec::new() }),
            changed: watch::Sender::new(0),
            published: watch::Sender::new((0, false)),
        }))
    }

    /// The keys, for requests.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Whether the gateway keeps any group itself.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        !self.lock_groups().managed.is_empty()
    }

    /// Applies a change that was made elsewhere: it is on the disk and in effect when this returns, or nothing is changed.
    /// A change that is known already may be applied again. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be kept, or a key has the text of another one.
    pub fn apply(&self, change: Change) -> Result<(), NotDone> {
        let mut writer = self.begin()?;
        self.commit(&mut writer, change)
    }

    /// Everything there is, as changes that make it of nothing: groups first. No change is made meanwhile.
    pub fn write_all<T>(&self, write: impl FnOnce(&mut dyn Iterator<Item = Change>) -> T) -> T {
        let groups: Vec<ManagedGroup> = self.lock_groups().managed.values().cloned().collect();
        self.registry.read(|list| {
            // One after the other: a million of them would take as much memory again.
            let keys = list.keys().iter().map(|key| Change::Key((**key).clone()));
            write(&mut groups.into_iter().map(Change::Group).chain(keys))
        })
    }

    /// The changes that operators make here from now on, in their order. Those of `apply` are none of them.
    #[must_use]
    pub fn follow(&self) -> mpsc::UnboundedReceiver<Change> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock_writer().followers.push(sender);
        receiver
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
        groups.joined = None;
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
        self.published.send_replace((number, false));
    }

    /// Notes that no other snapshot comes: the gateway stops.
    pub fn published_last(&self) {
        self.published.send_modify(|(_, is_last)| *is_last = true);
    }

    /// Does an operation where it may block, and waits until what it changed serves.
    ///
    /// # Errors
    /// If it is not done, or the gateway stops before it serves: then it counts after the next start.
    pub async fn operate<T: Send + 'static>(
        self: &Arc<Self>,
        operation: impl FnOnce(&Self) -> Result<T, NotDone> + Send + 'static,
    ) -> Result<T, NotDone> {
        let own = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || operation(&own)).await.map_err(|_ended| NotDone::Stopping)??;
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
        let log = writer.log.as_mut().map_err(|why| NotDone::NotSaved(why.clone()))?;
        if !log.is_ours() {
            self.take_over_log(log)?;
        }
        if log.is_gone() {
            let folder = log.folder().display().to_string();
            self.write_all(|all| log.restore(all)).map_err(|error| not_saved(&error))?;
            tracing::warn!(
                folder,
                "the folder or the file of keys and groups was removed, replaced or cut while the gateway served; the gateway wrote it anew"
            );
        }
        Ok(writer)
    }

    fn take_over_log(&self, log: &mut Log) -> Result<(), NotDone> {
        let (mut list, mut managed) = (KeyList::default(), IndexMap::new());
        let taken = log.take_over(|change| load(&mut list, &mut managed, change));
        match taken {
            Ok(true) => {
                self.registry.replace(list);
                self.change_groups(|groups| *groups = managed);
                tracing::info!(folder = %log.folder().display(), "this gateway keeps the keys and groups from now on");
                Ok(())
            }
            Ok(false) => Err(NotDone::NotSaved(format!(
                "another gateway with this configuration keeps the keys and groups in {}: ask that one, or give this one another \
                 `state_dir`",
                log.folder().display()
            ))),
            Err(error) => Err(NotDone::NotSaved(unreadable(&log.folder().join("changes.log"), &error))),
        }
    }

    /// Makes a change that was checked, and tells those who follow.
    fn make(&self, mut writer: MutexGuard<'_, Writer>, change: Change) -> Result<(), NotDone> {
        self.commit(&mut writer, change.clone())?;
        writer.followers.retain(|follower| follower.send(change.clone()).is_ok());
        Ok(())
    }

    /// Writes a change to the disk; then it takes effect.
    fn commit(&self, writer: &mut Writer, change: Change) -> Result<(), NotDone> {
        if let Change::Key(key) = &change {
            let hashes = [Some(key.hash), key.previous.as_ref().map(|previous| previous.hash)];
            let others = hashes.into_iter().flatten().filter_map(|hash| self.registry.find(&hash));
            if let Some(other) = others.into_iter().find(|other| other.id != key.id) {
                return Err(NotDone::Conflict(format!("the key {} has the same text as the key {}", key.id, other.id)));
            }
        }
        let log = writer.log.as_mut().map_err(|why| NotDone::NotSaved(why.clone()))?;
        log.append(&change).map_err(|error| not_saved(&error))?;
        match change {
            Change::Key(key) => {
                // Nobody else changes keys meanwhile.
                let id = key.id.clone();
                if self.registry.put(key).is_err() {
                    return Err(NotDone::Conflict(format!("the key {id} has the same text as another one")));
                }
            }
            Change::DeletedKey(id) => drop(self.registry.remove(&id)),
            Change::Group(group) => self.change_groups(|groups| drop(groups.insert(group.name.clone(), group))),
            Change::DeletedGroup(name) => self.change_groups(|groups| drop(groups.shift_remove(&name))),
        }
        let needed = self.registry.len() + self.lock_groups().managed.len();
        if log.is_long(needed)
            && let Err(error) = self.write_all(|all| log.rewrite(all))
        {
            tracing::warn!(%error, folder = %log.folder().display(), "the changes of keys cannot be written in a shorter form");
        }
        Ok(())
    }

    fn change_groups(&self, change: impl FnOnce(&mut IndexMap<String, ManagedGroup>)) {
        let mut groups = self.lock_groups();
        change(&mut groups.managed);
        groups.joined = None;
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

impl Groups {
    fn joined(&mut self) -> &Joined {
        let (managed, config) = (&self.managed, &self.config);
        self.joined.get_or_insert_with(|| {
            let managed: Vec<ManagedGroup> = managed.values().cloned().collect();
            let (access, suspended) = config.access.joined(&managed);
            Joined { access, suspended: suspended.into() }
        })
    }

    /// Logs whose keys are refused from now on, and whose are valid again.
    fn report(&mut self, joined: &Joined, registry: &Registry) {
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        for Suspended { name, reason } in &*joined.suspended {
            refused.insert(name.clone(), reason.clone());
        }
        registry.read(|list| {
            for (name, _) in list.groups() {
                if joined.access.accounts.position(name).is_none() && !refused.contains_key(name) {
                    refused.insert(name.to_owned(), "there is no such group".to_owned());
                }
            }
            for (group, reason) in refused.iter().filter(|(group, _)| !self.reported.contains_key(*group)) {
                let keys = list.count_of(group);
                // A group of the same name in the file takes the place of the gateway's.
                match joined.access.accounts.position(group) {
                    Some(_) => tracing::warn!(group, keys, reason, "a group that the gateway keeps does not count"),
                    None => {
                        tracing::warn!(group, keys, reason, "the keys of a group are refused; none of them is lost")
                    }
                }
            }
        });
        for group in self.reported.keys().filter(|group| !refused.contains_key(*group)) {
            tracing::info!(group, "a group that the gateway keeps can be used again");
        }
        self.reported = refused;
        let access = &joined.access;
        let lacks_keys = access.auth == Auth::Required && access.accounts.has_no_keys() && registry.is_empty();
        if lacks_keys && !std::mem::replace(&mut self.lacks_keys, lacks_keys) {
            tracing::warn!("requests need a key and there is none: `wasmgate keys new --group GROUP` makes one");
        }
    }
}

impl Joined {
    fn accounts(&self) -> &Accounts {
        &self.access.accounts
    }
}

/// Adds a change to what a start reads.
fn load(list: &mut KeyList, groups: &mut IndexMap<String, ManagedGroup>, change: Change) {
    match change {
        Change::Key(key) => drop(list.put(key)),
        Change::Group(group) => drop(groups.insert(group.name.clone(), group)),
        Change::DeletedKey(id) => drop(list.remove(&id)),
        Change::DeletedGroup(name) => drop(groups.shift_remove(&name)),
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
