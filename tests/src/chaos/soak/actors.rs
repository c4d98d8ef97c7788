//! The hostile actors, each with what it does in one act. None of them is owed an answer, but each must be let go.

use std::time::Duration;

use super::scene::{BIG, FAULTY, REFUSING, SILENT, prompt};
use super::{Run, closed_window};
use crate::chaos::plan::Draws;
use crate::http::{Client, post_json, request};
use crate::wire::{CLIENT_PATHS, ask};

/// Longer than the gateway lets anybody hold anything, also where the machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are sent at once to fill the log.
const BATCH: usize = 100;
/// So many of them fill it for sure.
const BATCHES: usize = 500;

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// A client of HTTP/2 that never opens its windows.
    ClosedWindow,
    /// A client that takes a long answer piece by piece, slowly.
    SlowReader,
    /// A client that leaves in the middle of a long answer.
    LeavesEarly,
    /// Clients whose requests do not end.
    Unfinished,
    /// A client that sends huge numbers of tiny things.
    ManyTinyThings,
    /// A backend that falls silent.
    SilentBackend,
    /// A backend with a fault of the table.
    FaultyBackend,
    /// A backend that refuses streams of HTTP/2 and goes away.
    RefusingBackend,
    /// A reader of the log that stalls until lines are dropped.
    StalledLog,
}

impl Actor {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 9] = [
        Self::ClosedWindow,
        Self::SlowReader,
        Self::LeavesEarly,
        Self::Unfinished,
        Self::ManyTinyThings,
        Self::SilentBackend,
        Self::FaultyBackend,
        Self::RefusingBackend,
        Self::StalledLog,
    ];

    /// How many of it act at once.
    #[must_use]
    pub(super) fn threads(self) -> usize {
        match self {
            Self::ClosedWindow => 4,
            Self::SlowReader => 3,
            Self::Unfinished | Self::SilentBackend | Self::FaultyBackend | Self::RefusingBackend => 2,
            Self::LeavesEarly | Self::ManyTinyThings | Self::StalledLog => 1,
        }
    }

    /// What its acts are called.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClosedWindow => "closed windows",
            Self::SlowReader => "slow readers",
            Self::LeavesEarly => "early leavers",
            Self::Unfinished => "groups of unfinished requests",
            Self::ManyTinyThings => "requests of tiny things",
            Self::SilentBackend => "silent backends",
            Self::FaultyBackend => "faulty backends",
            Self::RefusingBackend => "groups of requests to a refusing backend",
            Self::StalledLog => "stalls of the log",
        }
    }

    /// Does what the numbers say.
    pub(super) fn act(self, run: &Run, draws: &mut Draws) {
        match self {
            Self::ClosedWindow => closed_windows(run, draws),
            Self::SlowReader => slow_reader(run, draws),
            Self::LeavesEarly => leaves_early(run, draws),
            Self::Unfinished => unfinished(run, draws),
            Self::ManyTinyThings => tiny_things(run, draws),
            Self::SilentBackend => asks(run, draws, SILENT),
            Self::FaultyBackend => asks(run, draws, FAULTY),
            Self::RefusingBackend => refused(run, draws),
            Self::StalledLog => stalled_log(run, draws),
        }
    }
}

fn path_of(draws: &mut Draws) -> &'static str {
    CLIENT_PATHS[draws.below(CLIENT_PATHS.len())]
}

fn closed_windows(run: &Run, draws: &mut Draws) {
    let path = path_of(draws);
    let streams = 1 + draws.below(16);
    let bodies: Vec<String> = (0..streams).map(|_| ask(path, BIG, &prompt(draws), true).to_string()).collect();
    match closed_window::ask(run.scene.gateway.address, path, &bodies, PATIENCE) {
        Ok(0) => {}
        Ok(open) => run.wrong(format!("{open} of {streams} streams of a client without a window are still open")),
        Err(error) => run.wrong(format!("a client without a window is not let in: {error}")),
    }
}

fn slow_reader(run: &Run, draws: &mut Draws) {
    let path = path_of(draws);
    let mut client = Client::connect(run.scene.gateway.address);
    let head = client.send(post_json(path, &ask(path, BIG, &prompt(draws), true))).head();
    if head.header("transfer-encoding").is_none() {
        return;
    }
    // It takes a piece or two of each breath; the gateway may lose patience.
    while !run.is_over() && matches!(client.try_chunk(), Some(Some(_))) {
        run.pause(Duration::from_millis(5 + draws.below(60) as u64));
    }
    client.abandon();
}

fn leaves_early(run: &Run, draws: &mut Draws) {
    let path = path_of(draws);
    let mut client = Client::connect(run.scene.gateway.address);
    let head = client.send(post_json(path, &ask(path, BIG, &prompt(draws), true))).head();
    let chunked = head.header("transfer-encoding").is_some();
    let _ = (0..draws.below(20)).take_while(|_| chunked && matches!(client.try_chunk(), Some(Some(_)))).count();
    client.abandon();
}

/// Heads without an end, heads without bodies, bodies without an end; held until the gateway lets go.
fn unfinished(run: &Run, draws: &mut Draws) {
    let path = path_of(draws);
    let mut clients: Vec<Client> = (0..8)
        .map(|_| {
            let whole = post_json(path, &ask(path, BIG, &prompt(draws), true));
            let sent = draws.below(whole.len());
            let mut client = Client::connect(run.scene.gateway.address);
            client.send(&whole[..sent]);
            client
        })
        .collect();
    for client in &mut clients {
        // Ends when the gateway closes.
        client.rest();
    }
}

/// A body of some megabytes of messages, parts, tools or calls, each of a few bytes.
fn tiny_things(run: &Run, draws: &mut Draws) {
    let count = 1000 << draws.below(7);
    let many = |thing: &str| vec![thing; count].join(",");
    let model = super::scene::STEADY;
    let (path, body) = match draws.below(8) {
        0 => ("/v1/chat/completions", format!(r#""messages":[{}]"#, many(r#"{"role":"user","content":""}"#))),
        1 => {
            let results = many(r#"{"role":"tool","tool_call_id":"x","content":""}"#);
            ("/v1/chat/completions", format!(r#""messages":[{results}]"#))
        }
        2 => {
            let parts = many(r#"{"type":"text","text":""}"#);
            ("/v1/chat/completions", format!(r#""messages":[{{"role":"user","content":[{parts}]}}]"#))
        }
        3 => {
            let tools = many(r#"{"type":"function","function":{"name":"f","parameters":{}}}"#);
            ("/v1/chat/completions", format!(r#""messages":[{{"role":"user","content":"a"}}],"tools":[{tools}]"#))
        }
        4 => ("/v1/messages", format!(r#""max_tokens":1,"messages":[{}]"#, many(r#"{"role":"user","content":"a"}"#))),
        5 => {
            let blocks = many(r#"{"type":"text","text":"a"}"#);
            ("/v1/messages", format!(r#""max_tokens":1,"messages":[{{"role":"user","content":[{blocks}]}}]"#))
        }
        6 => {
            let calls = many(r#"{"function":{"name":"f","arguments":{}}}"#);
            let results = many(r#"{"role":"tool","content":"","tool_name":"g"}"#);
            (
                "/api/chat",
                format!(r#""messages":[{{"role":"assistant","content":"","tool_calls":[{calls}]}},{results}]"#),
            )
        }
        _ => ("/api/v1/chat", format!(r#""prompt":"hello","stop":[{}]"#, many(r#""a""#))),
    };
    let body = format!(r#"{{"model":"{model}",{body}}}"#);
    let headers = [("content-type", "application/json"), ("connection", "close")];
    let mut client = Client::connect(run.scene.gateway.address);
    // A refusal may come, and the connection be closed, before all is sent.
    let answer = client.send(request("POST", path, &headers, body.as_bytes())).rest();
    if !answer.is_empty() && !answer.starts_with(b"HTTP/1.1 ") {
        run.wrong(format!("{count} tiny things: {:.200}", String::from_utf8_lossy(&answer)));
    }
}

fn asks(run: &Run, draws: &mut Draws, model: &str) {
    let path = path_of(draws);
    let stream = draws.below(2) == 0;
    let body = ask(path, model, &prompt(draws), stream).to_string();
    let headers = [("content-type", "application/json"), ("connection", "close")];
    let mut client = Client::connect(run.scene.gateway.address);
    let answer = client.send(request("POST", path, &headers, body.as_bytes())).rest();
    if !answer.starts_with(b"HTTP/1.1 ") {
        run.wrong(format!("{model}: {:.200}", String::from_utf8_lossy(&answer)));
    }
}

/// Asks for more streams at once than a connection of the backend may have.
fn refused(run: &Run, draws: &mut Draws) {
    let mut clients: Vec<Client> = (0..8)
        .map(|_| {
            let path = path_of(draws);
            let body = ask(path, REFUSING, &prompt(draws), draws.below(2) == 0).to_string();
            let headers = [("content-type", "application/json"), ("connection", "close")];
            let mut client = Client::connect(run.scene.gateway.address);
            client.send(request("POST", path, &headers, body.as_bytes()));
            client
        })
        .collect();
    for client in &mut clients {
        let answer = client.rest();
        if !answer.starts_with(b"HTTP/1.1 ") {
            run.wrong(format!("{REFUSING}: {:.200}", String::from_utf8_lossy(&answer)));
        }
    }
}

/// Stops reading the log, and fills it with lines of requests that are quick to refuse.
fn stalled_log(run: &Run, draws: &mut Draws) {
    let dropped = || run.scene.gateway.metrics().value("api_gateway_log_lines_dropped_total", &[]);
    let (process, before) = (&run.scene.gateway.process, dropped());
    process.pause_log();
    let mut client = Client::connect(run.scene.gateway.address);
    let batch = request("GET", "/nowhere", &[], b"").repeat(BATCH);
    for _ in 0..BATCHES {
        client.send(&batch);
        (0..BATCH).for_each(|_| drop(client.response()));
        if run.is_over() || dropped() > before {
            break;
        }
    }
    if !run.is_over() && dropped() == before {
        run.wrong(format!("{} requests do not fill the log", BATCH * BATCHES));
    }
    run.pause(Duration::from_millis(draws.below(2000) as u64));
    process.resume_log();
    run.pause(Duration::from_secs(5));
}
