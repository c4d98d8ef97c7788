//! The state that survives a restart: the components of good versions, by digest, and the state of each slot. If the
//! files are broken at the next start, the gateway serves what served before.
//!
//! The store writes and syncs a component before the state that names it. It writes each file under a temporary name,
//! then renames it. So whenever the process or the machine stops, the state on the disk is complete and so is all that
//! it names.
//!
//! One process at a time writes to a folder: it holds the lock `lock` in it, and the kernel frees the lock when the process
//! ends. A second process reads the state and serves, but each of its writes is an error that says so. If the lock becomes
//! free and nobody has changed the state since this process read it, the next write takes the lock over.
//!
//! This module must not know: when a version is good. Its calls block.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use serde::{Deserialize, Serialize};

use super::prices::Kept;
use crate::rollout::api::Event;
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::SlotState;
use wasmgate_base::digest::sha256;
use wasmgate_base::paths::configuration_folder;

/// Format of the state file. The store refuses any other.
const FORM: u32 = 1;
/// Minimum age before a component that no state names is deleted: a state that names it may be about to be written.
const KEPT: Duration = Duration::from_secs(3600);

/// The state folder of one configuration.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
    claim: Arc<Mutex<Claim>>,
}

/// The right to write to the folder.
#[derive(Debug)]
enum Claim {
    /// Held: the file is locked while it is open.
    Held { lock: File },
    /// Not held when this process opened the folder, most likely by another one's lock; the state's digest at that moment.
    Refused { read: Option<String> },
}

/// The content of the state file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    form: u32,
    /// All slots.
    pub(super) places: BTreeMap<Slot, SlotState>,
    /// The last events, oldest first.
    pub(super) history: Vec<Event>,
    /// Names of policies that have denied a request without declaring that they can.
    #[serde(default)]
    pub(super) denied: BTreeSet<String>,
    /// The file of prices that is in force.
    #[serde(default)]
    pub(super) prices: Option<Kept>,
}

impl State {
    /// A state in the current format.
    pub(super) fn new(places: BTreeMap<Slot, SlotState>, history: Vec<Event>, denied: BTreeSet<String>) -> Self {
        Self { form: FORM, places, history, denied, prices: None }
    }

    /// The same, with the file of prices that is in force.
    pub(super) fn with_prices(self, prices: Option<Kept>) -> Self {
        Self { prices, ..self }
    }

    /// Digests of all components and fixtures, and of the file of prices, that the state names.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        let blobs = self.places.values().flat_map(SlotState::revisions).flat_map(|revision| revision.spec.blobs());
        blobs.chain(self.prices.iter().map(|kept| kept.digest.as_str())).collect()
    }
}

impl Store {
    /// Opens a configuration's folder in `state_dir`, creating it if it does not exist. Refuses a folder that another
    /// user can write to, because the gateway runs the policies in it.
    pub(super) fn open(state_dir: &Path, config: Option<&Path>) -> io::Result<Self> {
        let folder = configuration_folder(state_dir, config)?;
        create(&folder)?;
        let metadata = fs::metadata(&folder)?;
        let ours = rustix::process::geteuid().as_raw();
        if metadata.uid() != ours || metadata.mode() & 0o022 != 0 {
            let message = format!(
                "{}: owner {} and mode {:o}, expected owner {ours} and no write permission for group or others",
                folder.display(),
                metadata.uid(),
                metadata.mode() & 0o7777
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        // A folder that cannot be locked, such as a read-only one, can still be read; the first write says why it fails.
        let claim = match lock(&folder) {
            Ok(Some(lock)) => Claim::Held { lock },
            Ok(None) | Err(_) => Claim::Refused { read: state_digest(&folder)? },
        };
        Ok(Self { folder, claim: Arc::new(Mutex::new(claim)) })
    }

    /// Whether this process may write: it holds the folder's lock, or takes it now.
    fn claim(&self) -> io::Result<()> {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.folder.display();
        let read = match &*claim {
            Claim::Held { lock } if is_at(lock, &self.folder.join("lock")) => return Ok(()),
            Claim::Held { .. } => {
                create(&self.folder)?;
                tracing::warn!(
                    %folder,
                    "the state folder was deleted while the gateway served; the gateway made it anew. Versions from before are \
                     not in it: operators cannot roll back to them"
                );
                &None
            }
            Claim::Refused { read } => read,
        };
        let Some(lock) = lock(&self.folder)? else {
            return Err(io::Error::other(format!(
                "another gateway with this configuration holds {folder}/lock; this one reads the state there and does not \
                 write it: stop one of the two, or give one of them another `state_dir`"
            )));
        };
        if *read != state_digest(&self.folder)? {
            return Err(io::Error::other(format!(
                "another gateway with this configuration changed the state in {folder} after this one had read it: \
                 restart this gateway, so that it takes that state over"
            )));
        }
        *claim = Claim::Held { lock };
        Ok(())
    }

    /// The folder's path, for messages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn component(&self, digest: &str) -> PathBuf {
        self.folder.join("components").join(digest)
    }

    /// Stores bytes under their digest.
    pub(super) fn put(&self, digest: &str, bytes: &[u8]) -> io::Result<()> {
        self.claim()?;
        let path = self.component(digest);
        if self.get(digest).is_some() {
            return Ok(());
        }
        replace(&path, bytes)
    }

    /// The bytes with this digest; `None` if they are missing or damaged.
    pub(super) fn get(&self, digest: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(self.component(digest)).ok()?;
        (sha256(&bytes) == digest).then_some(bytes)
    }

    /// Saves the state, and deletes old components that it does not name.
    pub(super) fn save(&self, state: &State) -> io::Result<()> {
        self.claim()?;
        let text = serde_json::to_vec_pretty(state).map_err(io::Error::other)?;
        replace(&self.folder.join("state.json"), &text)?;
        let names = state.names();
        for entry in fs::read_dir(self.folder.join("components"))?.flatten() {
            let old = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > KEPT));
            if old && !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// The saved state; `None` if there is none yet.
    pub(super) fn load(&self) -> io::Result<Option<State>> {
        let text = match fs::read(self.folder.join("state.json")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let state: State = serde_json::from_slice(&text).map_err(io::Error::other)?;
        if state.form != FORM {
            return Err(io::Error::other(format!("state.json has form {}, expected {FORM}", state.form)));
        }
        Ok(Some(state))
    }
}

/// Creates the folder with the one for components in it.
fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder.join("components"))
}

/// Whether an open file is the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |open: fs::Metadata, there: fs::Metadata| (open.dev(), open.ino()) == (there.dev(), there.ino());
    file.metadata().is_ok_and(|open| fs::metadata(path).is_ok_and(|there| same(open, there)))
}

/// Locks a folder for this process; `None` if another process holds the lock.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join("lock");
    let file = File::options().create(true).append(true).mode(0o600).open(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(io::Error::other(format!("cannot lock {}: {error}", path.display()))),
    }
}

/// The digest of the state file; `None` if there is none.
fn state_digest(folder: &Path) -> io::Result<Option<String>> {
    match fs::read(folder.join("state.json")) {
        Ok(text) => Ok(Some(sha256(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file atomically: at any moment the path has the old content or the new. After the call the new content
/// survives a crash. Only the process that holds the lock calls this, so the temporary name needs no process id, and the
/// next call replaces what a crash left behind.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_again_and_what_was_spoilt_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), None).unwrap();
        assert!(store.load().unwrap().is_none());
        let digest = sha256(b"component");
        store.put(&digest, b"component").unwrap();
        store.save(&State::new(BTreeMap::new(), Vec::new(), BTreeSet::new())).unwrap();
        drop(store);
        let store = Store::open(folder.path(), None).unwrap();
        assert_eq!(store.get(&digest).unwrap(), b"component");
        assert!(store.load().unwrap().is_some());
        // Somebody replaced the stored component.
        fs::write(store.component(&digest), b"another").unwrap();
        assert_eq!(store.get(&digest), None);
        store.put(&digest, b"component").unwrap();
        assert_eq!(store.get(&digest).unwrap(), b"component", "put back");
    }

    #[test]
    fn one_process_writes_at_a_time_and_a_second_takes_over_what_it_has_seen() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), None).unwrap();
        let state = |detail: &str| {
            let event = Event {
                at: wasmgate_base::time::now(),
                slot: None,
                event: "test".into(),
                by: "test".into(),
                policy: None,
                digest: None,
                revision: None,
                detail: detail.into(),
            };
            State::new(BTreeMap::new(), vec![event], BTreeSet::new())
        };
        let first = open();
        first.save(&state("one")).unwrap();
        // The lock belongs to the open file, so that two stores of one process are like those of two.
        let (second, third) = (open(), open());
        let digest = sha256(b"component");
        for refused in [second.save(&state("two")), second.put(&digest, b"component")] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("another gateway") && error.contains("lock"), "{error}");
        }
        assert_eq!(second.load().unwrap().unwrap().history[0].detail, "one", "it reads the state");
        drop(first);
        second.save(&state("two")).unwrap();
        drop(second);
        let error = third.save(&state("three")).unwrap_err().to_string();
        assert!(error.contains("restart this gateway"), "{error}");
        assert_eq!(open().load().unwrap().unwrap().history[0].detail, "two");
    }

    #[test]
    fn a_folder_that_is_deleted_while_it_is_used_is_made_anew_and_locked() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), None).unwrap();
        let state = || State::new(BTreeMap::new(), Vec::new(), BTreeSet::new());
        let store = open();
        store.save(&state()).unwrap();
        fs::remove_dir_all(&store.folder).unwrap();
        let digest = sha256(b"component");
        store.put(&digest, b"component").unwrap();
        store.save(&state()).unwrap();
        assert_eq!(store.get(&digest).unwrap(), b"component");
        assert!(open().save(&state()).unwrap_err().to_string().contains("another gateway"), "it is locked");
    }

    #[test]
    fn a_state_that_is_none_is_an_error_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), None).unwrap();
        for text in ["", "{", "{\"form\": 99, \"places\": {}, \"history\": []}"] {
            fs::write(store.folder.join("state.json"), text).unwrap();
            assert!(store.load().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), None).unwrap();
        fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = Store::open(folder.path(), None).unwrap_err();
        assert!(error.to_string().contains("no write permission"), "{error}");
    }

    #[test]
    fn two_configurations_have_states_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one/gate.toml"), folder.path().join("two/gate.toml"));
        for file in [&one, &two] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let stores = [&one, &two].map(|file| Store::open(&folder.path().join("state"), Some(file)).unwrap());
        assert_ne!(stores[0].folder(), stores[1].folder());
    }
}
