//! What is added to the first event of a stream and to each event, and what an event costs.

use std::time::Duration;

use wasmgate_bench::wire::ALL_EVENTS;

use crate::load::Seen;
use crate::prompt::Prompt;
use crate::run::{Run, Section, Trio, added, added_ratio, ratio, spread};
use crate::table::Table;

/// Between two events of a stream, as a fast model has it.
const PACE: Duration = Duration::from_millis(2);
const AT_ONCE: usize = 64;

type Figure = fn(&Seen) -> f64;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let trio = Trio::start(run)?;
    let mut section = Section::default();
    let mut table = Table::new(["added to", "model itself, µs", "by the reference, µs", "by the gateway, µs", "ratio"]);
    // A stream lasts some 80 ms: in the usual time there would be few first events.
    let mut load = run.load(Prompt::stream(PACE), 1);
    load.time *= 2;
    let paced = run.in_turn(trio.all(), load)?;
    let rows: [(&str, &str, Figure); 4] = [
        ("the first event, p50", "streams.first.ratio", |seen| seen.first(0.5)),
        ("the first event, p99", "streams.first.p99.ratio", |seen| seen.first(0.99)),
        ("each event, p50", "streams.event.ratio", |seen| seen.event(0.5)),
        ("each event, p99", "streams.event.p99.ratio", |seen| seen.event(0.99)),
    ];
    for (what, name, of) in rows {
        let [model, reference, gateway] = &paced;
        let ratio = added_ratio(&paced, of);
        table.row([
            what.to_owned(),
            spread(model, of).to_string(),
            added(model, reference, of).to_string(),
            added(model, gateway, of).to_string(),
            ratio.to_string(),
        ]);
        section.figures.push((name, ratio.median));
    }
    let mut costs = Table::new(["64 streams at once", "reference", "gateway", "ratio"]);
    let [reference, gateway] =
        run.in_turn([&trio.reference, &trio.gateway], run.load(Prompt::stream(PACE), AT_ONCE))?;
    let event = |seen: &Seen| seen.cpu_micros() / ALL_EVENTS as f64;
    let cost = ratio(&gateway, &reference, event);
    section.figures.push(("streams.cpu.ratio", cost.median));
    costs.row([
        "an event every 2 ms: CPU µs an event".to_owned(),
        spread(&reference, event).to_string(),
        spread(&gateway, event).to_string(),
        cost.to_string(),
    ]);
    let full = run.load(Prompt::stream(Duration::ZERO), AT_ONCE);
    let [reference, gateway] = run.in_turn([&trio.reference, &trio.gateway], full)?;
    let rows: [(&str, Figure); 2] = [
        ("as fast as they go: streams a second", Seen::per_second),
        ("as fast as they go: CPU µs an event", |seen| seen.cpu_micros() / ALL_EVENTS as f64),
    ];
    for (what, of) in rows {
        costs.row([
            what.to_owned(),
            spread(&reference, of).to_string(),
            spread(&gateway, of).to_string(),
            ratio(&gateway, &reference, of).to_string(),
        ]);
    }
    section.text = format!("{}\n{}", table.text(), costs.text());
    Ok(section)
}
