//! Describes what went wrong in a script, in a sentence with line and column.
//!
//! The sentence goes to the operator's log, which is not private. The interpreter would quote values, which may come
//! from the prompt; the sentence never does. Text that a script throws is its author's choice.

use crate::engine::too_deep;
use rhai::{Dynamic, Engine, EvalAltResult, ParseError, Position};

/// The result of a function that scripts call.
pub(crate) type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Maximum length of a sentence, in bytes.
const SENTENCE_BYTES: usize = 300;

/// A failure of a function that a script called; the interpreter adds the place of the call.
pub(crate) fn failure(sentence: impl Into<String>) -> Box<EvalAltResult> {
    let sentence: String = sentence.into();
    EvalAltResult::ErrorRuntime(sentence.into(), Position::NONE).into()
}

/// The kind of a value, for a sentence: never the value, which may come from the prompt. The engine knows the names of
/// the types that the crate registered.
pub(crate) fn kind(engine: &Engine, value: &Dynamic) -> String {
    let kind = match engine.map_type_name(value.type_name()) {
        "()" => "nothing",
        "bool" => "true or false",
        "i64" => "a whole number",
        "f64" => "a number",
        "string" | "char" => "a text",
        "array" => "a list",
        "Fn" => "a function",
        // Each call has one.
        "request" => "the request",
        // Rhai's own types without a word here; then types that are not registered.
        "blob" | "range" | "range=" => "something else",
        path if path.contains("::") => "something else",
        name => return format!("a {name}"),
    };
    kind.into()
}

/// What is wrong with a script's text.
pub(crate) fn of_text(error: &ParseError) -> String {
    placed(&error.err_type().to_string(), error.position())
}

/// Why a script stopped. The engine knows the limits that it enforces.
pub(crate) fn of_run(engine: &Engine, error: Box<EvalAltResult>) -> String {
    let mut error = error;
    // The innermost place that is known: that of a call, if what it called states none.
    let mut place = Position::NONE;
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, call) = *error {
        place = if call.is_none() { place } else { call };
        error = inner;
    }
    let exact = error.take_position();
    let place = if exact.is_none() { place } else { exact };
    let sentence = match &*error {
        EvalAltResult::ErrorRuntime(thrown, _) => match thrown.as_immutable_string_ref() {
            Ok(sentence) => sentence.to_string(),
            Err(_) => format!("the script threw {}", kind(engine, thrown)),
        },
        EvalAltResult::ErrorTooManyOperations(_) => {
            format!("more than {} operations: a loop without end?", engine.max_operations())
        }
        EvalAltResult::ErrorStackOverflow(_) => too_deep(),
        EvalAltResult::ErrorIndexNotFound(..) => "there is no element at this index".to_owned(),
        EvalAltResult::ErrorArithmetic(sentence, _) => before_a_quote(sentence).to_owned(),
        // Rhai has three names for the type of texts.
        other => other.to_string().replace("&str | ImmutableString | String", "text"),
    };
    placed(&sentence, place)
}

fn placed(sentence: &str, place: Position) -> String {
    let sentence = &sentence[..sentence.floor_char_boundary(SENTENCE_BYTES)];
    match (place.line(), place.position()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {sentence}"),
        (Some(line), None) => format!("line {line}: {sentence}"),
        _ => sentence.to_owned(),
    }
}

/// `Error parsing integer number 'text': …` without the text.
fn before_a_quote(sentence: &str) -> &str {
    sentence.split(['\'', '"']).next().unwrap_or_default().trim_end()
}
