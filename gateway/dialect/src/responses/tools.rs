//! How tools of this dialect are known in others: tools of a namespace by a longer name, tools with free text as functions
//! with one argument.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::Text;
use crate::write;

/// The schema of the function that stands for a tool with free text.
pub(super) const CUSTOM_SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"#,
    r#""required":["input"],"additionalProperties":false}"#
);

/// The name of a namespace's tool where there are no namespaces.
pub(super) fn flat_name(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        None | Some("") => name.to_owned(),
        Some(namespace) if namespace.ends_with('_') => format!("{namespace}{name}"),
        Some(namespace) => format!("{namespace}__{name}"),
    }
}

/// The arguments of the function that stands for a tool with free text.
pub(super) fn wrap_input(input: &str) -> String {
    #[derive(Serialize)]
    struct Arguments<'a> {
        input: &'a str,
    }
    String::from_utf8(write::to_vec(&Arguments { input })).unwrap_or_default()
}

/// The free text in the arguments of such a function. A model that did not keep to the schema may have written the text
/// itself: then all of it is the input.
pub(super) fn unwrap_input(arguments: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow)]
        input: Option<Text<'a>>,
    }
    match serde_json::from_str::<Arguments<'_>>(arguments) {
        Ok(Arguments { input: Some(Text(input)) }) => input,
        // Some models write a string in place of the object.
        _ => match serde_json::from_str::<Text<'_>>(arguments) {
            Ok(Text(input)) => input,
            Err(_) => arguments.into(),
        },
    }
}

/// The description of a function that stands for a tool with free text, with the grammar that its input must follow.
pub(super) fn custom_description(description: Option<&str>, format: Option<(&str, &str)>) -> Option<String> {
    let Some((syntax, definition)) = format else { return description.map(ToOwned::to_owned) };
    let description = description.unwrap_or_default();
    let gap = if description.is_empty() { "" } else { "\n\n" };
    Some(format!("{description}{gap}The input must follow this {syntax} grammar:\n{definition}"))
}

/// The schema of the function that stands for a tool with free text.
pub(super) fn custom_schema() -> Option<Box<RawValue>> {
    RawValue::from_string(CUSTOM_SCHEMA.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_namespace() {
        assert_eq!(flat_name(None, "f"), "f");
        assert_eq!(flat_name(Some("agents"), "f"), "agents__f");
        assert_eq!(flat_name(Some("mcp__files__"), "f"), "mcp__files__f");
    }

    #[test]
    fn free_text_survives_being_an_argument() {
        for input in ["", "*** Begin Patch\n+\"a\"\n*** End Patch", "{\"input\":1}", "\u{1f600}\\"] {
            assert_eq!(unwrap_input(&wrap_input(input)), input);
        }
        for (arguments, input) in [
            ("plain text", "plain text"),
            ("\"a\\nb\"", "a\nb"),
            ("{\"other\":1}", "{\"other\":1}"),
            ("{\"input\":1}", "{\"input\":1}"),
            ("", ""),
        ] {
            assert_eq!(unwrap_input(arguments), input);
        }
    }

    #[test]
    fn the_schema_is_valid_and_the_grammar_is_told() {
        assert!(custom_schema().is_some());
        assert_eq!(custom_description(Some("Patch."), None).as_deref(), Some("Patch."));
        let told = custom_description(Some("Patch."), Some(("lark", "start: x"))).unwrap_or_default();
        assert_eq!(told, "Patch.\n\nThe input must follow this lark grammar:\nstart: x");
    }
}
