//! Counters by pairs of models. There are as many pairs as the square of the number of models, so only the first pairs of
//! different models that occur have series of their own: a frequent pair is among them. All later pairs share the series
//! whose models are `other`. Pairs of one model with itself are as many as models, and each has its own series.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounterVec;
use prometheus::core::Collector as _;

use super::register::{Families, Labels};

/// Most pairs of different models with series of their own, for each group.
pub(super) const DIFFERENT: usize = 50;

/// A family of such counters. The pairs of each group are bounded apart.
#[derive(Debug, Clone)]
pub(super) struct PairCounters {
    family: IntCounterVec,
    group: &'static [&'static str],
    pair: [&'static str; 2],
    /// Pairs of different models with series of their own, by group.
    own: Arc<Mutex<HashMap<String, HashSet<String>>>>,
}

impl PairCounters {
    /// Registers a family with the labels of `group` and `pair`.
    pub(super) fn new(
        families: &mut Families,
        name: &str,
        help: &str,
        group: &'static [&'static str],
        pair: [&'static str; 2],
    ) -> Self {
        let family = families.counters(name, help, &[group, &pair].concat());
        Self { family, group, pair, own: Arc::default() }
    }

    /// Counts an event of a pair. `group` has a value for each label of the group.
    pub(super) fn inc(&self, group: &[&str], pair: [&str; 2]) {
        let [one, other] = pair;
        let pair = if one == other || self.is_own(group, pair) { pair } else { ["other"; 2] };
        self.family.with_label_values(&[group, &pair].concat()).inc();
    }

    /// Whether a pair of different models has series of its own, or gets them now.
    fn is_own(&self, group: &[&str], pair: [&str; 2]) -> bool {
        let mut own = self.lock();
        let pairs = own.entry(key(group)).or_default();
        let pair = key(&pair);
        pairs.contains(&pair) || (pairs.len() < DIFFERENT && pairs.insert(pair))
    }

    /// Frees the places of pairs whose series were removed.
    pub(super) fn follow_removals(&self) {
        let mut own = self.lock();
        own.clear();
        for metric in self.family.collect().iter().flat_map(prometheus::proto::MetricFamily::get_metric) {
            let labels: Labels<'_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            let value = |name: &&str| labels.get(name).copied().unwrap_or_default();
            let pair = self.pair.each_ref().map(value);
            if pair[0] != pair[1] {
                let group: Vec<&str> = self.group.iter().map(value).collect();
                own.entry(key(&group)).or_default().insert(key(&pair));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names from the configuration and from manifests have no line breaks.
fn key(values: &[&str]) -> String {
    values.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: usize = 40;

    fn counters(families: &mut Families) -> PairCounters {
        PairCounters::new(families, "pairs_total", "Pairs.", &["shadow"], ["active", "other_active"])
    }

    fn series(pairs: &PairCounters) -> Vec<(Vec<String>, f64)> {
        let families = pairs.family.collect();
        let metrics = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
        let row = |metric: &prometheus::proto::Metric| {
            (metric.get_label().iter().map(|pair| pair.value().to_owned()).collect(), metric.get_counter().get_value())
        };
        metrics.map(row).collect()
    }

    #[test]
    fn all_pairs_of_many_models_have_a_bounded_number_of_series_and_lose_no_event() {
        let pairs = counters(&mut Families::default());
        let names: Vec<String> = (0..MODELS).map(|model| format!("m{model}")).collect();
        for shadow in ["a", "b"] {
            for (one, other) in names.iter().flat_map(|one| names.iter().map(move |other| (one, other))) {
                pairs.inc(&[shadow], [one, other]);
            }
        }
        let all = series(&pairs);
        assert_eq!(all.len(), 2 * (MODELS + DIFFERENT + 1));
        assert_eq!(all.iter().map(|(_, count)| *count).sum::<f64>(), (2 * MODELS * MODELS) as f64);
        // A pair that has its own series keeps them.
        pairs.inc(&["a"], ["m0", "m1"]);
        assert!(series(&pairs).contains(&(["m0", "m1", "a"].map(str::to_owned).to_vec(), 2.0)));
    }

    #[test]
    fn pairs_whose_series_were_removed_leave_their_places_to_others() {
        let mut families = Families::default();
        let pairs = counters(&mut families);
        for model in 0..=DIFFERENT {
            pairs.inc(&["a"], ["old", &format!("m{model}")]);
        }
        families.sweep(&|labels| labels.get("active") != Some(&"old"));
        pairs.follow_removals();
        pairs.inc(&["a"], ["new", "m1"]);
        let expected = [(vec!["new", "m1", "a"], 1.0), (vec!["other", "other", "a"], 1.0)];
        let expected =
            expected.map(|(labels, count)| (labels.into_iter().map(str::to_owned).collect::<Vec<_>>(), count));
        let mut found = series(&pairs);
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, expected);
    }
}
