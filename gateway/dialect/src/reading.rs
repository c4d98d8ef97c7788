//! What the reader of one request keeps besides the chat: the bounds, and the fields that the other dialects lack.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::chat::Chat;
use crate::fields::{self, Found, Hint, Hints};
use crate::json::{self, BadRequest, Most, Path, is_null};
use crate::types::{Bounds, Dialect};

/// Most fields whose names a reader remembers.
const MAX_NAMES: usize = 8;

/// Maximum of stop sequences. Providers allow four to some dozens.
const MAX_STOPS: usize = 1024;

/// One request that is being read.
#[derive(Debug)]
pub(super) struct Reading<'b> {
    bounds: &'b Bounds,
    dialect: Dialect,
    /// Parts so far.
    parts: usize,
    /// The path of the first content without a counterpart.
    unportable: Option<String>,
    /// The first value that the reader does not understand.
    misread: Option<BadRequest>,
    /// Hints that `Chat` has no field for.
    unread: Hints,
    /// Names of fields that `unread` does not tell.
    names: Vec<Cow<'static, str>>,
}

impl<'b> Reading<'b> {
    pub(super) fn new(dialect: Dialect, bounds: &'b Bounds) -> Self {
        Self { bounds, dialect, parts: 0, unportable: None, misread: None, unread: Hints::default(), names: Vec::new() }
    }

    /// Admits one more message after `before` others.
    pub(super) fn message(&self, path: &Path<'_>, before: usize) -> Result<(), BadRequest> {
        admit(path, "message", before, self.bounds.messages)
    }

    /// Admits one more part: a text, an image, a tool call or a tool's result.
    pub(super) fn part(&mut self, path: &Path<'_>) -> Result<(), BadRequest> {
        admit(path, "part", self.parts, self.bounds.parts)?;
        self.parts += 1;
        Ok(())
    }

    /// The maximum of prompts, each of which counts as a message.
    pub(super) fn prompts(&self) -> Most<'static> {
        Most { what: "prompt", limit: self.bounds.messages, left: self.bounds.messages }
    }

    /// The maximum of parts in one more array of them; each part is still to be admitted.
    pub(super) fn parts(&self) -> Most<'static> {
        Most { what: "part", limit: self.bounds.parts, left: self.bounds.parts - self.parts }
    }

    /// The request's tools.
    pub(super) fn tools<'a>(&self, path: &Path<'_>, raw: &'a RawValue) -> Result<Vec<&'a RawValue>, BadRequest> {
        let limit = self.bounds.tools;
        json::array(path, raw, Most { what: "tool", limit, left: limit })
    }

    /// Admits one more tool after `before` others, where an array of tools may hold further arrays.
    pub(super) fn tool(&self, path: &Path<'_>, before: usize) -> Result<(), BadRequest> {
        admit(path, "tool", before, self.bounds.tools)
    }

    /// Notes content without a counterpart: the request cannot be translated.
    pub(super) fn refuse(&mut self, path: &Path<'_>) {
        self.unportable.get_or_insert_with(|| path.to_string());
    }

    /// What was read of a value; `None` if the reader does not understand it. Servers of one dialect differ in what they take,
    /// and one of the client's own dialect gets the value as it is. So the request is only kept out of the others.
    ///
    /// # Errors
    /// If the value is refused whatever a server takes: it is too long, or has a key twice.
    pub(super) fn tolerate<T>(&mut self, read: Result<T, BadRequest>) -> Result<Option<T>, BadRequest> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) => {
                let path = error.odd_value().map(ToOwned::to_owned);
                let Some(path) = path else { return Err(error) };
                self.unportable.get_or_insert(path);
                self.misread.get_or_insert(error);
                Ok(None)
            }
        }
    }

    /// Notes a hint that `Chat` has no field for.
    pub(super) fn leave_out(&mut self, hint: Hint) {
        self.unread = self.unread.with(hint);
    }

    /// Notes a field that the reader does not know: the table says what it is. A field that the table does not have either
    /// is left out.
    pub(super) fn other(&mut self, path: &Path<'_>, raw: &RawValue) {
        if is_null(raw) {
            return;
        }
        // Some clients mark dozens of blocks.
        if matches!(path, Path::Key(_, "cache_control")) {
            return self.leave_out(Hint::CacheControl);
        }
        match fields::find(self.dialect, path) {
            Some(Found::Content(field)) if !field.says_nothing(raw.get()) => self.refuse(path),
            Some(Found::Hint(hint, pattern)) if !hint.field().says_nothing(raw.get()) => {
                self.leave_out(hint);
                match hint.field().read_in(self.dialect) {
                    [_] if !pattern.ends_with('*') => {}
                    _ if pattern.ends_with('*') => self.remember(|| path.to_string().into()),
                    _ if self.names.iter().all(|name| name != pattern) => self.remember(|| pattern.into()),
                    _ => {}
                }
            }
            Some(_) => {}
            None => {
                self.leave_out(Hint::Other);
                self.remember(|| path.to_string().into());
            }
        }
    }

    fn remember(&mut self, name: impl FnOnce() -> Cow<'static, str>) {
        if self.names.len() < MAX_NAMES {
            self.names.push(name());
        }
    }

    /// Hands over what was noted.
    pub(super) fn finish(self, chat: &mut Chat) {
        (chat.unportable, chat.misread) = (self.unportable, self.misread);
        (chat.unread, chat.unread_names) = (self.unread, self.names);
    }
}

/// The texts at which an answer stops.
pub(super) fn stop(path: &Path<'_>, raw: &RawValue) -> Result<Vec<String>, BadRequest> {
    json::strings(path, raw, Most { what: "stop sequence", limit: MAX_STOPS, left: MAX_STOPS })
}

fn admit(path: &Path<'_>, what: &str, before: usize, limit: usize) -> Result<(), BadRequest> {
    if before < limit { Ok(()) } else { Err(BadRequest::too_many(path, what, limit)) }
}
