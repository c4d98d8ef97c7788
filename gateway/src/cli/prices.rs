//! `wasmgate prices`: makes catalogues of prices from public ones.
//!
//! Exit codes: 0 done; 1 a file cannot be read or written; 2 wrong usage, or a file that is not of the format.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use wasmgate_base::digest::sha256;
use wasmgate_prices::import::{self, Finding, Imported, Options, Verdict};
use wasmgate_prices::{Date, write};

use super::table::clean;

/// See the module.
#[derive(Args)]
pub(crate) struct Prices {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a catalogue from a file of a public format, and report what became of each entry. Fetches nothing.
    Import(Import),
}

#[derive(Args)]
struct Import {
    /// The file's format.
    #[arg(value_enum)]
    format: Format,
    /// The file.
    file: PathBuf,
    /// Where to write the catalogue.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Import only models of this provider, by the name that the file gives it. May be repeated.
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,
    /// The day as of which the prices hold, as in 2026-11-29; without it, the day on which the file was last changed.
    #[arg(long, value_parser = date)]
    date: Option<Date>,
    /// The name of the edition; without it, the format and the beginning of the file's digest.
    #[arg(long, value_name = "NAME")]
    edition: Option<String>,
    /// Also list the entries that were imported exactly.
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// LiteLLM's model_prices_and_context_window.json.
    #[value(name = "litellm")]
    LiteLlm,
    /// The api.json of models.dev.
    ModelsDev,
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "expected a date as in 2026-11-29".to_owned())
}

/// Does what was asked for.
pub(crate) fn run(prices: &Prices) -> ExitCode {
    let Verb::Import(asked) = &prices.verb;
    match import(asked) {
        Ok(imported) => {
            // A reader that has enough, such as `head`, is no error.
            let _ = report(&imported, asked, &mut io::stdout().lock());
            ExitCode::SUCCESS
        }
        Err((code, message)) => {
            eprintln!("wasmgate: {message}");
            ExitCode::from(code)
        }
    }
}

fn import(asked: &Import) -> Result<Imported, (u8, String)> {
    let shown = asked.file.display();
    let text = fs::read_to_string(&asked.file).map_err(|error| (1, format!("{shown}: {error}")))?;
    let (format, name) = match asked.format {
        Format::LiteLlm => (import::Format::LiteLlm, "litellm"),
        Format::ModelsDev => (import::Format::ModelsDev, "models-dev"),
    };
    let digest = sha256(text.as_bytes());
    let options = Options {
        version: asked.edition.clone().unwrap_or_else(|| format!("{name}-{}", &digest[..8])),
        date: asked.date.unwrap_or_else(|| changed(&asked.file)),
        source: Some(format!("{name}, SHA-256 {digest}")),
        providers: asked.providers.clone(),
    };
    let imported = import::import(format, &text, options).map_err(|why| (2, format!("{shown}: {why}")))?;
    let output = asked.output.display();
    fs::write(&asked.output, write(&imported.catalogue)).map_err(|error| (1, format!("{output}: {error}")))?;
    Ok(imported)
}

/// The day on which a file was last changed.
fn changed(file: &Path) -> Date {
    let time = fs::metadata(file).and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now());
    Date::of(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn report(imported: &Imported, asked: &Import, out: &mut impl Write) -> io::Result<()> {
    let verdicts = [Verdict::Approximate, Verdict::LeftOut, Verdict::Exact];
    for verdict in verdicts.into_iter().filter(|verdict| asked.all || *verdict != Verdict::Exact) {
        for Finding { name, reasons, .. } in imported.findings.iter().filter(|finding| finding.verdict == verdict) {
            let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            writeln!(out, "{}", clean(&format!("{verdict}: {name}{why}")))?;
        }
    }
    let count = |verdict| imported.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let catalogue = &imported.catalogue;
    writeln!(
        out,
        "{}: catalogue {} of {}: {} exact, {} approximate, {} left out",
        asked.output.display(),
        catalogue.version(),
        catalogue.date(),
        count(Verdict::Exact),
        count(Verdict::Approximate),
        count(Verdict::LeftOut),
    )
}
