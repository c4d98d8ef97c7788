//! Scripts as an operator would write them, through the policy's two hooks.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may fail by any means, its helpers too")]

mod answers;
mod cases;
mod example;
mod functions;
mod limits;
mod mistakes;
mod properties;

use policy_script::{CostScript, RoutingScript};
use wasmgate_policy::testing::request;
use wasmgate_policy::{Candidate, Decision, Policy, Request, Routing, Settings, Value, Verdict};

/// The example policy.
const COMPLEXITY: &str = include_str!("../../../../examples/policies/script/complexity.rhai");

fn settings(script: &str) -> Settings {
    Settings::of([("script", Value::Text(script.into()))])
}

fn routing(script: &str) -> Result<RoutingScript, String> {
    RoutingScript::configure(&settings(script))
}

fn cost(script: &str) -> Result<CostScript, String> {
    CostScript::configure(&settings(script))
}

/// What a script's `fn route` answers, where the body is all there is to it.
fn route(body: &str, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
    let script = format!("fn route(request, candidates) {{ {body} }}");
    routing(&script).expect(&script).route(request, candidates)
}

/// An expression's value as the script prints it.
fn value_of(expression: &str, request: &Request, candidates: &[Candidate]) -> Result<String, String> {
    let body = format!("deny(\"value\", `${{{expression}}}`)");
    match route(&body, request, candidates)? {
        Verdict::Deny(denial) => Ok(denial.reason),
        other => panic!("{other:?}"),
    }
}

fn decision(verdict: Result<Verdict, String>) -> Decision {
    match verdict {
        Ok(Verdict::Route(decision)) => decision,
        other => panic!("{other:?}"),
    }
}

/// An expression's value for a greeting.
fn plain(expression: &str) -> Result<String, String> {
    value_of(expression, &request("hello"), &[])
}
