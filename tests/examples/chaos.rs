//! Random faults under load for a while: `chaos SECONDS SEED`. Each run has a seed of its own, the first the one given.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use wasmgate_tests::chaos;

/// Requests of a run.
const REQUESTS: usize = 4000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let (&[seconds, mut seed], 2) = (&*numbers, arguments.len()) else {
        eprintln!("usage: chaos SECONDS SEED");
        return ExitCode::from(2);
    };
    let (began, mut runs) = (Instant::now(), 0);
    while runs == 0 || began.elapsed() < Duration::from_secs(seconds) {
        println!("{}", chaos::run(seed, REQUESTS));
        seed = chaos::next_seed(seed);
        runs += 1;
    }
    println!("{runs} runs, {} requests: all that must hold held", runs * REQUESTS);
    ExitCode::SUCCESS
}
