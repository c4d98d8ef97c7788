//! What is measured of the real process with the tests' own clients, part by part: one program, since linking it takes minutes.
//! `cargo bench --bench process -- languages python` measures the part of that name, and of it that alone.

mod keys;
mod languages;
mod leaving;
mod replay;
mod scrape;
mod swaps;

use std::process::ExitCode;

/// Measures those of its rows that are named, or all.
type Part = fn(&[String]);

const PARTS: [(&str, Part); 6] = [
    ("keys", |_| keys::all()),
    ("languages", languages::some),
    ("leaving", |_| leaving::all()),
    ("replay", |_| replay::all()),
    ("scrape", |_| scrape::all()),
    ("swaps", swaps::some),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some((wanted, rows)) = arguments.split_first() else {
        for (_, measure) in PARTS {
            measure(&[]);
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, measure)) = PARTS.iter().find(|(name, _)| name == wanted) else {
        eprintln!("{wanted:?} is no part; the parts are {}", PARTS.map(|(name, _)| name).join(", "));
        return ExitCode::from(2);
    };
    measure(rows);
    ExitCode::SUCCESS
}
