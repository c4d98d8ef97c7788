//! The interpreter: what scripts can call, and how much they may use.

use crate::failure::failure;
use crate::request::Asked;
use crate::{answer, candidate, number, ranking, request, text};
use rhai::Engine;
use rhai::packages::{BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage};
use rhai::packages::{MoreStringPackage, Package};
use std::sync::atomic::Ordering::Relaxed;
use wasmgate_policy::log;

/// Steps of one call, and how often it may read variables: some milliseconds, so that a loop without end is an error
/// before the gateway's limit of time ends the instance. The interpreter counts steps, but forgets where it was; a loop
/// mostly reads some variable, and is told its line then.
const OPERATIONS: u64 = 50_000;
const READS: u32 = 5_000;

/// How deep functions may call one another, and expressions be nested on a function's and on the top level. Both take
/// the guest's stack, whose size is in `build.rs`.
const CALL_LEVELS: usize = 12;
const FUNCTION_EXPRESSIONS: usize = 48;
const EXPRESSIONS: usize = 48;

/// The longest text that a script may make, in bytes, and the largest list and map: a fraction of the memory that a
/// policy has unless configured. A prompt fits, unless the operator lets policies see far longer ones.
const TEXT_BYTES: usize = 8 << 20;
const ENTRIES: usize = 100_000;

/// The largest script: variables at a time, and functions.
const VARIABLES: usize = 512;
const FUNCTIONS: usize = 256;

rhai::def_package! {
    /// What scripts have of Rhai's own functions, as one module: each call looks through all modules there are.
    Rhai(module): CorePackage, LogicPackage, BasicMathPackage, BasicArrayPackage, BasicMapPackage, MoreStringPackage {}
}

/// An interpreter that knows the contract.
pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(OPERATIONS)
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(EXPRESSIONS, FUNCTION_EXPRESSIONS)
        .set_max_string_size(TEXT_BYTES)
        .set_max_array_size(ENTRIES)
        .set_max_map_size(ENTRIES)
        .set_max_variables(VARIABLES)
        .set_max_functions(FUNCTIONS)
        .disable_symbol("eval")
        .disable_symbol("Fn")
        .on_print(log::info)
        .on_debug(|text, _, place| log::debug(&format!("line {}: {text}", place.line().unwrap_or_default())));
    count_reads(&mut engine);
    Rhai::new().register_into_engine(&mut engine);
    request::register(&mut engine);
    candidate::register(&mut engine);
    text::register(&mut engine);
    ranking::register(&mut engine);
    answer::register(&mut engine);
    number::register(&mut engine);
    engine
}

/// Ends a call that reads variables too often, at the line where it does. The hook is meant to supply variables, which
/// it never does.
#[expect(deprecated, reason = "so that it is noticed: the hook may change, and the interpreter's version is pinned")]
fn count_reads(engine: &mut Engine) {
    engine.on_var(|_, _, context| match context.tag().read_lock::<Asked>() {
        Some(asked) if asked.0.reads.fetch_add(1, Relaxed) >= READS => {
            Err(failure(format!("more than {READS} reads of variables: a loop without end?")))
        }
        _ => Ok(None),
    });
}
