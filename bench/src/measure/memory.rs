//! Resident memory: idle, after load, and with streams held open.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::peer::Peer;
use crate::prompt::Prompt;
use crate::run::{Run, Section};
use crate::settings::Settings;
use crate::stats::digits;
use crate::table::Table;

const STREAMS: usize = 10_000;
/// What a start leaves behind is given back within a second or two.
const IDLE: Duration = Duration::from_secs(3);
/// Longer than they are held.
const PAUSE: Duration = Duration::from_secs(300);
/// How many are opened at once.
const OPENING: usize = 200;

pub(super) fn measure(run: &Run) -> Result<Section, String> {
    let mut section = Section::default();
    let mut table = Table::new(["resident memory, MiB", "reference", "gateway"]);
    let model = Peer::model()?;
    let peers = [Peer::reference(&model)?, run.gateway(&model, &Settings::default())?];
    let mut row = |what: &str, of: &dyn Fn(&Peer) -> Result<f64, String>| -> Result<f64, String> {
        let [reference, gateway] = [of(&peers[0])?, of(&peers[1])?];
        table.row([what.to_owned(), digits(reference), digits(gateway)]);
        Ok(gateway)
    };
    row("listening, nothing asked yet", &|peer| Ok(peer.memory_at_start))?;
    row("after one answer", &Peer::memory)?;
    std::thread::sleep(IDLE);
    let idle = row("three seconds later", &Peer::memory)?;
    let load =
        |connections, prompt| peers.iter().try_for_each(|peer| run.put(peer, run.load(prompt, connections)).map(drop));
    load(64, Prompt::whole(300))?;
    load(64, Prompt::stream(Duration::ZERO))?;
    let loaded = row("after a load of 64 connections, then of 64 streams", &Peer::memory)?;
    load(1024, Prompt::whole(4096))?;
    row("after one of 1,024 connections with 4 KB each", &Peer::memory)?;
    section.figures.extend([("memory.idle", idle), ("memory.loaded", loaded)]);
    drop(peers);
    section.text = format!("{}\n{}", table.text(), held(run)?);
    Ok(section)
}

/// Streams of which the first event came, and no other for as long as this lasts.
fn held(run: &Run) -> Result<String, String> {
    let count = streams()?;
    let title = format!("{} streams held open", digits(count as f64));
    let mut table = Table::new([&title, "memory before, MiB", "memory with them, MiB", "a stream, KiB"]);
    let model = Peer::model()?;
    for peer in [Peer::reference(&model)?, run.gateway(&model, &Settings::default())?] {
        let before = peer.memory()?;
        let with = hold(&peer, count)?;
        let each = (with - before) * 1024.0 / count as f64;
        table.row([peer.name.to_owned(), digits(before), digits(with), digits(each)]);
    }
    Ok(table.text())
}

/// The memory of `peer` while so many streams are open.
fn hold(peer: &Peer, count: usize) -> Result<f64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let request = Prompt::stream(PAUSE).request(peer.address);
        let mut open = Vec::with_capacity(count);
        while open.len() < count {
            let mut opening = JoinSet::new();
            for _ in 0..OPENING.min(count - open.len()) {
                let (address, policy, request) = (peer.address, peer.policy, request.clone());
                opening.spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    connection.begin(&request, policy).await.map(|()| connection)
                });
            }
            while let Some(opened) = opening.join_next().await {
                let opened = opened.map_err(|error| error.to_string())?;
                open.push(opened.map_err(|wrong| peer.wrong(&format!("stream {}: {wrong}", open.len())))?);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        peer.memory()
    })
}

/// How many streams can be held: a proxy has two descriptors for each. What this process may open, those that it starts may.
fn streams() -> Result<usize, String> {
    let wanted = 2 * STREAMS as u64 + 1000;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    // Only a privileged user may have more than the machine's limit.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: Some(most.max(wanted)) });
    if raised.is_ok() {
        return Ok(STREAMS);
    }
    let limit = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
    limit.map_err(|error| error.to_string())?;
    usize::try_from(most.saturating_sub(1000) / 2).map_err(|error| error.to_string())
}
