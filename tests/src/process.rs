//! The gateway's program as a process: started in a clean environment, its log read as it comes, ended with its test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::Value;

use crate::wait::{Shared, until};

/// The binary, built beside the tests.
///
/// # Panics
/// Where it is not there.
#[must_use]
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("the path of the test binary");
    let folder = tests.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let binary = folder.join("wasmgate");
    assert!(binary.is_file(), "{} is not there: `make test` builds it before it runs the tests", binary.display());
    binary
}

fn program_folder() -> PathBuf {
    binary().parent().map(Path::to_owned).unwrap_or_default()
}

/// The command with a clean environment: what the machine that runs the tests has set must not matter.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("WASMGATE_")
            || text.ends_with("_DIRECTORY")
            || text.starts_with("XDG_")
            || name == "RUST_LOG"
            || text.to_ascii_lowercase().ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    // State is a test's own, and where a test says so; what was compiled may be shared by all.
    command.env("XDG_CACHE_HOME", program_folder().join("cache")).env("HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process and what it printed so far. Killed when dropped, also when its test panics.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Shared<Output>>,
}

/// What a process printed.
#[derive(Debug, Default)]
struct Output {
    stdout: String,
    lines: Vec<String>,
    open: usize,
    reading: Reading,
}

/// What the reader of the log does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    #[default]
    On,
    Paused,
    Ended,
}

impl Process {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = Arc::new(Shared::new(Output { open: 2, ..Output::default() }));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let shared = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = BufReader::new(stdout).read_to_end(&mut text);
            shared.with(|output| {
                output.stdout = String::from_utf8_lossy(&text).into_owned();
                output.open -= 1;
            });
        });
        let shared = Arc::clone(&output);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                shared.with(|output| output.lines.push(String::from_utf8_lossy(&line).into_owned()));
                let reading = |output: &mut Output| Some(output.reading).filter(|reading| *reading != Reading::Paused);
                if shared.wait(reading) == Some(Reading::Ended) {
                    break;
                }
            }
            shared.with(|output| output.open -= 1);
        });
        Self { child, output }
    }

    /// The lines of its log so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.output.with(|output| output.lines.clone())
    }

    /// The lines of its log since they were last taken, which are then forgotten: for runs that are too long to keep all.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        self.output.with(|output| std::mem::take(&mut output.lines))
    }

    /// Stops reading its log, as a collector that is stuck does: it writes to a pipe that nobody empties.
    pub fn pause_log(&self) {
        self.output.with(|output| output.reading = Reading::Paused);
    }

    /// Reads its log again.
    pub fn resume_log(&self) {
        self.output.with(|output| output.reading = Reading::On);
    }

    /// Closes the pipe of its log when the next line comes.
    pub fn close_log(&self) {
        self.output.with(|output| output.reading = Reading::Ended);
    }

    /// Waits for the process to end by itself, whether its log is read or not.
    ///
    /// # Panics
    /// Where it does not.
    pub fn wait_end(&self) {
        until("the process ends", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
            status.contains("State:\tZ").then_some(())
        });
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// Where it does not.
    pub fn wait_exit(&mut self) -> Exit {
        let ended = self.output.wait(|output| (output.open == 0).then_some(()));
        assert!(ended.is_some(), "the process does not end; its log:\n{}", self.lines().join("\n"));
        let status = self.child.wait().expect("its status");
        let (stdout, stderr) = self.output.with(|output| (output.stdout.clone(), output.lines.join("\n")));
        Exit { status, stdout, stderr }
    }

    /// The most bytes that a file of it may have from now on, as in `unlimited`: the disk is full, or has room again.
    ///
    /// # Panics
    /// Where that cannot be set.
    pub fn limit_files(&self, bytes: &str) {
        let set =
            Command::new("prlimit").arg(format!("--pid={}", self.child.id())).arg(format!("--fsize={bytes}:")).status();
        assert!(set.expect("util-linux").success(), "the limit cannot be set");
    }

    /// Sends it a signal, as in `TERM`.
    ///
    /// # Panics
    /// Where that cannot be sent.
    pub fn signal(&self, name: &str) {
        // The standard library sends SIGKILL only; every shell has `kill`.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(sent.expect("a shell").success(), "SIG{name} cannot be sent");
    }

    /// Waits for a line of its log that contains `part`.
    ///
    /// # Panics
    /// Where it does not come.
    #[must_use]
    pub fn wait_line(&self, part: &str) -> String {
        self.wait_line_after(0, part)
    }

    /// As `wait_line`, after so many lines.
    ///
    /// # Panics
    /// Where it does not come.
    #[must_use]
    pub fn wait_line_after(&self, lines: usize, part: &str) -> String {
        let line = |output: &mut Output| output.lines[lines..].iter().find(|line| line.contains(part)).cloned();
        self.output.wait(line).unwrap_or_else(|| panic!("no {part:?} in the log:\n{}", self.lines().join("\n")))
    }

    /// The lines of JSON among those of its log.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| json_line(line)).collect()
    }

    /// Waits for such a line; `None` where it does not come.
    pub fn wait_json_line(&self, mut is_it: impl FnMut(&Value) -> bool) -> Option<Value> {
        let mut looked_at = 0;
        self.output.wait(|output| {
            let new = &output.lines[looked_at..];
            looked_at = output.lines.len();
            new.iter().filter_map(|line| json_line(line)).find(|line| is_it(line))
        })
    }

    /// Waits until it says where it listens, for clients and for operators. The first is said last.
    ///
    /// # Panics
    /// Where it does not.
    #[track_caller]
    pub(crate) fn wait_addresses(&self) -> (SocketAddr, SocketAddr) {
        let listening = |output: &mut Output| {
            let said = |message: &str| {
                let lines = output.lines.iter().filter_map(|line| json_line(line));
                lines
                    .filter(|line| line["message"] == message)
                    .find_map(|line| line["addr"].as_str().and_then(|address| address.parse().ok()))
            };
            let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
            let addresses = said("listening").map(|address| (address, said("admin listening").unwrap_or(nowhere)));
            if addresses.is_none() && output.open == 0 { Some(None) } else { addresses.map(Some) }
        };
        let addresses = self.output.wait(listening).flatten();
        addresses.unwrap_or_else(|| panic!("the gateway does not listen:\n{}", self.lines().join("\n")))
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many entries a folder of `/proc/PID` has: `task` for threads, `fd` for descriptors.
    ///
    /// # Panics
    /// Where the process is gone.
    #[must_use]
    pub fn held(&self, what: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{what}", self.child.id())).expect("a live process").count()
    }

    /// The nice values of the processes that it started and that live.
    ///
    /// # Panics
    /// Where the process is gone.
    #[must_use]
    pub fn children_nice(&self) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a live process");
        let children = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let children: String = children.collect();
        // After the name in parentheses the nice value is the 17th field.
        let nice = |child: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
        };
        children.split_whitespace().filter_map(nice).collect()
    }

    /// A line of `/proc/PID/status`, in bytes: `VmRSS`, `VmHWM`.
    ///
    /// # Panics
    /// Where the process is gone.
    #[must_use]
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a live process");
        let line = status.lines().find(|line| line.starts_with(field)).expect("that field");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of KiB");
        kib << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Requests have a line each: under load they would be all there is to see.
            let mut lines = self.lines();
            lines.retain(|line| !line.contains("\"message\":\"request\""));
            eprintln!("a process' log, its end:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

impl Exit {
    /// Its exit code.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// All that it said.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails unless it ended with this code and said all of these.
    #[track_caller]
    pub fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code(), Some(code), "{}", self.text());
        for part in said {
            assert!(self.text().contains(part), "{part:?} is not in {}", self.text());
        }
    }
}

/// Runs the command to its end.
#[must_use]
pub fn run(arguments: &[&str]) -> Exit {
    Process::start(command(&binary()).args(arguments)).wait_exit()
}

/// Runs the command with these arguments and variables in a folder.
#[must_use]
pub fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Exit {
    let mut command = command(&binary());
    command.args(arguments).current_dir(folder).envs(variables.iter().copied());
    Process::start(&mut command).wait_exit()
}

/// Runs `wasmgate policies` with these arguments and variables against the admin listener at `url`.
#[must_use]
pub fn policies(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Exit {
    let mut command = command(&binary());
    command.arg("policies").args(["--admin", url]).args(arguments).envs(variables.iter().copied());
    Process::start(&mut command).wait_exit()
}

fn json_line(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}
