//! The metrics of groups' limits and budgets: how they stand at a scrape, and how many requests each refused. Groups that share
//! the label `other` have only the refusals.

use prometheus::{GaugeVec, IntCounterVec};
use wasmgate_accounts::{Limit, Measure, Period, Standing};
use wasmgate_base::money::NanoDollars;
use wasmgate_base::time::UnixSeconds;

use super::groups::OTHER;
use super::register::Families;

const LIMIT: [&str; 3] = ["group", "limit", "period"];
const BUDGET: [&str; 2] = ["group", "period"];

/// The families of limits.
#[derive(Debug)]
pub(super) struct Limits {
    most: GaugeVec,
    left: GaugeVec,
    refused: IntCounterVec,
    budgets: Budgets,
}

/// The families of budgets.
#[derive(Debug)]
struct Budgets {
    limit: GaugeVec,
    spent: GaugeVec,
    reserved: GaugeVec,
    left: GaugeVec,
    window: GaugeVec,
    remaining: GaugeVec,
}

/// How a limit of a group stands.
#[derive(Debug, Clone)]
pub struct LimitStanding<'a> {
    /// The label of the group.
    pub group: &'a str,
    /// The limit.
    pub limit: Limit,
    /// How it stands.
    pub standing: Standing,
    /// What requests in flight hold of it.
    pub held: u64,
}

impl Limits {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            most: families.ratios(
                "api_gateway_limit_max",
                "The most that a group may use in a period: requests, tokens, or requests at a time (concurrent).",
                &LIMIT,
            ),
            left: families.ratios(
                "api_gateway_limit_left",
                "What is left of a group's limit in the current period, reservations of requests in flight taken off.",
                &LIMIT,
            ),
            refused: families.counters(
                "api_gateway_limit_refusals_total",
                "Requests refused with 429, by the group whose limit had no room and by the limit (usd: a budget).",
                &LIMIT,
            ),
            budgets: Budgets::new(families),
        }
    }
}

impl Budgets {
    fn new(families: &mut Families) -> Self {
        let mut gauges = |name, help| families.ratios(name, help, &BUDGET);
        Self {
            limit: gauges(
                "api_gateway_budget_limit_usd",
                "The most that a group may spend in a period, in US dollars.",
            ),
            spent: gauges(
                "api_gateway_budget_spent_usd",
                "What a group has spent of its budget in the current period, in US dollars, by requests that ended.",
            ),
            reserved: gauges(
                "api_gateway_budget_reserved_usd",
                "What a group's requests in flight have reserved of its budget, in US dollars.",
            ),
            left: gauges(
                "api_gateway_budget_left_usd",
                "What is left of a group's budget in the current period, reservations taken off, in US dollars.",
            ),
            window: gauges(
                "api_gateway_budget_window_seconds",
                "Length of the current period of a group's budget. A budget in total has none.",
            ),
            remaining: gauges(
                "api_gateway_budget_window_remaining_seconds",
                "Time until the current period of a group's budget ends and the whole budget is there again. A budget in total \
                 has none.",
            ),
        }
    }

    fn reset(&self) {
        let Self { limit, spent, reserved, left, window, remaining } = self;
        [limit, spent, reserved, left, window, remaining].into_iter().for_each(GaugeVec::reset);
    }

    #[expect(clippy::cast_precision_loss, reason = "only shown")]
    fn set(&self, one: &LimitStanding<'_>, now: UnixSeconds) {
        let labels = [one.group, one.limit.period.as_str()];
        let usd = |family: &GaugeVec, amount| family.with_label_values(&labels).set(NanoDollars(amount).usd());
        usd(&self.limit, one.standing.most);
        usd(&self.spent, one.standing.used);
        usd(&self.reserved, one.held);
        usd(&self.left, one.standing.left);
        if one.limit.period != Period::Total {
            let window = one.limit.period.window(&one.limit.zone, now);
            self.window.with_label_values(&labels).set(window.end.saturating_sub(window.start) as f64);
            self.remaining.with_label_values(&labels).set(window.end.saturating_sub(now) as f64);
        }
    }
}

impl super::Metrics {
    /// Updates how the limits of all groups stand at a time.
    #[expect(clippy::cast_precision_loss, reason = "only shown")]
    pub fn set_limits_of_groups<'a>(&self, limits: impl Iterator<Item = LimitStanding<'a>>, now: UnixSeconds) {
        let _scrape = self.lock_scrape();
        // A limit that left the configuration has no value.
        self.limits.most.reset();
        self.limits.left.reset();
        self.limits.budgets.reset();
        for one in limits {
            let labels = [one.group, one.limit.measure.as_str(), one.limit.period.as_str()];
            self.limits.refused.with_label_values(&labels);
            match one.limit.measure {
                // Those of different groups cannot be added up.
                _ if one.group == OTHER => {}
                Measure::Money => self.limits.budgets.set(&one, now),
                Measure::Requests | Measure::Tokens | Measure::Concurrent => {
                    self.limits.most.with_label_values(&labels).set(one.standing.most as f64);
                    self.limits.left.with_label_values(&labels).set(one.standing.left as f64);
                }
            }
        }
    }

    /// A limit had no room for a request; `group`: the label of its group.
    pub fn limit_refused(&self, group: &str, measure: Measure, period: Period) {
        self.limits.refused.with_label_values(&[group, measure.as_str(), period.as_str()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use wasmgate_accounts::{TimeZone, WhenSpent};

    use super::super::Metrics;
    use super::*;

    fn standing(group: &str, measure: Measure, period: Period) -> LimitStanding<'_> {
        LimitStanding {
            group,
            limit: Limit { measure, most: 8_000_000_000, period, zone: TimeZone::UTC, when_spent: WhenSpent::Reject },
            standing: Standing { most: 8_000_000_000, used: 5_000_000_000, left: 2_000_000_000, ends: None },
            held: 1_000_000_000,
        }
    }

    fn shown(metrics: &Metrics) -> Vec<String> {
        let gathered = metrics.families.gather();
        let of_limits = gathered.iter().filter(|family| {
            family.name().starts_with("api_gateway_limit_") || family.name().starts_with("api_gateway_budget_")
        });
        let line = |family: &prometheus::proto::MetricFamily, metric: &prometheus::proto::Metric| {
            let labels: Vec<&str> = metric.get_label().iter().map(|label| label.value()).collect();
            let name = family.name().trim_start_matches("api_gateway_").to_owned();
            format!("{name} {} {}", labels.join(","), metric.get_gauge().get_value())
        };
        of_limits.flat_map(|family| family.get_metric().iter().map(move |metric| line(family, metric))).collect()
    }

    #[test]
    fn a_budget_is_shown_with_its_window_and_what_left_the_configuration_is_not() {
        let metrics = Metrics::new();
        let limits = [
            standing("acme", Measure::Money, Period::Hour),
            standing("acme", Measure::Money, Period::Total),
            standing(OTHER, Measure::Money, Period::Hour),
            standing("acme", Measure::Concurrent, Period::Total),
        ];
        metrics.set_limits_of_groups(limits.into_iter(), 7200 + 600);
        assert_eq!(
            shown(&metrics),
            [
                "budget_left_usd acme,hour 2",
                "budget_left_usd acme,total 2",
                "budget_limit_usd acme,hour 8",
                "budget_limit_usd acme,total 8",
                "budget_reserved_usd acme,hour 1",
                "budget_reserved_usd acme,total 1",
                "budget_spent_usd acme,hour 5",
                "budget_spent_usd acme,total 5",
                "budget_window_remaining_seconds acme,hour 3000",
                "budget_window_seconds acme,hour 3600",
                "limit_left acme,concurrent,total 2000000000",
                "limit_max acme,concurrent,total 8000000000",
                "limit_refusals_total acme,concurrent,total 0",
                "limit_refusals_total acme,usd,hour 0",
                "limit_refusals_total acme,usd,total 0",
                "limit_refusals_total other,usd,hour 0",
            ]
        );
        metrics.set_limits_of_groups(std::iter::empty(), 8000);
        let gauges = shown(&metrics).into_iter().filter(|line| !line.contains("_refusals_"));
        assert_eq!(gauges.collect::<Vec<_>>(), Vec::<String>::new());
    }
}
