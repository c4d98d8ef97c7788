//! What is added to the model's own time, one request after the other on one connection.

use crate::prompt::Prompt;
use crate::run::{Run, Section, Trio, added, added_ratio, spread};
use crate::table::Table;

const P50: f64 = 0.5;
const P99: f64 = 0.99;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let trio = Trio::start(run)?;
    let mut section = Section::default();
    let mut table = Table::new([
        "whole answers",
        "model itself, µs",
        "added by the reference, µs",
        "added by the gateway, µs",
        "ratio",
    ]);
    for (bytes, names) in
        [(300, ["latency.p50.ratio", "latency.p99.ratio"]), (4096, ["latency.4k.p50.ratio", "latency.4k.p99.ratio"])]
    {
        let rounds = run.in_turn(trio.all(), run.load(Prompt::whole(bytes), 1))?;
        for (share, word, name) in [(P50, "p50", names[0]), (P99, "p99", names[1])] {
            let [model, reference, gateway] = &rounds;
            let of = |seen: &crate::load::Seen| seen.whole(share);
            let ratio = added_ratio(&rounds, of);
            table.row([
                format!("{bytes}-byte prompt, {word}"),
                spread(model, of).to_string(),
                added(model, reference, of).to_string(),
                added(model, gateway, of).to_string(),
                ratio.to_string(),
            ]);
            section.figures.push((name, ratio.median));
        }
    }
    section.text = table.text();
    Ok(section)
}
