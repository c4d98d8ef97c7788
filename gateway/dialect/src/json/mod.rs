//! Reads request bodies shallowly, without copying.
//!
//! A body is checked once (UTF-8, depth, syntax) and then opened level by level, and only at levels that a dialect
//! knows. Values stay slices of the body, and unknown values stay unread, to be forwarded. Every refusal is one
//! sentence that names the path, what was found and what was expected; it never repeats a client's text. Each opened
//! level refuses a key that appears twice: parsers disagree on which of the two counts, so the gateway could judge one
//! request and the backend answer another. This module must not know: any dialect.

mod path;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub use path::{BadRequest, Path};

/// Maximum nesting of a body: some backends parse recursively.
pub const MAX_DEPTH: usize = 64;

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

/// The members of an object, in order.
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

    fn refuse_duplicates(&self, path: &Path<'_>) -> Result<(), BadRequest> {
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
                while let Some(Text(key)) = map.next_key()? {
                    fields.push((key, map.next_value()?));
                }
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

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Each)
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
    fields.refuse_duplicates(&Path::Body)?;
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
/// If the value is not an object or has a key twice: `BadRequest`.
pub fn object<'a>(path: &Path<'_>, raw: &'a RawValue) -> Result<Fields<'a>, BadRequest> {
    if !raw.get().starts_with('{') {
        return Err(BadRequest::wrong(path, kind(raw), "an object"));
    }
    let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|_| bad_escape(path))?;
    fields.refuse_duplicates(path)?;
    Ok(fields)
}

/// The elements of an array.
///
/// # Errors
/// If the value is not an array: `BadRequest`.
pub fn array<'a>(path: &Path<'_>, raw: &'a RawValue) -> Result<Vec<&'a RawValue>, BadRequest> {
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, kind(raw), "an array"));
    }
    serde_json::from_str::<Elements<'_>>(raw.get()).map(|e| e.0).map_err(|_| bad_escape(path))
}

/// Opens the objects of an array one by one, in one pass over the array and never two at once.
///
/// # Errors
/// If the value is not an array or an element fails as in [`object`]; else the first error that `each` returns.
pub fn objects<'a>(
    path: &Path<'_>,
    raw: &'a RawValue,
    mut each: impl FnMut(&Path<'_>, &Fields<'a>) -> Result<(), BadRequest>,
) -> Result<(), BadRequest> {
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, kind(raw), "an array"));
    }
    let (mut count, mut refused) = (0, None);
    let objects = Objects(|fields: Fields<'a>| {
        let path = path.index(count);
        let taken = fields.refuse_duplicates(&path).and_then(|()| each(&path, &fields));
        count += 1;
        taken.map_err(|error| refused = Some(error)).is_ok()
    });
    match serde_json::Deserializer::from_str(raw.get()).deserialize_seq(objects) {
        Ok(()) => Ok(()),
        Err(_) => {
            let unopened = || object(&path.index(count), array(path, raw).ok()?.get(count)?).err();
            Err(refused.or_else(unopened).unwrap_or_else(|| bad_escape(path)))
        }
    }
}

/// Passes each element of an array to a function until the function returns false.
struct Objects<F>(F);

impl<'de, F: FnMut(Fields<'de>) -> bool> Visitor<'de> for Objects<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(fields) = seq.next_element()? {
            if !(self.0)(fields) {
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
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

/// An array of strings.
///
/// # Errors
/// If the value is not an array of strings: `BadRequest`.
pub fn strings(path: &Path<'_>, raw: &RawValue) -> Result<Vec<String>, BadRequest> {
    let elements = array(path, raw)?.into_iter().enumerate();
    elements.map(|(index, raw)| Ok(string(&path.index(index), raw)?.into_owned())).collect()
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
