//! What an answer costs at a rate that does not depend on who answers: at saturation the slower peer is asked less, and the
//! other core sleeps the more.

use crate::load::{Load, Seen};
use crate::prompt::Prompt;
use crate::run::{Run, Section, Trio, ratio, spread};
use crate::table::Table;

/// Requests a second: little for a core, and a third to a half of what it can.
const RATES: [f64; 2] = [1000.0, 8000.0];
const CONNECTIONS: usize = 64;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let trio = Trio::start(run)?;
    let mut table = Table::new([
        "offered a second, 64 connections",
        "answered a second: reference, gateway",
        "reference, CPU µs",
        "gateway, CPU µs",
        "ratio",
        "ratio outside of the kernel",
    ]);
    for rate in RATES {
        let load = Load { rate: Some(rate), ..run.load(Prompt::whole(300), CONNECTIONS) };
        let [reference, gateway] = &run.in_turn([&trio.reference, &trio.gateway], load)?;
        table.row([
            rate.to_string(),
            format!("{}, {}", spread(reference, Seen::per_second), spread(gateway, Seen::per_second)),
            spread(reference, Seen::cpu_micros).to_string(),
            spread(gateway, Seen::cpu_micros).to_string(),
            ratio(gateway, reference, Seen::cpu_micros).to_string(),
            ratio(gateway, reference, Seen::user_micros).to_string(),
        ]);
    }
    Ok(Section { text: table.text(), figures: Vec::new() })
}
