//! Tool calls in Ollama's dialect: complete, with an object as arguments. Ids are a later addition and optional.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chat::ToolCall;
use crate::write;

#[derive(Deserialize)]
pub(super) struct WireCall<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: WireFunction<'a>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl WireCall<'_> {
    pub(super) fn read(self) -> ToolCall {
        let arguments = self.function.arguments.map_or("{}", RawValue::get).to_owned();
        ToolCall { id: self.id.unwrap_or_default(), name: self.function.name, arguments }
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
