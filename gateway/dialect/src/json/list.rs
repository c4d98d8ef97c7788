//! Reads arrays within a maximum of elements. This module must not know: any dialect.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{BadRequest, Fields, Path, bad_escape, kind, object, string};

/// The maximum of elements in an array, and what the elements are.
#[derive(Debug, Clone, Copy)]
pub struct Most<'w> {
    /// The word for one, for sentences.
    pub what: &'w str,
    /// How many a request may have.
    pub limit: usize,
    /// How many of them are left for this array.
    pub left: usize,
}

/// `decode` has bounded the lists of a request that is forwarded.
pub(crate) const ADMITTED: Most<'_> = Most { what: "element", limit: usize::MAX, left: usize::MAX };

/// The elements of an array. Those above the maximum are not kept.
///
/// # Errors
/// If the value is not an array, or has more elements than `most.left`: `BadRequest`.
pub fn array<'a>(path: &Path<'_>, raw: &'a RawValue, most: Most<'_>) -> Result<Vec<&'a RawValue>, BadRequest> {
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, kind(raw), "an array"));
    }
    match first(raw, most.left).map_err(|_| bad_escape(path))? {
        (elements, 0) => Ok(elements),
        (_, _) => Err(BadRequest::too_many(&path.index(most.left), most.what, most.limit)),
    }
}

/// The first element of an array, and the number of elements.
///
/// # Errors
/// If the value is not an array: `BadRequest`.
pub fn length<'a>(path: &Path<'_>, raw: &'a RawValue) -> Result<(Option<&'a RawValue>, usize), BadRequest> {
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, kind(raw), "an array"));
    }
    let (kept, more) = first(raw, 1).map_err(|_| bad_escape(path))?;
    Ok((kept.first().copied(), kept.len() + more))
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
        let taken = fields.check(&path).and_then(|()| each(&path, &fields));
        count += 1;
        taken.map_err(|error| refused = Some(error)).is_ok()
    });
    match serde_json::Deserializer::from_str(raw.get()).deserialize_seq(objects) {
        Ok(()) => Ok(()),
        Err(_) => {
            let unopened = || object(&path.index(count), first(raw, count + 1).ok()?.0.get(count)?).err();
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

/// An array of strings.
///
/// # Errors
/// If the value is not an array of strings, or has more than `most.left`: `BadRequest`.
pub fn strings(path: &Path<'_>, raw: &RawValue, most: Most<'_>) -> Result<Vec<String>, BadRequest> {
    let elements = array(path, raw, most)?.into_iter().enumerate();
    elements.map(|(index, raw)| Ok(string(&path.index(index), raw)?.into_owned())).collect()
}

/// Keeps the first elements of an array, this many at most, and counts the others.
struct First(usize);

impl<'de> Visitor<'de> for First {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut elements, mut more) = (Vec::new(), 0);
        while elements.len() < self.0
            && let Some(element) = seq.next_element()?
        {
            elements.push(element);
        }
        // As for members of objects.
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more += 1;
        }
        Ok((elements, more))
    }
}

pub(super) fn first(raw: &RawValue, most: usize) -> serde_json::Result<(Vec<&RawValue>, usize)> {
    serde_json::Deserializer::from_str(raw.get()).deserialize_seq(First(most))
}
