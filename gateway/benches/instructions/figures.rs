//! The committed figures: read, compared, written anew.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;

/// As messages name it, from the repository's top.
const FILE: &str = "gateway/benches/instructions.toml";
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
/// By how much a figure may differ from the committed one. Runs differ by a tenth of it.
const TOLERANCE: f64 = 0.03;
/// And beside: what goes by the clock, such as a guest that is interrupted, allocates now and then.
const STRAY_ALLOCATIONS: f64 = 0.25;

/// What one operation costs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    /// With what they were measured.
    with: String,
    cases: BTreeMap<String, Cost>,
}

impl Figures {
    /// Those of a run, each told as it comes.
    pub(crate) fn new(measured: impl Iterator<Item = (&'static str, Cost)>) -> Self {
        let told = measured.inspect(|(name, cost)| tell(name, *cost));
        Self { with: tools(), cases: told.map(|(name, cost)| (name.to_owned(), cost)).collect() }
    }

    /// The committed ones.
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(PATH).unwrap_or_else(|error| unreadable(&error));
        toml::from_str(&text).unwrap_or_else(|error| unreadable(&error))
    }

    /// Puts these in the place of the committed ones.
    pub(crate) fn write(&self) {
        let mut text = format!(
            "# What one operation costs, as `make gate` measures it; written by `make gate-update`. A figure that grows by\n\
             # more than 3 % fails the gate. `gateway/benches/README.md` says what is counted.\n\nwith = {:?}\n\n[cases]\n",
            self.with
        );
        for (name, cost) in &self.cases {
            text += &format!(
                "{name:?} = {{ instructions = {:.0}, allocations = {:.2} }}\n",
                cost.instructions, cost.allocations
            );
        }
        std::fs::write(PATH, text).expect("the file of figures can be written");
    }

    /// Tells a case's figures, and whether one has grown.
    pub(crate) fn compare(&self, name: &str, cost: Cost) -> bool {
        tell(name, cost);
        let Some(committed) = self.cases.get(name) else {
            println!("  {name} has no figures in {FILE}: `make gate-update` writes them");
            return true;
        };
        let instructions = grown(name, "instructions", cost.instructions, committed.instructions, 0.0);
        let allocations = grown(name, "allocations", cost.allocations, committed.allocations, STRAY_ALLOCATIONS);
        instructions || allocations
    }

    /// A sentence on what else than the code may have changed; empty where nothing has.
    pub(crate) fn conditions(&self) -> String {
        let now = tools();
        match now == self.with {
            true => String::new(),
            false => format!("The figures are of {}; this is {now}.", self.with),
        }
    }
}

fn tell(name: &str, cost: Cost) {
    println!("{name:<40} {:>12.0} instructions {:>9.2} allocations", cost.instructions, cost.allocations);
}

/// Whether a figure is too high; what is to be done is told, also where it is too low. `stray` is tolerated beside.
fn grown(name: &str, what: &str, now: f64, was: f64, stray: f64) -> bool {
    let said = format!("{what} of \"{name}\": {now:.2} now, {was:.2} before");
    if now > was * (1.0 + TOLERANCE) + stray {
        println!("  FAILED: {said}: lower it, or raise it on purpose in {FILE}");
        return true;
    }
    if now < was * (1.0 - TOLERANCE) - stray {
        println!("  notice: {said}: lower it in {FILE} too, so that it stays so");
    }
    false
}

/// What the figures depend on beside the code: processor, compiler, C library and valgrind.
fn tools() -> String {
    let version = |program: &str| {
        let said = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned()
    };
    [std::env::consts::ARCH.to_owned(), version("rustc"), version("ldd"), version("valgrind")].join(", ")
}

fn unreadable(error: &dyn std::fmt::Display) -> ! {
    eprintln!("{FILE}: {error}");
    std::process::exit(1)
}
