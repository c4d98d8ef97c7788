//! Reads Anthropic's request.

mod message;

use serde_json::value::RawValue;

use crate::chat::{Chat, Effort, Format, Message, Role, Thinking, Tool, ToolChoice};
use crate::fields::Hint;
use crate::json::{self, BadRequest, Path};
use crate::reading::{self, Reading};
use crate::types::{Bounds, Dialect};

/// Reads a request body.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    read(body, bounds, true)
}

/// Reads a request body that may lack the limit of output tokens.
pub(crate) fn decode_prompt(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    read(body, bounds, false)
}

/// Reads a request body. `limited`: it must have a limit of output tokens.
fn read(body: &[u8], bounds: &Bounds, limited: bool) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    let mut chat = Chat { raw: Vec::with_capacity(fields.len()), ..Chat::default() };
    let mut reading = Reading::new(Dialect::Anthropic, bounds);
    let mut model = None;
    let mut messages = None;
    let mut system = None;
    for (key, raw) in fields.iter() {
        chat.raw.push((key.to_owned(), raw.to_owned()));
        let path = &Path::top(key);
        match key {
            "model" => model = Some(json::string(path, raw)?.into_owned()),
            "messages" => messages = Some(message::messages(path, raw, &mut reading)?),
            _ if json::is_null(raw) => {}
            "system" => system = Some(message::texts(path, raw, &mut reading)?),
            // The gateway acts on it itself.
            "stream" => chat.stream = json::boolean(path, raw)?,
            _ => {
                let read = setting(key, path, raw, &mut chat, &mut reading);
                reading.tolerate(read)?;
            }
        }
    }
    if limited && fields.get("max_tokens").is_none() {
        return Err(BadRequest::missing(&Path::top("max_tokens"), "a whole number of at least 1"));
    }
    chat.model = model.ok_or_else(|| BadRequest::missing(&Path::top("model"), "a string"))?;
    chat.messages = messages.ok_or_else(|| BadRequest::missing(&Path::top("messages"), "an array"))?;
    if let Some(parts) = system.filter(|parts| !parts.is_empty()) {
        chat.messages.insert(0, Message { role: Role::System, parts });
    }
    chat.include_usage = chat.stream;
    reading.finish(&mut chat);
    Ok(chat)
}

/// Reads a member that is for the model's server alone.
fn setting(
    key: &str,
    path: &Path<'_>,
    raw: &RawValue,
    chat: &mut Chat,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    match key {
        "max_tokens" => chat.max_tokens = Some(json::count(path, raw, 1)?),
        "tools" => chat.tools = tools(path, raw, reading)?,
        "tool_choice" => tool_choice(path, raw, chat, reading)?,
        "temperature" => chat.temperature = Some(json::number(path, raw, 0.0..=1.0)?),
        "top_p" => chat.top_p = Some(json::number(path, raw, 0.0..=1.0)?),
        "top_k" => chat.top_k = Some(json::count(path, raw, 0)?),
        "stop_sequences" => chat.stop = reading::stop(path, raw)?,
        "metadata" => chat.user = user(path, raw, reading)?,
        "output_config" => output_config(path, raw, chat, reading)?,
        "thinking" => thinking(path, raw, chat, reading)?,
        _ => reading.other(path, raw),
    }
    Ok(())
}

/// Off, which is the default, says nothing to a backend of another dialect.
fn thinking(path: &Path<'_>, raw: &RawValue, chat: &mut Chat, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
    let fields = json::object(path, raw)?;
    match json::required_string(path, &fields, "type")?.as_str() {
        "disabled" => {}
        "adaptive" => chat.thinking = Some(Thinking::Adaptive),
        "enabled" => {
            let path = &path.key("budget_tokens");
            let budget = fields.get("budget_tokens").map(|raw| json::count(path, raw, 0)).transpose()?;
            chat.thinking = Some(budget.map_or(Thinking::On, Thinking::Budget));
        }
        _ => reading.leave_out(Hint::Thinking),
    }
    Ok(())
}

fn tools(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Tool>, BadRequest> {
    let elements = reading.tools(path, raw)?;
    let mut tools = Vec::new();
    for (index, raw) in elements.into_iter().enumerate() {
        let read = tool(&path.index(index), raw, reading);
        tools.extend(reading.tolerate(read)?.flatten());
    }
    Ok(tools)
}

fn tool(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Tool>, BadRequest> {
    let fields = json::object(path, raw)?;
    let type_path = &path.key("type");
    let kind = fields.get("type").map_or(Ok("custom".into()), |raw| json::string(type_path, raw))?;
    if kind != "custom" {
        // Tools that the provider runs, or whose schema only its models know.
        reading.refuse(type_path);
        return Ok(None);
    }
    let name = json::required_string(path, &fields, "name")?;
    let mut tool = Tool { name, description: None, parameters: None, strict: None };
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "name" | "type" => {}
            _ if json::is_null(raw) => {}
            "description" => tool.description = Some(json::string(path, raw)?.into_owned()),
            "input_schema" => {
                json::map(path, raw)?;
                tool.parameters = Some(raw.to_owned());
            }
            "strict" => tool.strict = Some(json::boolean(path, raw)?),
            _ => reading.other(path, raw),
        }
    }
    if tool.parameters.is_none() {
        return Err(BadRequest::missing(&path.key("input_schema"), "an object"));
    }
    Ok(Some(tool))
}

fn tool_choice(path: &Path<'_>, raw: &RawValue, chat: &mut Chat, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
    let fields = json::object(path, raw)?;
    chat.tool_choice = Some(match json::required_string(path, &fields, "type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Named(json::required_string(path, &fields, "name")?),
        _ => {
            let expected = "`auto`, `any`, `tool` or `none`";
            return Err(BadRequest::wrong(&path.key("type"), "an unknown word", expected));
        }
    });
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "type" | "name" => {}
            _ if json::is_null(raw) => {}
            "disable_parallel_tool_use" => chat.parallel_tool_calls = Some(!json::boolean(path, raw)?),
            _ => reading.other(path, raw),
        }
    }
    Ok(())
}

fn user(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<String>, BadRequest> {
    let mut user = None;
    for (key, raw) in json::object(path, raw)?.iter() {
        let path = &path.key(key);
        match key {
            _ if json::is_null(raw) => {}
            "user_id" => user = Some(json::string(path, raw)?.into_owned()),
            _ => reading.other(path, raw),
        }
    }
    Ok(user)
}

fn output_config(
    path: &Path<'_>,
    raw: &RawValue,
    chat: &mut Chat,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    for (key, raw) in json::object(path, raw)?.iter() {
        let path = &path.key(key);
        match key {
            _ if json::is_null(raw) => {}
            "format" => chat.format = schema(path, raw, reading)?,
            "effort" => match raw.get().trim_matches('"') {
                word if raw.get().starts_with('"') && Effort::from_word(word).is_some() => {
                    chat.effort = Effort::from_word(word);
                }
                _ => reading.leave_out(Hint::Effort),
            },
            _ => reading.other(path, raw),
        }
    }
    Ok(())
}

fn schema(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Format>, BadRequest> {
    let fields = json::object(path, raw)?;
    if json::required_string(path, &fields, "type")? != "json_schema" {
        reading.refuse(&path.key("type"));
        return Ok(None);
    }
    for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "type" | "schema")) {
        reading.other(&path.key(key), raw);
    }
    let schema_path = &path.key("schema");
    let schema = fields.get("schema").ok_or_else(|| BadRequest::missing(schema_path, "an object"))?;
    json::map(schema_path, schema)?;
    // This dialect always enforces a schema.
    Ok(Some(Format::Schema { name: None, strict: Some(true), schema: schema.to_owned() }))
}

#[cfg(test)]
mod tests;
