//! How many whole answers a second go through one core, and what each costs it.

use crate::load::Seen;
use crate::prompt::Prompt;
use crate::run::{Run, Section, Trio, ratio, spread};
use crate::settings::Settings;
use crate::stats::digits;
use crate::table::Table;

const CONNECTIONS: [usize; 5] = [1, 16, 64, 256, 1024];
/// Of these the first table tells.
const TOLD: usize = 64;

/// The time outside of the kernel and in it.
fn parts(seen: &[Seen]) -> String {
    let median = |of: fn(&Seen) -> f64| digits(spread(seen, of).median);
    format!("{} + {}", median(Seen::user_micros), median(Seen::system_micros))
}

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
        "reference, user + system",
        "gateway, user + system",
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
            parts(reference),
            parts(gateway),
            both(reference),
            both(gateway),
        ]);
        if connections == TOLD {
            section.figures.push(("saturation.ratio", rate.median));
            section.figures.push(("saturation.per_second", spread(gateway, Seen::per_second).median));
        }
    }
    let logging = run.gateway(&trio.model, &Settings { log: true, ..Settings::default() })?;
    let load = run.load(Prompt::whole(300), TOLD);
    let [reference, gateway] = &run.in_turn([&trio.reference, &logging], load)?;
    let rate = ratio(gateway, reference, Seen::per_second);
    rates.row([
        format!("{TOLD}, each request logged"),
        "-".to_owned(),
        spread(reference, Seen::per_second).to_string(),
        spread(gateway, Seen::per_second).to_string(),
        rate.to_string(),
    ]);
    section.figures.push(("saturation.log.ratio", rate.median));
    section.text = format!("{}\n{}", rates.text(), costs.text());
    Ok(section)
}
