//! The metrics of groups whose keys clients send. Their names come from the configuration; of many groups, the first have
//! series of their own and the rest share `other`.

use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec};

use super::labels::Ending;
use super::register::Families;
use wasmgate_base::money::Price;
use wasmgate_base::usage::Usage;

/// Groups with series of their own. Each has eleven, and those of its limits.
const MOST: usize = 100;
/// The label of the rest.
pub(super) const OTHER: &str = "other";
/// The label of requests without a group.
pub(super) const NO_GROUP: &str = "none";

/// The families of groups.
#[derive(Debug)]
pub(super) struct Groups {
    requests: IntCounterVec,
    cost: CounterVec,
    tokens: IntCounterVec,
    estimated_tokens: IntCounterVec,
    explored: IntCounterVec,
    explored_without: IntCounter,
}

/// The series of one group.
#[derive(Debug)]
pub struct GroupMetrics {
    /// The group's label: its name, or `other`.
    pub label: String,
    // In the order of `Ending::WORDS`.
    requests: [IntCounter; Ending::WORDS.len()],
    cost: Counter,
    // Input, output.
    tokens: [IntCounter; 2],
    estimated_tokens: [IntCounter; 2],
    explored: IntCounter,
}

impl Groups {
    pub(super) fn new(families: &mut Families) -> Self {
        let explored = families.counters(
            "api_gateway_explored_requests_total",
            "Requests that ended for which the gateway chose another model of the ranking than the policy's first, to explore, by \
             group (none: requests without a group).",
            &["group"],
        );
        Self {
            explored_without: explored.with_label_values(&[NO_GROUP]),
            explored,
            requests: families.counters(
                "api_gateway_group_requests_total",
                "Requests with a key of the group that ended, by how they ended.",
                &["group", "ending"],
            ),
            cost: families.sums(
                "api_gateway_group_cost_total",
                "Estimated spend of the group's keys in US dollars.",
                &["group"],
            ),
            tokens: families.counters(
                "api_gateway_group_tokens_total",
                "Tokens of the group's keys that the backends reported.",
                &["group", "type"],
            ),
            estimated_tokens: families.counters(
                "api_gateway_group_estimated_tokens_total",
                "Tokens of the group's keys that the gateway estimated, for calls whose backend reported no final count.",
                &["group", "type"],
            ),
        }
    }

    /// The series of the group with this position and name, all at 0.
    pub(super) fn of(&self, position: usize, name: &str) -> GroupMetrics {
        let label = if position < MOST { name } else { OTHER };
        let types = ["input", "output"];
        GroupMetrics {
            requests: Ending::WORDS.map(|ending| self.requests.with_label_values(&[label, ending])),
            cost: self.cost.with_label_values(&[label]),
            tokens: types.map(|which| self.tokens.with_label_values(&[label, which])),
            estimated_tokens: types.map(|which| self.estimated_tokens.with_label_values(&[label, which])),
            explored: self.explored.with_label_values(&[label]),
            label: label.to_owned(),
        }
    }
}

impl GroupMetrics {
    /// Counts a request that ended.
    pub fn ended(&self, ending: Ending) {
        self.requests[ending.number()].inc();
    }

    /// Adds a call's usage and its cost. `reported`: whether the backend reported the input and the output.
    pub fn bill(&self, usage: &Usage, reported: [bool; 2], price: Option<Price>) {
        for (which, tokens) in [usage.input_total(), usage.output].into_iter().enumerate() {
            let series = if reported[which] { &self.tokens } else { &self.estimated_tokens };
            series[which].inc_by(tokens);
        }
        if let Some(price) = price {
            self.cost.inc_by(price.of(usage).usd());
        }
    }
}

impl super::Metrics {
    /// The series of the group with this position in the configuration, all at 0.
    #[must_use]
    pub fn group(&self, position: usize, name: &str) -> GroupMetrics {
        self.groups.of(position, name)
    }

    /// Counts a request of a group, or of none, that was explored.
    pub fn explored(&self, group: Option<&GroupMetrics>) {
        group.map_or(&self.groups.explored_without, |group| &group.explored).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_groups_share_the_series_of_the_rest() {
        let groups = Groups::new(&mut Families::default());
        let label = |position| groups.of(position, "acme").label;
        assert_eq!([label(0), label(MOST - 1), label(MOST), label(10_000)], ["acme", "acme", OTHER, OTHER]);
    }
}
