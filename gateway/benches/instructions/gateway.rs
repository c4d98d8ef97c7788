//! Cases that ask the gateway's own program, with one thread for requests, in front of a backend that answers at once.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use wasmgate_accounts::KeyHash;

use crate::callgrind::{Counted, Report};
use crate::client::Client;
use crate::upstream::Upstream;
use crate::{Case, How, cache, common};

/// Asks the gateway for so many operations.
pub(crate) type Drive = fn(&mut Client, &Upstream, u32);

/// The case of whole answers, with which the next one is compared.
pub(crate) const ANSWERS: &str = "gateway, whole answer, 300 B";
/// The same, of a client with a key, whose group and the one above it have limits and budgets.
pub(crate) const LIMITED: &str = "gateway, whole answer, key and budgets";
/// The key.
const KEY: &str = "wg-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

pub(crate) fn cases() -> [Case; 3] {
    let case = |name, counts, drive| Case { name, counts, how: How::Gateway(drive) };
    [
        case(ANSWERS, [128, 1152], answers as Drive),
        case(LIMITED, [128, 1152], limited_answers),
        case("gateway, event of a stream", [500, 8500], events),
    ]
}

fn answers(client: &mut Client, _: &Upstream, count: u32) {
    let request = request(false);
    for _ in 0..count {
        client.ask(&request, "");
    }
}

fn limited_answers(client: &mut Client, _: &Upstream, count: u32) {
    let (request, key) = (request(false), format!("authorization: Bearer {KEY}\r\n"));
    for _ in 0..count {
        client.ask(&request, &key);
    }
}

/// Each event is sent once the client has the one before, so that all of them go through alone.
fn events(client: &mut Client, upstream: &Upstream, count: u32) {
    client.begin(&request(true), "");
    for _ in 0..count {
        client.event();
        upstream.go_on();
    }
    upstream.end();
    client.end();
}

fn request(stream: bool) -> String {
    let text = common::text(300);
    format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{text}"}}],"stream":{stream}}}"#)
}

/// What the gateway took, from its start to its end, with so many operations between.
pub(crate) fn count(drive: Drive, operations: u32) -> Counted {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::start();
    let file = folder.path().join("wasmgate.toml");
    std::fs::write(&file, config(&upstream)).expect("the configuration can be written");
    let report = Report::new();
    let mut program = Command::new(env!("CARGO_BIN_EXE_wasmgate"));
    program.arg("serve").arg("--config").arg(&file);
    let mut gateway = report.command(&program);
    gateway.env("TOKIO_WORKER_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut gateway = Running(gateway.spawn().expect("valgrind is installed: `make gate` sees to it"));
    let mut client = Client::connect(listening(&mut gateway.0));
    drive(&mut client, &upstream, operations);
    drop(client);
    kill_process(Pid::from_child(&gateway.0), Signal::TERM).expect("it runs");
    let status = gateway.0.wait().expect("its status");
    assert!(status.success(), "the gateway ended with {status}");
    report.read()
}

/// A process that does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the line that says where it listens; what it logs after that is read and dropped.
fn listening(gateway: &mut Child) -> SocketAddr {
    let mut lines = BufReader::new(gateway.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut said = String::new();
    let address = lines.find_map(|line| {
        said += &line;
        said.push('\n');
        let line: serde_json::Value = serde_json::from_str(&line).ok()?;
        (line["message"] == "listening").then(|| line["addr"].as_str()?.parse().ok())?
    });
    std::thread::spawn(move || lines.for_each(drop));
    address.unwrap_or_else(|| {
        eprint!("{said}");
        std::process::exit(1)
    })
}

/// Nothing that goes by the clock: no looks at files, no probes. Calls get the time that they take under valgrind.
fn config(upstream: &Upstream) -> String {
    let models: String = (0..3).map(|index| format!("[models.model-{index}]\nbackend = \"bench\"\n")).collect();
    format!(
        "listen = \"127.0.0.1:0\"\nstate_dir = \"state\"\ncache_dir = {:?}\n\
         [admin]\nenabled = false\n[reload]\nenabled = false\n\
         [backends.bench]\nkind = \"openai\"\nurl = \"http://{}\"\nlocation = \"local\"\nprobe_interval_seconds = 0\n\
         {models}\
         [server]\nauth = \"optional\"\n[ledger]\nenabled = false\n\
         [groups.acme]\ntimezone = \"Europe/Berlin\"\n\
         limits = {{ usd_per_month = 1_000_000, requests_per_minute = 1_000_000_000 }}\n\
         [groups.team]\nparent = \"acme\"\n\
         limits = {{ usd_per_day = 1_000_000, requests_per_day = 1_000_000_000, tokens_per_day = 1_000_000_000 }}\n\
         [keys.anna]\ngroup = \"team\"\nsha256 = \"{}\"\n\
         [policies.routing]\nbuiltin = \"complexity\"\nlimits = {{ call_time_ms = 10_000 }}\n\
         [policies.cost]\nbuiltin = \"token-cost\"\nlimits = {{ call_time_ms = 10_000 }}\n",
        cache(),
        upstream.address,
        KeyHash::of(KEY.as_bytes())
    )
}
