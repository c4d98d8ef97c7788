//! Figures that one benchmark hands to the report of another: lines of JSON in the file that `BENCH_FIGURES` names.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

/// Appends a figure to the file that the environment names; without one nothing happens.
///
/// # Panics
/// Where the file cannot be written: a report without this figure would hide that.
pub fn note(name: &str, value: f64) {
    let Some(path) = std::env::var_os("BENCH_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let line = json!({"name": name, "value": value});
    file.and_then(|mut file| writeln!(file, "{line}")).expect("the file of figures can be written");
}

/// All figures in a file, the last of each name; none where there is no such file.
#[must_use]
pub fn read(path: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let figure = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some((line["name"].as_str()?.to_owned(), line["value"].as_f64()?))
    };
    text.lines().filter_map(figure).collect()
}
