//! `wasmgate explain`: what the policies were asked about a request, what they answered, what was tried, and what it cost; read
//! from the decision log, also while a gateway writes to it.
//!
//! With `--ask` another policy is asked about the same request.
//!
//! Exit codes: 0 found; 1 the log does not have it, or cannot be read; 2 wrong usage, or the other policy was refused or cannot be
//! asked.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use wasmgate::config::Config;
use wasmgate_base::io_reason::io_reason;
use wasmgate_base::money::NanoDollars;
use wasmgate_decisions::{
    Asked, Call, Candidate, Content, CostBasis, Decision, Feedback, ModelTable, Verdict, VerdictKind, find,
    find_content, find_feedback,
};

use super::policy::again::{self, Again};
use super::table::{Table, clean};

/// See the module.
#[derive(Args)]
pub(crate) struct Explain {
    /// The request's id, as in the header x-wasmgate-request-id and in the log.
    id: String,
    /// The gateway's configuration file, which says where its decision log is.
    #[arg(long, env = "WASMGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the decision log, in place of a configuration.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Ask this policy about the request too: a component, a script whose name ends in .rhai, or the name of a built-in policy.
    #[arg(long, value_name = "POLICY")]
    ask: Option<PathBuf>,
    /// File with the settings of that policy, JSON or TOML.
    #[arg(long, value_name = "FILE", requires = "ask")]
    settings: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What the log has of a request.
struct Found {
    decision: Decision,
    table: Arc<ModelTable>,
    feedback: Vec<Feedback>,
    content: Option<Content>,
}

/// Does what was asked for.
pub(crate) fn run(explain: &Explain) -> ExitCode {
    let (message, code) = match folder(explain) {
        Err(message) => (message, 2),
        Ok(folder) => match look_up(&folder, &explain.id) {
            Ok(Some(found)) => match asked_again(explain, &found) {
                Ok(again) => {
                    let text =
                        if explain.json { as_json(&found, again.as_ref()) } else { in_words(&found, again.as_ref()) };
                    // Ignored: a reader such as `head` may close the pipe early.
                    let _ = std::io::stdout().write_all(text.as_bytes());
                    return ExitCode::SUCCESS;
                }
                Err((message, can_fix)) => (message, if can_fix { 2 } else { 1 }),
            },
            Ok(None) => {
                let message = format!(
                    "{}: there is no decision on this request; the log keeps chats that were routed and ended, until they are \
                     too old or too many",
                    folder.display()
                );
                (message, 1)
            }
            Err(error) => (format!("{}: {}", folder.display(), io_reason(&error)), 1),
        },
    };
    eprintln!("wasmgate: {}", clean(&message));
    ExitCode::from(code)
}

fn folder(explain: &Explain) -> Result<PathBuf, String> {
    if let Some(folder) = &explain.folder {
        return Ok(folder.clone());
    }
    let Some(file) = &explain.config else {
        return Err("expected --config FILE, --folder FOLDER or the environment variable WASMGATE_CONFIG".to_owned());
    };
    let config = Config::read(Some(file)).map_err(|error| error.to_string())?;
    config.decisions.dir.ok_or_else(|| "the configuration keeps no decision log; set `decisions.dir`".to_owned())
}

fn look_up(folder: &Path, id: &str) -> std::io::Result<Option<Found>> {
    let Some((decision, table)) = find(folder, id)? else { return Ok(None) };
    Ok(Some(Found { decision, table, feedback: find_feedback(folder, id)?, content: find_content(folder, id)? }))
}

/// What the policy that the command names answers now.
fn asked_again(explain: &Explain, found: &Found) -> Result<Option<Again>, (String, bool)> {
    let Some(policy) = &explain.ask else { return Ok(None) };
    let policy = (policy.as_path(), explain.settings.as_deref());
    again::ask(policy, &found.decision, &found.table, found.content.as_ref()).map(Some)
}

/// Texts stay in their file: who explains a request need not read what somebody wrote.
fn as_json(found: &Found, again: Option<&Again>) -> String {
    let content = found.content.as_ref().map(|content| content.keep);
    let again = again.map(|Again { label, digest, answer }| {
        let same = answer.choice == found.decision.chosen;
        json!({"policy": label, "digest": digest, "verdict": answer.verdict, "failure": answer.failure, "same_choice": same})
    });
    let all = json!({"decision": found.decision, "feedback": found.feedback, "content": content, "asked_again": again});
    format!("{all:#}\n")
}

fn in_words(found: &Found, again: Option<&Again>) -> String {
    let Found { decision, table: _, feedback, content } = found;
    let mut text = String::new();
    let mut line = |name: &str, said: String| {
        if !said.is_empty() {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{name:<9} {}", clean(&said));
        }
    };
    let group = decision.group.as_ref().map_or(String::new(), |group| format!(", group {group}"));
    line("request", format!("{}, {}, dialect {}{group}", decision.id, decision.time, decision.dialect));
    line("asked", asked(decision));
    let pairs = |pairs: &[wasmgate_decisions::Pair]| {
        pairs.iter().map(|pair| format!("{}={:?}", pair.name, pair.value)).collect::<Vec<_>>().join(", ")
    };
    line("labels", pairs(&decision.request.labels));
    line("hints", pairs(&decision.request.hints));
    line("texts", content.as_ref().map_or("not kept".to_owned(), |content| format!("kept: {}", content.keep.as_str())));
    line("routing", decision.routing.as_ref().map_or("no policy is enabled".to_owned(), policy));
    line("cost", decision.cost.as_ref().map_or("no policy is enabled".to_owned(), policy));
    line("verdict", verdict(&decision.verdict));
    let shown = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    let share = decision.propensity * 100.0;
    let first =
        decision.exploration.as_ref().filter(|_| decision.explored).and_then(|exploration| exploration.models.first());
    let explored = first.map_or(String::new(), |first| format!(", explored in place of {first}"));
    line("chosen", format!("{}{explored}, with a probability of {share:.2} %", shown(&decision.chosen)));
    if let Some(Again { label, answer, .. }) = again {
        let failed = answer.failure.as_ref().map_or(String::new(), |class| format!("failed: {class}; "));
        let same = if answer.choice == decision.chosen { "the same choice" } else { "another choice" };
        line("asked now", format!("{label}: {failed}{}; {same}", verdict(&answer.verdict)));
    }
    for attempt in &decision.outcome.attempts {
        let retried = if attempt.retried { ", retried" } else { "" };
        line("failed", format!("{}: {}{retried}", attempt.model, attempt.failure));
    }
    line("outcome", outcome(decision));
    for call in &decision.outcome.calls {
        line("call", call_in_words(call));
    }
    for feedback in feedback {
        line("feedback", format!("{} by {}, {}", feedback.score, feedback.source, feedback.time));
    }
    text.push('\n');
    text + &candidates(decision).to_string()
}

fn asked(decision: &Decision) -> String {
    let asked = &decision.request;
    let mut facts = vec![
        format!("model {}", asked.requested),
        format!("{} messages", asked.messages),
        format!("{} bytes of text", asked.text_bytes),
        format!("about {} tokens", asked.prompt_tokens),
    ];
    facts.extend(asked.max_tokens.map(|most| format!("at most {most} output tokens")));
    let flags = [
        (asked.streaming, "stream"),
        (asked.tools, "tools"),
        (asked.images, "images"),
        (asked.structured_output, "structured output"),
    ];
    facts.extend(flags.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()));
    facts.extend(asked.budget.map(|budget| format!("budget {} of {}", usd(budget.left), usd(budget.limit))));
    facts.join(", ")
}

fn policy(asked: &Asked) -> String {
    let took = asked.seconds.map_or(String::new(), |seconds| format!(", {:.3} ms", seconds * 1e3));
    let failed = asked.failure.as_ref().map_or(String::new(), |class| format!(", failed: {class}"));
    let (digest, settings) = (short(&asked.digest), short(&asked.settings));
    format!(
        "{}@{} in {} ({}), component {digest}, settings {settings}{took}{failed}",
        asked.policy, asked.version, asked.slot, asked.mode
    )
}

fn verdict(verdict: &Verdict) -> String {
    let kind = match verdict.kind {
        VerdictKind::Route => "route to ",
        VerdictKind::Deny => "deny",
        VerdictKind::Pass => "no opinion; the default: ",
        VerdictKind::Failed if verdict.ranking.is_empty() => "none: a policy failed, and it is fail-closed",
        VerdictKind::Failed => "none; the default: ",
        VerdictKind::Default => "the default: ",
    };
    let mut said = format!("{kind}{}", verdict.ranking.join(", "));
    if let Some(complexity) = verdict.complexity {
        let _ = write!(said, "; complexity {complexity}");
    }
    for part in [&verdict.tier, &verdict.code].into_iter().flatten() {
        let _ = write!(said, "; {part}");
    }
    if !verdict.reason.is_empty() {
        let _ = write!(said, "; {}", verdict.reason);
    }
    said
}

fn outcome(decision: &Decision) -> String {
    let outcome = &decision.outcome;
    let mut said = outcome.ending.clone();
    if let Some(failure) = &outcome.failure {
        let _ = write!(said, ": {failure}");
    }
    if let Some(model) = &outcome.model {
        let _ = write!(said, ", model {model}");
    }
    if outcome.hedged {
        said += ", hedged";
    }
    if let Some(first) = outcome.first_token_seconds {
        let _ = write!(said, ", first token after {first:.3} s");
    }
    let _ = write!(said, ", {:.3} s", outcome.seconds);
    if let Some(cost) = outcome.cost {
        let _ = write!(said, ", {}", usd(cost));
    }
    match outcome.cost_basis {
        Some(CostBasis::Estimated) => said += ", some tokens estimated",
        Some(CostBasis::Unpriced) => said += ", without calls of models that have no price",
        Some(CostBasis::Reported) | None => {}
    }
    said
}

fn call_in_words(call: &Call) -> String {
    let input = call.input_tokens + call.cache_read_tokens + call.cache_write_tokens;
    let cost = call.cost.map_or("no price".to_owned(), usd);
    let answered = if call.answered { "answered" } else { "did not answer" };
    let from = if call.reported { "reported" } else { "estimated" };
    format!("{} {answered}: {input} tokens in, {} out ({from}), {cost}", call.model, call.output_tokens)
}

fn candidates(decision: &Decision) -> Table {
    let mut table = Table::new(&["CANDIDATE", "RANK", "HEALTH", "BREAKER", "IN FLIGHT", "LATENCY", "EXPECTED COST"]);
    for Candidate { model, health, breaker, in_flight, latency_seconds, estimate, .. } in &decision.candidates {
        let rank = decision.verdict.ranking.iter().position(|ranked| ranked == model);
        table.row([
            model.clone(),
            rank.map_or("-".to_owned(), |rank| (rank + 1).to_string()),
            health.clone(),
            breaker.clone(),
            in_flight.to_string(),
            latency_seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.3} s")),
            estimate.and_then(|estimate| estimate.cost).map_or("-".to_owned(), usd),
        ]);
    }
    table
}

fn usd(nano: u64) -> String {
    format!("${:.6}", NanoDollars(nano).usd())
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
