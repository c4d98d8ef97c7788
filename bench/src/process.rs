//! A program under measurement: pinned to a core, looked at through `/proc`, ended with its value.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The core of what is measured.
pub(crate) const MEASURED: &str = "0";
/// All that there are, for what has several threads. The load takes a part of the second.
pub(crate) const BOTH: &str = "0,1";
/// The core of the model and of the load.
pub(crate) const OTHER: &str = "1";

/// A process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it on a core, what it says on stderr going to a file.
    pub(crate) fn start(core: &str, program: &Path, arguments: &[String], log: &Path) -> Result<Self, String> {
        let log = fs::File::create(log).map_err(|error| error.to_string())?;
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(program).args(arguments);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("WASMGATE_") || text == "RUST_LOG" || text == "TOKIO_WORKER_THREADS" {
                command.env_remove(name);
            }
        }
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        started.map(Self).map_err(|error| format!("taskset {}: {error}", program.display()))
    }

    /// Whether it has not ended by itself.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// The time that its threads have run.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).map_err(|error| error.to_string())?;
        let ran = |task: fs::DirEntry| -> Option<u64> {
            fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        Ok(Duration::from_nanos(tasks.flatten().filter_map(ran).sum()))
    }

    /// The time that it had outside of the kernel and in it, in ticks of the kernel.
    pub(crate) fn user_share(&self) -> Result<UserShare, String> {
        let path = format!("/proc/{}/stat", self.0.id());
        let stat = fs::read_to_string(path).map_err(|error| error.to_string())?;
        // Behind the name and the state: user and system time are the 11th and the 12th number.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let mut times = rest.split(' ').skip(11).map_while(|number| number.parse::<f64>().ok());
        match (times.next(), times.next()) {
            (Some(user), Some(system)) => Ok(UserShare { user, system }),
            _ => Err("no times of the process".to_owned()),
        }
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| "no VmRSS".to_owned())
    }
}

/// The time that a process had outside of the kernel and in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserShare {
    user: f64,
    system: f64,
}

impl UserShare {
    /// The share outside of the kernel since `before`, 0 to 1.
    pub(crate) fn since(self, before: Self) -> f64 {
        let (user, system) = (self.user - before.user, self.system - before.system);
        user / (user + system).max(1.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Moves this process beside the model.
pub(crate) fn pin_self() -> Result<(), String> {
    let pinned = Command::new("taskset").args(["-cp", OTHER, &std::process::id().to_string()]).output();
    match pinned {
        Ok(output) if output.status.success() => Ok(()),
        _ => {
            Err("there is no `taskset`, or there are not two cores: what is measured would not have one of its own"
                .into())
        }
    }
}

/// A program built beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let path = own.with_file_name(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("{name} is not beside this program: `make bench` builds all of them, optimised")),
    }
}
