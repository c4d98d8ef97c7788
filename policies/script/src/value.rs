//! Converts values of the contract to values of scripts.

use rhai::{Dynamic, Engine, INT, ImmutableString, Map};
use std::any::Any;

/// A property's name, and how to read it.
pub(crate) type Property<T> = (&'static str, fn(&T) -> Dynamic);

/// Registers a type that scripts see, with its read-only properties.
pub(crate) fn properties<T: Any + Clone + Send + Sync>(engine: &mut Engine, name: &str, table: &[Property<T>]) {
    engine.register_type_with_name::<T>(name);
    for &(property, get) in table {
        engine.register_get(property, move |of: &mut T| get(of));
    }
}

/// A text.
pub(crate) fn text(value: &str) -> Dynamic {
    ImmutableString::from(value).into()
}

/// Texts by name. If a name appears twice, its first value counts.
pub(crate) fn map(pairs: &[(String, String)]) -> Map {
    pairs.iter().rev().map(|(name, value)| (name.as_str().into(), text(value))).collect()
}

/// A whole number. Money beyond nine billion dollars saturates at the largest number of scripts.
pub(crate) fn whole(value: impl TryInto<INT>) -> Dynamic {
    value.try_into().unwrap_or(INT::MAX).into()
}

/// `()` if there is no value.
pub(crate) fn optional<T>(value: Option<T>, given: impl FnOnce(T) -> Dynamic) -> Dynamic {
    value.map_or(Dynamic::UNIT, given)
}
