//! What of a request a policy is shown within its input limit, and the hints that tell it what was left out.
//!
//! The limit bounds everything that a client can make long: texts, the number of messages, headers. A policy whose input
//! is not bounded in everything can be made to fail by a client, and a policy that fails is a policy that is bypassed.
//!
//! This module must not know: limits of requests, what a policy decides.

use std::borrow::Cow;

use crate::contract::types::{LeftOut, Reads, ReadsPrompt};
use crate::request::{Message, Request};

/// Bytes that each message and each label counts in addition to its text: a policy also pays for their number.
pub const OVERHEAD_BYTES: usize = 64;

/// Hint: how many messages of the conversation the policy is not shown, in decimal, at least 1.
const MESSAGES_LEFT_OUT: &str = "messages-left-out";
/// Hint: how many bytes of the shown messages' text were cut off, in decimal, at least 1.
const BYTES_CUT: &str = "bytes-cut";
/// Hint: how many labels the policy is not shown, in decimal, at least 1.
const LABELS_LEFT_OUT: &str = "labels-left-out";

/// The first message, and all labels together, get at most this part of the limit if not everything fits.
const SHARE: usize = 4;

/// How large a request is for a policy, in bytes: texts and labels, each with its overhead.
#[must_use]
pub fn size(request: &Request<'_>) -> usize {
    let texts: usize = request.messages.iter().map(|message| message.text.len() + OVERHEAD_BYTES).sum();
    texts + request.labels.iter().map(|label| label_size(*label)).sum::<usize>()
}

fn label_size((name, value): (&str, &str)) -> usize {
    name.len() + value.len() + OVERHEAD_BYTES
}

/// In a list of labels that a policy reads: all of them.
pub(crate) const ALL_LABELS: &str = "*";

/// What is shown of a request.
pub(crate) struct Shown<'a> {
    messages: Cow<'a, [Message<'a>]>,
    labels: Cow<'a, [(&'a str, &'a str)]>,
    prompt: ReadsPrompt,
    tenant: bool,
    left_out: LeftOut,
    /// Its size in bytes, at most.
    bytes: usize,
}

impl<'a> Shown<'a> {
    /// Shows what a policy reads of a request, within `limit` bytes. If it does not fit, the first message (most often the
    /// application's instructions) and the newest messages are shown, and those between are left out. A first message longer than a
    /// quarter of the limit is cut to its beginning, and so is a newest message that does not fit.
    pub(crate) fn of(request: &Request<'a>, reads: &Reads, limit: usize) -> Self {
        let all: &'a [Message<'a>] = match reads.prompt {
            ReadsPrompt::None => &[],
            ReadsPrompt::Newest => request.newest().map_or(&[], std::slice::from_ref),
            ReadsPrompt::Conversation => request.messages,
        };
        let reads_label = |(name, _): &&(&str, &str)| reads.labels.iter().any(|read| read == name);
        let all_labels: Cow<'a, [(&'a str, &'a str)]> = match &reads.labels[..] {
            [] => Cow::Borrowed(&[]),
            [label] if label == ALL_LABELS => Cow::Borrowed(request.labels),
            _ => Cow::Owned(request.labels.iter().filter(reads_label).copied().collect()),
        };
        let texts: usize = all.iter().map(|message| message.text.len() + OVERHEAD_BYTES).sum();
        let bytes = texts + all_labels.iter().map(|label| label_size(*label)).sum::<usize>();
        let (prompt, tenant) = (reads.prompt, reads.tenant);
        if bytes <= limit {
            let left_out = LeftOut { messages: 0, bytes: 0, labels: 0 };
            return Self { messages: Cow::Borrowed(all), labels: all_labels, prompt, tenant, left_out, bytes };
        }
        let mut used = 0;
        let fits = |label: &&(&str, &str)| {
            used += label_size(**label);
            used <= limit / SHARE
        };
        let shown_labels = all_labels.iter().take_while(fits).count();
        let labels: Vec<_> = all_labels[..shown_labels].to_vec();
        let mut left = limit - labels.iter().map(|label| label_size(*label)).sum::<usize>();
        let mut shown = Vec::new();
        let mut cut = 0;
        let mut show = |message: &Message<'a>, most: usize| {
            let text = &message.text[..message.text.floor_char_boundary(most.saturating_sub(OVERHEAD_BYTES))];
            cut += message.text.len() - text.len();
            shown.push(Message { role: message.role, text });
            text.len() + OVERHEAD_BYTES
        };
        if let [first, rest @ ..] = all {
            left -= show(first, if rest.is_empty() { left } else { limit / SHARE }).min(left);
            let mut needed = 0;
            let fitting = rest.iter().rev().take_while(|message| {
                needed += message.text.len() + OVERHEAD_BYTES;
                needed <= left
            });
            match (fitting.count(), rest.last()) {
                (0, Some(newest)) => {
                    show(newest, left);
                }
                (count, _) => rest[rest.len() - count..].iter().for_each(|message| {
                    show(message, usize::MAX);
                }),
            }
        }
        let left_out = LeftOut {
            messages: u32::try_from(all.len() - shown.len()).unwrap_or(u32::MAX),
            bytes: u64::try_from(cut).unwrap_or(u64::MAX),
            labels: u32::try_from(all_labels.len() - labels.len()).unwrap_or(u32::MAX),
        };
        Self { messages: Cow::Owned(shown), labels: Cow::Owned(labels), prompt, tenant, left_out, bytes: limit }
    }

    /// How much is shown, in bytes, at most.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much of the conversation the policy reads.
    pub(crate) fn prompt(&self) -> ReadsPrompt {
        self.prompt
    }

    /// The messages that are shown.
    pub(crate) fn messages(&self) -> &[Message<'a>] {
        &self.messages
    }

    /// The labels that are shown.
    pub(crate) fn labels(&self) -> &[(&'a str, &'a str)] {
        &self.labels
    }

    /// Whether the tenant and its budget are shown.
    pub(crate) fn reads_tenant(&self) -> bool {
        self.tenant
    }

    /// What is not shown.
    pub(crate) fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// The request's hints, and those that say what was left out.
    pub(crate) fn hints(&self, request: &Request<'a>) -> Vec<(&'a str, Cow<'a, str>)> {
        let left_out = [
            (MESSAGES_LEFT_OUT, u64::from(self.left_out.messages)),
            (BYTES_CUT, self.left_out.bytes),
            (LABELS_LEFT_OUT, u64::from(self.left_out.labels)),
        ];
        let ours = left_out.into_iter().filter(|(_, count)| *count > 0);
        let ours = ours.map(|(name, count)| (name, Cow::Owned(count.to_string())));
        request.hints.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).chain(ours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::types::Role;
    use crate::request::OwnedRequest;

    fn reads(prompt: ReadsPrompt) -> Reads {
        Reads { prompt, labels: vec![ALL_LABELS.to_owned()], tenant: true }
    }

    /// Roles, lengths of texts and hints as shown within `limit`.
    fn shown(texts: &[usize], labels: usize, limit: usize) -> (Vec<usize>, usize, Vec<(String, String)>) {
        let said = |length: &usize| (Role::User, "é".repeat(length / 2));
        let owned = OwnedRequest {
            messages: texts.iter().map(said).collect(),
            labels: (0..labels).map(|number| (format!("x-{number}"), "v".repeat(100))).collect(),
            ..OwnedRequest::default()
        };
        let lists = owned.lists();
        let request = owned.request(&lists);
        let shown = Shown::of(&request, &reads(ReadsPrompt::Conversation), limit);
        let part = Request { messages: shown.messages(), labels: shown.labels(), ..request };
        assert!(size(&part) <= limit, "{} bytes of {limit}", size(&part));
        let hints = shown.hints(&request).into_iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
        let lengths = shown.messages().iter().map(|message| message.text.len());
        (lengths.collect(), shown.labels().len(), hints.collect())
    }

    fn hint(name: &str, count: usize) -> (String, String) {
        (name.to_owned(), count.to_string())
    }

    #[test]
    fn what_fits_is_shown_whole_and_without_hints() {
        assert_eq!(shown(&[400, 0, 0, 400], 1, 1300), (vec![400, 0, 0, 400], 1, vec![]));
    }

    #[test]
    fn the_first_and_the_newest_are_shown_and_what_lies_between_is_told() {
        let told = vec![hint(MESSAGES_LEFT_OUT, 2)];
        assert_eq!(shown(&[100, 500, 500, 300, 200], 0, 1024), (vec![100, 300, 200], 0, told));
        let told = vec![hint(MESSAGES_LEFT_OUT, 1), hint(BYTES_CUT, 408)];
        assert_eq!(shown(&[600, 500, 400], 0, 1024), (vec![192, 400], 0, told));
    }

    #[test]
    fn a_message_that_does_not_fit_shows_its_beginning() {
        assert_eq!(shown(&[5000], 0, 1024), (vec![960], 0, vec![hint(BYTES_CUT, 4040)]));
        let told = vec![hint(BYTES_CUT, 5000 - 850)];
        assert_eq!(shown(&[46, 5000], 0, 1024), (vec![46, 850], 0, told));
    }

    #[test]
    fn many_messages_without_text_and_many_labels_count_too() {
        let (lengths, _, told) = shown(&[0; 60_000], 0, 64 << 10);
        assert_eq!((lengths.len(), told), (1024, vec![hint(MESSAGES_LEFT_OUT, 60_000 - 1024)]));
        let (lengths, labels, told) = shown(&[0; 3], 100, 1024);
        assert_eq!((lengths.len(), labels, told), (3, 1, vec![hint(LABELS_LEFT_OUT, 99)]));
    }

    #[test]
    fn only_what_the_manifest_reads_is_shown() {
        let owned = OwnedRequest {
            messages: [(Role::User, "first"), (Role::User, "newest"), (Role::Tool, "result")]
                .map(|(role, text)| (role, text.to_owned()))
                .to_vec(),
            labels: ["a", "b"].map(|name| (name.to_owned(), "v".to_owned())).to_vec(),
            ..OwnedRequest::default()
        };
        let lists = owned.lists();
        let request = owned.request(&lists);
        for (prompt, labels, texts, named) in [
            (ReadsPrompt::None, &[][..], &[][..], 0),
            (ReadsPrompt::Newest, &["b", "c"], &["newest"], 1),
            (ReadsPrompt::Conversation, &["*"], &["first", "newest", "result"], 2),
        ] {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            let shown = Shown::of(&request, &Reads { prompt, labels, tenant: false }, 1 << 20);
            let seen: Vec<&str> = shown.messages().iter().map(|message| message.text).collect();
            assert_eq!((&seen[..], shown.labels().len()), (texts, named), "{prompt:?}");
        }
    }
}
