//! Histogram buckets, in seconds, with the reason for their bounds.

/// Whole requests and model calls: from a cached word to a long answer of a slow model. The last bound must be well
/// above any alert's threshold, or a quantile can never exceed it.
pub(super) const DURATION: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];
/// A routing decision: tens of microseconds for Rust policies, milliseconds for those with a language engine inside.
pub(super) const ROUTING: [f64; 15] =
    [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// One call of one policy: a decade below a routing decision.
pub(super) const EVALUATION: [f64; 15] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.05, 0.25];
/// Time to first token: the bounds of vLLM, so that the two can be compared.
pub(super) const FIRST_TOKEN: [f64; 19] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0];
