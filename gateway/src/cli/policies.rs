//! `wasmgate policies`: maps an operator's commands to requests of the admin API.
//!
//! Exit codes: 0 done; 1 the gateway cannot be reached or failed; 2 wrong usage, or the gateway refused the operation.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use wasmgate::rollout::api::PolicyStatus;
use wasmgate::rollout::slot::{Role, Slot};
use wasmgate_base::{document, text};
use wasmgate_policy_host::{MAX_COMPONENT_BYTES, script};

use super::client::{Answered, Call, Connection, Failed, read, read_file};
use super::show;

/// Longest query, in bytes: the HTTP library's limit for a URL, less room for the rest of it.
const MAX_QUERY_BYTES: usize = 60 << 10;

/// See the module.
#[derive(Args)]
pub(crate) struct Policies {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the slots, their policies and their state.
    List,
    /// Show one slot, with its earlier versions and its history.
    Show {
        /// The slot, as in routing, routing.canary, cost.shadows.NAME.
        slot: Slot,
    },
    /// List recent events.
    History,
    /// Upload a component or a script to a slot, as if the slot's file had changed.
    Upload {
        /// The slot, as in routing, routing.canary, cost.shadows.NAME.
        slot: Slot,
        /// File with the component or script.
        file: PathBuf,
        /// For a canary: its share in percent, 0 to 100.
        #[arg(long, value_name = "P", value_parser = percent)]
        percent: Option<f64>,
        /// File with its settings, a JSON object (default: the slot's settings).
        #[arg(long, value_name = "FILE.json")]
        settings: Option<PathBuf>,
    },
    /// Promote a canary or shadow to the active slot.
    Promote {
        /// The slot, as in routing.canary, cost.shadows.NAME.
        slot: Slot,
    },
    /// Roll back to an earlier version.
    Rollback {
        /// The slot, as in routing, cost.
        slot: Slot,
        /// The beginning of the version's revision or digest (default: the last earlier version).
        #[arg(long, value_name = "REVISION")]
        to: Option<String>,
    },
    /// Set a canary's share.
    Canary {
        /// The slot, as in routing.canary, or routing for short.
        slot: Slot,
        /// Its share in percent, 0 to 100.
        #[arg(value_parser = percent)]
        percent: f64,
    },
    /// Retry the version that the files request.
    Retry {
        /// The slot, as in routing, routing.canary, cost.shadows.NAME.
        slot: Slot,
    },
    /// Enable a disabled slot.
    Enable {
        /// The slot, as in routing, routing.canary, cost.shadows.NAME.
        slot: Slot,
    },
    /// Disable a slot.
    Disable {
        /// The slot, as in routing, routing.canary, cost.shadows.NAME.
        slot: Slot,
    },
}

/// Parses a share, with or without a percent sign.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    number.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "expected 0 to 100".into())
}

/// Runs the command.
pub(crate) fn run(policies: &Policies) -> ExitCode {
    policies.connection.run(async |client| {
        let json = client.ask(call(&policies.action)?).await?;
        if policies.connection.json {
            return Ok(Answered { text: String::new(), json });
        }
        let text = match &policies.action {
            Action::List => show::list(&read(&json)?),
            Action::Show { .. } => show::policy(&read(&json)?, &read::<show::Events>(&json)?),
            Action::History => show::history(&read(&json)?),
            _ => show::done(&read::<PolicyStatus>(&json)?),
        };
        Ok(Answered { text, json })
    })
}

fn call(action: &Action) -> Result<Call, Failed> {
    let to = |slot: &Slot, verb: &str| Call::new(Method::POST, &["policies", &slot.to_string(), verb]);
    Ok(match action {
        Action::List => Call::new(Method::GET, &["policies"]),
        Action::Show { slot } => Call::new(Method::GET, &["policies", &slot.to_string()]),
        Action::History => Call::new(Method::GET, &["history"]),
        Action::Upload { slot, file, percent, settings } => upload(slot, file, *percent, settings.as_deref())?,
        Action::Promote { slot } => to(slot, "promote"),
        Action::Rollback { slot, to: None } => to(slot, "rollback"),
        Action::Rollback { slot, to: Some(digest) } => to(slot, "rollback").json(&json!({"to": digest})),
        Action::Canary { slot, percent } => share(slot, *percent)?,
        Action::Retry { slot } => to(slot, "retry"),
        Action::Enable { slot } => to(slot, "enable"),
        Action::Disable { slot } => to(slot, "disable"),
    })
}

fn share(slot: &Slot, percent: f64) -> Result<Call, Failed> {
    if let Role::Shadow(_) = slot.role {
        return Err(Failed::Refused(format!(
            "{slot} is a shadow, but only a canary has a share; expected a slot such as {}",
            slot.hook.as_str()
        )));
    }
    let canary = Slot::canary(slot.hook).to_string();
    Ok(Call::new(Method::PUT, &["policies", &canary, "share"]).json(&json!({"percent": percent})))
}

fn upload(slot: &Slot, file: &Path, percent: Option<f64>, settings: Option<&Path>) -> Result<Call, Failed> {
    let component = read_file(file)?;
    if component.is_empty() || component.len() > MAX_COMPONENT_BYTES {
        let length = component.len();
        let message = format!("{}: {length} bytes, expected 1 to {MAX_COMPONENT_BYTES}", file.display());
        return Err(Failed::Refused(message));
    }
    // The name of a script that states none is that of its file.
    let name = script::name_from(file).filter(|_| !script::is_wasm(&component));
    let Some(path) = settings else { return upload_of(slot, component, name, percent, None) };
    let refused = |message: String| Failed::Refused(format!("{}: {message}", path.display()));
    let bytes = read_file(path)?;
    let text = text::of_bytes(&bytes).map_err(|error| refused(error.to_string()))?;
    let settings = document::parse(&path.display().to_string(), text).map_err(Failed::Refused)?;
    if !settings.is_object() {
        return Err(refused("expected an object of settings, as in {\"low-below\": 0.2}".into()));
    }
    upload_of(slot, component, name, percent, Some(&settings)).map_err(|error| match error {
        Failed::Refused(message) => refused(message),
        unreachable @ Failed::Unreachable(_) => unreachable,
    })
}

/// An upload of a component or a script to a slot, with an object of settings.
pub(super) fn upload_of(
    slot: &Slot,
    component: Vec<u8>,
    name: Option<String>,
    percent: Option<f64>,
    settings: Option<&Value>,
) -> Result<Call, Failed> {
    let mut call = Call::new(Method::PUT, &["policies", &slot.to_string()]);
    if let Some(percent) = percent {
        call = call.parameter("percent", &percent.to_string());
    }
    if let Some(name) = name {
        call = call.parameter("name", &name);
    }
    if let Some(settings) = settings {
        call = call.parameter("settings", &settings.to_string());
        if call.query_bytes() > MAX_QUERY_BYTES {
            let message = "too long for an upload; put such settings into the gateway's configuration";
            return Err(Failed::Refused(message.into()));
        }
    }
    Ok(call.component(component))
}
