//! Compiles a script to a function that can be called.

use crate::call::Call;
use crate::candidate::offered;
use crate::engine::{engine, resolve};
use crate::failure;
use crate::request::Asked;
use rhai::{AST, CallFnOptions, Dynamic, Engine, Scope};
use std::sync::Arc;

/// A hook, and its function's name in scripts.
#[derive(Clone, Copy)]
pub(crate) enum Hook {
    Routing,
    Cost,
}

/// A compiled script with the hook's function.
pub(crate) struct Program {
    engine: Engine,
    script: AST,
    function: &'static str,
}

/// The number of parameters of a hook's function.
const PARAMETERS: usize = 2;

impl Hook {
    fn function(self) -> &'static str {
        match self {
            Self::Routing => "route",
            Self::Cost => "estimate",
        }
    }
}

impl Program {
    /// Compiles a script, runs its top level, and checks that it has the hook's function.
    pub(crate) fn compile(text: &str, hook: Hook) -> Result<Self, String> {
        let function = hook.function();
        let wrong = |is: &str| format!("the script should define fn {function}(request, candidates), but {is}");
        if text.trim().is_empty() {
            return Err(wrong("is empty; write it in Rhai, in the file or the setting"));
        }
        let refusal = |sentence: String| format!("script: {sentence}");
        let mut engine = engine();
        let mut constants = Scope::new();
        let top = engine.compile(text).map_err(|error| refusal(failure::of_text(&error)))?;
        engine.run_ast_with_scope(&mut constants, &top).map_err(|error| refusal(failure::of_run(&engine, error)))?;
        let defined = constants.iter().map(|(name, _, value)| (name.to_owned(), value)).collect();
        resolve(&mut engine, defined);
        // Compiles a second time, now that all names are known, to find unknown names before any request does.
        engine.set_strict_variables(true);
        let script = engine.compile_with_scope(&constants, text);
        let script = script.map_err(|error| refusal(failure::of_text(&error)))?;
        let parameters = |count| {
            let mut functions = script.iter_functions();
            functions.any(|defined| defined.name == function && defined.params.len() == count)
        };
        if parameters(PARAMETERS) {
            return Ok(Self { engine, script, function });
        }
        Err(match script.iter_functions().find(|defined| defined.name == function) {
            Some(other) => {
                let count = other.params.len();
                let noun = if count == 1 { "parameter" } else { "parameters" };
                wrong(&format!("its fn {function} has {count} {noun}, not {PARAMETERS}"))
            }
            None => wrong("has no function of that name"),
        })
    }

    /// Calls the hook's function.
    pub(crate) fn call(&self, call: Arc<Call>) -> Result<Dynamic, String> {
        let arguments = (Asked(call.clone()), offered(&call));
        let options = CallFnOptions::new().eval_ast(false).with_tag(Asked(call));
        let returned =
            self.engine.call_fn_with_options(options, &mut Scope::new(), &self.script, self.function, arguments);
        returned.map_err(|error| failure::of_run(&self.engine, error))
    }

    /// The kind of value that the hook's function returned, for a sentence.
    pub(crate) fn kind(&self, value: &Dynamic) -> String {
        failure::kind(&self.engine, value)
    }
}
