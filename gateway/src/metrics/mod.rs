//! Every metric: name, help, labels and buckets. Only this folder uses the metrics library.
//!
//! Labels come from the configuration, from policies' checked manifests and from closed sets, never from a request. All
//! series that can be known in advance start at 0, so that the first event is an increase. Handles are looked up once,
//! not for each request. This module must not know: the snapshot, the record of a request.

mod buckets;
mod canary;
mod decisions;
mod expected;
mod groups;
mod keys;
pub mod labels;
mod ledger;
mod limits;
mod models;
mod pairs;
mod place;
mod policies;
mod prices;
mod register;
mod reloads;
mod requests;
mod retired;
mod shadows;
mod shared;
mod upstreams;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Encoder, IntCounter, IntGauge, TextEncoder};

use crate::backend::{Catalog, LiveModel};
use crate::log;
pub use canary::ComparedMeasure;
pub use groups::GroupMetrics;
pub use keys::KeyRefusal;
pub use limits::LimitStanding;
pub use models::{Endings, ModelMetrics, Totals};
pub use place::PolicyLabels;
use policies::Policies;
pub use policies::{InSlot, PolicyMetrics};
pub use prices::PriceCatalogue;
use register::Families;
pub use reloads::{LastReload, Reload};
pub use requests::PINNED;
use retired::Retired;
pub use shadows::{Comparison, ShadowMetrics};
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::PoolState;

/// The content type of `/metrics`. Prometheus 3 refuses a scrape without it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    /// Endings of requests that reached no model.
    pub untargeted: Endings,
    families: Families,
    requests: requests::Requests,
    models: models::Models,
    groups: groups::Groups,
    limits: limits::Limits,
    keys: keys::Keys,
    ledger: ledger::Entries,
    decisions: decisions::Lines,
    shared: shared::Shared,
    upstreams: upstreams::Upstreams,
    policies: Policies,
    canaries: canary::Canaries,
    shadows: shadows::Shadows,
    reloads: reloads::Reloads,
    prices: prices::Prices,
    log_lines_dropped: IntCounter,
    series_expected: IntGauge,
    // Held while gauges are updated, so that no scrape sees a partial update.
    scrape: Mutex<()>,
    retired: Mutex<Retired>,
}

impl Metrics {
    /// All metrics, at 0.
    #[must_use]
    pub fn new() -> Self {
        let mut families = Families::default();
        #[cfg(target_os = "linux")]
        families.add(prometheus::process_collector::ProcessCollector::for_self());
        let build = families.gauges("api_gateway_build_info", "1, with the running version.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let models = models::Models::new(&mut families);
        Self {
            untargeted: models.untargeted(),
            requests: requests::Requests::new(&mut families),
            models,
            groups: groups::Groups::new(&mut families),
            limits: limits::Limits::new(&mut families),
            keys: keys::Keys::new(&mut families),
            ledger: ledger::Entries::new(&mut families),
            decisions: decisions::Lines::new(&mut families),
            shared: shared::Shared::new(&mut families),
            upstreams: upstreams::Upstreams::new(&mut families),
            policies: Policies::new(&mut families),
            canaries: canary::Canaries::new(&mut families),
            shadows: shadows::Shadows::new(&mut families),
            reloads: reloads::Reloads::new(&mut families),
            prices: prices::Prices::new(&mut families),
            log_lines_dropped: families.counter(
                "api_gateway_log_lines_dropped_total",
                "Log lines dropped because standard error did not take them.",
            ),
            series_expected: families.gauge(
                "api_gateway_series_expected",
                "Most series that the serving configuration explains: those of what serves, of four replaced versions of \
                 each slot, and of all events that may come.",
            ),
            families,
            scrape: Mutex::default(),
            retired: Mutex::default(),
        }
    }

    /// The series of one model, all at 0.
    #[must_use]
    pub fn model(&self, live: &LiveModel) -> ModelMetrics {
        self.requests.create(live);
        self.models.of(live)
    }

    /// The series of a version in a slot, all at 0.
    #[must_use]
    pub fn policy(&self, labels: PolicyLabels, catalog: &Catalog) -> PolicyMetrics {
        self.reloads.create(labels.hook, &labels.slot, &labels.policy);
        self.policies.of(labels, catalog)
    }

    /// The series of a shadow's comparisons with the policy named `active`.
    #[must_use]
    pub fn shadow(&self, active: Option<&str>, labels: PolicyLabels) -> ShadowMetrics {
        self.shadows.of(active, labels)
    }

    /// Updates the gauges of what serves: the versions in `slots`, the labels of `groups`, each policy's last reload, and the configuration's:
    /// whether its last reload succeeded, and since when it serves.
    pub fn set_serving<'a>(
        &self,
        slots: &[InSlot<'a>],
        catalog: &Catalog,
        groups: impl Iterator<Item = &'a str>,
        last: &[LastReload],
        config: (bool, UnixSeconds),
    ) {
        let _scrape = self.lock_scrape();
        self.policies.set(slots);
        self.reloads.set(last, config);
        // A version that is replaced before the next sweep also has series to remove.
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        retired.note(slots.iter().map(|slot| slot.labels), catalog, groups, now);
        let expected = expected::series(&self.families, &retired.noted_at(now), slots, catalog);
        self.series_expected.set(i64::try_from(expected).unwrap_or(i64::MAX));
    }

    /// Removes the series of what has been out of use for `kept`. `versions`, `catalog` and `groups` are in use.
    pub fn sweep<'a>(
        &self,
        versions: impl Iterator<Item = &'a PolicyLabels>,
        catalog: &Catalog,
        groups: impl Iterator<Item = &'a str>,
        kept: Duration,
    ) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        retired.note(versions, catalog, groups, now);
        if retired.expire(now, kept) {
            self.families.sweep(&retired.keep());
            self.shadows.follow_removals();
            self.requests.follow_removals();
        }
    }

    /// The text of `/metrics`, after an update of the gauges that a scrape reads. `pools`: those of all versions in
    /// slots. `compared`: the comparison of a canary. `live`: the number of snapshots held, and how long the oldest has been
    /// draining, in seconds.
    #[must_use]
    pub fn text<'a>(
        &self,
        catalog: &Catalog,
        healthy: bool,
        pools: impl Iterator<Item = (&'a PolicyLabels, PoolState)>,
        compared: impl Iterator<Item = ComparedMeasure<'a>>,
        live: (usize, f64),
    ) -> Vec<u8> {
        let _scrape = self.lock_scrape();
        self.upstreams.read(catalog, healthy);
        self.policies.read(pools, live);
        self.canaries.read(compared);
        self.log_lines_dropped.inc_by(log::dropped().saturating_sub(self.log_lines_dropped.get()));
        let mut text = Vec::with_capacity(64 << 10);
        if let Err(error) = TextEncoder::new().encode(&self.families.gather(), &mut text) {
            tracing::error!(%error, "failed to encode the metrics");
        }
        text
    }

    fn lock_scrape(&self) -> MutexGuard<'_, ()> {
        self.scrape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests rejected since the start.
    #[must_use]
    pub fn rejections(&self) -> u64 {
        self.requests.rejections()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
