//! `quirks` of backends and models: as written, and as checked.

use serde::Deserialize;
use wasmgate_dialect::fields::{self, Class, Hint, Hints};
use wasmgate_dialect::{Dialect, Quirks};

/// How a server deviates from its dialect, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct QuirksFile {
    max_completion_tokens: bool,
    string_content: bool,
    leave_out: Vec<String>,
}

impl QuirksFile {
    /// The checked quirks of a server of this dialect; else the key and what is wrong with it.
    pub(super) fn mean(&self, dialect: Dialect) -> Result<Quirks, (&'static str, String)> {
        for (key, set) in
            [("max_completion_tokens", self.max_completion_tokens), ("string_content", self.string_content)]
        {
            if set && dialect != Dialect::OpenAi {
                return Err((key, "only a backend of kind \"openai\" can have this quirk".into()));
            }
        }
        let mut leave_out = Hints::default();
        for path in &self.leave_out {
            match fields::hint_written_at(dialect, path).filter(|&hint| can_be_left_out(hint)) {
                Some(hint) => leave_out = leave_out.with(hint),
                None => return Err(("leave_out", unknown(dialect, path))),
            }
        }
        let Self { max_completion_tokens, string_content, .. } = *self;
        Ok(Quirks { max_completion_tokens, string_content, leave_out })
    }
}

/// Whether a request means the same without it, so that an operator may have it left out.
fn can_be_left_out(hint: Hint) -> bool {
    hint.field().class != Class::Content && !matches!(hint, Hint::OutputLimit | Hint::Stop | Hint::SchemaName)
}

fn unknown(dialect: Dialect, path: &str) -> String {
    let hints = Hint::ALL.iter().copied().filter(|&hint| can_be_left_out(hint));
    let mut known: Vec<&str> = hints.filter_map(|hint| hint.field().written_in(dialect)).collect();
    known.dedup();
    match wasmgate_base::nearest::nearest(path, known.iter().copied()) {
        Some(near) => format!("{path:?} is no field that can be left out, did you mean {near:?}?"),
        None => format!("{path:?} is no field that can be left out, expected some of: {}", known.join(", ")),
    }
}
