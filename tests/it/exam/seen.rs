//! What a client saw of an answer, and what that is worth.

use serde_json::Value;
use wasmgate_tests::backend::Reply;
use wasmgate_tests::http::Response;
use wasmgate_tests::wire::{Dialect, Usage, ends_well, error_code, text_of};

use super::{Graded, Verdict};

/// The route that the exam's clients use.
pub(super) const PATH: &str = "/v1/chat/completions";
const USAGE: Usage = Usage { input: 11, output: 3 };

/// Who answers. The texts differ, so that an answer with pieces of both shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Primary,
    Fallback,
}

impl Who {
    fn texts(self) -> [&'static str; 3] {
        match self {
            Self::Primary => ["primary one, ", "primary two, ", "primary three"],
            Self::Fallback => ["fallback one, ", "fallback two, ", "fallback three"],
        }
    }

    fn text(self) -> String {
        self.texts().concat()
    }

    /// The frames of a good stream: the first opens it, three hold the text, three end it.
    pub(super) fn frames(self) -> Vec<String> {
        Dialect::OpenAi.frames(&self.texts(), USAGE)
    }

    /// A good answer.
    pub(super) fn well(self, stream: bool) -> Reply {
        match stream {
            true => Reply::stream("text/event-stream").frames(self.frames()).end(),
            false => Reply::json(200, &Dialect::OpenAi.answer(&self.text(), USAGE)),
        }
    }
}

/// What a client saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// The whole answer of one model.
    Whole(Who),
    /// The beginning of an answer, and then an error.
    Broken(String),
    /// An error in place of an answer: its status and its code.
    Told(u16, String),
    /// What no client may see.
    Wrong(String),
}

impl Seen {
    /// Of an answer that was not streamed.
    pub(super) fn of_whole(response: &Response) -> Self {
        let body = response.json();
        if response.status() != 200 {
            return Self::Told(response.status(), error_code(PATH, &body));
        }
        let finished = body["choices"][0]["finish_reason"] == "stop";
        Self::of_text(&text_of(PATH, &[body]), finished)
    }

    /// Of a stream's data.
    pub(super) fn of_stream(data: &[Value]) -> Self {
        let text = text_of(PATH, data);
        if ends_well(PATH, data) {
            let finished = data.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "stop");
            return Self::of_text(&text, finished);
        }
        match data.last().filter(|last| last.get("error").is_some()) {
            Some(error) if [Who::Primary, Who::Fallback].iter().any(|who| who.text().starts_with(&text)) => {
                Self::Broken(error_code(PATH, error))
            }
            Some(_) => Self::Wrong(format!("an error after {text:?}")),
            None => Self::Wrong(format!("neither an end nor an error after {text:?}")),
        }
    }

    fn of_text(text: &str, finished: bool) -> Self {
        match [Who::Primary, Who::Fallback].into_iter().find(|who| who.text() == text) {
            Some(who) if finished => Self::Whole(who),
            Some(_) => Self::Wrong("a whole answer without a finish reason".into()),
            None => Self::Wrong(format!("looks whole: {text:?}")),
        }
    }

    /// Whether the client got a whole answer.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

/// Grades answers alone: the worst counts.
pub(super) fn grade(seen: &[Seen]) -> Graded {
    let of = |is: fn(&Seen) -> bool| seen.iter().find(|seen| is(seen));
    if let Some(worst) = of(|seen| matches!(seen, Seen::Wrong(_))).or_else(|| of(|seen| matches!(seen, Seen::Told(..))))
    {
        return (Verdict::Fail, format!("{worst:?}"));
    }
    match of(|seen| matches!(seen, Seen::Broken(_))) {
        Some(broken) => (Verdict::Partial, format!("{broken:?}")),
        None => (Verdict::Pass, format!("{} whole, the last by {:?}", seen.len(), seen.last())),
    }
}

/// Takes a pass back where more was demanded and does not hold.
pub(super) fn demand(graded: Graded, holds: bool, what: &str) -> Graded {
    match graded {
        (Verdict::Pass, _) if !holds => (Verdict::Partial, what.to_owned()),
        graded => graded,
    }
}
