//! What the reader of one request keeps besides the chat: the bounds, and the first field without a counterpart in other
//! dialects.

use serde_json::value::RawValue;

use crate::json::{self, BadRequest, Most, Path, is_null};
use crate::types::Bounds;

/// Maximum of stop sequences. Providers allow four to some dozens.
const MAX_STOPS: usize = 1024;

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

/// The texts at which an answer stops.
pub(super) fn stop(path: &Path<'_>, raw: &RawValue) -> Result<Vec<String>, BadRequest> {
    json::strings(path, raw, Most { what: "stop sequence", limit: MAX_STOPS, left: MAX_STOPS })
}

fn admit(path: &Path<'_>, what: &str, before: usize, limit: usize) -> Result<(), BadRequest> {
    if before < limit { Ok(()) } else { Err(BadRequest::too_many(path, what, limit)) }
}
