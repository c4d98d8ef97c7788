//! Reads Ollama's request.

mod message;

use serde_json::value::RawValue;

use crate::chat::{Chat, Effort, Format, Thinking, Tool};
use crate::fields::Hint;
use crate::json::{self, BadRequest, Path};
use crate::reading::{self, Reading};
use crate::types::{Bounds, Dialect};

/// Reads a request body.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    // Ollama streams by default.
    let mut chat = Chat { raw: Vec::with_capacity(fields.len()), stream: true, ..Chat::default() };
    let mut reading = Reading::new(Dialect::Ollama, bounds);
    let mut model = None;
    let mut messages = None;
    for (key, raw) in fields.iter() {
        chat.raw.push((key.to_owned(), raw.to_owned()));
        let path = &Path::top(key);
        match key {
            "model" => model = Some(json::string(path, raw)?.into_owned()),
            "messages" => messages = Some(message::messages(path, raw, &mut reading)?),
            _ if json::is_null(raw) => {}
            // The gateway acts on it itself.
            "stream" => chat.stream = json::boolean(path, raw)?,
            "tools" => chat.tools = tools(path, raw, &mut reading)?,
            "format" => chat.format = reading.tolerate(format(path, raw))?.flatten(),
            "options" => {
                let read = options(path, raw, &mut chat, &mut reading);
                reading.tolerate(read)?;
            }
            "think" => think(raw, &mut chat, &mut reading),
            _ => reading.other(path, raw),
        }
    }
    chat.model = model.ok_or_else(|| BadRequest::missing(&Path::top("model"), "a string"))?;
    chat.messages = messages.ok_or_else(|| BadRequest::missing(&Path::top("messages"), "an array"))?;
    chat.include_usage = chat.stream;
    chat.load = chat.messages.is_empty();
    reading.finish(&mut chat);
    Ok(chat)
}

/// Reads whether, or how much, the model thinks.
fn think(raw: &RawValue, chat: &mut Chat, reading: &mut Reading<'_>) {
    match raw.get() {
        "true" => chat.thinking = Some(Thinking::On),
        "false" => chat.thinking = Some(Thinking::Off),
        text => match Effort::from_word(text.trim_matches('"')) {
            Some(effort) => chat.effort = Some(effort),
            None => reading.leave_out(Hint::Effort),
        },
    }
}

fn options(path: &Path<'_>, raw: &RawValue, chat: &mut Chat, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
    for (key, raw) in json::object(path, raw)?.iter() {
        let read = option(key, &path.key(key), raw, chat, reading);
        reading.tolerate(read)?;
    }
    Ok(())
}

fn option(
    key: &str,
    path: &Path<'_>,
    raw: &RawValue,
    chat: &mut Chat,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    match key {
        _ if json::is_null(raw) => {}
        "num_predict" => match json::integer(path, raw, -2..=i64::from(u32::MAX))? {
            -1 => {} // no limit, which is the default
            // 0 means no token and -2 fills the context: no other dialect can express these.
            -2 | 0 => reading.leave_out(Hint::OutputLimit),
            limit => chat.max_tokens = u32::try_from(limit).ok(),
        },
        "temperature" => chat.temperature = Some(json::number(path, raw, 0.0..=f64::MAX)?),
        "frequency_penalty" => chat.frequency_penalty = penalty(path, raw)?,
        "presence_penalty" => chat.presence_penalty = penalty(path, raw)?,
        "top_p" => chat.top_p = Some(json::number(path, raw, 0.0..=1.0)?),
        "top_k" => chat.top_k = Some(json::count(path, raw, 0)?).filter(|&k| k > 0),
        "seed" => chat.seed = Some(json::integer(path, raw, i64::MIN..=i64::MAX)?),
        "stop" if raw.get().starts_with('"') => chat.stop = vec![json::string(path, raw)?.into_owned()],
        "stop" => chat.stop = reading::stop(path, raw)?,
        _ => reading.other(path, raw),
    }
    Ok(())
}

/// A penalty; 0 is the default.
fn penalty(path: &Path<'_>, raw: &RawValue) -> Result<Option<f64>, BadRequest> {
    Ok(Some(json::number(path, raw, f64::MIN..=f64::MAX)?).filter(|&penalty| penalty != 0.0))
}

fn format(path: &Path<'_>, raw: &RawValue) -> Result<Option<Format>, BadRequest> {
    const EXPECTED: &str = "`json` or a JSON schema";
    match raw.get() {
        r#""""# => Ok(None),
        r#""json""# => Ok(Some(Format::Json)),
        text if text.starts_with('{') => {
            json::map(path, raw)?;
            Ok(Some(Format::Schema { name: None, strict: None, schema: raw.to_owned() }))
        }
        text if text.starts_with('"') => Err(BadRequest::wrong(path, "an unknown word", EXPECTED)),
        _ => Err(BadRequest::wrong(path, json::kind(raw), EXPECTED)),
    }
}

fn tools(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Tool>, BadRequest> {
    let elements = reading.tools(path, raw)?;
    let mut tools = Vec::new();
    for (index, raw) in elements.into_iter().enumerate() {
        let read = tool(&path.index(index), raw, reading);
        tools.extend(reading.tolerate(read)?);
    }
    Ok(tools)
}

fn tool(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Tool, BadRequest> {
    let fields = json::object(path, raw)?;
    for (key, raw) in fields.iter().filter(|(key, raw)| *key != "function" && raw.get() != r#""function""#) {
        reading.other(&path.key(key), raw);
    }
    let path = &path.key("function");
    let function = fields.get("function").ok_or_else(|| BadRequest::missing(path, "an object"))?;
    let function = json::object(path, function)?;
    let name = json::required_string(path, &function, "name")?;
    let mut tool = Tool { name, description: None, parameters: None, strict: None };
    for (key, raw) in function.iter() {
        let path = &path.key(key);
        match key {
            "name" => {}
            _ if json::is_null(raw) => {}
            "description" => tool.description = Some(json::string(path, raw)?.into_owned()),
            "parameters" => {
                json::map(path, raw)?;
                tool.parameters = Some(raw.to_owned());
            }
            "strict" => tool.strict = Some(json::boolean(path, raw)?),
            _ => reading.other(path, raw),
        }
    }
    Ok(tool)
}

#[cfg(test)]
mod tests;
