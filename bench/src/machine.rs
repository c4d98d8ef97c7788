//! Where and of what this was measured.

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::process::program;

/// Lines for the head of the report.
pub(crate) fn lines() -> Result<Vec<String>, String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpus.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value)
    };
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let gateway = program("wasmgate")?;
    let folder = env!("CARGO_MANIFEST_DIR");
    let changed = match said("git", &["-C", folder, "status", "--porcelain", "--untracked-files=no"]).as_str() {
        "" => "",
        _ => ", with changes",
    };
    Ok(vec![
        format!(
            "{} (family {}, model {}), {cores} cores; Linux {}",
            field("model name"),
            field("cpu family"),
            field("model\t"),
            kernel.trim()
        ),
        said("rustc", &["--version"]),
        format!(
            "{}, commit {}{changed}",
            said(&gateway.to_string_lossy(), &["--version"]),
            said("git", &["-C", folder, "rev-parse", "--short", "HEAD"])
        ),
    ])
}

/// What a program prints; nothing where it is not there.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The time that other processes and other machines on the same cores had.
#[derive(Debug)]
pub(crate) struct Others {
    at: Instant,
    ticks: f64,
}

/// Ticks a second in what Linux tells of times.
const TICKS: f64 = 100.0;

impl Others {
    pub(crate) fn now() -> Result<Self, String> {
        let machine = fs::read_to_string("/proc/stat").map_err(|error| error.to_string())?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what is behind them is in the first two as well.
        let machine = numbers(machine.lines().next().unwrap_or_default());
        let busy: f64 = machine.iter().take(8).sum::<f64>() - machine.iter().skip(3).take(2).sum::<f64>();
        let own = f64::from(std::process::id());
        let mut ticks = busy;
        for entry in fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<f64>().ok()) else { continue };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // Behind the name and the state: the parent is the first number, user and system time are the 11th and the
            // 12th, then those of ended children.
            let stat = numbers(stat.rsplit_once(") ").map_or("", |(_, rest)| rest));
            if process == own || stat.first() == Some(&own) {
                ticks -= stat.iter().skip(10).take(4).sum::<f64>();
            }
        }
        Ok(Self { at: Instant::now(), ticks })
    }

    /// Their share of a core since.
    pub(crate) fn since(&self) -> Result<f64, String> {
        let now = Self::now()?;
        Ok((now.ticks - self.ticks).max(0.0) / TICKS / (now.at - self.at).as_secs_f64())
    }
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
