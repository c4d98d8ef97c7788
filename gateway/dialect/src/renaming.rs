//! Shortens the names of tools that a backend's dialect refuses, and gives an answer the client's names back.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::chat::{Chat, Part, Reply, ToolChoice};
use crate::names::ToolNames;
use crate::types::Dialect;

/// The longest name in a dialect, in bytes; `None`: it takes any name.
fn longest(to: Dialect) -> Option<usize> {
    match to {
        Dialect::OpenAi => Some(64),
        Dialect::Anthropic => Some(128),
        Dialect::Native | Dialect::Ollama | Dialect::Responses | Dialect::Completions | Dialect::Generate => None,
    }
}

/// The mapping for a request to a backend of dialect `to`; `None` if that dialect takes all of its names, as nearly
/// always. It depends on the request alone, so that a conversation keeps its names from turn to turn.
pub(crate) fn renamed(to: Dialect, chat: &Chat) -> Option<ToolNames> {
    let longest = longest(to)?;
    let taken = |name: &str| !name.is_empty() && name.len() <= longest && name.bytes().all(is_plain);
    if names(chat).all(taken) {
        return None;
    }
    let mut used: HashSet<String> = names(chat).filter(|name| taken(name)).map(str::to_owned).collect();
    let mut mapping = ToolNames::default();
    for name in names(chat).filter(|name| !taken(name)) {
        if mapping.to_backend.contains_key(name) {
            continue;
        }
        // The name's own digest, so that equal beginnings stay apart. Another one only if a tool has that very name.
        let short = (0..).map(|salt| short(name, salt, longest)).find(|short| !used.contains(short));
        let short = short.unwrap_or_default();
        used.insert(short.clone());
        mapping.to_backend.insert(name.to_owned(), short.clone());
        mapping.to_client.insert(short, name.to_owned());
    }
    Some(mapping)
}

/// A backend's answer with the names as the client knows them.
pub(crate) fn reply_for_client(names: &ToolNames, reply: &Reply) -> Reply {
    let mut reply = reply.clone();
    for call in &mut reply.tool_calls {
        call.name = names.for_client(std::mem::take(&mut call.name));
    }
    reply
}

/// All names of tools in a request: of tools, of calls and of the choice.
fn names(chat: &Chat) -> impl Iterator<Item = &str> {
    let tools = chat.tools.iter().map(|tool| tool.name.as_str());
    let parts = chat.messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| if let Part::ToolCall(call) = part { Some(call.name.as_str()) } else { None });
    let chosen = match &chat.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name.as_str()),
        _ => None,
    };
    tools.chain(calls).chain(chosen)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The beginning of a name, without other characters, and a digest of all of it.
fn short(name: &str, salt: u64, longest: usize) -> String {
    let digest = format!("_{:016x}", fnv(name, salt));
    let plain: Cow<'_, str> = name.chars().map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' }).collect();
    let kept = plain.len().min(longest - digest.len());
    format!("{}{digest}", &plain[..kept])
}

/// FNV-1a, 64 bits: the same in every process and version.
fn fnv(name: &str, salt: u64) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let salt = salt.to_le_bytes().into_iter().filter(|&byte| byte != 0);
    name.bytes().chain(salt).fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Tool;

    fn chat(names: &[&str]) -> Chat {
        let tool = |name: &&str| Tool { name: (*name).to_owned(), description: None, parameters: None, strict: None };
        Chat { tools: names.iter().map(tool).collect(), ..Chat::default() }
    }

    #[test]
    fn names_that_a_dialect_takes_are_not_mapped() {
        let long = "a".repeat(100);
        for (to, name, mapped) in [
            (Dialect::OpenAi, "mcp__server__read-file", false),
            (Dialect::OpenAi, long.as_str(), true),
            (Dialect::Anthropic, long.as_str(), false),
            (Dialect::OpenAi, "a.b", true),
            (Dialect::Anthropic, "größe", true),
            (Dialect::OpenAi, "", true),
            (Dialect::Ollama, "a.b/c", false),
        ] {
            assert_eq!(renamed(to, &chat(&[name])).is_some(), mapped, "{to:?} {name}");
        }
    }

    #[test]
    fn mapped_names_differ_and_come_back() {
        let common = "x".repeat(80);
        let names = [format!("{common}1"), format!("{common}2"), "a.b".to_owned(), "a/b".to_owned(), "a_b".to_owned()];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mapping = renamed(Dialect::OpenAi, &chat(&names)).expect("some are mapped");
        let short: Vec<&str> = names.iter().map(|name| mapping.for_backend(name)).collect();
        assert_eq!(short.iter().collect::<HashSet<_>>().len(), names.len());
        for (name, short) in names.iter().zip(&short) {
            assert!(short.len() <= 64 && short.bytes().all(is_plain), "{short}");
            assert_eq!(mapping.for_client((*short).to_owned()), **name);
        }
        assert_eq!(mapping.for_backend("a_b"), "a_b");
        assert_eq!(renamed(Dialect::OpenAi, &chat(&names)), Some(mapping));
    }

    #[test]
    fn a_tool_that_has_the_short_name_of_another_keeps_it() {
        let first = renamed(Dialect::OpenAi, &chat(&["a.b"])).expect("mapped");
        let taken = first.for_backend("a.b").to_owned();
        let second = renamed(Dialect::OpenAi, &chat(&["a.b", &taken])).expect("mapped");
        assert_ne!(second.for_backend("a.b"), taken);
        assert_eq!(second.for_client(taken.clone()), taken);
    }
}
