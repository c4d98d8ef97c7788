//! What all lines up to a position say: the history of each group, and the requests that were in flight. Written as a snapshot,
//! it replaces the reading of these lines at a start.
//!
//! A snapshot is `SEGMENT-OFFSET.sums`, of checked lines as in a segment: what it covers and how much it has, each group, each
//! request in flight. It is written under a temporary name, synced and renamed. The newest two are kept.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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
    /// By name.
    pub(crate) groups: HashMap<String, History>,
    /// Requests in flight, by id.
    pub(crate) open: HashMap<String, Reserved>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename = "sums")]
struct Head {
    groups: usize,
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
        match self.groups.get_mut(&entry.group) {
            Some(history) => history.add(entry.at, entry.used()),
            None => self.groups.entry(entry.group.clone()).or_default().add(entry.at, entry.used()),
        }
    }

    /// Takes a request in that was admitted.
    pub(crate) fn reserve(&mut self, reserved: Reserved) {
        self.open.insert(reserved.request.clone(), reserved);
    }

    /// Writes it as the snapshot of a position, and deletes older ones.
    pub(crate) fn save(&self, folder: &Path, at: Position) -> io::Result<()> {
        let mut text = Vec::new();
        line::write(&Head { groups: self.groups.len(), open: self.open.len() }, &mut text);
        for (name, history) in &self.groups {
            line::write(&Group { name: name.clone(), history }, &mut text);
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
    for _ in 0..head.groups {
        let Group { name, history } = serde_json::from_slice(next()?).ok()?;
        book.groups.insert(name, history);
    }
    for _ in 0..head.open {
        book.reserve(serde_json::from_slice(next()?).ok()?);
    }
    let is_whole = book.groups.len() == head.groups && book.open.len() == head.open;
    (lines.next().is_none() && is_whole).then_some(book)
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
