//! What all lines up to a position say: the history of each group, and the requests that were in flight. Written as a snapshot,
//! it replaces the reading of these lines at a start.
//!
//! A snapshot is `SEGMENT-OFFSET.sums`, of checked lines as in a segment: what it covers and how much it has, each group, each
//! request in flight. It is written under a temporary name, synced and renamed. The newest two are kept.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmgate_base::history::History;

use crate::entry::{Entry, Reserved};
use crate::segment::Position;
use crate::{files, line};

const SUMS: &str = ".sums";
/// Snapshots that are kept: the second, if the first is damaged.
const KEPT: usize = 2;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// What counted in each group, by its name: requests of its own keys and of those below it. Whoever copies the book copies only
    /// what changes later.
    pub(crate) counted: HashMap<String, Arc<History>>,
    /// Requests of each group's own keys whose lines do not say which groups were above it.
    pub(crate) groups: HashMap<String, Arc<History>>,
    /// Requests in flight, by id.
    pub(crate) open: HashMap<String, Reserved>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename = "sums")]
struct Head {
    groups: usize,
    /// Absent in snapshots of before, which have none. An older gateway takes a snapshot that has some for damaged.
    #[serde(default)]
    counted: usize,
    open: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename = "group")]
struct Group<H> {
    name: String,
    history: H,
}

/// A snapshot on the disk.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Position,
    pub(crate) path: PathBuf,
}

impl Book {
    /// Takes an entry in.
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.open.remove(&entry.request);
        match entry.groups() {
            Some(groups) => groups.for_each(|group| add(&mut self.counted, group, entry)),
            None => add(&mut self.groups, &entry.group, entry),
        }
    }

    /// Takes a request in that was admitted.
    pub(crate) fn reserve(&mut self, reserved: Reserved) {
        self.open.insert(reserved.request.clone(), reserved);
    }

    /// Writes it as the snapshot of a position, and deletes older ones.
    pub(crate) fn save(&self, folder: &Path, at: Position) -> io::Result<()> {
        let mut text = Vec::new();
        let (groups, counted) = (self.groups.len(), self.counted.len());
        line::write(&Head { groups, counted, open: self.open.len() }, &mut text);
        for (name, history) in self.groups.iter().chain(&self.counted) {
            line::write(&Group { name: name.clone(), history: &**history }, &mut text);
        }
        self.open.values().for_each(|reserved| line::write(reserved, &mut text));
        let path = folder.join(format!("{:08}-{:012}{SUMS}", at.segment, at.offset));
        let temporary = files::temporary(&path);
        let mut file = files::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        files::sync_folder(folder)?;
        for old in snapshots(folder)?.into_iter().skip(KEPT) {
            fs::remove_file(old.path)?;
        }
        Ok(())
    }

    /// Reads a snapshot; its length in bytes, and `None` if it is not complete and intact.
    pub(crate) fn load(path: &Path) -> io::Result<(u64, Option<Self>)> {
        let text = fs::read(path)?;
        Ok((text.len() as u64, parse(&text)))
    }
}

fn parse(text: &[u8]) -> Option<Book> {
    let mut lines = text.strip_suffix(b"\n")?.split(|byte| *byte == b'\n').map(line::text);
    let mut next = || lines.next().flatten();
    let head: Head = serde_json::from_slice(next()?).ok()?;
    let mut book = Book::default();
    for (count, of) in [(head.groups, &mut book.groups), (head.counted, &mut book.counted)] {
        for _ in 0..count {
            let Group { name, history } = serde_json::from_slice(next()?).ok()?;
            of.insert(name, Arc::new(history));
        }
        if of.len() != count {
            return None;
        }
    }
    for _ in 0..head.open {
        book.reserve(serde_json::from_slice(next()?).ok()?);
    }
    (lines.next().is_none() && book.open.len() == head.open).then_some(book)
}

fn add(histories: &mut HashMap<String, Arc<History>>, group: &str, entry: &Entry) {
    let history = match histories.get_mut(group) {
        Some(history) => history,
        None => histories.entry(group.to_owned()).or_default(),
    };
    Arc::make_mut(history).add(entry.at, entry.used());
}

/// All snapshots, the newest first.
pub(crate) fn snapshots(folder: &Path) -> io::Result<Vec<Snapshot>> {
    let mut found = Vec::new();
    for name in files::names(folder)? {
        let position = name.strip_suffix(SUMS).and_then(|name| name.split_once('-'));
        if let Some((segment, offset)) = position
            && let (Ok(segment), Ok(offset)) = (segment.parse(), offset.parse())
        {
            found.push(Snapshot { at: Position { segment, offset }, path: folder.join(name) });
        }
    }
    found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
    Ok(found)
}
