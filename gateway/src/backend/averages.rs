//! Moving averages of recent calls: latency, time to first token, tokens per second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest call in the moving averages. About the last ten calls dominate.
const WEIGHT: f64 = 0.2;

/// A reading of the averages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Time from the call to the end of its answer, in seconds.
    pub latency: f64,
    /// Time from the call to the first token, in seconds; `None` before the first stream.
    pub time_to_first_token: Option<f64>,
    /// Tokens per second after the first token; `None` before the first stream of more than one token.
    pub tokens_per_second: Option<f64>,
}

/// The moving averages, each the bits of an `f64`, 0 if there is none yet. Concurrent updates may lose one, which an
/// average tolerates.
#[derive(Debug, Default)]
pub struct Recent {
    latency: AtomicU64,
    first_token: AtomicU64,
    tokens_per_second: AtomicU64,
}

impl Recent {
    /// Records a successful call.
    pub fn note(&self, latency: Duration, first_token: Option<Duration>, output_tokens: u64) {
        update(&self.latency, latency.as_secs_f64());
        if let Some(first) = first_token {
            update(&self.first_token, first.as_secs_f64());
            let flowing = latency.saturating_sub(first).as_secs_f64();
            if output_tokens > 1 && flowing > 0.0 {
                #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
                update(&self.tokens_per_second, (output_tokens - 1) as f64 / flowing);
            }
        }
    }

    /// The current averages; `None` before the first call.
    #[must_use]
    pub fn observed(&self) -> Option<Observed> {
        Some(Observed {
            latency: value(&self.latency)?,
            time_to_first_token: value(&self.first_token),
            tokens_per_second: value(&self.tokens_per_second),
        })
    }
}

fn value(average: &AtomicU64) -> Option<f64> {
    Some(f64::from_bits(average.load(Ordering::Relaxed))).filter(|&value| value > 0.0)
}

fn update(average: &AtomicU64, sample: f64) {
    let next = match value(average) {
        None => sample,
        Some(value) => value + WEIGHT * (sample - value),
    };
    average.store(next.to_bits(), Ordering::Relaxed);
}
