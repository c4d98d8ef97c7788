//! Reads request bodies shallowly, without copying.
//!
//! A body is checked once (UTF-8, depth, syntax) and then opened level by level, and only at levels that a dialect
//! knows. Values stay slices of the body, and unknown values stay unread, to be forwarded. Every refusal is one
//! sentence that names the path, what was found and what was expected; it never repeats a client's text. Each opened
//! level refuses a key that appears twice, or that is a known key in another case: parsers disagree on which of the two
//! counts, so the gateway could judge one request and the backend answer another. This module must not know: any dialect.

mod list;
mod path;
mod spelling;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use list::ADMITTED;
pub use list::{Element, Most, array, elements, length, objects, strings};
pub use path::{BadRequest, Path};
#[cfg(test)]
pub(crate) use spelling::KNOWN;

/// Maximum nesting of a body: some backends parse recursively.
pub const MAX_DEPTH: usize = 64;
/// Maximum of members in an object that is opened: a member takes more memory than it has text.
pub const MAX_MEMBERS: usize = 4096;

/// The kind of a JSON value, with its article, for sentences.
#[must_use]
pub fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether the value is `null`.
#[must_use]
pub fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The members of an object, in order: the first `MAX_MEMBERS`, and one more if there are more.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, raw)| (key.as_ref(), *raw))
    }

    /// The member `key`, unless it is `null`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(k, raw)| k == key && !is_null(raw)).map(|(_, raw)| *raw)
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses too many members, a key that appears twice, and a known key in another case.
    fn check(&self, path: &Path<'_>) -> Result<(), BadRequest> {
        self.refuse_duplicates(path)?;
        self.refuse_spellings(path)
    }

    /// Refuses a known key in another case.
    fn refuse_spellings(&self, path: &Path<'_>) -> Result<(), BadRequest> {
        match self.0.iter().find_map(|(key, _)| Some((key, spelling::known_as(key)?))) {
            None => Ok(()),
            Some((key, known)) => {
                let path = path.key(key);
                Err(BadRequest::new(format!(
                    "{path} is another spelling of {known}; backends that ignore case disagree \
                    on which of two spellings counts, so {known} is expected"
                )))
            }
        }
    }

    /// Refuses too many members, and a key that appears twice.
    fn refuse_duplicates(&self, path: &Path<'_>) -> Result<(), BadRequest> {
        if self.0.len() > MAX_MEMBERS {
            return Err(BadRequest::new(format!("{path} has too many members; at most {MAX_MEMBERS} are expected")));
        }
        // Few members: comparing all pairs is cheaper than a set. Many: a hostile body must not cost quadratic time.
        const FEW: usize = 24;
        let duplicate = if self.0.len() <= FEW {
            let earlier = |(at, key)| self.0[..at].iter().any(|(k, _)| k == key);
            self.0.iter().map(|(key, _)| key).enumerate().find(|&pair| earlier(pair)).map(|(_, key)| key.as_ref())
        } else {
            let mut seen = HashSet::with_capacity(self.0.len());
            self.0.iter().map(|(key, _)| key.as_ref()).find(|key| !seen.insert(*key))
        };
        match duplicate {
            None => Ok(()),
            Some(key) => Err(BadRequest::new(format!("{} appears twice; it may appear once", path.key(key)))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while fields.len() <= MAX_MEMBERS
                    && let Some(Text(key)) = map.next_key()?
                {
                    fields.push((key, map.next_value()?));
                }
                // A decoder must read to the end of the object, or the end counts as an error of syntax.
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A string that is borrowed if it has no escapes. (Serde's own `Option<Cow<str>>` always copies.)
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Str)
    }
}

/// Opens a request body.
///
/// # Errors
/// If the body is not UTF-8, too deep, not JSON, not an object, or has a top-level key twice: `BadRequest`.
pub fn body(bytes: &[u8]) -> Result<Fields<'_>, BadRequest> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| BadRequest::new(format!("the body is not UTF-8 at byte {}; JSON is expected", e.valid_up_to())))?;
    refuse_depth(bytes)?;
    let not_json = |e: serde_json::Error| {
        // Syntax errors of serde_json name what was expected and where, never the text that was found.
        BadRequest::new(format!("the body is not valid JSON: {e}"))
    };
    match text.trim_start_matches([' ', '\t', '\r', '\n']).as_bytes().first() {
        None => return Err(BadRequest::new("the body is empty; a JSON object is expected")),
        Some(b'{') => {}
        Some(_) => {
            let raw: &RawValue = serde_json::from_str(text).map_err(not_json)?;
            return Err(BadRequest::wrong(&Path::Body, kind(raw), "an object"));
        }
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(not_json)?;
    fields.check(&Path::Body)?;
    Ok(fields)
}

/// Checks the depth in one pass, before anything parses the bytes. Invalid JSON may pass: the parser refuses it next.
fn refuse_depth(bytes: &[u8]) -> Result<(), BadRequest> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(BadRequest::new(format!(
                        "the body is nested more than {MAX_DEPTH} levels deep at byte {}; at most {MAX_DEPTH} are allowed",
                        at - 1
                    )));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The byte after the closing quote of a string whose text begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        at += 1; // the escaped byte
    }
    bytes.len()
}

/// Opens an object.
///
/// # Errors
/// If the value is not an object, or has a key twice or a known key in another case: `BadRequest`.
pub fn object<'a>(path: &Path<'_>, raw: &'a RawValue) -> Result<Fields<'a>, BadRequest> {
    let fields = map(path, raw)?;
    fields.refuse_spellings(path)?;
    Ok(fields)
}

/// Opens an object whose keys are the client's own words, like a schema or a call's arguments.
///
/// # Errors
/// If the value is not an object or has a key twice: `BadRequest`.
pub fn map<'a>(path: &Path<'_>, raw: &'a RawValue) -> Result<Fields<'a>, BadRequest> {
    if !raw.get().starts_with('{') {
        return Err(BadRequest::wrong(path, kind(raw), "an object"));
    }
    let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|_| bad_escape(path))?;
    fields.refuse_duplicates(path)?;
    Ok(fields)
}

/// A string, borrowed if it has no escapes.
///
/// # Errors
/// If the value is not a string or has half of a surrogate pair: `BadRequest`.
pub fn string<'a>(path: &Path<'_>, raw: &'a RawValue) -> Result<Cow<'a, str>, BadRequest> {
    if !raw.get().starts_with('"') {
        return Err(BadRequest::wrong(path, kind(raw), "a string"));
    }
    serde_json::from_str::<Text<'_>>(raw.get()).map(|t| t.0).map_err(|_| bad_escape(path))
}

/// The string member `key` of an object.
///
/// # Errors
/// If the member is missing, `null` or not a string: `BadRequest`.
pub fn required_string(path: &Path<'_>, fields: &Fields<'_>, key: &str) -> Result<String, BadRequest> {
    let path = &path.key(key);
    let raw = fields.get(key).ok_or_else(|| BadRequest::missing(path, "a string"))?;
    Ok(string(path, raw)?.into_owned())
}

/// The arguments of a tool call, as text. Dialects differ in whether they are an object or the text of one, and clients
/// mix them up.
///
/// # Errors
/// If the value is neither a string nor an object: `BadRequest`.
pub fn arguments(path: &Path<'_>, raw: &RawValue) -> Result<String, BadRequest> {
    match raw.get().as_bytes().first() {
        Some(b'"') => Ok(string(path, raw)?.into_owned()),
        Some(b'{') => {
            map(path, raw)?;
            Ok(raw.get().to_owned())
        }
        _ => Err(BadRequest::wrong(path, kind(raw), "a string or an object")),
    }
}

/// The shallow pass over a value does not check that its `\u` escapes form whole surrogate pairs.
fn bad_escape(path: &Path<'_>) -> BadRequest {
    BadRequest::new(format!("{path} has a \\u escape that is half of a surrogate pair; both halves are expected"))
}

/// A boolean.
///
/// # Errors
/// If the value is not a boolean: `BadRequest`.
pub fn boolean(path: &Path<'_>, raw: &RawValue) -> Result<bool, BadRequest> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(BadRequest::wrong(path, kind(raw), "a boolean")),
    }
}

/// A number within a range.
///
/// # Errors
/// If the value is not a number or out of range: `BadRequest`.
pub fn number(path: &Path<'_>, raw: &RawValue, range: RangeInclusive<f64>) -> Result<f64, BadRequest> {
    let expected = || format!("a number from {} to {}", range.start(), range.end());
    if kind(raw) != "a number" {
        return Err(BadRequest::wrong(path, kind(raw), expected()));
    }
    match raw.get().parse::<f64>() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(BadRequest::wrong(path, shown(raw), expected())),
    }
}

/// A whole number within a range; `1.0` and `1e2` are whole.
///
/// # Errors
/// If the value is not a whole number or out of range: `BadRequest`.
pub fn integer(path: &Path<'_>, raw: &RawValue, range: RangeInclusive<i64>) -> Result<i64, BadRequest> {
    let expected = || match (*range.start(), *range.end()) {
        (i64::MIN, _) => "a whole number".to_owned(),
        (low, high) if high >= i64::from(u32::MAX) => format!("a whole number of at least {low}"),
        (low, high) => format!("a whole number from {low} to {high}"),
    };
    if kind(raw) != "a number" {
        return Err(BadRequest::wrong(path, kind(raw), expected()));
    }
    let value = raw.get().parse::<i64>().ok().or_else(|| whole(raw.get().parse().ok()?));
    match value {
        Some(value) if range.contains(&value) => Ok(value),
        _ => Err(BadRequest::wrong(path, shown(raw), expected())),
    }
}

/// A whole number of at least `low` that fits 32 bits.
///
/// # Errors
/// If the value is not a whole number or out of range: `BadRequest`.
pub fn count(path: &Path<'_>, raw: &RawValue, low: u32) -> Result<u32, BadRequest> {
    let value = integer(path, raw, i64::from(low)..=i64::from(u32::MAX))?;
    Ok(u32::try_from(value).unwrap_or(u32::MAX))
}

/// A float as a whole number, if floats hold that number exactly.
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

/// A number as a sentence may quote it.
fn shown(raw: &RawValue) -> &str {
    if raw.get().len() <= 24 { raw.get() } else { "a long number" }
}

#[cfg(test)]
mod tests;
