//! Which conversation a request belongs to, and which model answered it before.
//!
//! A provider keeps the beginning of a conversation in its prompt cache: the model that answered before answers the next turn
//! cheaper and sooner. Policies learn its name as a hint, and a canary keeps its conversations.
//!
//! The memory is one table of fixed size, some 1 MiB. It holds hashes under keys that each process draws at its start, so that
//! clients cannot aim at a place in it, and never what they sent. A full place forgets its oldest conversation. A request costs
//! one hash of at most 4 KiB and one lock of a place, which nobody holds for longer than a few comparisons.
//!
//! This module must not know: what policies do with it.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use hyper::HeaderMap;
use serde::Deserialize;

use wasmgate_base::digest::sha256;
use wasmgate_dialect::chat::{Chat, Part, Role};

/// The header in which Claude Code names its session.
const SESSION_HEADER: &str = "x-claude-code-session-id";
/// Members of a request by which clients name a conversation or themselves, the more exact first.
const FIELDS: [&str; 2] = ["prompt_cache_key", "user"];
/// Bytes of a conversation's beginning, and of a name, that count.
const COUNTED_BYTES: usize = 4 << 10;

/// Places in the table, and conversations in each.
const PLACES: usize = 8192;
const WAYS: usize = 8;

/// What tells one conversation from another.
#[derive(Debug)]
pub(super) enum Session<'a> {
    /// The client names it.
    Named(Cow<'a, str>),
    /// The client does not, so that the conversation's beginning has to: everything up to the first message of the user.
    Beginning(&'a Chat),
}

impl<'a> Session<'a> {
    /// The session of a request; `None` if nothing in it tells. `header` is one of the operator's, which counts first.
    pub(super) fn of(chat: &'a Chat, headers: &'a HeaderMap, header: Option<&str>) -> Option<Self> {
        let headed = header.into_iter().chain([SESSION_HEADER]);
        let headed = headed.filter_map(|name| headers.get(name)?.to_str().ok()).map(Cow::Borrowed);
        let fields = FIELDS.into_iter().filter_map(|name| text(chat, name));
        let user = || metadata(chat);
        let mut named =
            headed.chain(fields).chain(std::iter::once_with(user).flatten()).filter(|name| !name.is_empty());
        named.next().map(Self::Named).or_else(|| {
            let has_user = chat.messages.iter().any(|message| message.role == Role::User);
            has_user.then_some(Self::Beginning(chat))
        })
    }

    /// Its name, or a digest of its beginning. It is the same in every process.
    pub(super) fn key(&self) -> Cow<'_, str> {
        match self {
            Self::Named(name) => Cow::Borrowed(&name[..name.floor_char_boundary(COUNTED_BYTES)]),
            Self::Beginning(chat) => {
                let mut bytes = Vec::new();
                beginning(chat, |role, text| {
                    bytes.push(role as u8);
                    bytes.extend_from_slice(text.as_bytes());
                });
                sha256(&bytes).into()
            }
        }
    }
}

/// A member of the request that is a text.
fn text<'a>(chat: &'a Chat, name: &str) -> Option<Cow<'a, str>> {
    let (_, raw) = chat.raw.iter().find(|(key, _)| key == name)?;
    #[derive(Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Anthropic's `metadata.user_id`.
fn metadata(chat: &Chat) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Metadata<'t> {
        #[serde(borrow)]
        user_id: Option<Cow<'t, str>>,
    }
    let (_, raw) = chat.raw.iter().find(|(key, _)| key == "metadata")?;
    serde_json::from_str::<Metadata<'_>>(raw.get()).ok()?.user_id
}

/// Gives the texts of a conversation up to the user's first message, `COUNTED_BYTES` in all at most.
fn beginning(chat: &Chat, mut each: impl FnMut(Role, &str)) {
    let mut left = COUNTED_BYTES;
    for message in &chat.messages {
        for text in message.parts.iter().filter_map(Part::text) {
            let text = &text[..text.floor_char_boundary(left)];
            left -= text.len();
            each(message.role, text);
        }
        if message.role == Role::User || left == 0 {
            return;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Affinity {
    places: Box<[Mutex<[Entry; WAYS]>]>,
    random: RandomState,
    /// Counts the entries that were written, to tell the oldest of a place.
    clock: AtomicU32,
}

/// A conversation and the model that answered it last, as hashes; 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    session: u64,
    model: u32,
    written: u32,
}

impl Default for Affinity {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
            random: RandomState::new(),
            clock: AtomicU32::new(0),
        }
    }
}

impl Affinity {
    /// The hash of a session in this process, never 0.
    pub(super) fn hash(&self, session: &Session<'_>) -> u64 {
        let hash = match session {
            Session::Named(_) => self.random.hash_one((0_u8, session.key())),
            Session::Beginning(chat) => {
                let mut hasher = self.random.build_hasher();
                1_u8.hash(&mut hasher);
                beginning(chat, |role, text| (role as u8, text).hash(&mut hasher));
                std::hash::Hasher::finish(&hasher)
            }
        };
        hash.max(1)
    }

    /// Which of `models` answered a session last, if it is remembered.
    pub(super) fn last<'m>(&self, session: u64, mut models: impl Iterator<Item = &'m str>) -> Option<&'m str> {
        let place = *self.place(session).lock().unwrap_or_else(PoisonError::into_inner);
        let entry = place.iter().find(|entry| entry.session == session)?;
        models.find(|model| self.model(model) == entry.model)
    }

    /// Remembers that a model answered a session.
    pub(super) fn answered(&self, session: u64, model: &str) {
        let entry = Entry { session, model: self.model(model), written: self.clock.fetch_add(1, Ordering::Relaxed) };
        let mut place = self.place(session).lock().unwrap_or_else(PoisonError::into_inner);
        let age = |old: &Entry| entry.written.wrapping_sub(old.written);
        let known = place.iter().position(|old| old.session == session);
        let free = || place.iter().position(|old| old.session == 0);
        let oldest = || (0..WAYS).max_by_key(|&way| age(&place[way]));
        if let Some(way) = known.or_else(free).or_else(oldest) {
            place[way] = entry;
        }
    }

    fn place(&self, session: u64) -> &Mutex<[Entry; WAYS]> {
        #[expect(clippy::cast_possible_truncation, reason = "below the number of places")]
        &self.places[(session % PLACES as u64) as usize]
    }

    #[expect(clippy::cast_possible_truncation, reason = "a part of the hash is enough to tell models apart")]
    fn model(&self, name: &str) -> u32 {
        self.random.hash_one(name) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_dialect::{Bounds, Dialect};

    const MODELS: [&str; 3] = ["small", "medium", "large"];

    fn chat(dialect: Dialect, body: &str) -> Chat {
        dialect.decode(body.as_bytes(), &Bounds::default()).expect("a request")
    }

    fn key(dialect: Dialect, members: &str, headers: &[(&'static str, &'static str)]) -> String {
        let body =
            format!(r#"{{"model":"auto","max_tokens":9,{members}"messages":[{{"role":"user","content":"hello"}}]}}"#);
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let chat = chat(dialect, &body);
        Session::of(&chat, &headers, Some("x-mine")).expect("a session").key().into_owned()
    }

    #[test]
    fn what_names_a_session_best_counts() {
        let session = (SESSION_HEADER, "the session");
        let both = r#""user":"the user","prompt_cache_key":"the key","#;
        assert_eq!(key(Dialect::OpenAi, both, &[session, ("x-mine", "mine")]), "mine");
        assert_eq!(key(Dialect::OpenAi, both, &[session]), "the session");
        assert_eq!(key(Dialect::OpenAi, both, &[(SESSION_HEADER, "")]), "the key");
        assert_eq!(key(Dialect::OpenAi, r#""user":"the \"user\"","#, &[]), "the \"user\"");
        let metadata = r#""metadata":{"more":[1],"user_id":"somebody"},"#;
        assert_eq!(key(Dialect::Anthropic, metadata, &[]), "somebody");
        let long = format!(r#""user":"{}","#, "é".repeat(10_000));
        assert_eq!(key(Dialect::OpenAi, &long, &[]).len(), COUNTED_BYTES);
        for odd in ["", r#""user":"","#, r#""metadata":{"user_id":null},"#, r#""metadata":{},"#] {
            assert_eq!(key(Dialect::Anthropic, odd, &[]).len(), 64, "a digest of the beginning: {odd}");
        }
    }

    #[test]
    fn the_beginning_of_a_conversation_stays_and_tells_it_from_others() {
        let affinity = Affinity::default();
        let hash = |messages: &str| {
            let chat = chat(Dialect::OpenAi, &format!(r#"{{"model":"auto","messages":[{messages}]}}"#));
            let headers = HeaderMap::new();
            let session = Session::of(&chat, &headers, None).expect("a session");
            (session.key().into_owned(), affinity.hash(&session))
        };
        let (system, user) = (r#"{"role":"system","content":"be brief"}"#, r#"{"role":"user","content":"hello"}"#);
        let turn = r#"{"role":"assistant","content":"hi"},{"role":"user","content":"and now?"}"#;
        let first = hash(&format!("{system},{user}"));
        assert_eq!(first, hash(&format!("{system},{user},{turn}")));
        for other in [user.to_owned(), format!("{user},{system}"), format!("{system},{turn}")] {
            let other = hash(&other);
            assert!(other.0 != first.0 && other.1 != first.1);
        }
        let chat = chat(Dialect::OpenAi, &format!(r#"{{"model":"auto","messages":[{system}]}}"#));
        assert!(Session::of(&chat, &HeaderMap::new(), None).is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let affinity = Affinity::default();
        let session = |number: u32| affinity.hash(&Session::Named(number.to_string().into()));
        let last = |number: u32| affinity.last(session(number), MODELS.into_iter());
        for number in 0..100_000 {
            affinity.answered(session(number), MODELS[number as usize % 3]);
            assert_eq!(last(number), Some(MODELS[number as usize % 3]));
        }
        let entries = affinity.places.iter().map(|place| *place.lock().unwrap());
        let kept = entries.flatten().filter(|entry| entry.session != 0).count();
        assert!((50_000..=PLACES * WAYS).contains(&kept), "{kept}");
        assert!(size_of_val(&*affinity.places) <= 5 << 18, "{} bytes", size_of_val(&*affinity.places));
        let known = |numbers: std::ops::Range<u32>| numbers.filter(|&number| last(number).is_some()).count();
        assert!(known(99_000..100_000) > 990 && known(0..1000) < 500, "the newest are kept");
        affinity.answered(session(7), "large");
        affinity.answered(session(7), "small");
        assert_eq!((last(7), affinity.last(session(7), ["large"].into_iter())), (Some("small"), None));
    }
}
