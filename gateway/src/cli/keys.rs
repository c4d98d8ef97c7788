//! `wasmgate keys`: maps an operator's commands on keys to requests of the admin API, and makes keys for the configuration
//! without a gateway. A key is shown once and kept nowhere.
//!
//! Exit codes: 0 done; 1 the gateway cannot be reached or failed; 2 wrong usage, or the gateway refused the operation.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use wasmgate::accounts::api::{CreatedKey, KeyPage, KeyStatus, Source};
use wasmgate_accounts::{KeyHash, new_key, time};
use wasmgate_base::time::now;

use super::client::{Answered, Call, Connection, read};
use super::given::{labels, name, pair};
use super::table::{Table, ago};

/// Seconds of a day and of an hour.
const DAY: u64 = 86_400;
const HOUR: u64 = 3600;

/// See the module.
#[derive(Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a key in a running gateway; with a NAME, make one for a configuration file and ask no gateway.
    ///
    /// Without a NAME the gateway makes the key and keeps its hash; the key is printed on standard output. With a NAME, the key is
    /// printed on standard error, and on standard output the table by which a gateway knows it: append that to the file.
    New {
        /// For a configuration file: its name there.
        #[arg(value_parser = name, conflicts_with_all = ["called", "label"])]
        name: Option<String>,
        /// The group that it belongs to.
        #[arg(long, value_parser = name)]
        group: String,
        /// What operators call it.
        #[arg(long = "name", value_name = "TEXT")]
        called: Option<String>,
        /// A label that policies see; several times for several.
        #[arg(long, value_name = "LABEL=VALUE", value_parser = pair)]
        label: Vec<(String, String)>,
        /// Days after which it expires.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_after_days: Option<u32>,
    },
    /// List the keys of a running gateway, those of its configuration included.
    List {
        /// Only those of this group.
        #[arg(long)]
        group: Option<String>,
        /// Only those of this name.
        #[arg(long)]
        name: Option<String>,
    },
    /// Show one key.
    Show {
        /// The id, as in the list and in the log.
        id: String,
    },
    /// Change a key's name, group, labels or expiry. It counts for the next request.
    Update {
        /// The id, as in the list and in the log.
        id: String,
        /// The group that it belongs to from now on.
        #[arg(long, value_parser = name)]
        group: Option<String>,
        /// What operators call it.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// A label that policies see; without a value, remove it.
        #[arg(long, value_name = "LABEL=VALUE", value_parser = pair)]
        label: Vec<(String, String)>,
        /// Days after its creation after which it expires.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_after_days: Option<u32>,
        /// It never expires.
        #[arg(long, conflicts_with = "expires_after_days")]
        never_expires: bool,
    },
    /// Give a key a new text, which is printed on standard output. The old one stays valid for a while.
    Rotate {
        /// The id, as in the list and in the log.
        id: String,
        /// For how many hours the old key stays valid; 0: it ends at once.
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(0..=2160))]
        grace_hours: u64,
    },
    /// Block a key: requests with it are refused.
    Block {
        /// The id, as in the list and in the log.
        id: String,
    },
    /// Let a blocked key be valid again.
    Unblock {
        /// The id, as in the list and in the log.
        id: String,
    },
    /// Delete a key for good.
    Delete {
        /// The id, as in the list and in the log.
        id: String,
    },
}

/// Does what was asked for.
pub(crate) fn run(keys: &Keys) -> ExitCode {
    if let Verb::New { name: Some(name), group, expires_after_days, .. } = &keys.verb {
        if keys.connection.json {
            eprintln!(
                "wasmgate: --json: a key for a configuration file is printed as its table; without a NAME a gateway makes one"
            );
            return ExitCode::from(2);
        }
        return for_a_file(name, group, *expires_after_days);
    }
    keys.connection.run(async |client| match &keys.verb {
        Verb::List { group, name } => {
            let mut all = KeyPage { keys: Vec::new(), next: None };
            loop {
                let mut call = Call::new(Method::GET, &["keys"]).parameter("limit", "1000");
                let given = [("group", group), ("name", name), ("after", &all.next)];
                for (key, value) in given.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
                    call = call.parameter(key, value);
                }
                let page: KeyPage = read(&client.ask(call).await?)?;
                all.keys.extend(page.keys);
                all.next = page.next;
                if all.next.is_none() {
                    return Ok(Answered { text: table(&all.keys), json: json!(all).to_string() + "\n" });
                }
            }
        }
        verb => {
            let json = client.ask(call(verb)).await?;
            let text = match verb {
                Verb::New { .. } | Verb::Rotate { .. } => {
                    let made: CreatedKey = read(&json)?;
                    if !keys.connection.json {
                        eprintln!("{}Nobody can show this key a second time:", table(&[made.status]));
                    }
                    made.key + "\n"
                }
                Verb::Delete { .. } => format!("deleted {}\n", read::<KeyStatus>(&json)?.id),
                _ => table(&[read(&json)?]),
            };
            Ok(Answered { text, json })
        }
    })
}

/// The request of a command that is one request.
fn call(verb: &Verb) -> Call {
    let to = |method: Method, id: &str| Call::new(method, &["keys", id]);
    let act = |id: &str, action: &str| Call::new(Method::POST, &["keys", id, action]);
    match verb {
        Verb::New { group, called, label, expires_after_days, .. } => {
            let mut fields = fields(Some(group), called.as_deref(), label, *expires_after_days);
            fields.retain(|_, value| !value.is_null());
            Call::new(Method::POST, &["keys"]).json(&Value::Object(fields))
        }
        Verb::Update { id, group, name, label, expires_after_days, never_expires } => {
            let mut fields = fields(group.as_deref(), name.as_deref(), label, *expires_after_days);
            if *never_expires {
                fields.insert("expires_after_seconds".to_owned(), Value::Null);
            }
            to(Method::PATCH, id).json(&Value::Object(fields))
        }
        Verb::Rotate { id, grace_hours } => act(id, "rotate").json(&json!({"grace_seconds": grace_hours * HOUR})),
        Verb::Block { id } => act(id, "block"),
        Verb::Unblock { id } => act(id, "unblock"),
        Verb::Delete { id } => to(Method::DELETE, id),
        Verb::Show { id } => to(Method::GET, id),
        Verb::List { .. } => Call::new(Method::GET, &["keys"]),
    }
}

/// The fields that are given.
fn fields(
    group: Option<&str>,
    name: Option<&str>,
    given: &[(String, String)],
    days: Option<u32>,
) -> Map<String, Value> {
    let labels = (!given.is_empty()).then(|| labels(given));
    let given = [
        ("group", group.map(Value::from)),
        ("name", name.map(Value::from)),
        ("labels", labels),
        ("expires_after_seconds", days.map(|days| (u64::from(days) * DAY).into())),
    ];
    given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn table(keys: &[KeyStatus]) -> String {
    let mut table = Table::new(&["ID", "NAME", "GROUP", "STATE", "OWNER", "CREATED", "EXPIRES", "LABELS"]);
    let now = now();
    for key in keys {
        let labels: Vec<String> = key.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let owner = match key.source {
            Source::Configuration => "configuration",
            Source::Api => "",
        };
        table.row([
            key.id.clone(),
            key.name.clone().unwrap_or_default(),
            key.group.clone(),
            key.state.as_str().to_owned(),
            owner.to_owned(),
            key.created.map_or(String::new(), |created| ago(now, created)),
            key.expires.map_or(String::new(), time::format),
            labels.join(" "),
        ]);
        if let Some(until) = key.previous_until {
            table.note(&format!("the key from before the rotation is valid until {}", time::format(until)));
        }
    }
    if keys.is_empty() { "no keys\n".to_owned() } else { table.to_string() }
}

/// Makes a key for a configuration file.
fn for_a_file(name: &str, group: &str, expires_after_days: Option<u32>) -> ExitCode {
    let mut random = [0; 32];
    if let Err(error) = getrandom::fill(&mut random) {
        eprintln!("wasmgate: the system has no random numbers: {error}");
        return ExitCode::from(1);
    }
    let key = new_key(random);
    // Apart from the table, so that a file to which the table is appended never holds the key.
    eprintln!("The key for its user, which nobody can show a second time: {key}");
    println!("[keys.{name:?}]");
    println!("group = {group:?}");
    println!("sha256 = \"{}\"", KeyHash::of(key.as_bytes()));
    println!("created = \"{}\"", time::format(now()));
    if let Some(days) = expires_after_days {
        println!("expires_after_days = {days}");
    }
    ExitCode::SUCCESS
}
