//! Exchanges keys and groups with the other gateways of `[shared]`, so that what is changed at one is known at all within a second.
//!
//! Each gateway has all of them, on its disk, and serves without the server. A change is made here first; then the gateway tells it
//! (`exchange`), and asks at short intervals what others have told. Each key and group has a revision (`mark`); the server takes a
//! change only from a gateway that knew what is there. `meet` says what follows otherwise. What could not be told stays in the
//! outbox, over restarts too, because the log has its mark.
//!
//! A gateway compares everything when it connects to a server that it does not know: what it has and the server has not, it
//! tells. So a server that has lost its memory gets all of it back, and gateways that had keys of their own unite them. Only a
//! gateway that was away for longer than deleted keys are remembered drops what the others do not have.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexSet;
use tokio::sync::{Notify, watch};
use wasmgate_accounts::SameText;
use wasmgate_base::time::{UnixSeconds, now};
use wasmgate_shared::{ENTRIES_TOGETHER, Entry, Told};

use super::api::NotDone;
use super::change::Change;
use super::mark::{Kept, Mark, Marked, Marks, Name, REMEMBERED, deletion};
use super::meet::{Met, meet};
use super::{ManagedAccounts, Writer, not_saved};

/// The longest time that the answer to an operator waits for other gateways.
const ANSWER: Duration = Duration::from_secs(1);
/// After this time without the others, in seconds, a gateway does not know what was deleted meanwhile: a day of reserve.
const AWAY: u64 = REMEMBERED - 86_400;
/// How often, in seconds, the gateway notes on the disk that it was not away.
const NOTE: u64 = 600;

/// How the exchange is going. Without other gateways it stays as it begins.
#[derive(Debug)]
pub struct Spread {
    pub(super) wake: Notify,
    pub(super) rounds: watch::Sender<Rounds>,
    untold: AtomicU64,
    conflicts: AtomicU64,
}

/// How often the gateway told and asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rounds {
    pub(super) reached: bool,
    pub(super) begun: u64,
    pub(super) done: u64,
}

impl Default for Spread {
    fn default() -> Self {
        let rounds = watch::Sender::new(Rounds::default());
        Self { wake: Notify::new(), rounds, untold: AtomicU64::new(0), conflicts: AtomicU64::new(0) }
    }
}

impl Spread {
    /// Changes that the others have not been told.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    /// Changes since the start that were made here while others changed the same, and that do not count as they were made.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// So many changes are to be told.
    pub(super) fn due(&self, untold: usize) {
        self.untold.store(untold as u64, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Waits until the gateway has told what is due and knows what others have told, if the server answers soon.
    pub(super) async fn wait(&self) {
        let Rounds { reached: true, begun, .. } = *self.rounds.borrow() else { return };
        let mut rounds = self.rounds.subscribe();
        self.wake.notify_one();
        let done = rounds.wait_for(|rounds| !rounds.reached || rounds.done > begun);
        let _ = tokio::time::timeout(ANSWER, done).await;
    }
}

/// What the other gateways are to be told.
#[derive(Debug)]
pub(super) struct Outbox {
    untold: IndexSet<Name>,
    /// What was sent and not answered: if it is there, it is ours.
    sent: HashMap<Name, (u64, Change)>,
    /// When the gateway last knew all that the others know.
    synced: Option<UnixSeconds>,
    /// Where that is noted, and when it last was.
    file: Option<PathBuf>,
    noted: UnixSeconds,
}

impl Outbox {
    /// The outbox of a gateway that begins with this.
    pub(super) fn new(kept: &Kept, folder: Option<&Path>) -> Self {
        let gone = kept.marks.all_gone();
        let names = (kept.groups.keys().map(|name| Name::Group(name.as_str().into())))
            .chain(kept.list.keys().iter().map(|key| Name::Key(key.id.clone())))
            .chain(gone.iter().map(|gone| gone.change.name()));
        let untold = names.filter(|name| !kept.marks.of(name).is_told()).collect();
        let file = folder.map(|folder| folder.join("synced"));
        let synced = file.as_ref().and_then(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        Self { untold, sent: HashMap::new(), synced, file, noted: 0 }
    }

    pub(super) fn add(&mut self, name: Name) {
        self.untold.insert(name);
    }

    pub(super) fn len(&self) -> usize {
        self.untold.len()
    }
}

impl ManagedAccounts {
    /// What there is of a name, or what is remembered of it.
    pub(super) fn state(&self, marks: &Marks, name: &Name) -> Option<Marked> {
        let change = match name {
            Name::Key(id) => self.registry.read(|list| list.get(id).map(|key| Change::Key((**key).clone()))),
            Name::Group(name) => self.lock_groups().managed.get(&**name).cloned().map(Change::Group),
        };
        match change {
            Some(change) => Some(Marked { change, mark: marks.of(name) }),
            None => marks.gone(name).map(|mark| Marked { change: deletion(name), mark }),
        }
    }

    /// Takes what other gateways told. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be kept; then it is to be given again.
    pub(super) fn take(&self, entries: &[Entry]) -> Result<(), NotDone> {
        let mut writer = self.begin()?;
        let mut batch = Vec::new();
        for entry in entries {
            let change = Change::from_json(entry.text.as_bytes()).ok();
            let Some(theirs) = change.filter(|change| change.name().text() == entry.name) else {
                tracing::error!(
                    entry = entry.name,
                    "another gateway told a change that this version cannot read; it does not count"
                );
                continue;
            };
            batch.extend(self.met(&mut writer, theirs, entry.revision));
        }
        if !batch.is_empty() {
            self.commit(&mut writer, batch)?;
        }
        self.count(&writer);
        Ok(())
    }

    /// What follows from what others have of a name: the change to make here, if any.
    fn met(&self, writer: &mut Writer, theirs: Change, revision: u64) -> Option<Marked> {
        let name = theirs.name();
        let told = Mark { gone: theirs.is_deletion().then(now), ..Mark::told(revision) };
        if let Some(outbox) = &writer.outbox
            && outbox.sent.get(&name).is_some_and(|(sent, change)| *sent == revision && *change == theirs)
        {
            self.arrived(writer, &name, revision);
        }
        let Some(ours) = self.state(&writer.marks, &name) else {
            return self.adopted(Marked { change: theirs, mark: told });
        };
        let met = meet(&ours.change, ours.mark, &theirs, revision);
        let (is_told, outbox) = (ours.mark.is_told(), writer.outbox.as_mut()?);
        if met == Met::Adopt {
            outbox.untold.swap_remove(&name);
        } else {
            outbox.untold.insert(name.clone());
        }
        if !is_told && met != Met::Keep && ours.change != theirs {
            self.spread.conflicts.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                name = name.text(),
                "a key or group was changed here while others changed it too: theirs counts, and of this one what refuses more"
            );
        }
        match met {
            Met::Keep => None,
            Met::Adopt if ours.change == theirs && ours.mark.revision == revision && is_told => None,
            Met::Adopt => self.adopted(Marked { change: theirs, mark: told }),
            Met::Become(change) => {
                let next = revision.max(ours.mark.revision) + 1;
                let gone = change.is_deletion().then(now);
                Some(Marked { change, mark: Mark { revision: next, base: revision, gone } })
            }
        }
    }

    /// What others made, if it can be had here.
    fn adopted(&self, marked: Marked) -> Option<Marked> {
        match self.same_text(&marked.change) {
            None => Some(marked),
            Some(SameText(other)) => {
                let name = marked.change.name().text();
                tracing::error!(name, %other, "another gateway told a key with the text of another key; it does not count");
                None
            }
        }
    }

    /// The others have a revision of this gateway.
    fn arrived(&self, writer: &mut Writer, name: &Name, revision: u64) {
        let Some(Marked { change, mark }) = self.state(&writer.marks, name) else { return };
        let Some(outbox) = &mut writer.outbox else { return };
        outbox.sent.remove(name);
        if mark.base >= revision && !outbox.untold.contains(name) {
            return;
        }
        let mark = Mark { base: mark.base.max(revision), ..mark };
        if mark.is_told() {
            outbox.untold.swap_remove(name);
        }
        writer.marks.set(name.clone(), mark);
        // If it is lost, the change is told once more, which changes nothing.
        if let Ok(log) = &mut writer.log
            && let Err(error) = log.append(&[Marked { change, mark }], false)
        {
            tracing::debug!(%error, "that a change is known to other gateways cannot be noted");
        }
    }

    /// The next changes to tell. Until the server is `settled`, not those that others may know better.
    pub(super) fn due(&self, settled: bool) -> Result<Vec<Told>, NotDone> {
        let mut writer = self.begin()?;
        let Writer { marks, outbox: Some(outbox), .. } = &mut *writer else { return Ok(Vec::new()) };
        let mut due = Vec::new();
        let mut missing = Vec::new();
        for name in &outbox.untold {
            let Some(Marked { change, mark }) = self.state(marks, name) else {
                missing.push(name.clone());
                continue;
            };
            let is_apart = mark.base > 0 && !mark.is_told();
            if is_apart && !settled {
                continue;
            }
            let entry = Entry { name: name.text(), revision: mark.revision, text: change.to_json() };
            due.push(Told { entry, base: mark.base, deleted: change.is_deletion() });
            outbox.sent.insert(name.clone(), (mark.revision, change));
            if due.len() == ENTRIES_TOGETHER {
                break;
            }
        }
        for name in missing {
            outbox.untold.swap_remove(&name);
        }
        Ok(due)
    }

    /// Takes what the server answered to changes: nothing, or what it has in their place.
    pub(super) fn answered(&self, told: &[Told], answers: Vec<Option<Entry>>) -> Result<(), NotDone> {
        let mut writer = self.begin()?;
        for (told, _) in told.iter().zip(&answers).filter(|(_, answer)| answer.is_none()) {
            if let Some(name) = Name::of(&told.entry.name) {
                self.arrived(&mut writer, &name, told.entry.revision);
            }
        }
        let Writer { log, marks, .. } = &mut *writer;
        if let Ok(log) = log {
            self.shorten(log, marks);
        }
        self.count(&writer);
        drop(writer);
        let others: Vec<Entry> = answers.into_iter().flatten().collect();
        if others.is_empty() { Ok(()) } else { self.take(&others) }
    }

    /// The gateway has seen everything that the others have, which is these names. Adds what they lack to what is told; if the
    /// gateway was away for too long, it drops that instead.
    pub(super) fn compared(&self, seen: &HashSet<String>) -> Result<(), NotDone> {
        let mut writer = self.begin()?;
        let is_away = writer.outbox.as_ref().and_then(|outbox| outbox.synced).is_some_and(|at| now() > at + AWAY);
        let all = self.write_all(&writer.marks, |all| all.map(|of| (of.change.name(), of.mark)).collect::<Vec<_>>());
        let (mut dropped, mut lacking) = (Vec::new(), Vec::new());
        for (name, mark) in all.into_iter().filter(|(name, mark)| mark.is_told() && !seen.contains(&name.text())) {
            match is_away && !seen.is_empty() {
                true if mark.gone.is_none() => dropped.push(Marked { change: deletion(&name), mark }),
                true => {}
                false => lacking.push(name),
            }
        }
        if !dropped.is_empty() {
            let count = dropped.len();
            self.commit(&mut writer, dropped)?;
            tracing::warn!(
                count,
                "the gateway was away for so long that keys and groups may have been deleted: those that the others do not have are dropped"
            );
        }
        if let Some(outbox) = &mut writer.outbox {
            outbox.untold.extend(lacking);
        }
        self.count(&writer);
        Ok(())
    }

    /// Whether everything is to be compared because the gateway was away for too long.
    pub(super) fn is_away(&self) -> bool {
        let writer = self.lock_writer();
        writer.outbox.as_ref().and_then(|outbox| outbox.synced).is_some_and(|at| now() > at + AWAY)
    }

    /// Notes that the gateway knows all that the others know.
    pub(super) fn synced(&self) -> Result<(), NotDone> {
        let mut writer = self.lock_writer();
        let Some(outbox) = &mut writer.outbox else { return Ok(()) };
        outbox.synced = Some(now());
        if let Some(file) = &outbox.file
            && now() >= outbox.noted + NOTE
        {
            fs::write(file, format!("{}\n", now())).map_err(|error| not_saved(&error))?;
            outbox.noted = now();
        }
        Ok(())
    }

    fn count(&self, writer: &Writer) {
        let untold = writer.outbox.as_ref().map_or(0, Outbox::len);
        self.spread.untold.store(untold as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
