//! Whether a policy that takes long harms those who are not decided by it: as a canary for other clients, and as a shadow
//! of each request.

use std::path::Path;

use tempfile::TempDir;

use crate::load::{self, Load};
use crate::peer::Peer;
use crate::prompt::Prompt;
use crate::run::{Run, Section, spread};
use crate::settings::Settings;
use crate::stats::Spread;
use crate::table::Table;

/// Counts for some milliseconds, then takes the first candidate.
const SLOW: &str = r#"fn route(request, candidates) {
    for number in 0..40_000 {}
    route_to(candidates, "counted", #{})
}
"#;
/// Clients of the slow policy, and those of the fast one.
const SLOW_CLIENTS: usize = 2;
const CLIENTS: usize = 4;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let folder = TempDir::new().map_err(|error| error.to_string())?;
    let script = folder.path().join("slow.rhai");
    std::fs::write(&script, SLOW).map_err(|error| error.to_string())?;
    let model = Peer::model()?;
    let mut table =
        Table::new(["4 clients of `complexity`", "p50, µs", "p99, µs", "answers/s", "slow answers, p50, µs"]);
    let fast = run.load(Prompt::whole(300), CLIENTS);
    let gateway = run.gateway(&model, &Settings::default())?;
    let [alone] = run.in_turn([&gateway], fast)?;
    let mut row = |what: &str, seen: &[load::Seen], slow: String| {
        let at = |share: f64| spread(seen, |seen| seen.whole(share)).to_string();
        table.row([what.to_owned(), at(0.5), at(0.99), spread(seen, load::Seen::per_second).to_string(), slow]);
    };
    row("nothing slow", &alone, "-".into());
    let gateway = run.gateway(&model, &beside("shadows.slow", "", &script))?;
    let [shadowed] = run.in_turn([&gateway], fast)?;
    row("each request shown to a slow shadow", &shadowed, "-".into());
    let canary = "percent = 50, sticky_header = \"x-client\", abort = { max_mean_call_ms = 1000.0 }, ";
    let gateway = run.gateway(&model, &beside("canary", canary, &script))?;
    let [fast_client, slow_client] = [client(run, &gateway, false)?, client(run, &gateway, true)?];
    let (mut seen, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..run.rounds {
        let by = |client, connections| Load { prompt: Prompt { client, ..fast.prompt }, connections, ..fast };
        let (quick, slowly) = std::thread::scope(|scope| {
            let slowly = scope.spawn(|| load::put(&gateway, by(slow_client, SLOW_CLIENTS)));
            (run.put(&gateway, by(fast_client, CLIENTS)), slowly.join())
        });
        seen.push(quick?);
        slow.push(slowly.map_err(|_| "the slow clients ended badly")??.whole(0.5));
    }
    row("2 other clients decided by a slow canary", &seen, Spread::of(slow).to_string());
    Ok(Section { text: table.text(), figures: Vec::new() })
}

/// The slow policy in that place of `[policies.routing]`, with enough time to end.
fn beside(place: &str, more: &str, script: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.routing += &format!(
        "{place} = {{ builtin = \"script\", setting_files = {{ script = {script:?} }}, {more}limits = {{ call_time_ms = 1000 }} }}\n"
    );
    settings
}

/// A client whose requests the canary decides, or does not: the gateway draws once for each.
fn client(run: &Run, gateway: &Peer, slow: bool) -> Result<usize, String> {
    for client in 1..100 {
        let prompt = Prompt { client, ..Prompt::whole(300) };
        let seen = load::put(gateway, Load { time: run.time / 10, ..run.load(prompt, 1) })?;
        if seen.undecided == if slow { seen.answers } else { 0 } {
            return Ok(client);
        }
    }
    Err("the canary decides for all clients, or for none".into())
}
