//! Tool calls in Ollama's dialect: complete, with an object as arguments. Ids are a later addition and optional.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::ToolCall;
use crate::lenient::{Word, arguments, object};
use crate::types::Malformed;
use crate::write;

object! {
    pub(super) struct WireCall<'a> {
        "id" id: Word<'a>,
        "function" function: WireFunction<'a>,
    }
}

object! {
    struct WireFunction<'a> {
        "name" name: Word<'a>,
        "arguments" arguments: Option<&'a RawValue>,
    }
}

impl WireCall<'_> {
    /// `forwarded`: nobody needs its name.
    pub(super) fn read(self, forwarded: bool) -> Result<ToolCall, Malformed> {
        let name = self.function.name.own().filter(|name| !name.is_empty());
        let Some(name) = name.or_else(|| forwarded.then(String::new)) else {
            return Err(Malformed::part_of_answer("a tool call has no name"));
        };
        let arguments = Some(arguments(self.function.arguments)).filter(|arguments| !arguments.is_empty());
        let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
        Ok(ToolCall { id: self.id.own().unwrap_or_default(), name, arguments })
    }
}

#[derive(Serialize)]
pub(super) struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: WrittenFunction<'a>,
}

#[derive(Serialize)]
struct WrittenFunction<'a> {
    name: &'a str,
    arguments: Box<RawValue>,
}

pub(super) fn written(call: &ToolCall) -> Written<'_> {
    let function = WrittenFunction { name: &call.name, arguments: write::arguments(&call.arguments) };
    Written { id: &call.id, function }
}
