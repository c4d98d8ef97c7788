//! `ledger export`: a row for each call, for spreadsheets and databases. A request without calls has one row without a model.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use wasmgate_accounts::time;
use wasmgate_ledger::{Call, Entry, Report, read};

use super::filter::Filter;

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// A JSON object a line.
    Jsonl,
    /// Values separated by commas, below a line of names.
    Csv,
}

/// The names of the columns, in their order.
const COLUMNS: [&str; 16] = [
    "time",
    "request",
    "group",
    "key",
    "ending",
    "policy",
    "model",
    "backend",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "price_version",
    "cost_usd",
    "estimated",
];

/// Writes all rows. A reader that has enough, such as `head`, is no error.
pub(super) fn export(folder: &Path, format: Format, filter: &Filter, out: &mut impl Write) -> io::Result<Report> {
    if matches!(format, Format::Csv) {
        let _ = writeln!(out, "{}", COLUMNS.join(","));
    }
    read(folder, |entry| {
        let Some(entry) = filter.apply(entry) else { return };
        let calls: Vec<Option<&Call>> = match &entry.calls[..] {
            [] => vec![None],
            calls => calls.iter().map(Some).collect(),
        };
        for call in calls {
            let cells = cells(&entry, call);
            let _ = match format {
                Format::Jsonl => {
                    let names = COLUMNS.iter().map(|name| (*name).to_owned());
                    writeln!(out, "{}", Value::Object(names.zip(cells).collect::<Map<_, _>>()))
                }
                Format::Csv => writeln!(out, "{}", cells.iter().map(csv).collect::<Vec<_>>().join(",")),
            };
        }
    })
}

fn cells(entry: &Entry, call: Option<&Call>) -> [Value; COLUMNS.len()] {
    let of = |text: fn(&Call) -> &str| call.map(text);
    let tokens = |count: fn(&Call) -> u64| call.map(count);
    // An interrupted request has no calls: only its reservation is known.
    let cost = call.map_or(entry.reserved.map(|reserved| reserved.money), |call| call.cost);
    [
        json!(time::format(entry.at)),
        json!(entry.request),
        json!(entry.group),
        json!(entry.key),
        json!(entry.ending),
        json!(entry.policy),
        json!(of(|call| &call.model)),
        json!(of(|call| &call.backend)),
        json!(tokens(|call| call.input)),
        json!(tokens(|call| call.cache_read)),
        json!(tokens(|call| call.cache_write)),
        json!(tokens(|call| call.output)),
        json!(tokens(|call| call.reasoning)),
        json!(call.and_then(|call| call.price_version.as_deref())),
        json!(cost.map(usd)),
        json!(call.map_or(entry.reserved.is_some(), |call| !call.reported)),
    ]
}

/// Nano-dollars as an exact number of dollars: a floating-point number would round large sums.
fn usd(money: u64) -> String {
    format!("{}.{:09}", money / 1_000_000_000, money % 1_000_000_000)
}

/// A value of a line of CSV (RFC 4180).
fn csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains(['"', ',', '\n', '\r']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_texts_are_quoted() {
        assert_eq!([0, 1, 3_000_000, u64::MAX].map(usd)[2..], ["0.003000000", "18446744073.709551615"]);
        let cells = [json!("a"), json!("a,b"), json!("say \"x\""), json!(null), json!(5), json!(true)];
        assert_eq!(cells.iter().map(csv).collect::<Vec<_>>(), ["a", "\"a,b\"", "\"say \"\"x\"\"\"", "", "5", "true"]);
    }
}
