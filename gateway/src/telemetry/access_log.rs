//! The access log: one line per request, written by hand because each request pays for it.

use std::time::Instant;

use tracing::Level;

use super::Record;
use super::billing::Bill;
use crate::log::{self, Line};
use crate::metrics::labels::{Ending, Evaluation, Status};
use crate::state::Snapshot;
use wasmgate_accounts::ID_BYTES;
use wasmgate_base::money::NanoDollars;
use wasmgate_dialect::Dialect;
use wasmgate_policy_host::FailureClass;

/// The target of the lines, by which the log's filter knows them.
const TARGET: &str = "request";

/// Logs a request unless the log's filter leaves it out.
pub fn log_request(record: &Record, snapshot: &Snapshot, ending: Ending) {
    if tracing::event_enabled!(target: TARGET, Level::INFO) {
        log::write(Level::INFO, TARGET, "request", |line| describe(record, snapshot, ending, line));
    }
}

/// Adds the facts of a request to its line: those that the metrics count. Never any of the prompt.
pub fn describe(record: &Record, snapshot: &Snapshot, ending: Ending, line: &mut Line<'_>) {
    let models = snapshot.catalog.models();
    let name = |index: usize| &*models[index].model.name;
    let billed = record.bill_at(ending).map(|bill| bill.usage);
    let (shown, more) = record.first_failed_attempts();
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    let failed_attempts = shown.iter().enumerate().flat_map(|(number, attempt)| {
        [if number > 0 { ", " } else { "" }, name(attempt.model), ": ", attempt.reason.as_str()]
    });
    let failed_attempts = failed_attempts.chain((!more.is_empty()).then_some(&*more));
    let cost_of = |spent: &Bill| snapshot.price(Some(spent.model)).map(|price| price.of(&spent.usage).0);
    let spent = record.failed_calls.iter().filter_map(cost_of).reduce(u64::saturating_add);
    let took = |evaluation: Option<Evaluation>| evaluation.map(|evaluation| evaluation.took);
    let class = |evaluation: Option<Evaluation>| {
        evaluation.and_then(|evaluation| evaluation.outcome.err()).map(FailureClass::as_str)
    };
    let reason = match ending {
        Ending::Rejected(rejection) => Some(rejection.as_str()),
        Ending::Failed(reason) => Some(reason.as_str()),
        Ending::Abandoned(why) => Some(why.as_str()),
        Ending::Finished | Ending::Shutdown => None,
    };
    let skipped = record.skipped_frames.iter().map(|(_, frames)| *frames).reduce(u64::saturating_add);
    let since = |moment: Instant| moment.duration_since(record.started);
    let mut id = [0; ID_BYTES];
    line.text("request_id", &*record.id);
    line.text("ending", ending.as_str());
    line.text("status", ending.status().map(Status::as_str));
    line.text("reason", reason);
    line.text("denial_code", record.denial_code.as_deref());
    line.text("detail", (!record.detail.is_empty()).then_some(&*record.detail));
    line.text("dialect", record.dialect.map(Dialect::as_str));
    line.flag("stream", record.stream);
    line.text("group", snapshot.group(record.group).map(|group| &*group.name));
    line.text("key", record.key.as_ref().map(|key| key.id.text(&mut id)));
    line.text("model", record.model.map(name));
    line.text("backend", record.model.map(|index| &*models[index].backend.settings().name));
    line.text("location", record.model.map(|index| models[index].location().as_str()));
    line.text("chosen", record.chosen.map(name));
    line.flag("explored", record.exploration.as_ref().map(|exploration| exploration.explored()));
    line.joined("failed_attempts", failed_attempts);
    line.number("skipped_frames", skipped);
    line.text("hedge", record.hedge.map(|hedge| hedge.result.as_str()));
    line.text("policy", record.policy_label());
    line.text("mode", record.routed_by.as_ref().map(|by| by.metrics.labels.mode));
    line.number("generation", snapshot.generation);
    line.flag("by_default", record.by_default);
    line.float("complexity", record.score);
    line.text("tier", record.complexity.as_str());
    line.text("routing_failure", class(record.routing_evaluation));
    line.text("cost_failure", class(record.cost_evaluation));
    line.seconds("routing_seconds", record.routing_took);
    line.seconds("routing_policy_seconds", took(record.routing_evaluation));
    line.seconds("cost_policy_seconds", took(record.cost_evaluation));
    line.billionths("estimated_cost_usd", record.estimated_cost.map(|cost| cost.0));
    let cost = billed.and_then(|_| record.cost(snapshot.price(record.model)));
    line.billionths("cost_usd", cost.map(|NanoDollars(cost)| cost));
    line.billionths("failed_attempts_cost_usd", spent);
    line.billionths("budget_left_usd", record.budget_left.map(|left| left.0));
    line.number("input_tokens", billed.map(|usage| usage.input_total()));
    line.number("output_tokens", billed.map(|usage| usage.output));
    line.flag("usage_reported", billed.map(|_| record.is_reported()));
    line.seconds("first_token_seconds", record.first_token.map(since));
    line.seconds("model_seconds", record.model_took());
    line.seconds("client_held_seconds", (!record.client_held.is_zero()).then_some(record.client_held));
    line.seconds("seconds", record.started.elapsed());
}
