//! What a simulated model answers by its settings, or for one request by the header `x-wasmgate-sim`. So agents can be tried
//! without a model.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use wasmgate_dialect::chat::{Chat, Format, Role, Tool, ToolChoice};

/// The request header, whose value is a JSON object with the keys of [`Script`].
pub const HEADER: &str = "x-wasmgate-sim";

/// What a simulated model says, thinks and calls. The keys of a header replace those of the settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The answer.
    pub text: Option<String>,
    /// What it thinks before.
    pub thinking: Option<String>,
    /// The tools that it calls, as far as the request offers them, until a tool has answered.
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Whether the answer breaks off in the middle.
    pub cut: Option<bool>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// Its arguments; without them, values that fit the tool's schema.
    #[serde(default)]
    pub arguments: Option<Map<String, Value>>,
}

/// Begins each text that settings or the header give a simulated model.
const MARK: &str = "[simulated] ";

/// An answer to one request.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    /// Name and arguments of each call.
    pub(super) calls: Vec<(String, String)>,
    pub(super) cut: bool,
}

impl Script {
    /// Reads the header.
    ///
    /// # Errors
    /// If it is not JSON with these keys: the sentence for the client.
    pub fn parse(header: &[u8]) -> Result<Self, String> {
        // An object first: serde would take a list for the keys in their order.
        let object = serde_json::from_slice::<Map<String, Value>>(header);
        object.and_then(|object| serde_json::from_value(Value::Object(object))).map_err(|error| {
            format!("{HEADER}: {error}; expected a JSON object with `text`, `thinking`, `tool_calls` or `cut`")
        })
    }

    /// The answer to a chat, by these settings and the request's own `script`.
    pub(super) fn answer(&self, script: Option<&Self>, chat: &Chat) -> Said {
        let own = |of: fn(&Self) -> bool| script.filter(|script| of(script)).unwrap_or(self);
        let text = own(|script| script.text.is_some()).text.clone();
        let thinking = own(|script| script.thinking.is_some()).thinking.clone();
        let wanted = own(|script| script.tool_calls.is_some()).tool_calls.as_deref().unwrap_or_default();
        let calls = calls(wanted, chat);
        // A format that the client parses has no room for the mark: the header and the answer's id still say it.
        let marked = |text: String| if chat.format.is_some() { text } else { format!("{MARK}{text}") };
        let text = text.or_else(|| chat.format.as_ref().map(formatted));
        Said {
            text: text.map(marked),
            thinking: thinking.map(|thinking| format!("{MARK}{thinking}")),
            calls,
            cut: own(|script| script.cut.is_some()).cut.unwrap_or_default(),
        }
    }
}

/// The calls that the request allows; one if it demands one. None after a tool's result: the model answers.
fn calls(wanted: &[ToolCall], chat: &Chat) -> Vec<(String, String)> {
    let answered = chat.messages.last().is_some_and(|message| message.role == Role::Tool);
    let offered = |name: &str| chat.tools.iter().find(|tool| tool.name == name);
    let demanded = match &chat.tool_choice {
        Some(ToolChoice::None) => return Vec::new(),
        Some(ToolChoice::Named(name)) => offered(name),
        Some(ToolChoice::Required) => chat.tools.first(),
        Some(ToolChoice::Auto) | None => None,
    };
    if answered && demanded.is_none() {
        return Vec::new();
    }
    let call = |call: &ToolCall| {
        let arguments = |tool: &Tool| match &call.arguments {
            Some(arguments) => Value::from(arguments.clone()).to_string(),
            None => fitting(tool),
        };
        offered(&call.name).map(|tool| (call.name.clone(), arguments(tool)))
    };
    let mut calls: Vec<_> = wanted.iter().filter_map(call).collect();
    if let Some(ToolChoice::Named(name)) = &chat.tool_choice {
        calls.retain(|(called, _)| called == name);
    }
    match demanded {
        Some(tool) if calls.is_empty() => vec![(tool.name.clone(), fitting(tool))],
        _ => calls,
    }
}

/// Arguments that fit a tool's schema.
fn fitting(tool: &Tool) -> String {
    let schema = tool.parameters.as_ref().and_then(|schema| serde_json::from_str(schema.get()).ok());
    schema.map_or(json!({}), |schema: Value| value(&schema, 0, &mut { VALUES })).to_string()
}

/// A text in the format that the client demands.
fn formatted(format: &Format) -> String {
    match format {
        Format::Json => json!({"simulated": true}).to_string(),
        Format::Schema { schema, .. } => serde_json::from_str(schema.get())
            .map_or(json!({}), |schema| value(&schema, 0, &mut { VALUES }))
            .to_string(),
    }
}

/// Deepest schema that gets values.
const DEPTH: usize = 8;

/// Most values in one answer: a client's schema decides how many it asks for.
const VALUES: usize = 1000;

/// A small value that fits a simple schema. `left`: how many more values it may have.
fn value(schema: &Value, depth: usize, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    if let Some(one) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return one.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("string") => json!("simulated"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ if depth == DEPTH => json!({}),
        _ => {
            let mut members = serde_json::Map::new();
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if *left > 0 && !members.contains_key(name) {
                    members.insert(name.to_owned(), value(&schema["properties"][name], depth + 1, left));
                }
            }
            Value::Object(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_strictly() {
        let script = Script::parse(br#"{"text": "hi", "tool_calls": [{"name": "look"}], "cut": true}"#).unwrap();
        assert_eq!((script.text.as_deref(), script.cut), (Some("hi"), Some(true)));
        for wrong in [&b"{"[..], b"[]", br#"{"txt": "hi"}"#, br#"{"tool_calls": [{"arguments": {}}]}"#, b"\xff"] {
            assert!(Script::parse(wrong).unwrap_err().starts_with("x-wasmgate-sim: "));
        }
    }

    #[test]
    fn values_fit_their_schema() {
        let schema = json!({
            "type": "object", "required": ["city", "days", "unit", "at", "deep"],
            "properties": {
                "city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "unit": {"enum": ["C", "F"]},
                "at": {"type": ["array", "null"]}, "deep": {"type": "object", "required": ["on"],
                "properties": {"on": {"type": "boolean"}}}, "not": {"type": "string"},
            },
        });
        assert_eq!(
            value(&schema, 0, &mut 100),
            json!({"city": "simulated", "days": 1, "unit": "C", "at": [], "deep": {"on": true}})
        );
        assert_eq!(value(&json!({}), 0, &mut 100), json!({}));
    }

    #[test]
    fn a_schema_cannot_ask_for_more_values_than_it_is_long() {
        let mut schema = json!({"type": "string"});
        for _ in 0..8 {
            schema = json!({"required": vec!["p0"; 100], "properties": {"p0": schema}});
        }
        assert_eq!(value(&schema, 0, &mut 1000).to_string().matches("p0").count(), 8);
        let names: Vec<_> = (0..50).map(|n| format!("p{n}")).collect();
        let wide = json!({"required": names, "properties": {}});
        let mut left = 20;
        assert!(value(&wide, 0, &mut left).as_object().unwrap().len() <= 20);
        assert_eq!(left, 0);
    }
}
