//! Counts one closed record in the metrics.

use std::time::Instant;

use super::Record;
use crate::error::Reason;
use crate::metrics::Metrics;
use crate::metrics::labels::Ending;
use crate::rollout::comparison::Outcome;
use crate::state::Snapshot;
use wasmgate_base::money::NanoDollars;

/// Counts a record's routing decision; all there is to count if no model was called (`/api/v1/complexity`).
pub fn observe_decision(metrics: &Metrics, record: &Record) {
    if let Some(took) = record.routing_took {
        metrics.routed(took);
    }
    if let Some(reason) = record.pinned {
        metrics.pinned(reason as usize);
    }
    if let Some(by) = &record.costed_by {
        by.metrics.observe(record.cost_evaluation);
    }
    if let Some(by) = &record.routed_by {
        by.metrics.observe(record.routing_evaluation);
        let outcome = record.routing_evaluation.map(|evaluation| evaluation.outcome);
        // What was explored in its place was not the policy's decision.
        let (chosen, estimated_cost) = match record.exploration.as_deref() {
            Some(exploration) => (exploration.models.first().copied(), exploration.estimated_cost),
            None => (record.chosen, record.estimated_cost),
        };
        by.metrics.observe_decision(outcome, chosen, estimated_cost);
    }
}

/// Counts a request that ended.
pub fn observe(metrics: &Metrics, record: &Record, snapshot: &Snapshot, ending: Ending) {
    let models = snapshot.catalog.models();
    observe_decision(metrics, record);
    for attempt in record.failed_attempts.iter().filter(|attempt| attempt.retried) {
        metrics.retried(&models[attempt.model].backend.settings().name, attempt.reason);
    }
    if let Some(hedge) = record.hedge {
        metrics.hedged(&models[hedge.model].model.name, hedge.result);
    }
    if !record.dropped.is_empty() {
        record.dropped.hints.iter().for_each(|hint| metrics.dropped(hint.field().label));
    }
    for &(model, frames) in &record.skipped_frames {
        metrics.skipped_frames(&models[model].backend.settings().name, frames);
    }
    let group = record.group.and_then(|group| snapshot.groups.get(group));
    if record.explored() {
        metrics.explored(group);
    }
    let (mut spent, mut unpriced) = (NanoDollars(0), false);
    for bill in record.bills(ending) {
        let series = &snapshot.models[bill.model];
        let cost = series.bill(&bill.usage, bill.reported, snapshot.price(Some(bill.model)));
        spent.0 = spent.0.saturating_add(cost.map_or(0, |cost| cost.0));
        unpriced |= cost.is_none();
        if let Some(why) = bill.unaccounted {
            series.unaccounted(why);
        }
        if let Some(group) = group {
            group.bill(&bill.usage, bill.reported, snapshot.price(Some(bill.model)));
        }
    }
    if let Some(group) = group {
        group.ended(ending);
    }
    if let Some(exceeded) = &record.refused_by {
        let groups = snapshot.access.accounts.groups();
        let of = groups.iter().position(|group| group.name == exceeded.group);
        if let Some(group) = of.and_then(|at| snapshot.groups.get(at)) {
            metrics.limit_refused(&group.label, exceeded.limit.measure, exceeded.limit.period);
        }
    }
    if let Some(by) = record.follows().filter(|_| spent.0 > 0) {
        by.metrics.observe_cost(spent);
    }
    compare(record, snapshot, ending, (!unpriced).then_some(spent));
    if let Ending::Rejected(rejection) = ending {
        metrics.reject(rejection);
        return;
    }
    let endings = record.model.map_or(&metrics.untargeted, |model| &snapshot.models[model].endings);
    if let Ending::Abandoned(why) = ending {
        endings.abandoned(why);
    }
    if let Some(status) = ending.status() {
        endings.ended(status, record.complexity, record.started.elapsed());
        if let Some(by) = record.follows() {
            by.metrics.observe_ending(status);
        }
    }
    let reason = match ending {
        Ending::Failed(reason) => Some(reason),
        Ending::Shutdown => Some(Reason::Shutdown),
        Ending::Rejected(_) | Ending::Finished | Ending::Abandoned(_) => None,
    };
    if let Some(reason) = reason {
        metrics.failed(record.model.map(|model| models[model].location()), reason);
    }
    if let Some(model) = record.model {
        observe_model(record, snapshot, model, ending);
        if let Some(first) = record.fell_back() {
            metrics.fell_back(&models[first.model].model.name, &models[model].model.name, first.reason);
        }
    }
}

/// Counts a request for the comparison of a canary with the active policy. One that named its model says nothing about a policy
/// that had nothing to choose. `cost`: of all its calls; `None`: a model without a price was called.
fn compare(record: &Record, snapshot: &Snapshot, ending: Ending, cost: Option<NanoDollars>) {
    let Some(by) = record.routed_by.as_ref().filter(|_| record.choices > 1) else { return };
    let whole = || {
        let ended = record.answered.unwrap_or_else(Instant::now);
        ended.duration_since(record.started).saturating_sub(record.client_held).as_secs_f64()
    };
    let outcome = Outcome {
        failed: match ending {
            Ending::Finished => Some(false),
            Ending::Failed(_) | Ending::Rejected(_) => Some(true),
            Ending::Abandoned(_) | Ending::Shutdown => None,
        },
        seconds: (ending == Ending::Finished).then(whole),
        cost: cost.map(NanoDollars::usd),
    };
    snapshot.routing.compare(by, outcome);
}

/// Counts in the series of the model that answered, or that failed to.
fn observe_model(record: &Record, snapshot: &Snapshot, model: usize, ending: Ending) {
    let series = &snapshot.models[model];
    if let (Ending::Finished, Some(took)) = (ending, record.model_took()) {
        series.answered(took);
    }
    if let Some(first) = record.first_token {
        series.first_token(first.duration_since(record.started));
    }
    series.update_mean_cost();
}

#[cfg(test)]
mod tests {
    use crate::metrics::PINNED;
    use wasmgate_dialect::chat::PinReason;

    #[test]
    fn each_reason_of_a_pin_has_its_label() {
        assert_eq!(PinReason::ALL.map(PinReason::as_str), PINNED);
        assert_eq!(PinReason::ALL.map(|reason| reason as usize), [0, 1, 2]);
    }
}
