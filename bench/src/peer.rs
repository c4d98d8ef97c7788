//! Who is asked: the model directly, the reference before it, or the gateway before it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::connection::Connection;
use crate::process::{BOTH, MEASURED, OTHER, Process, UserShare, program};
use crate::prompt::Prompt;
use crate::settings::Settings;

/// How long a start may take: with an empty cache two policies are compiled.
const START: Duration = Duration::from_secs(60);
/// In a folder of its own: that of the configuration is watched, and each line would wake the gateway.
const LOG: &str = "log/stderr";

/// A program that answers.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// What each answer must say has decided.
    pub(crate) policy: Option<&'static str>,
    /// From its start to its first answer.
    pub(crate) started_in: Duration,
    /// Its resident memory in MiB when it listened and had answered nothing.
    pub(crate) memory_at_start: f64,
    process: Process,
    /// What it was configured with, and its log.
    folder: TempDir,
}

impl Peer {
    /// The simulated model, on the core of the load.
    pub(crate) fn model() -> Result<Self, String> {
        Self::start("the model", "bench-model", OTHER, None, |address, _| Ok(vec![address.to_string()]))
    }

    /// The reference before `model`.
    pub(crate) fn reference(model: &Self) -> Result<Self, String> {
        Self::start("the reference", "bench-reference", MEASURED, None, |address, _| {
            Ok(vec![address.to_string(), model.address.to_string()])
        })
    }

    /// The gateway before `model`, with what it compiled kept in `cache`.
    pub(crate) fn gateway(model: &Self, settings: &Settings, cache: &Path) -> Result<Self, String> {
        let cores = if settings.threads.is_some() { BOTH } else { MEASURED };
        Self::start("the gateway", "wasmgate", cores, Some(settings.policy), |address, folder| {
            let path = folder.join("wasmgate.toml");
            settings.write(&path, model.address, cache)?;
            let arguments = ["serve".into(), "--config".into(), path.display().to_string()];
            Ok(arguments.into_iter().chain(["--listen".into(), address.to_string()]).collect())
        })
    }

    fn start(
        name: &'static str,
        file: &str,
        core: &str,
        policy: Option<&'static str>,
        arguments: impl FnOnce(SocketAddr, &Path) -> Result<Vec<String>, String>,
    ) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let address = free_address()?;
        let arguments = arguments(address, folder.path())?;
        let log = folder.path().join(LOG);
        std::fs::create_dir(folder.path().join("log")).map_err(|error| error.to_string())?;
        let program = program(file)?;
        let began = Instant::now();
        let mut process = Process::start(core, &program, &arguments, &log)?;
        let told = |wrong: String| with_log(name, &wrong, folder.path());
        while TcpStream::connect(address).is_err() {
            if !process.lives() || began.elapsed() > START {
                return Err(told("it does not listen".into()));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        let memory_at_start = process.memory()?;
        first_answer(address, policy).map_err(told)?;
        Ok(Self { name, address, policy, started_in: began.elapsed(), memory_at_start, process, folder })
    }

    /// The time that it has run.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        self.process.cpu()
    }

    /// Where it has run.
    pub(crate) fn user_share(&self) -> Result<UserShare, String> {
        self.process.user_share()
    }

    /// What went wrong with it, and the end of its log.
    pub(crate) fn wrong(&self, what: &str) -> String {
        with_log(self.name, what, self.folder.path())
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64, String> {
        self.process.memory()
    }
}

fn with_log(name: &str, wrong: &str, folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!("{name}: {wrong}\nThe end of its log:\n{}", lines.join("\n"))
}

fn first_answer(address: SocketAddr, policy: Option<&'static str>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let request = Prompt::whole(300).request(address);
        Connection::open(address).await?.ask(&request, policy).await.map(drop)
    })
}

/// One that nobody listens on now.
fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}
