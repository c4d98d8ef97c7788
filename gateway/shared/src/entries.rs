//! Entries that all gateways know: each has a name, a revision and a text. They lie in the server in the order in which they last
//! changed, so that a gateway asks for what has changed since it last asked, in pages.
//!
//! A write counts only if the gateway knew what is in the server (compare and set, `entries_write.lua`). Which of two changes
//! counts that were made apart is decided by whoever uses this.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, Value};

use crate::address::Address;
use crate::link::{Fault, Server, connect, load};

const READ: &str = include_str!("entries_read.lua");
const WRITE: &str = include_str!("entries_write.lua");

/// Most entries of a page, and of one message that tells some.
pub const ENTRIES_TOGETHER: usize = 500;

/// An entry as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How often it was changed, 1 or more.
    pub revision: u64,
    /// What it is.
    pub text: String,
}

/// An entry as a gateway has it, to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it is.
    pub entry: Entry,
    /// The revision that the gateway last knew to be in the server; 0: none.
    pub base: u64,
    /// Whether it says that something is deleted: such an entry is forgotten after a while.
    pub deleted: bool,
}

/// A part of what has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// When the set of entries was made, in milliseconds since 1970: another time, another set.
    pub born: i64,
    /// The server's time, in milliseconds since 1970.
    pub now: i64,
    /// The number of the last change in the page, or the given one. There may be more behind it.
    pub through: u64,
    /// The number of the last change of all.
    pub changed: u64,
    /// The entries, in the order of their last changes.
    pub entries: Vec<Entry>,
}

/// A connection to the server for entries.
pub struct Entries {
    connection: MultiplexedConnection,
    keys: [String; 4],
    read: String,
    write: String,
    /// How long deleted entries are remembered, in milliseconds.
    remembered: u128,
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Entries {
    /// Connects. Each step may take as long as `deadline`. `prefix`: the beginning of all keys. `set`: which set of entries.
    /// `remembered`: how long deleted entries are remembered.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn open(
        address: &Address,
        deadline: Duration,
        (prefix, set): (&str, &str),
        remembered: Duration,
    ) -> Result<(Self, Server), Fault> {
        let mut connection = connect(address, deadline).await?;
        let (read, write) = (load(&mut connection, READ).await?, load(&mut connection, WRITE).await?);
        let server = Server::of(&mut connection).await;
        // The part in braces decides which server of a cluster has them: all four are on one.
        let keys = ["meta", "order", "texts", "gone"].map(|part| format!("{prefix}:{{{set}}}:{part}"));
        Ok((Self { connection, keys, read, write, remembered: remembered.as_millis() }, server))
    }

    /// What has changed behind the change of number `since`; at most a page.
    ///
    /// # Errors
    /// If there is no answer in time, or it is none.
    pub async fn read(&self, since: u64) -> Result<Page, Fault> {
        let [meta, order, texts, _] = &self.keys;
        let mut command = Cmd::new();
        command.arg("EVALSHA").arg(&self.read).arg(3).arg(meta).arg(order).arg(texts);
        command.arg(since).arg(ENTRIES_TOGETHER);
        let value = self.connection.clone().req_packed_command(&command).await?;
        let texts: Vec<String> = redis::from_redis_value(value).map_err(|error| Fault::new(error.to_string()))?;
        page(since, &texts).ok_or_else(|| Fault::new("an answer that is no page of entries".to_owned()))
    }

    /// Tells entries. For each: `None` if the server has it now, else what it has in its place.
    ///
    /// # Errors
    /// If there is no answer in time. Whoever tells them again changes nothing twice.
    pub async fn write(&self, told: &[Told]) -> Result<Vec<Option<Entry>>, Fault> {
        let mut answers = Vec::with_capacity(told.len());
        for told in told.chunks(ENTRIES_TOGETHER) {
            let mut pipeline = Pipeline::with_capacity(told.len());
            for Told { entry, base, deleted } in told {
                let command = pipeline.cmd("EVALSHA").arg(&self.write).arg(self.keys.len());
                for key in &self.keys {
                    command.arg(key);
                }
                command.arg(&entry.name).arg(base).arg(entry.revision).arg(&entry.text);
                command.arg(u8::from(*deleted)).arg(self.remembered.to_string());
            }
            let values = self.connection.clone().req_packed_commands(&pipeline, 0, told.len()).await?;
            if values.len() != told.len() {
                return Err(Fault::new(format!("{} answers to {} entries", values.len(), told.len())));
            }
            for (value, told) in values.into_iter().zip(told) {
                answers.push(answer(value, &told.entry.name)?);
            }
        }
        Ok(answers)
    }
}

fn answer(value: Value, name: &str) -> Result<Option<Entry>, Fault> {
    if let Value::ServerError(error) = &value {
        return Err(Fault::new(format!("{error:?}")));
    }
    let text: String = redis::from_redis_value(value).map_err(|error| Fault::new(error.to_string()))?;
    if text.is_empty() {
        return Ok(None);
    }
    let entry = entry(name, &text).ok_or_else(|| Fault::new(format!("{name} has no revision in the server")))?;
    Ok(Some(entry))
}

fn entry(name: &str, text: &str) -> Option<Entry> {
    let (revision, text) = text.split_once(' ')?;
    Some(Entry { name: name.to_owned(), revision: revision.parse().ok()?, text: text.to_owned() })
}

fn page(since: u64, texts: &[String]) -> Option<Page> {
    let (head, rest) = texts.split_at_checked(3)?;
    let (parts, []) = rest.as_chunks::<3>() else { return None };
    let through = parts.last().map_or(Some(since), |[_, number, _]| number.parse().ok())?;
    let entries = parts.iter().map(|[name, _, text]| entry(name, text)).collect::<Option<_>>()?;
    let [born, now, changed] = head else { return None };
    Some(Page { born: born.parse().ok()?, now: now.parse().ok()?, through, changed: changed.parse().ok()?, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_whole_or_not_at_all() {
        let read = |texts: &[&str]| page(4, &texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let found = read(&["1", "2", "9", "k:a", "5", "3 {\"x y\"}", "k:b", "9", "1 z"]).expect("a page");
        assert_eq!((found.through, found.changed, found.entries.len()), (9, 9, 2));
        let first = Entry { name: "k:a".into(), revision: 3, text: "{\"x y\"}".into() };
        assert_eq!(found.entries[0], first);
        assert_eq!(read(&["1", "2", "9"]).expect("an empty page").through, 4);
        for wrong in [&["1", "2"][..], &["1", "2", "9", "k:a"], &["1", "2", "9", "k:a", "5", "z"], &["a", "2", "9"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
