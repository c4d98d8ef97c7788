//! One call of a hook as scripts see it, and how its values become theirs.

use crate::answer::Answer;
use crate::candidate::Offered;
use crate::request::{Asked, Said};
use rhai::{Array, Dynamic, Engine, FnPtr, INT, ImmutableString, Map};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use wasmgate_policy::{Budget, Candidate, CostEstimate, Price, Request, Role};

/// A request and its candidates. Scripts hold handles to it, and copy what they read of it.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) candidates: Vec<Candidate>,
    /// The text of the newest message of the user: a script may read it often, and shares this copy.
    pub(crate) prompt: ImmutableString,
    /// How often the script has read a variable.
    pub(crate) reads: AtomicU32,
}

impl Call {
    /// The call's own copy: a script's values live as long as it likes.
    pub(crate) fn new(request: &Request, candidates: &[Candidate]) -> Arc<Self> {
        let newest = request.messages.iter().rfind(|message| message.role == Role::User);
        let prompt = newest.map_or("", |message| &message.text).into();
        Arc::new(Self { request: request.clone(), candidates: candidates.to_vec(), prompt, reads: AtomicU32::new(0) })
    }
}

/// A property's name, and how to read it.
pub(crate) type Property<T> = (&'static str, fn(&T) -> Dynamic);

/// A type that scripts see, with its read-only properties.
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

/// A whole number. Money beyond nine billion dollars stays at the end of what scripts can count.
pub(crate) fn whole(value: impl TryInto<INT>) -> Dynamic {
    value.try_into().unwrap_or(INT::MAX).into()
}

/// `()` where there is nothing.
pub(crate) fn optional<T>(value: Option<T>, given: impl FnOnce(T) -> Dynamic) -> Dynamic {
    value.map_or(Dynamic::UNIT, given)
}

/// What kind of value it is, for a sentence: never the value, which may be of the prompt.
pub(crate) fn kind(value: &Dynamic) -> &'static str {
    match () {
        () if value.is_unit() => "nothing",
        () if value.is_bool() => "true or false",
        () if value.is_int() => "a whole number",
        () if value.is_float() => "a number",
        () if value.is_string() || value.is_char() => "a text",
        () if value.is::<Array>() => "a list",
        () if value.is::<Map>() => "a map",
        () if value.is::<FnPtr>() => "a function",
        () if value.is::<Asked>() => "the request",
        () if value.is::<Said>() => "a message",
        () if value.is::<Offered>() => "a candidate",
        () if value.is::<Answer>() => "a verdict",
        () if value.is::<CostEstimate>() => "a cost estimate",
        () if value.is::<Price>() => "a price",
        () if value.is::<Budget>() => "a budget",
        () => "something else",
    }
}
