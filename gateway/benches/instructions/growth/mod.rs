//! Work grows no faster than its input: `cargo bench --bench instructions -- growth`.
//!
//! Each kind of work is done with n, 2n and 4n elements of one dimension under callgrind, in one process. Where the work is
//! linear, the second doubling adds twice as many instructions as the first; where it is quadratic, four times as many.
//! Instructions do not depend on the machine's other work, so that the same code always gets the same verdict.

mod replies;
mod requests;
mod routing;
mod streams;

use std::hint::black_box;
use std::process::ExitCode;

use crate::callgrind;

/// Elements of the smallest run. Eight times as many are the most tool calls that an answer may have.
const ELEMENTS: usize = 128;
/// By how much the second doubling may cost more than the first: between twice (linear) and four times (quadratic).
const MOST: f64 = 2.6;
/// What the second doubling may cost besides, in instructions: tables that grow by chance in one of the runs. A quadratic
/// loop of a single instruction adds five times as many.
const STRAY: f64 = 40_000.0;
/// How often the same work is counted; the least counts. The allocator tidies up after so many calls, whoever makes them.
const TRIES: usize = 3;

/// `counted_growth`, as callgrind names it.
const FUNCTION: &str = "instructions::growth::counted_growth";

/// A dimension of some input.
pub(crate) struct Dimension {
    name: String,
    prepare: Box<dyn Fn(usize) -> Vec<Work>>,
}

/// What is done with an input of so many elements: its name, and the work, which alone is counted.
struct Work {
    name: String,
    run: Box<dyn FnMut()>,
}

impl Dimension {
    fn new(name: impl Into<String>, prepare: impl Fn(usize) -> Vec<Work> + 'static) -> Self {
        Self { name: name.into(), prepare: Box::new(prepare) }
    }
}

fn work(name: impl Into<String>, run: impl FnMut() + 'static) -> Work {
    Work { name: name.into(), run: Box::new(run) }
}

fn dimensions() -> Vec<Dimension> {
    let mut dimensions = requests::dimensions();
    dimensions.extend(replies::dimensions());
    dimensions.extend(streams::dimensions());
    dimensions.extend(routing::dimensions());
    dimensions
}

/// Does the work of all dimensions, each with three numbers of elements: what callgrind counts.
pub(crate) fn run() {
    for dimension in dimensions() {
        // What is done once, such as finding a library's function or asking the system for memory, comes before.
        for mut work in (dimension.prepare)(4 * ELEMENTS) {
            (work.run)();
        }
        for elements in sizes() {
            for mut work in (dimension.prepare)(elements) {
                for _ in 0..TRIES {
                    counted_growth(&mut *work.run);
                }
            }
        }
    }
}

fn sizes() -> [usize; 3] {
    [ELEMENTS, 2 * ELEMENTS, 4 * ELEMENTS]
}

/// Callgrind counts within this function only, and writes what it counted each time that it ends.
#[inline(never)]
fn counted_growth(run: &mut dyn FnMut()) {
    run();
    // Keeps the compiler from a jump in the place of that call.
    black_box(());
}

/// Counts everything and compares the growth.
pub(crate) fn check() -> ExitCode {
    let tries = callgrind::count_each(crate::this_program().arg("run-growth"), FUNCTION);
    let mut counted = tries.chunks_exact(TRIES).map(|tries| *tries.iter().min().expect("it was tried"));
    let (mut compared, mut failed) = (0, 0);
    let mut steepest = (0.0, String::new());
    for dimension in dimensions() {
        let works = (dimension.prepare)(1);
        let [few, some, many] = sizes().map(|_| counted.by_ref().take(works.len()).collect::<Vec<u64>>());
        assert_eq!(many.len(), works.len(), "callgrind has counted each run");
        for (at, work) in works.iter().enumerate() {
            let costs = [few[at], some[at], many[at]];
            let [few, some, many] = costs.map(|cost| cost as f64);
            // What happens once, such as a table or the allocator's store growing, can fall into the smallest run. The first
            // doubling of linear work adds half of what the middle run costs.
            let (first, second) = ((some - few).max(some / 2.0), many - some);
            let name = format!("{}: {}", dimension.name, work.name);
            compared += 1;
            if second > MOST * first + STRAY {
                failed += 1;
                println!(
                    "  FAILED: \"{name}\" takes {costs:?} instructions for {:?} elements. The second doubling costs",
                    sizes()
                );
                println!(
                    "  {:.1} times the first, at most {MOST} is expected: find the loop within a loop.",
                    second / first
                );
            } else if second > STRAY && second / first > steepest.0 {
                steepest = (second / first, name);
            }
        }
    }
    println!(
        "growth: {compared} kinds of work, {failed} too steep; the steepest other: {:.2} ({})",
        steepest.0, steepest.1
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
