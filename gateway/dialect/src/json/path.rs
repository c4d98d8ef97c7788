//! A value's path in a request body, and the sentence that says what is wrong with the value.

use std::fmt;

/// The sentence that tells the client why its request body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct BadRequest {
    sentence: String,
    too_large: bool,
    /// The path of the value, if all that is wrong is that the gateway does not understand it.
    odd: Option<String>,
}

impl BadRequest {
    /// A refusal with this sentence.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), too_large: false, odd: None }
    }

    /// A member is missing.
    #[must_use]
    pub fn missing(path: &Path<'_>, expected: &str) -> Self {
        Self::odd(path, format!("{path} is missing; {expected} is expected"))
    }

    /// A value is not what was expected. `found` must not contain the client's text.
    #[must_use]
    pub fn wrong(path: &Path<'_>, found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self::odd(path, format!("{path} is {found}; {expected} is expected"))
    }

    fn odd(path: &Path<'_>, sentence: String) -> Self {
        Self { odd: Some(path.to_string()), ..Self::new(sentence) }
    }

    /// An element above the limit of its kind.
    #[must_use]
    pub fn too_many(path: &Path<'_>, what: &str, limit: usize) -> Self {
        let sentence = format!("{path} is one {what} too many; at most {limit} in a request are expected");
        Self { sentence, too_large: true, odd: None }
    }

    /// The path of the value, if all that is wrong is that the gateway does not understand it. A server of the client's own
    /// dialect may.
    pub(crate) fn odd_value(&self) -> Option<&str> {
        self.odd.as_deref()
    }

    /// Whether the request is refused only for its size.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.too_large
    }
}

/// A value's path, as in `messages[2].content[0].text`. It allocates nothing until it is formatted.
#[derive(Debug, Clone, Copy)]
pub enum Path<'p> {
    /// The whole body.
    Body,
    /// A member.
    Key(&'p Path<'p>, &'p str),
    /// An element.
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    /// A top-level member.
    #[must_use]
    pub fn top(key: &'p str) -> Self {
        Self::Key(&Path::Body, key)
    }

    /// A member of this value.
    #[must_use]
    pub fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    /// Whether this is the path that `pattern` writes. In a pattern, `[]` stands for any index, `*` as the last key for any
    /// key, `*.` at the start for any parent.
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        match self {
            _ if pattern == "*" => true,
            Self::Body => pattern.is_empty(),
            Self::Key(parent, key) => {
                let rest = if pattern.ends_with(".*") { pattern.strip_suffix('*') } else { pattern.strip_suffix(key) };
                match (rest, parent) {
                    (Some(rest), Self::Body) => rest.is_empty() || rest == "*.",
                    (Some(rest), parent) => rest.strip_suffix('.').is_some_and(|rest| parent.matches(rest)),
                    (None, _) => false,
                }
            }
            Self::Index(parent, _) => pattern.strip_suffix("[]").is_some_and(|rest| parent.matches(rest)),
        }
    }

    /// An element of this value.
    #[must_use]
    pub fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("the body"),
            Self::Key(parent, key) => {
                if !matches!(parent, Self::Body) {
                    write!(f, "{parent}.")?;
                }
                write_key(key, f)
            }
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Unknown keys are a client's text: the sentence shortens them and replaces unusual characters.
fn write_key(key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const LONGEST: usize = 40;
    for (at, c) in key.chars().enumerate() {
        if at == LONGEST {
            return f.write_str("…");
        }
        let plain = c.is_ascii_alphanumeric() || "_-$:/ ".contains(c);
        write!(f, "{}", if plain { c } else { '?' })?;
    }
    Ok(())
}
