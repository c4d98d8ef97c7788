//! What the reader of one request keeps besides the chat: the bounds, and the first field without a counterpart in other
//! dialects.

use serde_json::value::RawValue;

use crate::json::{BadRequest, Path, is_null};
use crate::types::Bounds;

/// One request that is being read.
#[derive(Debug)]
pub(super) struct Reading<'b> {
    bounds: &'b Bounds,
    /// Parts so far.
    parts: usize,
    /// The path of the first field without a counterpart.
    pub(super) unportable: Option<String>,
}

impl<'b> Reading<'b> {
    pub(super) fn new(bounds: &'b Bounds) -> Self {
        Self { bounds, parts: 0, unportable: None }
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

    /// Admits one more tool after `before` others.
    pub(super) fn tool(&self, path: &Path<'_>, before: usize) -> Result<(), BadRequest> {
        admit(path, "tool", before, self.bounds.tools)
    }

    /// Notes a field without a counterpart. Anthropic's `cache_control` is ignored at every level: it changes the cost
    /// of an answer and not its content, and some clients set it on every request.
    pub(super) fn note(&mut self, path: &Path<'_>) {
        if matches!(path, Path::Key(_, "cache_control")) {
            return;
        }
        self.unportable.get_or_insert_with(|| path.to_string());
    }

    /// Notes a field without a counterpart, unless it is `null`.
    pub(super) fn note_unless_null(&mut self, path: &Path<'_>, raw: &RawValue) {
        if !is_null(raw) {
            self.note(path);
        }
    }
}

fn admit(path: &Path<'_>, what: &str, before: usize, limit: usize) -> Result<(), BadRequest> {
    if before < limit { Ok(()) } else { Err(BadRequest::too_many(path, what, limit)) }
}
