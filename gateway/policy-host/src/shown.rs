//! What of a request a policy is shown within its input limit, and the hints that tell it what was left out.
//!
//! The limit bounds everything that a client can make long: texts, the number of messages, headers. A policy whose input
//! is not bounded in everything can be made to fail by a client, and a policy that fails is a policy that is bypassed.
//!
//! This module must not know: limits of requests, what a policy decides.

use std::borrow::Cow;

use crate::contract::types::{Message, Request};

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

/// What is shown of a request.
pub(crate) struct Shown<'a> {
    messages: Cow<'a, [Message<'a>]>,
    labels: &'a [(&'a str, &'a str)],
    /// The hints' names and how much each says.
    left_out: Vec<(&'static str, String)>,
    /// Its size in bytes, at most.
    bytes: usize,
}

impl<'a> Shown<'a> {
    /// Shows a request within `limit` bytes. If it does not fit, the first message (most often the application's
    /// instructions) and the newest messages are shown, and those between are left out. A first message longer than a
    /// quarter of the limit is cut to its beginning, and so is a newest message that does not fit.
    pub(crate) fn of(request: &Request<'a>, limit: usize) -> Self {
        let (all, all_labels) = (request.messages, request.labels);
        let bytes = size(request);
        if bytes <= limit {
            return Self { messages: Cow::Borrowed(all), labels: all_labels, left_out: Vec::new(), bytes };
        }
        let mut used = 0;
        let fits = |label: &&(&str, &str)| {
            used += label_size(**label);
            used <= limit / SHARE
        };
        let labels = &all_labels[..all_labels.iter().take_while(fits).count()];
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
        let counts = [
            (MESSAGES_LEFT_OUT, all.len() - shown.len()),
            (BYTES_CUT, cut),
            (LABELS_LEFT_OUT, all_labels.len() - labels.len()),
        ];
        let left_out = counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| (*name, count.to_string()));
        Self { left_out: left_out.collect(), messages: Cow::Owned(shown), labels, bytes: limit }
    }

    /// How much is shown, in bytes, at most.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All hints: the request's, and those that say what was left out.
    pub(crate) fn hints<'h>(&'h self, request: &Request<'h>) -> Vec<(&'h str, &'h str)> {
        let ours = self.left_out.iter().map(|(name, count)| (*name, &**count));
        request.hints.iter().copied().chain(ours).collect()
    }

    /// The request as it is shown; `hints` are those of this value.
    pub(crate) fn request<'s>(&'s self, request: Request<'s>, hints: &'s [(&'s str, &'s str)]) -> Request<'s> {
        Request { messages: &self.messages, labels: self.labels, hints, ..request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::types::Role;
    use crate::request::OwnedRequest;

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
        let shown = Shown::of(&request, limit);
        let hints = shown.hints(&request);
        let request = shown.request(request.clone(), &hints);
        assert!(size(&request) <= limit, "{} bytes of {limit}", size(&request));
        let hints = request.hints.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let lengths = request.messages.iter().map(|message| message.text.len());
        (lengths.collect(), request.labels.len(), hints.collect())
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
}
