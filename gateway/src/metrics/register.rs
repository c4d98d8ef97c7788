//! Registers metric families. Every family with labels is registered for sweeping as well, so that no series stays
//! behind when a model, a backend or a policy leaves the configuration.

use std::collections::HashMap;
use std::fmt;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

/// The labels of one series.
pub(super) type Labels<'a> = HashMap<&'a str, &'a str>;

/// All families of the process.
#[derive(Default)]
pub(super) struct Families {
    registry: Registry,
    labelled: Vec<Box<dyn Sweep>>,
}

/// A family whose series can be removed.
trait Sweep: Send + Sync {
    /// Removes the series for which `keep` is false.
    fn sweep(&self, keep: &dyn Fn(&Labels<'_>) -> bool);
}

/// Registration panics on an invalid or duplicate name. Both are mistakes in this folder that any start shows.
impl Families {
    /// Registers a metric without labels, or another collector.
    pub(super) fn add(&self, collector: impl Collector + 'static) {
        self.registry.register(Box::new(collector)).expect("names in this folder are unique");
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> IntCounter {
        let counter = IntCounter::new(name, help).expect("names in this folder are valid");
        self.add(counter.clone());
        counter
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> IntGauge {
        let gauge = IntGauge::new(name, help).expect("names in this folder are valid");
        self.add(gauge.clone());
        gauge
    }

    pub(super) fn seconds(&mut self, name: &str, help: &str) -> prometheus::Gauge {
        let gauge = prometheus::Gauge::new(name, help).expect("names in this folder are valid");
        self.add(gauge.clone());
        gauge
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = Histogram::with_opts(options).expect("names in this folder are valid");
        self.add(histogram.clone());
        histogram
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.labelled(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn sums(&mut self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.labelled(CounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.labelled(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn ratios(&mut self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.labelled(GaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histograms(&mut self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.labelled(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }

    fn labelled<T: MetricVecBuilder + 'static>(&mut self, made: prometheus::Result<MetricVec<T>>) -> MetricVec<T> {
        let family = made.expect("names and labels in this folder are valid");
        self.add(family.clone());
        self.labelled.push(Box::new(family.clone()));
        family
    }

    /// Removes the series of all families for which `keep` is false.
    pub(super) fn sweep(&self, keep: &dyn Fn(&Labels<'_>) -> bool) {
        for family in &self.labelled {
            family.sweep(keep);
        }
    }

    /// All series, for the text format.
    pub(super) fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Families").field("labelled", &self.labelled.len()).finish_non_exhaustive()
    }
}

impl<T: MetricVecBuilder + 'static> Sweep for MetricVec<T> {
    fn sweep(&self, keep: &dyn Fn(&Labels<'_>) -> bool) {
        for collected in self.collect() {
            for metric in collected.get_metric() {
                let labels: Labels<'_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
                if !keep(&labels) {
                    // Fails if a concurrent reset removed it already; that is fine.
                    let _ = self.remove(&labels);
                }
            }
        }
    }
}
