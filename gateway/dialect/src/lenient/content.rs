//! The content of a message or a delta: mostly a text, sometimes a list of parts.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Word, object, pass_over};

/// Content, whether as a text, as one part or as a list of parts. Mistral's models send their thinking and, after it, their
/// text as parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// The texts of all parts, joined.
    pub(crate) text: String,
    /// The thinking of all parts, joined.
    pub(crate) thinking: String,
    /// Bytes of parts of other types, such as pictures. No other dialect can express them.
    pub(crate) other: usize,
    /// Whether there is content of a kind in which nobody can look for text: a number, a boolean.
    pub(crate) unreadable: bool,
}

object! {
    struct Part<'a> {
        "type" kind: Word<'a>,
        "text" text: Content,
        "thinking" thinking: Content,
        // A part of the model's thinking as it may be shown.
        "summary" summary: Content,
        "content" content: Content,
        "value" value: Content,
        ..other
    }
}

impl Content {
    fn of(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.thinking.is_empty()
    }

    fn add(&mut self, more: Self) {
        self.text.push_str(&more.text);
        self.thinking.push_str(&more.thinking);
        self.other += more.other;
        self.unreadable |= more.unreadable;
    }

    fn add_part(&mut self, part: Part<'_>) {
        let is_thinking = part.kind.get().is_some_and(|kind| kind.contains("thinking") || kind.contains("reasoning"));
        let Part { text, thinking, summary, content, value, other, .. } = part;
        for (said, thought) in
            [(text, is_thinking), (content, is_thinking), (value, is_thinking), (thinking, true), (summary, true)]
        {
            let target = if thought { &mut self.thinking } else { &mut self.text };
            target.push_str(&said.text);
            self.thinking.push_str(&said.thinking);
            self.other += said.other;
            self.unreadable |= said.unreadable;
        }
        if other.has_content && self.is_empty() {
            self.other += other.bytes;
        }
    }

    /// Everything in it, thinking or not: for members that hold thinking only.
    pub(crate) fn joined(self) -> String {
        if self.text.is_empty() { self.thinking } else { self.thinking + &self.text }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::of(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Content::of(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut content = Content::default();
                while let Some(element) = list.next_element::<Content>()? {
                    content.add(element);
                }
                Ok(content)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut content = Content::default();
                content.add_part(Part::deserialize(MapAccessDeserializer::new(map))?);
                Ok(content)
            }

            pass_over!(Content::default(); null);
            pass_over!(Content { unreadable: true, ..Content::default() }; bool numbers);
        }
        deserializer.deserialize_any(Any)
    }
}
