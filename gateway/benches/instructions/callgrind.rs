//! Runs programs under valgrind, whose `callgrind` tool counts the instructions of each function and the calls between
//! them. It has no part in the program's code.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The allocator's ways to allocate, as Rust calls them.
const ALLOCATE: [&str; 5] = ["_rjem_malloc", "_rjem_mallocx", "_rjem_calloc", "_rjem_realloc", "_rjem_rallocx"];

/// What a run took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

/// A folder for what valgrind writes.
pub(crate) struct Report(TempDir);

impl Report {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the report"))
    }

    /// The command under callgrind, which writes its report when the program ends.
    pub(crate) fn command(&self, program: &Command) -> Command {
        let out = self.0.path().join("callgrind.out");
        under(&["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())], program)
    }

    /// What it says.
    pub(crate) fn read(&self) -> Counted {
        let text = std::fs::read_to_string(self.0.path().join("callgrind.out")).expect("valgrind's report");
        parse(&text)
    }
}

/// Runs a program to its end and counts.
pub(crate) fn count(program: &Command) -> Counted {
    let report = Report::new();
    finish(&mut report.command(program));
    report.read()
}

/// Runs a program to its end; the instructions of each call of a function, in order. Its path must be whole.
pub(crate) fn count_each(program: &Command, function: &str) -> Vec<u64> {
    let folder = tempfile::tempdir().expect("a folder for the reports");
    let out = folder.path().join("out");
    let options = [
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
        format!("--toggle-collect={function}"),
        format!("--dump-after={function}"),
    ];
    finish(&mut under(&options.each_ref().map(String::as_str), program));
    // Numbered from 1; one without a number is of the program's end.
    let report = |number: usize| std::fs::read_to_string(format!("{}.{number}", out.display())).ok();
    (1..).map_while(report).map(|report| parse(&report).instructions).collect()
}

/// Runs a program to its end under valgrind.
pub(crate) fn run_uncounted(program: &Command) {
    finish(&mut under(&["--tool=none"], program));
}

fn finish(command: &mut Command) {
    let output = command.stdout(Stdio::null()).output().expect("valgrind is installed: `make gate` sees to it");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn under(options: &[&str], program: &Command) -> Command {
    let mut command = Command::new("valgrind");
    command.arg("--quiet").args(options).arg(program.get_program()).args(program.get_args());
    command
}

/// Reads a report. It has a line of totals, and names functions by numbers, with the name where a number comes first. A line
/// that names who is called is followed by one that says how often.
fn parse(report: &str) -> Counted {
    let mut counted = Counted::default();
    let mut names = HashMap::new();
    let mut called = "";
    for line in report.lines() {
        if let Some(total) = line.strip_prefix("totals: ") {
            counted.instructions = total.trim().parse().expect("a total");
        } else if let Some(function) = line.strip_prefix("fn=") {
            let _ = name(&mut names, function);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            called = name(&mut names, function);
        } else if let Some(calls) = line.strip_prefix("calls=")
            && ALLOCATE.contains(&called)
        {
            counted.allocations += calls.split(' ').next().and_then(|calls| calls.parse::<u64>().ok()).expect("calls");
        }
    }
    counted
}

/// The name that belongs to `(NUMBER) NAME` or `(NUMBER)`.
fn name<'a>(names: &mut HashMap<&'a str, &'a str>, function: &'a str) -> &'a str {
    match function.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(function).copied().unwrap_or_default(),
    }
}
