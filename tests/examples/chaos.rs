//! Random faults under load for a while, then hostile actors: `chaos SECONDS SEED`. Each run has a seed of its own, the
//! first the one given.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use wasmgate_tests::chaos;
use wasmgate_tests::chaos::soak;

/// Requests of a run.
const REQUESTS: usize = 4000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let (&[seconds, mut seed], 2) = (&*numbers, arguments.len()) else {
        eprintln!("usage: chaos SECONDS SEED");
        return ExitCode::from(2);
    };
    // A quarter of the time goes to runs whose every request is accounted for, the others to hostile actors.
    let (began, mut runs, time) = (Instant::now(), 0, Duration::from_secs(seconds));
    while runs == 0 || began.elapsed() < time / 4 {
        println!("{}", chaos::run(seed, REQUESTS));
        seed = chaos::next_seed(seed);
        runs += 1;
    }
    println!("{}", soak::run(seed, soak::Length::Time(time.saturating_sub(began.elapsed()))));
    println!("{runs} runs, {} requests, then hostile actors: all that must hold held", runs * REQUESTS);
    ExitCode::SUCCESS
}
