//! Runs the operator's script from the setting `script`.
//!
//! The script is in Rhai. It defines `fn route(request, candidates)` for the routing hook, `fn estimate(request,
//! candidates)` for the cost hook, or both; this crate's README lists what it may use. `configure` compiles it and runs
//! its top level once; a decision is one call of its function.
//!
//! A mistake in a script is an error with line and column, never a trap: the interpreter's limits end a runaway script
//! before the gateway's limits do.

mod answer;
mod call;
mod candidate;
mod engine;
mod failure;
mod number;
mod program;
mod ranking;
mod request;
mod text;
mod value;

use answer::Answer;
use call::Call;
use program::{Hook, Program};
use rhai::{Array, Dynamic};
use wasmgate_policy::prelude::*;

const SCRIPT: Text = Text {
    name: "script",
    summary: "The script, in Rhai: fn route(request, candidates) decides, fn estimate(request, candidates) costs.",
    meaning: Meaning::Plain,
    words: &[],
    default: "",
};

/// The script's `fn route`, ready to be called.
pub struct RoutingScript(Program);

/// The script's `fn estimate`, ready to be called.
pub struct CostScript(Program);

/// Logs only the place of a panic: its message may quote a prompt, and the log is not private.
#[cfg(target_family = "wasm")]
fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            log::error(&format!("panicked at {place}"));
        }
    }));
}

/// Both hooks are in one component and return the same name and version.
fn this_manifest() -> Manifest {
    let summary = "Runs the operator's script: which model answers, or what a request will cost.";
    let reads = Reads::conversation().with_labels(&["*"]).with_tenant();
    manifest("script", env!("CARGO_PKG_VERSION"), summary, reads, &[SCRIPT.entry()])
}

fn program(settings: &Settings, hook: Hook) -> Result<Program, String> {
    #[cfg(target_family = "wasm")]
    keep_panics_quiet();
    Program::compile(&SCRIPT.read(settings)?, hook)
}

impl Policy for RoutingScript {
    fn manifest() -> Manifest {
        this_manifest()
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        program(settings, Hook::Routing).map(Self)
    }
}

impl Policy for CostScript {
    fn manifest() -> Manifest {
        this_manifest()
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        program(settings, Hook::Cost).map(Self)
    }
}

impl Routing for RoutingScript {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        let returned = self.0.call(Call::new(request, candidates))?;
        let should = "fn route should return route_to(…), deny(…) or pass()";
        let wrong = |other: Dynamic| format!("{should}, but returned {}", self.0.kind(&other));
        returned.try_cast_result().map(|Answer(verdict)| verdict).map_err(wrong)
    }
}

impl Cost for CostScript {
    fn estimate(&self, request: &Request, candidates: &[Candidate]) -> Result<Vec<CostEstimate>, String> {
        let returned = self.0.call(Call::new(request, candidates))?;
        let should = "fn estimate should return a list of cost_estimate(…), one for each candidate";
        let wrong = |other: Dynamic| format!("{should}, but returned {}", self.0.kind(&other));
        let list = returned.try_cast_result::<Array>().map_err(wrong)?;
        if list.len() != candidates.len() {
            return Err(format!("{should} ({}), but returned {} in all", candidates.len(), list.len()));
        }
        let estimate = |entry: Dynamic| {
            let wrong = |other| format!("{should}, but returned a list with {} in it", self.0.kind(&other));
            entry.try_cast_result().map_err(wrong)
        };
        list.into_iter().map(estimate).collect()
    }
}

wasmgate_policy::export!(routing: RoutingScript, cost: CostScript);
