//! `wasmgate keys`: makes keys for the configuration file. The key itself is shown once and kept nowhere.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use wasmgate_accounts::{KeyHash, new_key, time};
use wasmgate_base::time::now;

/// See the module.
#[derive(Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a key: print it on standard error, and on standard output the table by which a gateway knows it.
    New {
        /// Its name in the configuration file and in the log.
        #[arg(value_parser = name)]
        name: String,
        /// The group that it belongs to.
        #[arg(long, value_parser = name)]
        group: String,
        /// Days after which it expires.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_after_days: Option<u32>,
    },
}

/// Makes what was asked for.
pub(crate) fn run(keys: &Keys) -> ExitCode {
    let Verb::New { name, group, expires_after_days } = &keys.verb;
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

/// A name as the configuration takes it.
fn name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    match !text.is_empty() && text.len() <= 128 && text.chars().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`".to_owned()),
    }
}
