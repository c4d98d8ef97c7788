//! From the start of the program to its first answer.

use tempfile::TempDir;

use crate::peer::Peer;
use crate::run::{Run, Section};
use crate::settings::Settings;
use crate::stats::Spread;
use crate::table::Table;

/// Starts a round with what was compiled before, and without.
const WARM: usize = 4;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let model = Peer::model()?;
    let settings = Settings::default();
    // What the first of all compiles is there for the others.
    drop(run.gateway(&model, &settings)?);
    let (mut warm, mut empty, mut reference) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.rounds {
        for _ in 0..WARM {
            reference.push(milliseconds(&Peer::reference(&model)?));
            warm.push(milliseconds(&run.gateway(&model, &settings)?));
        }
        let cache = TempDir::new().map_err(|error| error.to_string())?;
        empty.push(milliseconds(&Peer::gateway(&model, &settings, &cache.path().join("compiled"))?));
    }
    let mut table = Table::new(["from start to first answer", "ms"]);
    let warm = Spread::of(warm);
    for (what, took) in [
        ("the reference", Spread::of(reference)),
        ("the gateway, its policies compiled before", warm),
        ("the gateway, nothing compiled", Spread::of(empty)),
    ] {
        table.row([what.to_owned(), took.to_string()]);
    }
    Ok(Section { text: table.text(), figures: vec![("start.seconds", warm.median / 1e3)] })
}

fn milliseconds(peer: &Peer) -> f64 {
    peer.started_in.as_secs_f64() * 1e3
}
