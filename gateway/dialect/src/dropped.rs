//! What the gateway left out of a request for a backend.

use std::borrow::Cow;

use crate::chat::{Chat, Effort, Part, Thinking, ToolChoice};
use crate::fields::{Class, HINTS, Hint, Hints, written};
use crate::types::Dialect;

/// Most names that a client is told.
const MAX_NAMES: usize = 24;

/// The fields of a request that its backend did not get, or got with another value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The hints.
    pub hints: Hints,
    /// Names of fields that `hints` does not tell.
    names: Vec<Cow<'static, str>>,
}

impl Dropped {
    /// What a backend of dialect `to`, whose server takes all hints but `refused`, does not get of a request in dialect `from`.
    pub(crate) fn of(to: Dialect, from: Dialect, chat: &Chat, refused: Hints) -> Self {
        if to == from {
            return Self::default();
        }
        let read = read(chat);
        let unwritten = read.without(written(to)).or(read.and(refused));
        Self { hints: chat.unread.or(unwritten).or(adjusted(to, chat)), names: chat.unread_names.clone() }
    }

    /// Whether nothing was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hints.is_empty()
    }

    /// The first field that must not be left out in strict translation, as the client names it.
    pub(crate) fn first_hint(&self, from: Dialect) -> Option<String> {
        let hint = self.hints.iter().find(|hint| hint.field().class == Class::Hint)?;
        Some(self.names_of(hint, from).next().unwrap_or(hint.field().label).to_owned())
    }

    /// The fields as the client names them, with commas between. At most 24 names and a count.
    #[must_use]
    pub fn names(&self, from: Dialect) -> String {
        let all: Vec<&str> = self.hints.iter().flat_map(|hint| self.names_of(hint, from)).collect();
        let mut names = all[..all.len().min(MAX_NAMES)].join(", ");
        if all.len() > MAX_NAMES {
            names += &format!(", {} more", all.len() - MAX_NAMES);
        }
        // The names go into a header. Only the mark of a shortened key is not ASCII.
        names.replace('…', "...")
    }

    /// The names of a hint: those that the reader remembered, else the usual one.
    fn names_of(&self, hint: Hint, from: Dialect) -> impl Iterator<Item = &str> {
        let field = hint.field();
        let is_of = move |name: &&str| match hint {
            Hint::Other => !HINTS.iter().any(|field| field.has_name(from, name)),
            _ => field.has_name(from, name),
        };
        let remembered = move || self.names.iter().map(|name| &**name).filter(is_of);
        let usual = match field.read_in(from) {
            [usual, ..] => usual.trim_start_matches("*."),
            [] => field.label,
        };
        let usual = remembered().next().is_none().then_some(usual);
        remembered().chain(usual)
    }
}

/// The hints that readers put into fields of `Chat`.
pub(crate) fn read(chat: &Chat) -> Hints {
    let parts = || chat.messages.iter().flat_map(|message| &message.parts);
    let present = [
        (Hint::Thinking, chat.effort().is_none() && chat.thinking.is_some()),
        (Hint::Effort, chat.effort().is_some()),
        (Hint::Reasoning, parts().any(|part| matches!(part, Part::Reasoning(_)))),
        (Hint::User, chat.user.is_some()),
        (Hint::OutputLimit, chat.max_tokens.is_some()),
        (Hint::Temperature, chat.temperature.is_some()),
        (Hint::TopP, chat.top_p.is_some()),
        (Hint::TopK, chat.top_k.is_some()),
        (Hint::Seed, chat.seed.is_some()),
        (Hint::FrequencyPenalty, chat.frequency_penalty.is_some()),
        (Hint::PresencePenalty, chat.presence_penalty.is_some()),
        (Hint::Stop, !chat.stop.is_empty()),
        (Hint::ParallelToolCalls, chat.parallel_tool_calls == Some(false)),
        (Hint::Strict, chat.tools.iter().any(|tool| tool.strict == Some(true))),
        (Hint::SchemaName, matches!(&chat.format, Some(crate::chat::Format::Schema { name: Some(_), .. }))),
    ];
    present.iter().filter(|(_, present)| *present).fold(Hints::default(), |set, &(hint, _)| set.with(hint))
}

/// The hints that a backend gets with another value, or only a part of.
fn adjusted(to: Dialect, chat: &Chat) -> Hints {
    let mut hints = Hints::default();
    let mut adjusted = |hint, is: bool| {
        if is {
            hints = hints.with(hint);
        }
    };
    adjusted(Hint::Temperature, chat.temperature.is_some_and(|t| t > max_temperature(to)));
    adjusted(Hint::Stop, to == Dialect::Anthropic && chat.stop.iter().any(|stop| is_blank(stop)));
    // Anthropic's models do not think unless they are asked to. Ollama's decide by themselves.
    adjusted(
        Hint::Thinking,
        to == Dialect::Ollama && chat.thinking == Some(Thinking::Adaptive) && chat.effort().is_none(),
    );
    adjusted(Hint::Reasoning, to == Dialect::OpenAi && has_reasoning_without_calls(chat));
    adjusted(Hint::Effort, matches!(to, Dialect::OpenAi | Dialect::Native) && chat.effort() == Some(Effort::None));
    adjusted(
        Hint::ParallelToolCalls,
        to == Dialect::Anthropic
            && chat.parallel_tool_calls == Some(false)
            && chat.tool_choice == Some(ToolChoice::None),
    );
    hints
}

fn has_reasoning_without_calls(chat: &Chat) -> bool {
    let has = |parts: &[Part], is: fn(&Part) -> bool| parts.iter().any(is);
    chat.messages.iter().any(|message| {
        has(&message.parts, |part| matches!(part, Part::Reasoning(_)))
            && !has(&message.parts, |part| matches!(part, Part::ToolCall(_)))
    })
}

/// The highest temperature of a dialect.
pub(crate) fn max_temperature(to: Dialect) -> f64 {
    match to {
        Dialect::OpenAi | Dialect::Native | Dialect::Responses | Dialect::Completions => 2.0,
        Dialect::Anthropic => 1.0,
        Dialect::Ollama | Dialect::Generate => f64::INFINITY,
    }
}

/// Whether a stop sequence is one that Anthropic's dialect refuses.
pub(crate) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
