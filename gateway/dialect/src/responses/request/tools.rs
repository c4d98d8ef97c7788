//! Reads the tools of a request, and which of them must be called.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use super::super::tools::{custom_description, custom_schema, flat_name};
use crate::chat::{Tool, ToolChoice};
use crate::echo::EchoedTool;
use crate::fields::Hint;
use crate::json::{self, BadRequest, Fields, Path};
use crate::reading::Reading;

/// The tools of a request.
#[derive(Default)]
pub(super) struct Tools {
    /// Functions, and tools with free text as functions. The provider's own tools are not among them.
    pub(super) tools: Vec<Tool>,
    /// Those with another name or kind in the request, by the name that they have among `tools`.
    pub(super) renamed: HashMap<String, EchoedTool>,
}

impl Tools {
    pub(super) fn read(
        &mut self,
        path: &Path<'_>,
        raw: &RawValue,
        reading: &mut Reading<'_>,
    ) -> Result<(), BadRequest> {
        json::objects(path, raw, |path, fields| self.tool(path, fields, None, reading))
    }

    fn tool(
        &mut self,
        path: &Path<'_>,
        fields: &Fields<'_>,
        namespace: Option<&str>,
        reading: &mut Reading<'_>,
    ) -> Result<(), BadRequest> {
        reading.tool(path, self.tools.len())?;
        match (json::required_string(path, fields, "type")?.as_str(), namespace) {
            ("function", _) => {
                let name = json::required_string(path, fields, "name")?;
                let parameters = fields.get("parameters");
                if let Some(parameters) = parameters {
                    json::map(&path.key("parameters"), parameters)?;
                }
                let strict = fields.get("strict").map(|raw| json::boolean(&path.key("strict"), raw)).transpose()?;
                let tool = Tool {
                    name: flat_name(namespace, &name),
                    description: description(path, fields)?,
                    parameters: parameters.map(ToOwned::to_owned),
                    strict,
                };
                self.add(tool, namespace, name, false);
            }
            ("custom", _) => {
                let name = json::required_string(path, fields, "name")?;
                let grammar = grammar(path, fields)?;
                let grammar = grammar.as_ref().map(|(syntax, definition)| (syntax.as_str(), definition.as_str()));
                let tool = Tool {
                    name: flat_name(namespace, &name),
                    description: custom_description(description(path, fields)?.as_deref(), grammar),
                    parameters: custom_schema(),
                    strict: None,
                };
                self.add(tool, namespace, name, true);
            }
            ("namespace", None) => {
                let name = json::required_string(path, fields, "name")?;
                let path = &path.key("tools");
                let tools = fields.get("tools").ok_or_else(|| BadRequest::missing(path, "an array"))?;
                json::objects(path, tools, |path, fields| self.tool(path, fields, Some(&name), reading))?;
            }
            // The provider's own tools, such as its search. A model without them answers from what it knows.
            _ => reading.leave_out(Hint::ServerTools),
        }
        Ok(())
    }

    fn add(&mut self, tool: Tool, namespace: Option<&str>, name: String, custom: bool) {
        if custom || namespace.is_some() {
            let known = EchoedTool { namespace: namespace.map(ToOwned::to_owned), name, custom };
            self.renamed.insert(tool.name.clone(), known);
        }
        self.tools.push(tool);
    }

    /// Which tools must be called. A choice among some tools leaves the others out.
    pub(super) fn choice(
        &mut self,
        path: &Path<'_>,
        raw: &RawValue,
        reading: &mut Reading<'_>,
    ) -> Result<Option<ToolChoice>, BadRequest> {
        const EXPECTED: &str = "`none`, `auto`, `required` or an object";
        if raw.get().starts_with('{') {
            let fields = json::object(path, raw)?;
            return match json::required_string(path, &fields, "type")?.as_str() {
                "function" | "custom" => named(path, &fields).map(|name| Some(ToolChoice::Named(name))),
                "allowed_tools" => self.allowed(path, &fields, reading).map(Some),
                // A call of one of the provider's own tools.
                _ => {
                    reading.refuse(path);
                    Ok(None)
                }
            };
        }
        if !raw.get().starts_with('"') {
            return Err(BadRequest::wrong(path, json::kind(raw), EXPECTED));
        }
        word(path, &json::string(path, raw)?, EXPECTED).map(Some)
    }

    fn allowed(
        &mut self,
        path: &Path<'_>,
        fields: &Fields<'_>,
        reading: &Reading<'_>,
    ) -> Result<ToolChoice, BadRequest> {
        let list = &path.key("tools");
        let tools = fields.get("tools").ok_or_else(|| BadRequest::missing(list, "an array"))?;
        let mut allowed = HashSet::new();
        json::objects(list, tools, |path, fields| {
            if fields.get("name").is_some() {
                reading.tool(path, allowed.len())?;
                allowed.insert(named(path, fields)?);
            }
            Ok(())
        })?;
        self.tools.retain(|tool| allowed.contains(&tool.name));
        let mode = json::required_string(path, fields, "mode")?;
        word(&path.key("mode"), &mode, "`auto` or `required`")
    }
}

fn word(path: &Path<'_>, word: &str, expected: &str) -> Result<ToolChoice, BadRequest> {
    match word {
        "none" => Ok(ToolChoice::None),
        "auto" => Ok(ToolChoice::Auto),
        "required" => Ok(ToolChoice::Required),
        _ => Err(BadRequest::wrong(path, "an unknown word", expected)),
    }
}

fn named(path: &Path<'_>, fields: &Fields<'_>) -> Result<String, BadRequest> {
    let name = json::required_string(path, fields, "name")?;
    let namespace = fields.get("namespace").map(|raw| json::string(&path.key("namespace"), raw)).transpose()?;
    Ok(flat_name(namespace.as_deref(), &name))
}

fn description(path: &Path<'_>, fields: &Fields<'_>) -> Result<Option<String>, BadRequest> {
    let text = fields.get("description").map(|raw| json::string(&path.key("description"), raw)).transpose()?;
    Ok(text.map(std::borrow::Cow::into_owned))
}

/// The syntax and the definition of the grammar that a tool's free text must follow.
fn grammar(path: &Path<'_>, fields: &Fields<'_>) -> Result<Option<(String, String)>, BadRequest> {
    let path = &path.key("format");
    let Some(format) = fields.get("format") else { return Ok(None) };
    let fields = json::object(path, format)?;
    if json::required_string(path, &fields, "type")? != "grammar" {
        return Ok(None);
    }
    let syntax = json::required_string(path, &fields, "syntax")?;
    Ok(Some((syntax, json::required_string(path, &fields, "definition")?)))
}
