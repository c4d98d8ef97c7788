//! Importers: catalogues of our own format from public ones. They read what is there as leniently as it is written (numbers as
//! texts, scientific notation, nulls, missing members), and report what became of each entry, so that nothing is lost unseen.

mod litellm;
mod models_dev;
mod names;
mod rates;

use std::fmt;

use super::catalogue::{Catalogue, Entry};
use super::date::Date;
use super::node::Node;

/// A public format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `model_prices_and_context_window.json` of LiteLLM: dollars per token.
    LiteLlm,
    /// `api.json` of models.dev: dollars per million tokens.
    ModelsDev,
}

/// What to import, and what to call it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the edition: 1 to 64 letters, digits, `-`, `_`, `.`, `:` and `+`.
    pub version: String,
    /// The day as of which the prices hold.
    pub date: Date,
    /// Where the file is from.
    pub source: Option<String>,
    /// The providers to import, by the format's names; all if empty.
    pub providers: Vec<String>,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry's name in the imported file.
    pub name: String,
    /// Its outcome.
    pub verdict: Verdict,
    /// Why it is not exact; or what else to know.
    pub reasons: Vec<String>,
}

/// The outcome of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The catalogue says the same of it.
    Exact,
    /// The catalogue has it, and lacks some of its prices.
    Approximate,
    /// The catalogue does not have it.
    LeftOut,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::LeftOut => "left out",
        })
    }
}

/// A catalogue, and what became of each entry.
#[derive(Debug)]
pub struct Imported {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// One for each entry of the file, in its order.
    pub findings: Vec<Finding>,
}

/// An entry that was read, with its provider.
struct Found {
    entry: Entry,
    provider: Option<String>,
    reasons: Vec<String>,
}

/// The outcome of reading an entry: what was found, or why it is left out.
type Read = Result<Found, String>;

/// Imports a file.
///
/// # Errors
/// If it is not JSON, is not of the format, or no entry is left.
pub fn import(format: Format, text: &str, options: Options) -> Result<Imported, String> {
    if !super::read::is_version(&options.version) {
        return Err(format!(
            "{:?} is no version, expected 1 to 64 letters, digits, `-`, `_`, `.`, `:` and `+`",
            options.version
        ));
    }
    let root = Node::parse("", text)?;
    let read = match format {
        Format::LiteLlm => litellm::entries(&root)?,
        Format::ModelsDev => models_dev::entries(&root)?,
    };
    let wanted = |provider: Option<&String>| {
        options.providers.is_empty() || provider.is_some_and(|provider| options.providers.contains(provider))
    };
    let (mut findings, mut found) = (Vec::with_capacity(read.len()), Vec::new());
    for (name, read) in read {
        let left_out =
            |reason: String| Finding { name: name.clone(), verdict: Verdict::LeftOut, reasons: vec![reason] };
        match read {
            Err(reason) => findings.push(left_out(reason)),
            Ok(one) if !wanted(one.provider.as_ref()) => {
                let provider = one.provider.unwrap_or_else(|| "none".to_owned());
                findings.push(left_out(format!("its provider, {provider}, was not asked for")));
            }
            Ok(one) => {
                let verdict = if one.reasons.is_empty() { Verdict::Exact } else { Verdict::Approximate };
                findings.push(Finding { name, verdict, reasons: one.reasons.clone() });
                found.push(one);
            }
        }
    }
    if found.is_empty() {
        return Err("no entry has a price that the catalogue can keep".to_owned());
    }
    let entries = names::with_aliases(found);
    let catalogue = Catalogue::new(options.version, options.date, options.source, entries)
        .map_err(|twice| format!("these names are there twice: {}", twice.join(", ")))?;
    Ok(Imported { catalogue, findings })
}

#[cfg(test)]
mod tests;
