//! Who asks what, and what the backend answers: a function of the seed, the client and the number of its request, so
//! that no order in which threads run changes it.

use crate::faults::{FAULTS, Fault, Outcome};
use crate::wire::{CLIENT_PATHS, Dialect};

/// Clients at work at once; the last of them reads slowly.
pub(super) const CLIENTS: usize = 8;
/// The models that answer at times, and what their backends speak.
pub(super) const MODELS: [(&str, Dialect); 4] =
    [("oak", Dialect::OpenAi), ("elm", Dialect::Anthropic), ("ash", Dialect::Ollama), ("fir", Dialect::OpenAi)];
/// A model that always fails and is not tried again once its breaker is open.
pub(super) const DEAD: &str = "dead";
/// A model that always fails and is tried again soon, each time after twice the pause.
pub(super) const LIMP: &str = "limp";
/// Requests of a client in which the same model is the bad one.
const EPISODE: usize = 40;

/// What a seed decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The seed.
    pub seed: u64,
}

/// A request: its client, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    /// Which client.
    pub client: usize,
    /// Which of its requests.
    pub number: usize,
}

/// What a client asks, and how it goes about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The route, which is the client's dialect.
    pub path: &'static str,
    /// A model, or `auto`.
    pub model: &'static str,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether the stream is to be held back until it is whole.
    pub guarded: bool,
    /// How long the client stays.
    pub manner: Manner,
}

/// How a client goes about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It reads the answer to its end.
    Stays,
    /// It leaves as soon as it has asked.
    LeavesAtOnce,
    /// It leaves after the head and so many pieces of the body.
    LeavesWithin(usize),
    /// What it sends is no request for a chat.
    Junk(Junk),
}

/// What is sent that cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junk {
    /// A body that is no JSON.
    NoJson,
    /// A model that there is not.
    NoModel,
    /// A route that there is not.
    NoRoute,
    /// A method that the route does not take.
    NoMethod,
    /// Another content type.
    NoType,
    /// A prompt that is too long.
    TooLong,
    /// Bytes that are no HTTP.
    NoHttp,
    /// A body that ends too soon.
    HalfABody,
}

impl Junk {
    const ALL: [Self; 8] = [
        Self::NoJson,
        Self::NoModel,
        Self::NoRoute,
        Self::NoMethod,
        Self::NoType,
        Self::TooLong,
        Self::NoHttp,
        Self::HalfABody,
    ];
}

impl Id {
    /// The word of the prompt by which the backend knows the request.
    #[must_use]
    pub(super) fn marker(self) -> String {
        format!("chaos-{}-{}-", self.client, self.number)
    }

    /// The request that a body at the backend is of.
    #[must_use]
    pub(super) fn marked(body: &str) -> Option<Self> {
        let mut parts = body.split_once("chaos-")?.1.split('-');
        let mut number = || parts.next()?.parse().ok();
        Some(Self { client: number()?, number: number()? })
    }
}

impl Plan {
    fn draws(self, purpose: u64, id: Id) -> Draws {
        let mut draws = Draws(self.seed);
        for part in [purpose, id.client as u64, id.number as u64] {
            draws = Draws(draws.next() ^ part);
        }
        draws
    }

    /// What a client asks.
    #[must_use]
    pub(super) fn asked(self, id: Id) -> Asked {
        let mut draws = self.draws(1, id);
        let path = draws.one_of(&CLIENT_PATHS);
        let manner = match draws.below(100) {
            0..10 => Manner::Junk(draws.one_of(&Junk::ALL)),
            10..15 => Manner::LeavesAtOnce,
            15..23 => Manner::LeavesWithin(draws.below(3)),
            _ => Manner::Stays,
        };
        let model = match draws.below(100) {
            0..50 => "auto",
            // What an attempt that was abandoned came to no breaker knows.
            50..62 if manner == Manner::Stays => draws.one_of(&[DEAD, LIMP]),
            _ => draws.one_of(&MODELS).0,
        };
        let stream = draws.below(2) == 0;
        Asked { path, model, stream, guarded: stream && draws.below(4) == 0, manner }
    }

    /// What is wrong with a model's answer to a request.
    #[must_use]
    pub(super) fn fault(self, id: Id, model: &str) -> &'static Fault {
        let named = |name: &str| FAULTS.iter().find(|fault| fault.name == name).expect("a fault of that name");
        let Some(index) = MODELS.iter().position(|(name, _)| *name == model) else { return named("status-500") };
        let episode = Id { client: 0, number: id.number / EPISODE };
        let is_bad = self.draws(2, episode).below(MODELS.len()) == index;
        let mut draws = self.draws(3 + index as u64, id);
        if draws.below(100) >= if is_bad { 90 } else { 15 } {
            return named("none");
        }
        let fault = draws.one_of(&FAULTS.iter().collect::<Vec<_>>());
        // Those that take their time would be all of it.
        if is_late(fault) && draws.below(3) > 0 { named("status-502") } else { fault }
    }

    /// The pieces of a model's answer to a request: no other answer has the same text. Those for the client that reads
    /// slowly are more than sockets hold.
    #[must_use]
    pub(super) fn texts(self, id: Id, model: &str) -> Vec<String> {
        let mut draws = self.draws(20, id);
        let slow = id.client + 1 == CLIENTS && draws.below(3) == 0;
        let (pieces, length) = if slow { (48, 2 << 10) } else { (1 + draws.below(6), 1) };
        let mut texts = vec![format!("{model} answers {} ", id.marker())];
        texts.extend((0..pieces).map(|piece| format!("{piece}:{:x} ", draws.next()).repeat(length)));
        texts
    }
}

/// Whether it ends when somebody's patience does.
fn is_late(fault: &Fault) -> bool {
    fault.outcomes.iter().any(|outcome| {
        matches!(outcome, Outcome::Before { code: "backend_timeout", .. } | Outcome::Within { code: "backend_timeout" })
    })
}

/// Numbers that look random: splitmix64.
#[derive(Debug)]
pub(super) struct Draws(pub u64);

impl Draws {
    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all_and_another_seed_something_else() {
        let drawn = |seed| -> Vec<String> {
            let plan = Plan { seed };
            let ids = (0..CLIENTS).flat_map(|client| (0..50).map(move |number| Id { client, number }));
            ids.map(|id| format!("{:?} {} {:?}", plan.asked(id), plan.fault(id, "oak").name, plan.texts(id, "oak")))
                .collect()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn a_marker_is_found_in_a_body() {
        let id = Id { client: 3, number: 17 };
        assert_eq!(Id::marked(&format!("{{\"prompt\":\"{}\"}}", id.marker())), Some(id));
        assert_eq!(Id::marked("{}"), None);
    }
}
