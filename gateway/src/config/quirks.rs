//! `quirks` of backends and models: as written, and as checked.

use serde::Deserialize;
use wasmgate_base::nearest::close;

use super::problem::{Code, Problems, Wrong, wrong};
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
    /// The checked quirks of a server of this dialect. `path`: that of the table.
    pub(super) fn mean(&self, dialect: Dialect, path: &[&str], problems: &mut Problems) -> Quirks {
        let at = |key| [path, &[key]].concat();
        for (key, set) in
            [("max_completion_tokens", self.max_completion_tokens), ("string_content", self.string_content)]
        {
            if set && dialect != Dialect::OpenAi {
                let found = "only a backend of kind \"openai\" can have this quirk";
                problems.add(wrong(&at(key), Code::Conflict, found, ""));
            }
        }
        let mut leave_out = Hints::default();
        for hint in &self.leave_out {
            match fields::hint_written_at(dialect, hint).filter(|&hint| can_be_left_out(hint)) {
                Some(hint) => leave_out = leave_out.with(hint),
                None => problems.add(unknown(dialect, hint, &at("leave_out"))),
            }
        }
        let Self { max_completion_tokens, string_content, .. } = *self;
        Quirks { max_completion_tokens, string_content, leave_out }
    }
}

/// Whether a request means the same without it, so that an operator may have it left out.
fn can_be_left_out(hint: Hint) -> bool {
    hint.field().class != Class::Content && !matches!(hint, Hint::OutputLimit | Hint::Stop | Hint::SchemaName)
}

fn unknown(dialect: Dialect, hint: &str, path: &[&str]) -> Wrong {
    let hints = Hint::ALL.iter().copied().filter(|&hint| can_be_left_out(hint));
    let mut known: Vec<&str> = hints.filter_map(|hint| hint.field().written_in(dialect)).collect();
    known.dedup();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let by_name = || known.iter().copied().find(|path| close(hint, std::iter::once(&*last(path))).is_some());
    let near = close(hint, known.iter().copied()).or_else(by_name);
    let expected = if near.is_some() { String::new() } else { format!("some of: {}", known.join(", ")) };
    wrong(path, Code::UnknownValue, format!("{hint:?} is no field that can be left out"), expected).near(near)
}
