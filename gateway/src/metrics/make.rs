//! Making metrics, and taking out series that nothing stands behind any more.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{CounterVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Makes and registers metrics. Registration fails for a name that is not valid or taken: both are mistakes in these
/// files that any start of the gateway shows.
pub(super) struct Maker<'a>(pub(super) &'a Registry);

impl Maker<'_> {
    pub(super) fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("names and labels in these files are valid");
        self.0.register(Box::new(metric.clone())).expect("names in these files are unique");
        metric
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn sums(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.add(CounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }
}

/// The labels of one series.
pub(super) type Labels<'a> = HashMap<&'a str, &'a str>;

/// Takes out the series that `keep` does not want.
pub(super) fn sweep<T: MetricVecBuilder>(family: &MetricVec<T>, keep: &dyn Fn(&Labels<'_>) -> bool) {
    for collected in family.collect() {
        for metric in collected.get_metric() {
            let labels: Labels<'_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            if !keep(&labels) {
                // It may have gone in the meantime; then there is nothing to do.
                let _ = family.remove(&labels);
            }
        }
    }
}
