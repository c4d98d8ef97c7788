//! Mistakes in the configuration: each names the file, the line and the key, what was found, what was expected and the nearest
//! known name. A start, a reload and `wasmgate check` report all mistakes of a file at once.

use std::fmt;

use serde::Serialize;

use super::Place;
use super::tree::Tree;

/// Whether the gateway refuses the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The gateway refuses it.
    Error,
    /// The gateway serves it, but somebody should look.
    Warning,
}

/// The kind of a mistake, for programs. A code keeps its meaning from version to version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The file, or a file that it names, cannot be read.
    Unreadable,
    /// The file is not UTF-8 text.
    Encoding,
    /// The file is of another format, such as JSON or YAML.
    OtherFormat,
    /// The file is not TOML.
    Syntax,
    /// A key or a table is there twice.
    DuplicateKey,
    /// No such key.
    UnknownKey,
    /// A name with a dot that has no quotes.
    UnquotedName,
    /// The value has another type than the key.
    WrongType,
    /// The number is out of range.
    OutOfRange,
    /// The word is none of those that the key takes.
    UnknownValue,
    /// The text does not have the form that the key takes.
    InvalidValue,
    /// Something that must be there is not.
    Missing,
    /// Two settings contradict each other, or one does not belong there.
    Conflict,
    /// It names a backend, a model or a policy that does not exist.
    UnknownName,
    /// A policy was refused: its component, its settings, its tests.
    PolicyRefused,
    /// The gateway took the location from the address.
    AssumedLocation,
    /// Nothing uses it.
    Unused,
    /// The provider expects an API key, and none is configured.
    MissingKey,
    /// A key is sent without TLS.
    KeyWithoutTls,
    /// Other advice.
    Advice,
}

/// A mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the gateway refuses the configuration for it.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// The file, or `embedded configuration`.
    pub file: String,
    /// The line, from 1, if known.
    pub line: Option<usize>,
    /// The key as in `models.phi2.backend`; empty if there is none.
    pub key: String,
    /// What was found, and what was expected, for people.
    pub message: String,
    /// What was found.
    pub found: String,
    /// What was expected; null if no short form says it.
    pub expected: Option<String>,
    /// The known name that is nearest to the one found.
    pub nearest: Option<String>,
}

impl Problem {
    /// Advice in a sentence that may begin with a key and a colon.
    #[must_use]
    pub fn advice(file: &str, sentence: &str) -> Self {
        let (key, rest) = match sentence.split_once(": ") {
            Some((key, rest)) if !key.contains(' ') => (key, rest),
            _ => ("", sentence),
        };
        let problem = Wrong::new(&[], Code::Advice, rest.to_owned(), "").at(Severity::Warning, file, None);
        Self { key: key.to_owned(), ..problem }
    }

    /// A policy at this place that was refused.
    #[must_use]
    pub fn refused(place: &Place, reason: String) -> Self {
        let problem = Wrong::new(&[], Code::PolicyRefused, reason, "").at(Severity::Error, &place.file, place.line);
        Self { key: place.key.clone(), ..problem }
    }

    /// Whether the gateway refuses the configuration for it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// As in `wasmgate.toml:7: server.max_in_flight: 0, expected 1 to 1000000`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why the gateway refused a configuration: at least one error.
#[derive(Debug)]
pub struct ConfigError(pub Vec<Problem>);

/// One line for each mistake.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// A mistake before its place in the file is known.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    path: Vec<String>,
    code: Code,
    found: String,
    expected: String,
    nearest: Option<String>,
}

/// A mistake at the path of keys. `expected` may be empty, if `found` says all.
pub(super) fn wrong(path: &[&str], code: Code, found: impl Into<String>, expected: impl Into<String>) -> Wrong {
    Wrong::new(path, code, found.into(), &expected.into())
}

impl Wrong {
    fn new(path: &[&str], code: Code, found: String, expected: &str) -> Self {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        Self { path, code, found, expected: expected.to_owned(), nearest: None }
    }

    /// With the known name that was probably meant.
    pub(super) fn near(self, nearest: Option<&str>) -> Self {
        Self { nearest: nearest.map(str::to_owned), ..self }
    }

    /// An error in a file without lines.
    pub(super) fn in_words(self, file: &str) -> Problem {
        self.at(Severity::Error, file, None)
    }

    fn at(self, severity: Severity, file: &str, line: Option<usize>) -> Problem {
        let mut message = self.found.clone();
        if !self.expected.is_empty() {
            message += &format!(", expected {}", self.expected);
        }
        if let Some(near) = &self.nearest {
            message += &match self.code {
                Code::UnknownKey => format!(", did you mean `{near}`?"),
                _ => format!(", did you mean {near:?}?"),
            };
        }
        Problem {
            severity,
            code: self.code,
            file: file.to_owned(),
            line,
            key: written(&self.path),
            message,
            found: self.found,
            expected: Some(self.expected).filter(|expected| !expected.is_empty()),
            nearest: self.nearest,
        }
    }
}

/// The path as a file writes it, as in `models."gpt-4.1".backend`.
fn written(path: &[String]) -> String {
    let bare = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let parts = path.iter().map(|part| if bare(part) { part.clone() } else { format!("{part:?}") });
    parts.collect::<Vec<_>>().join(".")
}

/// All mistakes of a file so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<(Severity, Wrong, Option<usize>)>,
    /// Paths whose value was wrong and is left out, so that what follows from its absence is no mistake of its own.
    left_out: Vec<Vec<String>>,
}

impl Problems {
    /// An error at its path, unless it only follows from another one.
    pub(super) fn add(&mut self, wrong: Wrong) {
        if !self.follows(&wrong) {
            self.list.push((Severity::Error, wrong, None));
        }
    }

    /// An error in this line.
    pub(super) fn add_at(&mut self, line: Option<usize>, wrong: Wrong) {
        self.list.push((Severity::Error, wrong, line));
    }

    /// A warning at its path, unless it only follows from an error.
    pub(super) fn warn(&mut self, wrong: Wrong) {
        if !self.follows(&wrong) {
            self.list.push((Severity::Warning, wrong, None));
        }
    }

    /// The value; an error is added.
    pub(super) fn take<T>(&mut self, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.add(wrong)).ok()
    }

    /// Notes that the value at the path is left out.
    pub(super) fn leave_out(&mut self, path: &[&str]) {
        self.left_out.push(path.iter().map(|&part| part.to_owned()).collect());
    }

    /// Whether the value at the path was there, wrong, and is left out; or a table that it was in.
    pub(super) fn is_left_out(&self, path: &[&str]) -> bool {
        self.left_out
            .iter()
            .any(|left_out| left_out.len() <= path.len() && left_out.iter().zip(path).all(|(a, b)| a == b))
    }

    /// Removes the errors with this code at this path, because another says more.
    pub(super) fn replace(&mut self, code: Code, path: &[String]) {
        self.list.retain(|(_, wrong, _)| wrong.code != code || wrong.path != path);
    }

    /// Whether the gateway refuses the configuration.
    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|(severity, ..)| *severity == Severity::Error)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    fn follows(&self, wrong: &Wrong) -> bool {
        let path: Vec<&str> = wrong.path.iter().map(String::as_str).collect();
        // A table that lacks its entries because they were wrong.
        let lacks =
            wrong.code == Code::Missing && self.left_out.iter().any(|left_out| left_out.starts_with(&wrong.path));
        lacks || self.is_left_out(&path)
    }

    /// All of them with their lines, in the file's order; those without a line come first.
    pub(super) fn finish(self, file: &str, tree: Option<&Tree<'_>>) -> Vec<Problem> {
        let place = |(severity, wrong, line): (Severity, Wrong, Option<usize>)| {
            let line = line.or_else(|| tree.and_then(|tree| tree.line_of(&wrong.path)));
            wrong.at(severity, file, line)
        };
        let mut problems: Vec<Problem> = self.list.into_iter().map(place).collect();
        problems.sort_by_key(|problem| problem.line);
        problems
    }
}
