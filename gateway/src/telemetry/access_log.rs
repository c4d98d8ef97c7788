//! The access log: one line per request.

use super::Record;
use super::billing::Bill;
use crate::metrics::labels::{Ending, Evaluation, Status};
use crate::state::Snapshot;
use wasmgate_base::money::NanoDollars;
use wasmgate_dialect::Dialect;
use wasmgate_policy_host::FailureClass;

/// Logs a request, with the same facts that the metrics count. Never logs any of the prompt.
pub fn log(record: &Record, snapshot: &Snapshot, ending: Ending) {
    let names = |index: usize| &*snapshot.catalog.models()[index].model.name;
    let billed = record.bill_at(ending).map(|bill| bill.usage);
    let failed_attempts: Vec<String> = record
        .failed_attempts
        .iter()
        .map(|attempt| format!("{}: {}", names(attempt.model), attempt.reason.as_str()))
        .collect();
    let cost_of = |spent: &Bill| snapshot.price(Some(spent.model)).map(|price| price.of(&spent.usage).usd());
    let spent = record.wasted.iter().filter_map(cost_of).reduce(|sum, cost| sum + cost);
    let took = |evaluation: Option<Evaluation>| evaluation.map(|evaluation| evaluation.took.as_secs_f64());
    let class = |evaluation: Option<Evaluation>| {
        evaluation.and_then(|evaluation| evaluation.outcome.err()).map(FailureClass::as_str)
    };
    let reason = match ending {
        Ending::Rejected(rejection) => Some(rejection.as_str()),
        Ending::Failed(reason) => Some(reason.as_str()),
        Ending::Abandoned(why) => Some(why.as_str()),
        Ending::Finished | Ending::Shutdown => None,
    };
    tracing::info!(
        target: "request",
        request_id = record.id,
        ending = ending.as_str(),
        status = ending.status().map(Status::as_str),
        reason,
        detail = (!record.detail.is_empty()).then_some(&*record.detail),
        dialect = record.dialect.map(Dialect::as_str),
        stream = record.stream,
        model = record.model.map(names),
        backend = record.model.map(|index| &*snapshot.catalog.models()[index].backend.settings().name),
        location = record.model.map(|index| snapshot.catalog.models()[index].location().as_str()),
        chosen = record.chosen.map(names),
        failed_attempts = (!failed_attempts.is_empty()).then(|| failed_attempts.join(", ")),
        skipped_frames = record.skipped_frames.iter().map(|(_, frames)| *frames).reduce(|sum, frames| sum + frames),
        hedge = record.hedge.map(|hedge| hedge.result.as_str()),
        policy = record.policy_label(),
        mode = record.routed_by.as_ref().map(|by| by.metrics.labels.mode),
        generation = snapshot.generation,
        by_default = record.by_default,
        complexity = record.score,
        tier = record.complexity.as_str(),
        routing_failure = class(record.routing_evaluation),
        cost_failure = class(record.cost_evaluation),
        routing_seconds = record.routing_took.map(|took| took.as_secs_f64()),
        routing_policy_seconds = took(record.routing_evaluation),
        cost_policy_seconds = took(record.cost_evaluation),
        estimated_cost_usd = record.estimated_cost.map(NanoDollars::usd),
        cost_usd = billed.and_then(|_| record.cost(snapshot.price(record.model))).map(NanoDollars::usd),
        failed_attempts_cost_usd = spent,
        input_tokens = billed.map(|usage| usage.input_total()),
        output_tokens = billed.map(|usage| usage.output),
        usage_reported = billed.map(|_| record.is_reported()),
        first_token_seconds = record.first_token.map(|first| first.duration_since(record.started).as_secs_f64()),
        model_seconds = record.model_took().map(|took| took.as_secs_f64()),
        client_held_seconds = (!record.client_held.is_zero()).then(|| record.client_held.as_secs_f64()),
        seconds = record.started.elapsed().as_secs_f64(),
        "request"
    );
}
