//! Reads arrays within a maximum of elements. This module must not know: any dialect.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
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

/// An element of an array of parts.
#[derive(Debug)]
pub enum Element<'a> {
    /// A part.
    Object(Fields<'a>),
    /// A text without anything around it.
    Text(Cow<'a, str>),
}

/// Opens the objects and the texts of an array one by one, in one pass over the array and never two at once.
///
/// # Errors
/// As [`objects`].
pub fn elements<'a>(
    path: &Path<'_>,
    raw: &'a RawValue,
    mut each: impl FnMut(&Path<'_>, Element<'a>) -> Result<(), BadRequest>,
) -> Result<(), BadRequest> {
    visit(path, raw, |path, element| {
        if let Element::Object(fields) = &element {
            fields.check(path)?;
        }
        each(path, element)
    })
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
    visit(path, raw, |path, fields: Fields<'a>| fields.check(path).and_then(|()| each(path, &fields)))
}

fn visit<'a, T: Deserialize<'a>>(
    path: &Path<'_>,
    raw: &'a RawValue,
    mut each: impl FnMut(&Path<'_>, T) -> Result<(), BadRequest>,
) -> Result<(), BadRequest> {
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, kind(raw), "an array"));
    }
    let (mut count, mut refused) = (0, None);
    let each = Each(
        |element: T| {
            let taken = each(&path.index(count), element);
            count += 1;
            taken.map_err(|error| refused = Some(error)).is_ok()
        },
        PhantomData,
    );
    match serde_json::Deserializer::from_str(raw.get()).deserialize_seq(each) {
        Ok(()) => Ok(()),
        Err(_) => {
            let unopened = || object(&path.index(count), first(raw, count + 1).ok()?.0.get(count)?).err();
            Err(refused.or_else(unopened).unwrap_or_else(|| bad_escape(path)))
        }
    }
}

/// Passes each element of an array to a function until the function returns false.
struct Each<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> Visitor<'de> for Each<F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            if !(self.0)(element) {
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Element<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Element::Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Element::Text(text.to_owned().into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(map)).map(Element::Object)
            }
        }
        deserializer.deserialize_any(Any)
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
