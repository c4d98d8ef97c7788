//! Writes a stream of the Responses dialect.
//!
//! The answer is a list of items: thinking, text and calls in the order in which the model began them. The encoder closes
//! an item when the next one begins. Only a call whose arguments are not whole stays open, because the fragments of several
//! calls may interleave; each event names its item. The last event repeats all items, so the encoder keeps the answer.

use serde_json::value::RawValue;

use super::super::error::{stream_code, stream_message};
use super::super::events::{
    ArgumentsDone, CallDelta, Events, InputDone, OfItem, OfPart, OfSummary, SummaryDelta, SummaryDone, TextDelta,
    TextDone,
};
use super::super::items::{Content, Entry, Kind, Summary};
use super::super::object::{Error, Object, Standing};
use super::super::tools::unwrap_input;
use crate::chat::{Delta, Finish};
use crate::types::{ErrorText, Facts, Routing, Total};
use wasmgate_base::usage::Usage;

/// Writes a stream of the Responses dialect.
#[derive(Debug)]
pub(crate) struct Encoder {
    request_id: String,
    object: Object,
    events: Events,
    begun: bool,
    entries: Vec<Entry>,
    /// The entry of each call, by the call's number.
    calls: Vec<usize>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            object: Object::new(&facts),
            request_id: facts.request_id,
            events: Events::default(),
            begun: false,
            entries: Vec::new(),
            calls: Vec::new(),
            finish: None,
            usage: None,
        }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.begin(out),
            Delta::Text(text) => self.text(&text, out),
            Delta::Reasoning(text) => self.reasoning(&text, out),
            Delta::ToolCallStart { index, id, name } => {
                let kind = Entry::call(self.object.echo(), &id, &self.request_id, index, name);
                let at = self.open(kind, out);
                self.calls.push(at);
            }
            Delta::ToolCallArguments { index, fragment } => self.arguments(index, &fragment, out),
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::Usage { usage, .. } => self.usage = Some(usage),
            Delta::Other(_) | Delta::End | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        self.begin(out);
        let standing = Standing::Ended(self.finish, total, self.usage);
        let status = Object::status(&standing);
        for at in 0..self.entries.len() {
            // An answer that is not complete broke off in its last item.
            let is_whole = status == "completed" || at + 1 < self.entries.len();
            self.close(at, is_whole, out);
        }
        let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
        let (object, entries) = (&self.object, &self.entries);
        self.events.write_response(name, |out| object.append(standing, entries, out), out);
    }

    /// Writes the end of a stream that failed.
    pub(crate) fn fail(&mut self, error: &ErrorText, out: &mut Vec<u8>) {
        self.begin(out);
        let message = stream_message(error);
        let standing = Standing::Failed(Error { code: stream_code(error), message: &message });
        let (object, entries) = (&self.object, &self.entries);
        self.events.write_response("response.failed", |out| object.append(standing, entries, out), out);
    }

    /// Counts an event of a stream that is forwarded: one that this encoder may have to end.
    pub(super) fn skip_event(&mut self) {
        self.events.skip();
    }

    /// Goes on as the response of this id, which has begun.
    pub(super) fn continue_as(&mut self, id: String) {
        self.begun = true;
        self.object.id = id;
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for name in ["response.created", "response.in_progress"] {
            let object = &self.object;
            self.events.write_response(name, |out| object.append(Standing::InProgress, &[], out), out);
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let at = match self.current(|kind| matches!(kind, Kind::Message)) {
            Some(at) => at,
            None => self.open(Kind::Message, out),
        };
        let entry = &mut self.entries[at];
        entry.text.push_str(text);
        let body = TextDelta { item_id: &entry.id, output_index: at, content_index: 0, delta: text, logprobs: [] };
        self.events.write("response.output_text.delta", &body, out);
    }

    fn reasoning(&mut self, text: &str, out: &mut Vec<u8>) {
        let at = match self.current(|kind| matches!(kind, Kind::Reasoning)) {
            Some(at) => at,
            None => self.open(Kind::Reasoning, out),
        };
        let entry = &mut self.entries[at];
        entry.text.push_str(text);
        let body = SummaryDelta { item_id: &entry.id, output_index: at, summary_index: 0, delta: text };
        self.events.write("response.reasoning_summary_text.delta", &body, out);
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        let Some(&at) = self.calls.get(index) else { return };
        let entry = &mut self.entries[at];
        if entry.done {
            // The call was whole when the next item began: text after a complete object is not JSON.
            return;
        }
        entry.text.push_str(fragment);
        // Free text is known only when the object around it is whole.
        if !entry.is_custom() {
            let body = CallDelta { item_id: &entry.id, output_index: at, delta: fragment };
            self.events.write("response.function_call_arguments.delta", &body, out);
        }
    }

    /// The last item, if it is open and of this kind.
    fn current(&self, of_kind: impl Fn(&Kind) -> bool) -> Option<usize> {
        let last = self.entries.last()?;
        (!last.done && of_kind(&last.kind)).then(|| self.entries.len() - 1)
    }

    /// Opens an item after closing the one before it.
    fn open(&mut self, kind: Kind, out: &mut Vec<u8>) -> usize {
        self.begin(out);
        let at = self.entries.len();
        if let Some(last) = self.entries.last()
            && (!matches!(last.kind, Kind::Call { .. }) || is_whole(&last.text))
        {
            self.close(at - 1, true, out);
        }
        self.entries.push(Entry::new(kind, &self.request_id, at));
        let entry = &self.entries[at];
        let body = OfItem { output_index: at, item: entry.written("in_progress") };
        self.events.write("response.output_item.added", &body, out);
        let item_id = &entry.id;
        match entry.kind {
            Kind::Message => {
                let body = OfPart { item_id, output_index: at, content_index: 0, part: Content::new("") };
                self.events.write("response.content_part.added", &body, out);
            }
            Kind::Reasoning => {
                let body = OfSummary { item_id, output_index: at, summary_index: 0, part: Summary::new("") };
                self.events.write("response.reasoning_summary_part.added", &body, out);
            }
            Kind::Call { .. } => {}
        }
        at
    }

    /// Closes an item, unless it is closed. `whole`: nothing of it is missing. Agents run a call when its item is done, so a
    /// call that broke off is only in the last event.
    fn close(&mut self, at: usize, whole: bool, out: &mut Vec<u8>) {
        let entry = &self.entries[at];
        let is_call = matches!(entry.kind, Kind::Call { .. });
        if entry.done || (is_call && !whole) {
            return;
        }
        if is_call && !entry.is_custom() && entry.text.trim().is_empty() {
            // Clients parse the arguments, whether they join the pieces or read the whole.
            let body = CallDelta { item_id: &entry.id, output_index: at, delta: "{}" };
            self.events.write("response.function_call_arguments.delta", &body, out);
            "{}".clone_into(&mut self.entries[at].text);
        }
        self.entries[at].done = whole;
        let entry = &self.entries[at];
        let (item_id, output_index, text) = (&entry.id, at, &entry.text);
        let events = &mut self.events;
        match &entry.kind {
            Kind::Message => {
                let body = TextDone { item_id, output_index, content_index: 0, text, logprobs: [] };
                events.write("response.output_text.done", &body, out);
                let body = OfPart { item_id, output_index, content_index: 0, part: Content::new(text) };
                events.write("response.content_part.done", &body, out);
            }
            Kind::Reasoning => {
                let body = SummaryDone { item_id, output_index, summary_index: 0, text };
                events.write("response.reasoning_summary_text.done", &body, out);
                let body = OfSummary { item_id, output_index, summary_index: 0, part: Summary::new(text) };
                events.write("response.reasoning_summary_part.done", &body, out);
            }
            Kind::Call { tool, .. } if tool.custom => {
                let input = unwrap_input(text);
                let body = CallDelta { item_id, output_index, delta: &input };
                events.write("response.custom_tool_call_input.delta", &body, out);
                let body = InputDone { item_id, output_index, input: &input };
                events.write("response.custom_tool_call_input.done", &body, out);
            }
            Kind::Call { tool, .. } => {
                let body = ArgumentsDone { item_id, output_index, name: &tool.name, arguments: text };
                events.write("response.function_call_arguments.done", &body, out);
            }
        }
        let item = entry.written(if whole { "completed" } else { "incomplete" });
        events.write("response.output_item.done", &OfItem { output_index, item }, out);
    }
}

fn is_whole(arguments: &str) -> bool {
    serde_json::from_str::<&RawValue>(arguments).is_ok()
}

/// An error as a whole stream, for one that has not begun.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let facts = Facts {
        request_id: error.request_id.clone(),
        model: String::new(),
        backend: String::new(),
        created: 0,
        include_usage: false,
        estimated_input_tokens: 0,
        routing: Routing::default(),
        tool_names: None,
        echo: None,
        seal: None,
    };
    let mut out = Vec::new();
    Encoder::new(facts).fail(error, &mut out);
    out
}
