//! What the model was asked, whatever the API.

use serde_json::Value;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The user's.
    User,
    /// The model's own.
    Assistant,
    /// The result of a call.
    Result,
}

/// A turn of a conversation.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Whose.
    pub who: Who,
    /// Its text, without what agents put around prompts by themselves.
    pub text: String,
    /// How many pictures it has.
    pub images: usize,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The model's name in it.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The system prompt, all of it.
    pub instructions: String,
    /// The turns.
    pub turns: Vec<Turn>,
    /// The tool that must be called.
    pub forced: Option<String>,
    /// The tools that take text in place of an object.
    pub of_text: Vec<String>,
    /// Whether the answer must be JSON of a schema.
    pub in_a_form: bool,
    /// Whether usage is wanted in the stream, where that is asked for.
    pub with_usage: bool,
    /// Whether it asks to go on from a text, without turns.
    pub of_a_text: bool,
}

impl Heard {
    /// The members that have the same names in each API.
    pub(super) fn of(body: &Value) -> Self {
        Self {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            ..Self::default()
        }
    }

    /// The last turn of the user that has a text and is no comment on a result; of several, the last that asks for calls.
    #[must_use]
    pub fn prompt(&self) -> Turn {
        let users = || self.turns.iter().filter(|turn| turn.who == Who::User && !turn.text.is_empty());
        let asking = users().rfind(|turn| turn.text.contains("CALL "));
        asking.or_else(|| users().next_back()).cloned().unwrap_or(Turn {
            who: Who::User,
            text: String::new(),
            images: 0,
        })
    }

    /// The results in the conversation.
    #[must_use]
    pub fn results(&self) -> Vec<&Turn> {
        self.turns.iter().filter(|turn| turn.who == Who::Result).collect()
    }

    /// How many pictures the conversation has.
    #[must_use]
    pub fn images(&self) -> usize {
        self.turns.iter().map(|turn| turn.images).sum()
    }

    /// Adds to the system prompt.
    pub(super) fn instruct(&mut self, text: &str) {
        if !self.instructions.is_empty() && !text.is_empty() {
            self.instructions.push('\n');
        }
        self.instructions += text;
    }

    /// Adds a turn.
    pub(super) fn turn(&mut self, who: Who, content: &Value) {
        self.turns.push(Turn { who, text: plain(&text_of(content)), images: images_of(content) });
    }
}

/// The text of a content, which is a text or a list of parts.
pub(super) fn text_of(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n");
    content.as_str().map_or(texts, str::to_owned)
}

/// How many pictures a content has.
fn images_of(content: &Value) -> usize {
    let image = |part: &&Value| part["type"].as_str().is_some_and(|kind| kind.contains("image"));
    content.as_array().into_iter().flatten().filter(image).count()
}

/// A text without what agents add to it by themselves: of time, place and tokens left.
fn plain(text: &str) -> String {
    let mut plain = text.to_owned();
    for tag in ["system-reminder", "environment_context"] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        while let Some(start) = plain.find(&open) {
            let end = plain[start..].find(&close).map_or(plain.len(), |at| start + at + close.len());
            plain.replace_range(start..end, "");
        }
    }
    plain.trim().to_owned()
}
