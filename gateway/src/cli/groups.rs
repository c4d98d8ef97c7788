//! `wasmgate groups`: maps an operator's commands on groups to requests of the admin API.
//!
//! Exit codes: as of `wasmgate keys`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use wasmgate::accounts::api::{GroupList, GroupStatus, Source};

use super::client::{Answered, Call, Connection, read};
use super::given::{labels, limit, name, pair};
use super::table::Table;

/// See the module.
#[derive(Args)]
pub(crate) struct Groups {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a group in a running gateway.
    New {
        /// Its name, by which policies, the ledger and metrics know it.
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// List the groups of a running gateway, those of its configuration included.
    List,
    /// Show one group.
    Show {
        /// Its name.
        name: String,
    },
    /// Change settings of a group. They count for the next request; what was used of a limit stays used.
    Update {
        /// Its name.
        name: String,
        #[command(flatten)]
        settings: Settings,
        /// A setting to remove, as in models, limits, labels, parent; several times for several.
        #[arg(long, value_name = "SETTING")]
        unset: Vec<String>,
    },
    /// Delete a group to which no key and no group belongs.
    Delete {
        /// Its name.
        name: String,
    },
}

/// What is given of a group.
#[derive(Args)]
struct Settings {
    /// The group above it, of the configuration or of the gateway.
    #[arg(long, value_name = "GROUP", value_parser = name)]
    parent: Option<String>,
    /// A model that it may use; several times for several (default: those of its parent).
    #[arg(long, value_name = "MODEL")]
    model: Vec<String>,
    /// A model that it may not use; several times for several.
    #[arg(long, value_name = "MODEL")]
    deny_model: Vec<String>,
    /// A label that policies see; several times for several. Without a value, remove it.
    #[arg(long, value_name = "LABEL=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// A limit, as in usd_per_month=500, requests_per_minute=60, concurrent=8; several times for several. Without a value, remove it.
    #[arg(long, value_name = "LIMIT=NUMBER", value_parser = limit)]
    limit: Vec<(String, Value)>,
    /// Time zone of days, weeks and months, as in Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// What follows when a budget is spent: reject, local-only or policy.
    #[arg(long, value_name = "WHAT")]
    when_spent: Option<String>,
    /// Let it use models without a price although it has a budget.
    #[arg(long)]
    allow_unpriced: bool,
    /// For how many percent of its requests the gateway draws the first model among those of the ranking, 0.01 to 50; 0: never.
    #[arg(long, value_name = "PERCENT")]
    explore: Option<f64>,
}

impl Settings {
    fn fields(&self) -> Map<String, Value> {
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        let list = |list: &[String]| (!list.is_empty()).then(|| list.into());
        let given = (!self.label.is_empty()).then(|| labels(&self.label));
        let limits = (!self.limit.is_empty()).then(|| Value::Object(self.limit.iter().cloned().collect()));
        let all = [
            ("parent", text(&self.parent)),
            ("models", list(&self.model)),
            ("denied_models", list(&self.deny_model)),
            ("labels", given),
            ("limits", limits),
            ("timezone", text(&self.timezone)),
            ("when_spent", text(&self.when_spent)),
            ("allow_unpriced", self.allow_unpriced.then_some(Value::Bool(true))),
            ("explore", self.explore.map(|percent| json!({"percent": percent}))),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

/// Does what was asked for.
pub(crate) fn run(groups: &Groups) -> ExitCode {
    groups.connection.run(async |client| {
        let json = client.ask(call(&groups.verb)).await?;
        let text = match &groups.verb {
            Verb::List => table(&read::<GroupList>(&json)?.groups),
            Verb::Delete { .. } => format!("deleted {}\n", read::<GroupStatus>(&json)?.name),
            _ => table(&[read(&json)?]),
        };
        Ok(Answered { text, json })
    })
}

fn call(verb: &Verb) -> Call {
    let to = |method: Method, name: &str| Call::new(method, &["groups", name]);
    match verb {
        Verb::New { name, settings } => {
            let mut fields = settings.fields();
            fields.insert("name".to_owned(), name.as_str().into());
            Call::new(Method::POST, &["groups"]).json(&Value::Object(fields))
        }
        Verb::List => Call::new(Method::GET, &["groups"]),
        Verb::Show { name } => to(Method::GET, name),
        Verb::Update { name, settings, unset } => {
            let mut fields = settings.fields();
            fields.extend(unset.iter().map(|setting| (setting.clone(), Value::Null)));
            to(Method::PATCH, name).json(&Value::Object(fields))
        }
        Verb::Delete { name } => to(Method::DELETE, name),
    }
}

fn table(groups: &[GroupStatus]) -> String {
    let mut table = Table::new(&["GROUP", "PARENT", "OWNER", "KEYS", "SETTINGS"]);
    for group in groups {
        let owner = match group.source {
            Source::Configuration => "configuration",
            Source::Api => "",
        };
        let parent = group.settings.get("parent").and_then(Value::as_str).unwrap_or_default();
        let settings = group.settings.iter().filter(|(key, _)| *key != "parent").map(|(key, value)| shown(key, value));
        let settings = settings.collect::<Vec<_>>().join("; ");
        table.row([group.name.clone(), parent.to_owned(), owner.to_owned(), group.keys.to_string(), settings]);
        if let Some(reason) = &group.suspended {
            table.note(&format!("its keys are refused: {reason}"));
        }
    }
    if groups.is_empty() { "no groups\n".to_owned() } else { table.to_string() }
}

/// A setting in words.
fn shown(key: &str, value: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Object(entries) => {
            let entries =
                entries.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(", ");
            if key == "limits" || key == "labels" { entries } else { format!("{key} {entries}") }
        }
        Value::Array(list) => format!("{key} {}", list.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => format!("{key} {}", text(other)),
    }
}
