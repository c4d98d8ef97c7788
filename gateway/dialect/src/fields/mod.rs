//! The one table of request fields: which are content, which are hints, and what becomes of each in another dialect.
//!
//! Content is translated, or the request is refused and the refusal names it. Hints are translated, or left out, and the
//! client is told which. `gateway/TRANSLATION.md` shows this table; a test compares the two.

mod content;
mod hints;

pub use content::CONTENT;
pub use hints::{HINTS, Hint, Hints};

use crate::json::Path;
use crate::types::Dialect;

/// What kind of field it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Translated, or refused by name.
    Content,
    /// Translated or left out; refused by name if the operator wants strict translation.
    Hint,
    /// Translated or left out, also in strict translation: the answer does not depend on it.
    Annotation,
}

/// A row of the table. In `[]`: OpenAI's, Anthropic's, Ollama's and the Responses dialect, of which the last is only read.
#[derive(Debug)]
pub struct Field {
    /// Its name in the label of a metric.
    pub label: &'static str,
    /// Its kind.
    pub class: Class,
    /// Its paths in a client's request. `[]` stands for any index, `*` at the end for any key, `*.` at the start for any
    /// parent.
    pub read: [&'static [&'static str]; 4],
    /// Its path in a request that the gateway writes; `None`: it is left out, or refused if it is content.
    pub written: [Option<&'static str>; 3],
    /// Values, as JSON without blanks, that mean the same as no value.
    pub says_nothing: &'static [&'static str],
}

impl Field {
    /// Its path in requests that the gateway writes for a backend of this dialect.
    #[must_use]
    pub fn written_in(&self, dialect: Dialect) -> Option<&'static str> {
        column(dialect).and_then(|column| *self.written.get(column)?)
    }

    /// Its paths in clients' requests of this dialect.
    #[must_use]
    pub fn read_in(&self, dialect: Dialect) -> &'static [&'static str] {
        column(dialect).map_or(&[], |column| self.read[column])
    }

    /// Its pattern that a path of this dialect matches.
    fn at(&self, dialect: usize, path: &Path<'_>) -> Option<&'static str> {
        self.read[dialect].iter().copied().find(|pattern| path.matches(pattern))
    }

    /// Whether `name`, a path or a pattern, is one of its paths in this dialect.
    pub(crate) fn has_name(&self, dialect: Dialect, name: &str) -> bool {
        let is = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(parent) => name.starts_with(parent),
            None => name == *pattern,
        };
        self.read_in(dialect).iter().any(is)
    }

    /// Whether `value` means the same as no value.
    pub(crate) fn says_nothing(&self, value: &str) -> bool {
        // Longer than all of them.
        const LONGEST: usize = 32;
        value.len() <= LONGEST
            && self.says_nothing.iter().any(|nothing| {
                *nothing == value || value.chars().filter(|c| !c.is_ascii_whitespace()).eq(nothing.chars())
            })
    }
}

/// The position of a dialect in the rows; the native one has no hints.
pub(crate) fn column(dialect: Dialect) -> Option<usize> {
    match dialect {
        Dialect::OpenAi => Some(0),
        Dialect::Anthropic => Some(1),
        Dialect::Ollama | Dialect::Generate => Some(2),
        Dialect::Responses => Some(3),
        Dialect::Native | Dialect::Completions => None,
    }
}

/// What a field is that no reader knows by itself.
pub(crate) enum Found {
    /// Content.
    Content(&'static Field),
    /// A hint, and its path: as the table writes it.
    Hint(Hint, &'static str),
}

/// The row of a client's field.
pub(crate) fn find(dialect: Dialect, path: &Path<'_>) -> Option<Found> {
    let column = column(dialect)?;
    let hints = HINTS.iter().zip(Hint::ALL);
    let hint = hints.filter_map(|(field, &hint)| Some(Found::Hint(hint, field.at(column, path)?))).next();
    hint.or_else(|| CONTENT.iter().find(|field| field.at(column, path).is_some()).map(Found::Content))
}

/// The hint whose path in requests for backends of this dialect is `path`, for settings.
#[must_use]
pub fn hint_written_at(dialect: Dialect, path: &str) -> Option<Hint> {
    Hint::ALL.iter().copied().find(|hint| hint.field().written_in(dialect) == Some(path))
}

/// All hints that the gateway writes for backends of this dialect.
#[must_use]
pub fn written(dialect: Dialect) -> Hints {
    let written = |hint: &&Hint| hint.field().written_in(dialect).is_some();
    Hint::ALL.iter().filter(written).fold(Hints::default(), |set, &hint| set.with(hint))
}
