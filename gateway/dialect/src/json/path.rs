//! Where a value stands in a request body, and the sentence that says what is wrong there.

use std::fmt;

/// A request body is refused: the sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(String);

impl BadRequest {
    /// With this sentence.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A member is not there.
    #[must_use]
    pub fn missing(path: &Path<'_>, expected: &str) -> Self {
        Self(format!("{path} is missing; {expected} is expected"))
    }

    /// Something else is there than what was expected. `found` must not carry the client's text.
    #[must_use]
    pub fn wrong(path: &Path<'_>, found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self(format!("{path} is {found}; {expected} is expected"))
    }
}

/// Where a value stands, as in `messages[2].content[0].text`. Costs nothing until it is written.
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

    /// A member of this.
    #[must_use]
    pub fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    /// An element of this.
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

/// Keys that we do not know are a client's text: short and harmless is how they may appear.
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
