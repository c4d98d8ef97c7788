//! Metrics of the serving snapshot.

use std::time::Duration;

use crate::backend::{Catalog, Location};
use crate::metrics::{ComparedMeasure, InSlot, LastReload, LimitStanding, Metrics, Totals};
use crate::state::{Deciders, Serving, Snapshot};
use wasmgate_base::time::UnixSeconds;

/// Sets the gauges of the serving snapshot. `last`: the result of each policy's last reload. `config`: whether the
/// configuration's last reload succeeded, and since when it serves.
pub fn set_serving(metrics: &Metrics, serving: &Serving, last: &[LastReload], config: (bool, UnixSeconds)) {
    let snapshot = &*serving.snapshot();
    let slots: Vec<InSlot<'_>> = [&snapshot.routing, &snapshot.cost]
        .into_iter()
        .flat_map(|deciders| in_slots(deciders, &snapshot.catalog))
        .collect();
    // Before the series are counted that the configuration explains.
    set_limits(metrics, snapshot, serving.now());
    let groups = snapshot.groups.iter().map(|group| &*group.label);
    metrics.set_serving(&slots, &snapshot.catalog, groups, last, config);
}

fn in_slots<'a>(deciders: &'a Deciders, catalog: &'a Catalog) -> impl Iterator<Item = InSlot<'a>> {
    let percent = deciders.canary.as_ref().map_or(0.0, |canary| canary.percent);
    let active = deciders.active.iter().map(move |active| (active, Some(100.0 - percent)));
    let canary = deciders.canary.iter().map(move |canary| (&canary.decider, Some(percent)));
    let shadows = deciders.shadows.iter().map(|shadow| (&shadow.decider, None));
    active.chain(canary).chain(shadows).map(|(decider, percent)| InSlot {
        labels: &decider.metrics.labels,
        digest: decider.version.policy.digest(),
        open: decider.version.is_open(),
        call_limit: Duration::from_millis(decider.version.policy.limits().call_time_ms),
        unknown_models: decider
            .version
            .policy
            .unknown_models(|name| catalog.find(name).is_some())
            .values()
            .map(Vec::len)
            .sum(),
        share: percent.map(|percent| percent / 100.0),
    })
}

/// Sets how the limits of all groups stand now: a period that has ended since the last request counts nothing.
fn set_limits(metrics: &Metrics, snapshot: &Snapshot, now: UnixSeconds) {
    let limits = snapshot.groups.iter().zip(&snapshot.chains).flat_map(|(group, chain)| {
        let own = chain.own_standings(now).into_iter();
        own.map(|(limit, standing, held)| LimitStanding { group: &group.label, limit, standing, held })
    });
    metrics.set_limits_of_groups(limits, now);
}

/// Removes series of policies and models that have been out of use for `kept`.
pub fn sweep(metrics: &Metrics, snapshot: &Snapshot, kept: Duration) {
    let versions = snapshot.deciders().map(|decider| &decider.metrics.labels);
    metrics.sweep(versions, &snapshot.catalog, snapshot.groups.iter().map(|group| &*group.label), kept);
}

/// The text of `/metrics` for `snapshot`, which serves or did until a moment ago.
#[must_use]
pub fn text(metrics: &Metrics, serving: &Serving, snapshot: &Snapshot, healthy: bool) -> Vec<u8> {
    set_limits(metrics, snapshot, serving.now());
    let pools = snapshot.deciders();
    let pools = pools.map(|decider| (&decider.metrics.labels, decider.version.policy.pool_state()));
    metrics.text(&snapshot.catalog, healthy, pools, compared(snapshot), serving.live())
}

/// What the comparison of the routing policy's canary says.
fn compared(snapshot: &Snapshot) -> impl Iterator<Item = ComparedMeasure<'_>> {
    let canary = snapshot.routing.canary.iter();
    let compared = canary.filter_map(|canary| Some((canary, canary.comparison.as_ref()?.compared())));
    compared.flat_map(|(canary, compared)| {
        compared.measures.into_iter().map(|of| ComparedMeasure {
            labels: &canary.decider.metrics.labels,
            measure: of.measure.as_str(),
            difference: of.difference.zip(of.low.zip(of.high)).map(|(difference, (low, high))| [difference, low, high]),
            requests: [of.canary.requests, of.active.requests],
        })
    })
}

/// Totals since start, and the share of local models among requests that reached a model (`None` before the first).
#[must_use]
pub fn totals(metrics: &Metrics, snapshot: &Snapshot) -> (Totals, Option<f64>) {
    let mut totals = Totals { rejected: metrics.rejections(), ..Totals::default() };
    let (mut local, mut targeted) = (0, 0);
    for (series, live) in snapshot.models.iter().zip(snapshot.catalog.models()) {
        let ended = series.add_to(&mut totals);
        targeted += ended;
        if live.location() == Location::Local {
            local += ended;
        }
    }
    metrics.untargeted.add_to(&mut totals);
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = (targeted > 0).then(|| local as f64 / targeted as f64);
    (totals, share)
}
