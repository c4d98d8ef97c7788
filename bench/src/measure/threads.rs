//! Connections that each stay on one thread, and threads that share all, on as many cores as there are: the load has a part
//! of one of them.

use crate::load::Seen;
use crate::peer::Peer;
use crate::prompt::Prompt;
use crate::run::{Run, Section, ratio, spread};
use crate::settings::Settings;
use crate::table::Table;

const THREADS: usize = 4;
/// As many as threads, and so many that no distribution is uneven.
const CONNECTIONS: [usize; 3] = [4, 64, 256];

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let model = Peer::model()?;
    let with = |runtime| run.gateway(&model, &Settings { threads: Some((runtime, THREADS)), ..Settings::default() });
    let (shared, own) = (with("shared")?, with("per-core")?);
    let mut table = Table::new([
        "connections, four threads on two cores",
        "shared, answers/s",
        "per core, answers/s",
        "ratio",
        "shared, CPU µs",
        "per core, CPU µs",
        "shared p99, µs",
        "per core p99, µs",
    ]);
    for connections in CONNECTIONS {
        let [shared, own] = &run.in_turn([&shared, &own], run.load(Prompt::whole(300), connections))?;
        table.row([
            connections.to_string(),
            spread(shared, Seen::per_second).to_string(),
            spread(own, Seen::per_second).to_string(),
            ratio(own, shared, Seen::per_second).to_string(),
            spread(shared, Seen::cpu_micros).to_string(),
            spread(own, Seen::cpu_micros).to_string(),
            spread(shared, |seen| seen.whole(0.99)).to_string(),
            spread(own, |seen| seen.whole(0.99)).to_string(),
        ]);
    }
    Ok(Section { text: table.text(), figures: Vec::new() })
}
