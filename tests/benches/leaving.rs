//! How long after its client left a call is ended at the backend, in the middle of a stream and before its head. `make bench` runs it;
//! the figures are in `gateway/benches/README.md`.

use std::time::{Duration, Instant};

use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::post_json;
use wasmgate_tests::traffic::Traffic;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const TIMES: usize = 300;
const PATH: &str = "/v1/chat/completions";

pub(super) fn all() {
    println!(
        "{:<44} {:>9} {:>9} {:>9}",
        "from the client's leaving to the backend's knowing", "p50 µs", "p99 µs", "max µs"
    );
    for loaded in [false, true] {
        for stream in [true, false] {
            measure(stream, loaded);
        }
    }
}

fn measure(stream: bool, loaded: bool) {
    let backend = Backend::start(move |_| match stream {
        true => {
            let frames = Dialect::OpenAi.frames(&["one ", "two"], Usage { input: 1, output: 2 });
            Reply::stream("text/event-stream").frames(&frames[..2]).stall()
        }
        false => Reply::silent().stall(),
    });
    let gateway = Gateway::setup()
        .models("[backends.sim]\nkind = \"sim\"\nsim = { latency_ms = 0, tokens_per_second = inf }\n[models.sim]\nbackend = \"sim\"\n")
        .model("asked", Dialect::OpenAi, &backend)
        .after("taskset -cp 0 $$ >/dev/null")
        .start();
    let traffic = loaded.then(|| Traffic::start(&gateway, 2, 2));
    let mut took: Vec<Duration> = (0..TIMES)
        .map(|time| {
            let request = ask(PATH, "asked", "hello", stream);
            let left = if stream {
                let mut stream = gateway.stream(PATH, &request);
                let _ = stream.data();
                let left = Instant::now();
                stream.abandon();
                left
            } else {
                let mut client = gateway.connect();
                client.send(post_json(PATH, &request));
                backend.wait_requests(time + 1);
                let left = Instant::now();
                client.abandon();
                left
            };
            backend.wait_abandoned(time + 1);
            left.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let what = ["before the head", "in the middle of a stream"][usize::from(stream)];
    let load = ["", ", four clients beside"][usize::from(loaded)];
    println!("{:<44} {:>9.0} {:>9.0} {:>9.0}", format!("{what}{load}"), at(0.5), at(0.99), at(1.0));
    if let Some(traffic) = traffic {
        let _ = traffic.end();
    }
}
