//! What a request costs with more models, longer prompts, and policies that are asked beside.

use crate::load::Seen;
use crate::peer::Peer;
use crate::prompt::Prompt;
use crate::run::{Run, Section, ratio, spread};
use crate::settings::Settings;
use crate::table::Table;

/// Enough for one core to be busy all the time.
const CONNECTIONS: usize = 32;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let model = Peer::model()?;
    let default = run.gateway(&model, &Settings::default())?;
    let reference = Peer::reference(&model)?;
    let mut table =
        Table::new(["32 connections", "gateway, CPU µs", "beside it, CPU µs", "ratio", "gateway, answers/s"]);
    let mut row = |what: String, peer: &Peer, beside: &Peer, bytes: usize| -> Result<(), String> {
        let [peer, beside] = run.in_turn([peer, beside], run.load(Prompt::whole(bytes), CONNECTIONS))?;
        table.row([
            what,
            spread(&peer, Seen::cpu_micros).to_string(),
            spread(&beside, Seen::cpu_micros).to_string(),
            ratio(&peer, &beside, Seen::cpu_micros).to_string(),
            spread(&peer, Seen::per_second).to_string(),
        ]);
        Ok(())
    };
    for bytes in [300, 4096, 100_000] {
        row(format!("{bytes}-byte prompt, beside the reference"), &default, &reference, bytes)?;
    }
    for models in [30, 100] {
        let gateway = run.gateway(&model, &Settings { models, ..Settings::default() })?;
        row(format!("{models} models, beside three"), &gateway, &default, 300)?;
    }
    for shadows in [1, 3] {
        let gateway = run.gateway(&model, &Settings { shadows, ..Settings::default() })?;
        row(format!("policies in shadow: {shadows}, beside none"), &gateway, &default, 300)?;
    }
    let gateway = run.gateway(&model, &Settings { log: true, ..Settings::default() })?;
    row("a line of the log for each request, beside none".to_owned(), &gateway, &default, 300)?;
    Ok(Section { text: table.text(), figures: Vec::new() })
}
