//! The effect of a canary on one figure of requests, such as their cost, with an interval that holds at all times at once: an
//! operator may look after each request and stop when the interval says enough.
//!
//! For each request t, whose figure is y, the estimator of its effect is the sequential augmented inverse-propensity
//! estimator x = (c - a) + z (y - c) / p - (1 - z) (y - a) / (1 - p). z says whether the canary decided it, p is the canary's share,
//! and c and a are the means of the canary's and of the active version's requests before t. Its mean is the effect on that
//! request, however traffic changes during the day, because only the lot decides z. The interval is the mean of x, plus or minus
//! u(V) / t, where V is the sum of the squares of x - (c - a), and u is the boundary of Robbins' normal mixture, u(v) =
//! sqrt((v + r) ln((v + r) / (r alpha²))).
//!
//! Sources: the boundary is equation (14) of Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic
//! confidence sequences", Annals of Statistics 49 (2021). With an observed V it is an asymptotic confidence sequence, and the
//! estimator is theirs for sequential experiments: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
//! theory and asymptotic confidence sequences", Annals of Statistics 52 (2024). A test by such an interval is the mixture
//! sequential probability ratio test that Johari, Koomen, Pekelis and Walsh describe in "Peeking at A/B tests", KDD 2017.
//!
//! Memory is constant. Requests write it without a lock, except for the first ones. A request that another thread adds during a
//! reading may be in only some of the sums.
//!
//! This module must not know: what the figure is, who decides requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How often any of the intervals of a canary may miss its effect at any time: 5 %.
pub const ALPHA: f64 = 0.05;
/// Figures that are compared; they share `ALPHA` equally (Bonferroni).
pub(super) const FIGURES: f64 = 3.0;
/// Requests that only say how large and how different figures are. Both versions' requests are among them, and are not told apart.
pub const WARM_UP: u64 = 50;
/// Minimum of requests of each version before there is an interval.
pub const MIN_REQUESTS: u64 = 30;
/// The warm-up for amounts goes on until so many of them are above 0.
pub(super) const WARM_UP_NOT_ZERO: u64 = 10;
/// The interval is the narrowest when so many requests of the version that decides fewer had a figure at its bound. With fewer, it
/// is wider than what they need alone: a sum of few large figures is far from normal.
const TUNED_FOR: f64 = 250.0;
/// How much the mean of earlier requests of both versions counts in the mean of one: as so many of its own.
const PRIOR: f64 = 1.0;

/// What figures are like, and how those far from the others are bounded, so that single ones decide nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// 0 or 1.
    Ones,
    /// At least 0; one above so many times the mean of those above 0 in the warm-up counts as that.
    Amounts(f64),
    /// Logarithms; one further than this from the mean of the warm-up counts as this far.
    Logarithms(f64),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Effect {
    /// The probability with which the canary decides a request, above 0 and below 1.
    share: f64,
    kind: Kind,
    warm_up: Mutex<WarmUp>,
    scale: OnceLock<Scale>,
    active: Arm,
    canary: Arm,
    effects: Sum,
    squares: Sum,
}

/// Figures of the first requests.
#[derive(Debug, Default)]
struct WarmUp {
    requests: u64,
    not_zero: u64,
    sum: f64,
}

/// What the warm-up said.
#[derive(Debug, Clone, Copy)]
struct Scale {
    mean: f64,
    /// The least and the most that a figure counts.
    bounds: [f64; 2],
    /// Robbins' r.
    mixture: f64,
}

/// The requests of one version.
#[derive(Debug, Default)]
struct Arm {
    requests: AtomicU64,
    sum: Sum,
    bounded: AtomicU64,
}

/// A sum that threads add to.
#[derive(Debug, Default)]
struct Sum(AtomicU64);

/// What requests have said so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// The active version's requests.
    pub(super) active: Side,
    /// The canary's.
    pub(super) canary: Side,
    /// `None`: there are too few requests.
    pub(super) interval: Option<Interval>,
}

/// The requests of one version, without those of the warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Side {
    /// How many.
    pub(super) requests: u64,
    /// The mean of their figures; `None`: there are none.
    pub(super) mean: Option<f64>,
    /// Those whose figure was so large that it counts as less.
    pub(super) bounded: u64,
}

/// The mean effect of the canary on the requests so far, and an interval around it: the canary's figure less the active one's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    /// The estimate.
    pub(super) difference: f64,
    /// The lower end of the interval.
    pub(super) low: f64,
    /// The upper end.
    pub(super) high: f64,
}

impl Effect {
    /// No requests yet. `share`: the probability with which the canary decides a request, above 0 and below 1.
    #[must_use]
    pub(super) fn new(kind: Kind, share: f64) -> Self {
        let scale = match kind {
            Kind::Ones => OnceLock::from(Scale::new(0.0, [0.0, 1.0], share)),
            Kind::Amounts(_) | Kind::Logarithms(_) => OnceLock::new(),
        };
        Self {
            share,
            kind,
            warm_up: Mutex::default(),
            scale,
            active: Arm::default(),
            canary: Arm::default(),
            effects: Sum::default(),
            squares: Sum::default(),
        }
    }

    /// Counts a request. A figure that is not a number is left out.
    pub(super) fn note(&self, by_canary: bool, figure: f64) {
        if !figure.is_finite() {
            return;
        }
        let Some(scale) = self.scale.get() else { return self.warm_up(figure) };
        let (active, canary) = (self.active.expected(scale.mean), self.canary.expected(scale.mean));
        let counted = figure.clamp(scale.bounds[0], scale.bounds[1]);
        let (arm, residual) = match by_canary {
            true => (&self.canary, (counted - canary) / self.share),
            false => (&self.active, (active - counted) / (1.0 - self.share)),
        };
        self.squares.add(residual * residual);
        self.effects.add(canary - active + residual);
        arm.sum.add(counted);
        if figure < scale.bounds[0] || figure > scale.bounds[1] {
            arm.bounded.fetch_add(1, Ordering::Relaxed);
        }
        arm.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn warm_up(&self, figure: f64) {
        let mut seen = self.warm_up.lock().unwrap_or_else(PoisonError::into_inner);
        seen.requests += 1;
        seen.not_zero += u64::from(figure != 0.0);
        seen.sum += figure;
        let is_enough = match self.kind {
            Kind::Amounts(_) => seen.not_zero >= WARM_UP_NOT_ZERO,
            Kind::Ones | Kind::Logarithms(_) => true,
        };
        if seen.requests >= WARM_UP && is_enough {
            let mean = seen.sum / count(seen.requests);
            let bounds = match self.kind {
                Kind::Ones => [0.0, 1.0],
                Kind::Amounts(times) => [0.0, times * seen.sum / count(seen.not_zero)],
                Kind::Logarithms(far) => [mean - far, mean + far],
            };
            // A thread that waited for the lock finds it set.
            let _ = self.scale.set(Scale::new(mean, bounds, self.share));
        }
    }

    /// What requests have said so far.
    #[must_use]
    pub(super) fn found(&self) -> Found {
        let (active, canary) = (self.active.side(), self.canary.side());
        let enough = active.requests.min(canary.requests) >= MIN_REQUESTS;
        let interval = self.scale.get().filter(|_| enough).map(|scale| {
            let requests = count(active.requests + canary.requests);
            let difference = self.effects.get() / requests;
            let alpha = ALPHA / FIGURES;
            let variance = self.squares.get() + scale.mixture;
            let reach = (variance * (variance / (scale.mixture * alpha * alpha)).ln()).sqrt() / requests;
            Interval { difference, low: difference - reach, high: difference + reach }
        });
        Found { active, canary, interval }
    }
}

impl Scale {
    /// Robbins' r makes the boundary the lowest at `TUNED_FOR`: Howard et al., section 3.5.
    fn new(mean: f64, bounds: [f64; 2], share: f64) -> Self {
        let most = (bounds[1] - mean).max(mean - bounds[0]) / share.min(1.0 - share);
        let log = -2.0 * (ALPHA / FIGURES).ln();
        Self { mean, bounds, mixture: TUNED_FOR * most * most / (log + (log + 1.0).ln()) }
    }
}

impl Arm {
    /// The mean that the next request's figure is expected to be near.
    fn expected(&self, before: f64) -> f64 {
        (PRIOR * before + self.sum.get()) / (PRIOR + count(self.requests.load(Ordering::Relaxed)))
    }

    fn side(&self) -> Side {
        let requests = self.requests.load(Ordering::Relaxed);
        let mean = (requests > 0).then(|| self.sum.get() / count(requests));
        Side { requests, mean, bounded: self.bounded.load(Ordering::Relaxed) }
    }
}

impl Sum {
    fn add(&self, more: f64) {
        let add = |bits: u64| Some((f64::from_bits(bits) + more).to_bits());
        // It never refuses.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn count(requests: u64) -> f64 {
    requests as f64
}
