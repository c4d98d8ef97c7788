//! How many whole answers a second go through one core, and what each costs it.

use crate::load::Seen;
use crate::prompt::Prompt;
use crate::run::{Run, Section, Trio, ratio, spread};
use crate::table::Table;

const CONNECTIONS: [usize; 5] = [1, 16, 64, 256, 1024];
/// Of these the first table tells.
const TOLD: usize = 64;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let trio = Trio::start(run)?;
    let mut section = Section::default();
    let mut rates = Table::new([
        "connections",
        "model itself, answers/s",
        "reference, answers/s",
        "gateway, answers/s",
        "of the reference",
    ]);
    let mut costs = Table::new([
        "connections",
        "reference, CPU µs",
        "gateway, CPU µs",
        "ratio",
        "reference p50 / p99, µs",
        "gateway p50 / p99, µs",
    ]);
    for connections in CONNECTIONS {
        let rounds = run.in_turn(trio.all(), run.load(Prompt::whole(300), connections))?;
        let [model, reference, gateway] = &rounds;
        let rate = ratio(gateway, reference, Seen::per_second);
        rates.row([
            connections.to_string(),
            spread(model, Seen::per_second).to_string(),
            spread(reference, Seen::per_second).to_string(),
            spread(gateway, Seen::per_second).to_string(),
            rate.to_string(),
        ]);
        let both = |seen: &[Seen]| {
            format!("{} / {}", spread(seen, |seen| seen.whole(0.5)), spread(seen, |seen| seen.whole(0.99)))
        };
        costs.row([
            connections.to_string(),
            spread(reference, Seen::cpu_micros).to_string(),
            spread(gateway, Seen::cpu_micros).to_string(),
            ratio(gateway, reference, Seen::cpu_micros).to_string(),
            both(reference),
            both(gateway),
        ]);
        if connections == TOLD {
            section.figures.push(("saturation.ratio", rate.median));
            section.figures.push(("saturation.per_second", spread(gateway, Seen::per_second).median));
        }
    }
    section.text = format!("{}\n{}", rates.text(), costs.text());
    Ok(section)
}
