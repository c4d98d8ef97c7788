//! What one operation costs in instructions and in allocations, against the committed figures of `instructions.toml`:
//! the gate of `make gate`. The machine's other work does not move these figures, so that a small growth is seen.
//!
//! Each case is run twice under callgrind, with few and with many operations; the difference, divided by how many more
//! there were, is what one costs: what comes before and after the operations cancels out. The gate also compares how the
//! costs grow with the input, which `growth` does alone.

mod callgrind;
mod client;
mod figures;
mod gateway;
mod growth;
mod library;
mod upstream;

#[path = "../common/mod.rs"]
mod common;

use std::path::Path;
use std::process::{Command, ExitCode};

use callgrind::Counted;
use figures::{Cost, Figures};

/// Something whose cost is counted.
struct Case {
    name: &'static str,
    /// Few operations, and many.
    counts: [u32; 2],
    how: How,
}

/// Where its operations are done.
enum How {
    /// In this program, which is started anew for it: does so many.
    Library(fn(u32)),
    /// In the gateway's own program: asks it for so many.
    Gateway(gateway::Drive),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["compile"] => library::compile(),
        ["run", case, count] => run(case, count.parse().expect("a number")),
        ["run-growth"] => growth::run(),
        ["growth"] => return growth::check(),
        ["--write"] => {
            compile_first();
            let figures = Figures::new(cases().map(|case| (case.name, measure(&case))));
            figures.write();
        }
        _ => return check(&arguments),
    }
    ExitCode::SUCCESS
}

fn cases() -> impl Iterator<Item = Case> {
    library::cases().into_iter().chain(gateway::cases())
}

fn run(name: &str, count: u32) {
    match cases().find(|case| case.name == name).expect("a case").how {
        How::Library(work) => work(count),
        How::Gateway(_) => unreachable!("this runs in the gateway"),
    }
}

/// Measures the cases whose names have one of `wanted` in them (without any: all) and compares.
fn check(wanted: &[&str]) -> ExitCode {
    compile_first();
    let committed = Figures::read();
    let is_wanted = |case: &Case| wanted.is_empty() || wanted.iter().any(|wanted| case.name.contains(wanted));
    let (mut measured, mut grown) = (Vec::new(), 0);
    for case in cases().filter(is_wanted) {
        let cost = measure(&case);
        grown += usize::from(committed.compare(case.name, cost));
        measured.push((case.name, cost));
    }
    match grown + usize::from(adds_too_much(&measured)) {
        0 if wanted.is_empty() => growth::check(),
        0 => ExitCode::SUCCESS,
        grown => {
            println!("{grown} of the cases cost more than they did. {}", committed.conditions());
            ExitCode::FAILURE
        }
    }
}

/// Allocations that a key, two levels of limits and their budgets may add to a whole answer.
const MOST_ADDED: f64 = 6.0;

/// Whether a key and budgets add too much to a whole answer.
fn adds_too_much(measured: &[(&str, Cost)]) -> bool {
    let of = |name: &str| measured.iter().find(|(known, _)| *known == name).map(|(_, cost)| *cost);
    let (Some(bare), Some(limited)) = (of(gateway::ANSWERS), of(gateway::LIMITED)) else { return false };
    let added = limited.allocations - bare.allocations;
    let instructions = limited.instructions - bare.instructions;
    println!("a key and budgets add {instructions:.0} instructions and {added:.2} allocations, at most {MOST_ADDED}");
    added > MOST_ADDED
}

/// What one operation of a case costs.
fn measure(case: &Case) -> Cost {
    let [few, many] = case.counts.map(|count| match case.how {
        How::Library(_) => callgrind::count(this_program().args(["run", case.name, &count.to_string()])),
        How::Gateway(drive) => gateway::count(drive, count),
    });
    let operations = f64::from(case.counts[1] - case.counts[0]);
    let each = |of: fn(&Counted) -> u64| of(&many).saturating_sub(of(&few)) as f64 / operations;
    Cost { instructions: each(|counted| counted.instructions), allocations: each(|counted| counted.allocations) }
}

/// Compiles the policies once, for all runs to find. The gateway cannot start its compiler under valgrind, and what is
/// compiled outside of it is for another processor and another layout of memory.
fn compile_first() {
    callgrind::run_uncounted(this_program().arg("compile"));
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("the path of this program"))
}

/// Where compiled policies are kept between runs.
fn cache() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/instructions"))
}
