//! `wasmgate check`: prints what a check found, for people or as JSON for programs.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use wasmgate::config::Problem;

/// Prints the report. Exit code 2 if the gateway would refuse the configuration.
pub(crate) fn print(file: &Path, summary: &str, problems: &[Problem], as_json: bool) -> ExitCode {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let valid = errors == 0;
    if as_json {
        let warnings = problems.len() - errors;
        let file = file.display().to_string();
        let report =
            json!({"file": file, "valid": valid, "errors": errors, "warnings": warnings, "problems": problems});
        println!("{report:#}");
    } else {
        if valid {
            println!("{}: {summary}", file.display());
        }
        for problem in problems {
            if problem.is_error() {
                eprintln!("wasmgate: {problem}");
            } else if valid {
                println!("warning: {problem}");
            } else {
                eprintln!("warning: {problem}");
            }
        }
        if errors > 1 {
            eprintln!("wasmgate: {}: {errors} errors", file.display());
        }
    }
    if valid { ExitCode::SUCCESS } else { ExitCode::from(2) }
}
