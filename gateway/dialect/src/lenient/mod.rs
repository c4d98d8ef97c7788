//! Values of backends' answers, read as leniently as the official SDKs read them: a value of another kind than expected is
//! passed over instead of failing the whole answer. Only what is not JSON fails.
//!
//! One pass reads a value and skips what nobody asked for. This module must not know: any dialect.

mod content;
mod count;
mod list;
mod object;
mod repair;
mod word;

pub(super) use content::Content;
pub(super) use count::Count;
pub(super) use list::Many;
pub(super) use object::{Other, object};
pub(super) use repair::repaired;
pub(super) use word::Word;

use serde_json::value::RawValue;

/// Whether a member says something: not `null`, and not an empty text, list or object.
pub(super) fn says_something(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "false" | "\"\"" | "[]" | "{}" | "0")
}

/// The arguments of a tool call as text. Some servers write the object instead of its text.
pub(super) fn arguments(raw: Option<&RawValue>) -> String {
    match raw.map(RawValue::get) {
        None | Some("null") => String::new(),
        Some(text) if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
        Some(other) => other.to_owned(),
    }
}

/// Implements the visits of a visitor by which it passes over a value: what is not listed is read and forgotten.
macro_rules! pass_over {
    ($value:expr; $($kind:ident)*) => { $($crate::lenient::pass_over!(@$kind $value);)* };
    (@bool $value:expr) => { fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($value) } };
    (@numbers $value:expr) => {
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($value) }
    };
    (@text $value:expr) => { fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($value) } };
    (@null $value:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($value) }
        fn visit_none<E>(self) -> Result<Self::Value, E> { Ok($value) }
    };
    (@list $value:expr) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
    (@map $value:expr) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}
pub(super) use pass_over;

#[cfg(test)]
mod tests;
