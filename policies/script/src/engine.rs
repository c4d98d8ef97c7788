//! The interpreter: what scripts can call, and their limits.

use crate::failure::failure;
use crate::request::Asked;
use crate::{answer, candidate, number, ranking, request, text};
use rhai::packages::{BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage};
use rhai::packages::{MoreStringPackage, Package};
use rhai::{Dynamic, Engine};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use wasmgate_policy::log;

/// Maximum steps of one call, and maximum reads of variables: some milliseconds, so that an endless loop is an error
/// before the gateway's time limit ends the instance. The interpreter's step limit gives no line. Most loops read some
/// variable, and that limit gives the line.
const OPERATIONS: u64 = 50_000;
const READS: u32 = 5_000;

/// Maximum depth of calls, and of nested expressions in functions and at the top level. Both use the guest's stack,
/// whose size is in `build.rs`.
const CALL_LEVELS: usize = 12;
const FUNCTION_EXPRESSIONS: usize = 48;
const EXPRESSIONS: usize = 48;

/// Maximum bytes of a text, and maximum entries of a list or map, that a script may create: a fraction of a policy's
/// default memory. A prompt fits, and the list of its characters, unless the operator lets policies see longer ones.
const TEXT_BYTES: usize = 8 << 20;
const LIST_ENTRIES: usize = 1 << 20;
const MAP_ENTRIES: usize = 100_000;

/// Maximum variables at a time, and maximum functions.
const VARIABLES: usize = 512;
const FUNCTIONS: usize = 256;

rhai::def_package! {
    /// The functions of Rhai that scripts have, as one module, because each call searches all modules.
    Rhai(module): CorePackage, LogicPackage, BasicMathPackage, BasicArrayPackage, BasicMapPackage, MoreStringPackage {}
}

/// An interpreter that knows the contract.
pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(OPERATIONS)
        // One more: a function that is too deep ends where it reads a variable, which gives the line. The interpreter's own
        // limit gives none.
        .set_max_call_levels(CALL_LEVELS + 1)
        .set_max_expr_depths(EXPRESSIONS, FUNCTION_EXPRESSIONS)
        .set_max_string_size(TEXT_BYTES)
        .set_max_array_size(LIST_ENTRIES)
        .set_max_map_size(MAP_ENTRIES)
        .set_max_variables(VARIABLES)
        .set_max_functions(FUNCTIONS)
        .disable_symbol("eval")
        .disable_symbol("Fn")
        .on_print(log::info)
        .on_debug(|text, _, place| log::debug(&format!("line {}: {text}", place.line().unwrap_or_default())));
    Rhai::new().register_into_engine(&mut engine);
    request::register(&mut engine);
    candidate::register(&mut engine);
    text::register(&mut engine);
    ranking::register(&mut engine);
    answer::register(&mut engine);
    number::register(&mut engine);
    engine
}

/// What a call beyond the maximum depth says.
pub(crate) fn too_deep() -> String {
    format!("functions that call one another more than {CALL_LEVELS} deep")
}

/// Lets functions, and the closures in them, read what the top level defined: by default Rhai's functions see only their
/// parameters. Also ends a call that reads variables too often or in too deep a function, at the line where it does.
#[expect(deprecated, reason = "so that it is noticed: the hook may change, and the interpreter's version is pinned")]
pub(crate) fn resolve(engine: &mut Engine, defined: HashMap<String, Dynamic>) {
    engine.on_var(move |name, offset, context| match context.tag().read_lock::<Asked>() {
        Some(asked) if asked.0.reads.fetch_add(1, Relaxed) >= READS => {
            Err(failure(format!("more than {READS} reads of variables: a loop without end?")))
        }
        _ if context.call_level() > CALL_LEVELS => Err(failure(too_deep())),
        // What the function itself has comes first. Only in a nested closure the offset of that may be unknown.
        _ if offset > 0 || context.scope().contains(name) => Ok(None),
        _ => Ok(defined.get(name).cloned()),
    });
}
