//! Three gateways, one server, a thousand clients and a small budget: a gateway and the server are killed in the middle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};
use std::time::Duration;

use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::redis::Redis;
use wasmgate_tests::wait::{until, until_slowly};
use wasmgate_tests::wire::Dialect;

use super::{USAGE, bytes, setup, wait_up};

const CLIENTS: usize = 1000;
/// A hundred requests of 0.003 dollars.
const BUDGET: &str = "0.3";
const ROOM: usize = 100;

/// What became of a client's request.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// With this status.
    With(u16),
    /// The connection broke: nobody knows whether the gateway counted it.
    Broken,
    /// Nobody listens.
    Nowhere,
}

fn send(address: SocketAddr, stream: bool) -> Ended {
    let Ok(mut connection) = TcpStream::connect(address) else { return Ended::Nowhere };
    let _ = connection.set_read_timeout(Some(Duration::from_secs(120)));
    if connection.write_all(&bytes(stream)).is_err() {
        return Ended::Broken;
    }
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    let is_whole = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let head = head.to_ascii_lowercase();
        match head.split_once("content-length: ") {
            Some((_, rest)) => {
                rest.split("\r\n").next().and_then(|n| n.parse().ok()).is_some_and(|n: usize| body.len() >= n)
            }
            None => body.ends_with("0\r\n\r\n"),
        }
    };
    while !is_whole(&answer) {
        match connection.read(&mut part) {
            Ok(0) | Err(_) => return Ended::Broken,
            Ok(read) => answer.extend_from_slice(&part[..read]),
        }
    }
    let status =
        String::from_utf8_lossy(&answer[..answer.len().min(12)]).split(' ').nth(1).and_then(|s| s.parse().ok());
    status.map_or(Ended::Broken, Ended::With)
}

/// What the seed decides: after how many calls of models the gateway and the server die.
fn deaths(seed: usize) -> (usize, usize) {
    (5 + seed * 37 % 50, 10 + seed * 53 % 60)
}

fn run_fleet(seed: usize, exact: bool) {
    let mut redis = Redis::start();
    let backend = Backend::start(|request| match request.json()["stream"].as_bool() {
        Some(true) => {
            Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["some ", "text"], USAGE)).end()
        }
        _ => Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)),
    });
    let acme = format!("limits = {{ usd_total = {BUDGET} }}\nexact = {exact}");
    let start = || setup(&redis, &acme, "", &backend).start();
    let mut gateways = [start(), start(), start()];
    gateways.iter().for_each(|gateway| wait_up(gateway, true));
    let addresses = gateways.each_ref().map(|gateway| gateway.address);
    let (gateway_dies, server_dies) = deaths(seed);
    let (answered, broken, ended) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    scope(|scope| {
        for client in 0..CLIENTS {
            let (answered, broken, ended) = (&answered, &broken, &ended);
            let act = move || {
                let mut at = client % 3;
                loop {
                    match send(addresses[at], client % 2 == 0) {
                        Ended::With(200) => answered.fetch_add(1, Ordering::Relaxed),
                        Ended::With(429) => 0,
                        // What is left is not known now.
                        Ended::With(503) => {
                            std::thread::sleep(Duration::from_millis(100));
                            continue;
                        }
                        Ended::With(other) => panic!("seed {seed}: status {other}"),
                        Ended::Broken => broken.fetch_add(1, Ordering::Relaxed),
                        Ended::Nowhere => {
                            at = (at + 1) % 3;
                            continue;
                        }
                    };
                    break;
                }
                ended.fetch_add(1, Ordering::Relaxed);
            };
            Builder::new().stack_size(256 << 10).spawn_scoped(scope, act).unwrap();
        }
        let reached = |calls: usize| {
            let all = || ended.load(Ordering::Relaxed) == CLIENTS;
            until("models are called", || (backend.requests().len() >= calls || all()).then_some(()));
        };
        let mut deaths = [(gateway_dies, true), (server_dies, false)];
        deaths.sort_unstable();
        for (calls, is_gateway) in deaths {
            reached(calls);
            if is_gateway {
                gateways[2].process.signal("KILL");
                let _ = gateways[2].wait_exit();
            } else {
                redis.kill();
                redis.start_again();
            }
        }
    });
    let calls = backend.requests().len();
    let (answered, broken) = (answered.into_inner(), broken.into_inner());
    // The bound is 0: each request reserved at least what it cost.
    assert!(calls <= ROOM, "seed {seed}: {calls} calls of {ROOM}");
    assert!(calls >= ROOM / 4, "seed {seed}: {calls} calls, {answered} answered, {broken} broken off");
    // What the dead gateway had in flight is in no ledger; its clients know of it.
    let kept: usize = gateways.iter().map(entries).sum();
    assert!(
        kept <= calls && calls <= kept + broken,
        "seed {seed}: {kept} in the ledgers, {calls} calls, {broken} broken"
    );
    // Nothing stays reserved: the living return what they do not use, and the lease of the dead one ends.
    let [alive, stops, dead] = &mut gateways;
    stops.sigterm();
    let _ = stops.wait_exit();
    let _ = dead;
    until_slowly("nothing is reserved", || {
        let _ = alive.metrics();
        let bucket = redis.bucket("usd:total")?;
        let own = bucket.iter().filter(|(field, ends)| field.starts_with("x:") && **ends > 0).count();
        let reserved = bucket["lent"] - bucket["spent"];
        // Three tenths of a dollar in nano-dollars, of which a gateway keeps two percent ahead.
        (own <= 1 && reserved <= if exact { 0 } else { 6_000_000 }).then_some(())
    });
    alive.sigterm();
    let _ = alive.wait_exit();
    let bucket = redis.bucket("usd:total").unwrap();
    assert_eq!(bucket["lent"], bucket["spent"], "seed {seed}: {bucket:?}");
    // A limit in total never ends: what gateways said that have stopped is marked to go. One was killed.
    let said = bucket.keys().filter(|field| field.starts_with("s:"));
    let marked = said.map(|field| bucket.get(&field.replacen('s', "x", 1)).is_some_and(|ends| *ends < 0));
    assert!(marked.filter(|is_marked| !is_marked).count() <= 1, "seed {seed}: {bucket:?}");
    let taken = (bucket["spent"] + bucket["lost"]).max(bucket["floor"]);
    assert!(taken >= i64::try_from(calls).unwrap() * 3_000_000, "seed {seed}: {bucket:?}");
}

/// The calls in a gateway's ledger.
fn entries(gateway: &Gateway) -> usize {
    let config = gateway.path("wasmgate.toml");
    let state = gateway.path("state");
    let out = wasmgate_tests::process::run_in(
        gateway.path(".").as_path(),
        &["ledger", "sum", "--config", config.to_str().unwrap()],
        &[("XDG_STATE_HOME", state.to_str().unwrap())],
    );
    let line = out.stdout.lines().find(|line| line.starts_with("acme")).map(str::to_owned);
    line.map_or(0, |line| line.split_whitespace().nth(1).and_then(|calls| calls.parse().ok()).unwrap())
}

#[test]
fn a_budget_is_never_passed_by_a_fleet_that_borrows_ahead() {
    run_fleets(1, false);
}

#[test]
fn a_budget_is_never_passed_by_a_fleet_that_asks_for_each_request() {
    run_fleets(2, true);
}

/// One life each, or as many as the variable `FLEET_SEEDS` says, which takes minutes.
fn run_fleets(first: usize, exact: bool) {
    let count = std::env::var("FLEET_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    for seed in (first..).step_by(2).take(count) {
        run_fleet(seed, exact);
    }
}

#[test]
fn requests_at_a_time_are_counted_together_and_freed_when_their_gateway_dies() {
    let redis = Redis::start();
    let backend = Backend::start(|request| match request.json()["stream"].as_bool() {
        Some(true) => {
            let frames = Dialect::OpenAi.frames(&["some ", "text"], USAGE);
            Reply::stream("text/event-stream").frames(&frames[..3]).stall()
        }
        _ => Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)),
    });
    let start = || setup(&redis, "limits = { concurrent = 1 }", "", &backend).start();
    let (one, two) = (start(), start());
    wait_up(&one, true);
    wait_up(&two, true);
    let mut stream = wasmgate_tests::http::Stream::open(one.address, &bytes(true));
    let _ = stream.event();
    let refused = super::chat(&two).expect(429);
    assert!(refused.text().contains("1 requests at a time"), "{}", refused.text());
    one.process.signal("KILL");
    until_slowly("the lease of the dead gateway ends", || (super::chat(&two).status() == 200).then_some(()));
    // And it is returned when a request ends.
    let three = start();
    wait_up(&three, true);
    until("the other gateway has its turn", || (super::chat(&three).status() == 200).then_some(()));
}
