//! The values of a JSON or TOML text, with numbers as they are written: a parser's floating-point number would change them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// A number, as written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// Names and values, in the file's order.
    Table(Vec<(String, Node)>),
}

/// Deepest nesting. A catalogue has five.
const DEPTH: usize = 32;

impl Node {
    /// Parses a text. A file whose name ends in `.toml` is TOML; any other is JSON.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        if wasmgate_base::document::is_toml(name) {
            let table = DeTable::parse(text).map_err(|error| {
                let line = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default().lines().count();
                format!("line {}: this is not TOML: {}", line.max(1), error.message())
            })?;
            return from_table(table.get_ref(), 0);
        }
        let json = |error: serde_json::Error| format!("line {}: this is not JSON: {error}", error.line());
        let raw: &RawValue = serde_json::from_str(text).map_err(json)?;
        from_raw(raw.get(), 0)
    }

    /// As in `a number`.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Self::List(_) => "a list".into(),
            Self::Table(_) => "a table".into(),
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Node]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn table(&self) -> Option<&[(String, Node)]> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The value of a name. `None` if there is none, or it is null.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let (_, node) = self.table()?.iter().rev().find(|(known, _)| known == name)?;
        (*node != Self::Null).then_some(node)
    }
}

fn too_deep(depth: usize) -> Result<(), String> {
    if depth > DEPTH { Err(format!("values lie more than {DEPTH} deep in each other")) } else { Ok(()) }
}

fn from_table(table: &DeTable<'_>, depth: usize) -> Result<Node, String> {
    let pair = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        Ok((key.get_ref().to_string(), from_value(value.get_ref(), depth + 1)?))
    };
    table.iter().map(pair).collect::<Result<_, String>>().map(Node::Table)
}

fn from_value(value: &DeValue<'_>, depth: usize) -> Result<Node, String> {
    too_deep(depth)?;
    Ok(match value {
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Node::Number(number.as_str().replace('_', "")),
        DeValue::Integer(number) => Node::Text(number.as_str().to_owned()),
        DeValue::Float(number) => Node::Number(number.as_str().replace('_', "")),
        DeValue::Boolean(value) => Node::Bool(*value),
        DeValue::Datetime(date) => Node::Text(date.to_string()),
        DeValue::Array(list) => {
            Node::List(list.iter().map(|value| from_value(value.get_ref(), depth + 1)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => from_table(table, depth)?,
    })
}

/// The members of an object, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn from_raw(text: &str, depth: usize) -> Result<Node, String> {
    too_deep(depth)?;
    // Its syntax was checked with the whole; only texts may still be wrong inside.
    let wrong = |error: serde_json::Error| format!("{}: {error}", text.chars().take(40).collect::<String>());
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(wrong)?;
            let pair = |(name, raw): (String, &RawValue)| Ok((name, from_raw(raw.get(), depth + 1)?));
            Node::Table(members.into_iter().map(pair).collect::<Result<_, String>>()?)
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            Node::List(list.into_iter().map(|raw| from_raw(raw.get(), depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Node::Text(serde_json::from_str(text).map_err(wrong)?),
        Some(b't') => Node::Bool(true),
        Some(b'f') => Node::Bool(false),
        Some(b'n') | None => Node::Null,
        Some(_) => Node::Number(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_are_written() {
        let json = Node::parse("a.json", r#"{"a": 1.50e-07, "b": [null, true, "x\u0041"], "a": 2}"#).expect("JSON");
        let table = json.table().expect("a table");
        assert_eq!(table[0], ("a".into(), Node::Number("1.50e-07".into())));
        assert_eq!(table[1].1, Node::List(vec![Node::Null, Node::Bool(true), Node::Text("xA".into())]));
        assert_eq!(json.get("a"), Some(&Node::Number("2".into())), "the last of a name");
        let toml = Node::parse("a.toml", "a = 1_0.10\nb = 2026-12-01\nc = 0x10").expect("TOML");
        assert_eq!(toml.get("a"), Some(&Node::Number("10.10".into())));
        assert_eq!(toml.get("b"), Some(&Node::Text("2026-12-01".into())));
    }

    #[test]
    fn wrong_and_deep_texts_are_refused() {
        assert!(Node::parse("a.json", "{\n,").unwrap_err().starts_with("line 2: this is not JSON"));
        assert!(Node::parse("a.toml", "a = 1\nb").unwrap_err().starts_with("line 2: this is not TOML"));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(Node::parse("a.json", &deep).unwrap_err().contains("32 deep"));
    }
}
