//! How the server of a model deviates from its dialect: as configured, and as its refusals said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use wasmgate_dialect::fields::{HINTS, Hint, Hints};
use wasmgate_dialect::{Dialect, Quirks};

/// How long the gateway remembers what a server refused. Servers are updated and models moved; asking once an hour costs
/// one refusal.
const MEMORY: Duration = Duration::from_secs(3600);

/// The beginning of time, for times in atomics.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The words for all hints that a backend may not get, for labels.
pub fn hint_labels() -> impl Iterator<Item = &'static str> {
    HINTS.iter().map(|field| field.label)
}

/// The quirks of a model. What was learned outlives changes of the settings.
#[derive(Debug)]
pub struct ModelQuirks {
    configured: Quirks,
    detected: Quirks,
    learned: Arc<Learned>,
}

/// What refusals said: hints as bits, whether the output limit has another name, and until when, in seconds since `START`.
#[derive(Debug, Default)]
struct Learned {
    leave_out: AtomicU64,
    max_completion_tokens: AtomicU64,
    until: AtomicU64,
}

impl ModelQuirks {
    /// The quirks of a model with these settings. `detected`: those that its server's address tells; `before`: those of the
    /// same model so far.
    #[must_use]
    pub fn new(configured: Quirks, detected: Quirks, before: Option<&Self>) -> Self {
        LazyLock::force(&START);
        Self { configured, detected, learned: before.map_or_else(Arc::default, |before| Arc::clone(&before.learned)) }
    }

    /// The quirks that a call heeds. `same_dialect`: the client wrote the request in the server's dialect, so that of what was
    /// learned only that matters which the gateway adds; `own_options`: the client itself asks a stream for usage.
    pub(super) fn for_call(&self, same_dialect: bool, own_options: bool) -> Quirks {
        let known = if same_dialect { self.configured } else { self.configured.or(self.detected) };
        let until = self.learned.until.load(Ordering::Acquire);
        if until == 0 {
            return known;
        }
        if until <= START.elapsed().as_secs() {
            self.learned.until.store(0, Ordering::Release);
            self.learned.leave_out.store(0, Ordering::Relaxed);
            self.learned.max_completion_tokens.store(0, Ordering::Relaxed);
            return known;
        }
        let leave_out = Hints::from_bits(self.learned.leave_out.load(Ordering::Relaxed));
        let max_completion_tokens = self.learned.max_completion_tokens.load(Ordering::Relaxed) != 0;
        let learned = match (same_dialect, own_options) {
            (true, true) => Quirks::default(),
            (true, false) => {
                Quirks { leave_out: leave_out.and(Hints::of(&[Hint::StreamOptions])), ..Quirks::default() }
            }
            (false, _) => Quirks { leave_out, max_completion_tokens, ..Quirks::default() },
        };
        known.or(learned)
    }

    /// Remembers what a server refused and did without.
    pub(super) fn learn(&self, backend: &str, model: &str, dialect: Dialect, quirks: Quirks) {
        self.learned.leave_out.fetch_or(quirks.leave_out.bits(), Ordering::Relaxed);
        if quirks.max_completion_tokens {
            self.learned.max_completion_tokens.store(1, Ordering::Relaxed);
        }
        let until = START.elapsed() + MEMORY;
        self.learned.until.store(until.as_secs().max(1), Ordering::Release);
        let mut fields: Vec<&str> =
            quirks.leave_out.iter().filter_map(|hint| hint.field().written_in(dialect)).collect();
        if quirks.max_completion_tokens {
            fields.push("max_tokens");
        }
        tracing::warn!(
            backend,
            model,
            fields = fields.join(", "),
            "the backend refuses these fields; the gateway does without them for an hour (setting: `quirks`)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_applies_to_what_the_gateway_writes() {
        let hints = Hints::of(&[Hint::StreamOptions, Hint::Temperature]);
        let learned = Quirks { max_completion_tokens: true, leave_out: hints, ..Quirks::default() };
        let quirks = ModelQuirks::new(Quirks::NONE, Quirks::NONE, None);
        assert!(quirks.for_call(false, false).is_empty());
        quirks.learn("b", "m", Dialect::OpenAi, learned);
        assert_eq!(quirks.for_call(false, false), learned);
        let only_options = Quirks { leave_out: Hints::of(&[Hint::StreamOptions]), ..Quirks::default() };
        assert_eq!(quirks.for_call(true, false), only_options);
        assert!(quirks.for_call(true, true).is_empty());
        // Settings change, the server does not.
        let configured = Quirks { string_content: true, ..Quirks::default() };
        let later = ModelQuirks::new(configured, Quirks::NONE, Some(&quirks));
        assert_eq!(later.for_call(false, true), learned.or(configured));
    }

    #[test]
    fn what_an_address_tells_applies_to_translated_requests() {
        let newer = Quirks { max_completion_tokens: true, ..Quirks::NONE };
        let quirks = ModelQuirks::new(Quirks::NONE, newer, None);
        assert_eq!((quirks.for_call(false, false), quirks.for_call(true, false)), (newer, Quirks::NONE));
    }
}
