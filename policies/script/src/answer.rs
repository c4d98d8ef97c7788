//! What a script returns: verdicts and cost estimates. A value that breaks the contract fails where the script creates
//! it, with the line.

use crate::call::Call;
use crate::candidate::Offered;
use crate::failure::{Fallible, failure, kind};
use crate::request::Asked;
use crate::value::{optional, whole};
use rhai::{Array, Dynamic, Engine, INT, Map, NativeCallContext};
use std::sync::Arc;
use wasmgate_policy::money::expected_output;
use wasmgate_policy::prelude::*;

/// A verdict as a value of scripts.
#[derive(Clone)]
pub(crate) struct Answer(pub(crate) Verdict);

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Answer>("verdict")
        .register_type_with_name::<CostEstimate>("cost estimate")
        .register_fn("route_to", |context: NativeCallContext<'_>, ranking: Array, reason: &str| {
            route_to(&context, ranking, reason, Map::new())
        })
        .register_fn("route_to", |context: NativeCallContext<'_>, ranking: Array, reason: &str, judged: Map| {
            route_to(&context, ranking, reason, judged)
        })
        .register_fn("deny", deny)
        .register_fn("pass", || Answer(Verdict::Pass))
        .register_fn("expected_output", |request: &mut Asked, usual: INT| -> Fallible<Dynamic> {
            Ok(whole(expected_output(&request.0.request, tokens(usual)?)))
        })
        .register_fn("cost", |candidate: &mut Offered, input: INT, output: INT| -> Fallible<Dynamic> {
            Ok(optional(cost_estimate(candidate, input, output)?.cost, whole))
        })
        .register_fn("cost_estimate", cost_estimate)
        .register_fn("cost_estimate", own_cost_estimate);
}

fn route_to(context: &NativeCallContext<'_>, ranking: Array, reason: &str, judged: Map) -> Fallible<Answer> {
    let call = context.tag().and_then(|tag| tag.clone().try_cast::<Asked>());
    let call = call.ok_or_else(|| failure("route_to is for fn route, not for the script's top level"))?.0;
    let mut indexes = Vec::with_capacity(ranking.len());
    for entry in &ranking {
        let index = index(context.engine(), &call, entry)?;
        if indexes.contains(&index) {
            let model = &call.candidates[index as usize].model;
            return Err(failure(format!(
                "route_to: the ranking should hold each candidate once, but has {model} twice"
            )));
        }
        indexes.push(index);
    }
    if indexes.is_empty() {
        return Err(failure("route_to: the ranking should hold at least one candidate, but is empty"));
    }
    let mut decision = Decision::unscored(indexes, reason);
    for (name, value) in judged {
        match name.as_str() {
            "complexity" => decision.complexity = complexity(context.engine(), &value)?,
            "tier" => decision.tier = tier(context.engine(), &value)?,
            _ => return Err(failure(format!("route_to: expected complexity and tier, but {name} is given"))),
        }
    }
    Ok(Answer(decision.into()))
}

/// The index of a candidate, given as the candidate itself or as its model's name.
fn index(engine: &Engine, call: &Arc<Call>, entry: &Dynamic) -> Fallible<u32> {
    let should = "route_to: the ranking should hold candidates or their model names, but has";
    if let Some(offered) = entry.read_lock::<Offered>() {
        return Ok(offered.index);
    }
    let wrong = |_| failure(format!("{should} {}", kind(engine, entry)));
    let model = entry.as_immutable_string_ref().map_err(wrong)?;
    match call.candidates.iter().position(|candidate| candidate.model == *model) {
        Some(index) => Ok(index as u32),
        None => Err(failure(format!("{should} a text that is the model of none"))),
    }
}

fn complexity(engine: &Engine, value: &Dynamic) -> Fallible<Option<f64>> {
    if value.is_unit() {
        return Ok(None);
    }
    let number = value.as_float().ok().or(value.as_int().ok().map(|whole| whole as f64));
    match number {
        Some(number) if (0.0..=1.0).contains(&number) => Ok(Some(number)),
        Some(number) => Err(failure(format!("route_to: complexity should be from 0 to 1, but is {number}"))),
        None => Err(failure(format!("route_to: complexity should be a number, but is {}", kind(engine, value)))),
    }
}

fn tier(engine: &Engine, value: &Dynamic) -> Fallible<Option<Tier>> {
    if value.is_unit() {
        return Ok(None);
    }
    let wrong = |is: &str| failure(format!("route_to: tier should be low, medium or high, but is {is}"));
    let name = value.as_immutable_string_ref().map_err(|_| wrong(&kind(engine, value)))?;
    let tier = [Tier::Low, Tier::Medium, Tier::High].into_iter().find(|tier| tier.name() == name.as_str());
    tier.map(Some).ok_or_else(|| wrong("another text"))
}

fn deny(code: &str, reason: &str) -> Fallible<Answer> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=64).contains(&code.len()) || !code.bytes().all(fits) {
        return Err(failure("deny: the code should be 1 to 64 lower-case letters, digits and _, but is not"));
    }
    Ok(Answer(Denial { code: code.into(), reason: reason.into() }.into()))
}

/// An estimate at the candidate's price; the cost is unknown if it has none.
fn cost_estimate(candidate: &mut Offered, input: INT, output: INT) -> Fallible<CostEstimate> {
    let (input_tokens, output_tokens) = (tokens(input)?, tokens(output)?);
    let cost = candidate.candidate().price.map(|price| price.cost(input_tokens, output_tokens));
    Ok(CostEstimate { input_tokens, output_tokens, cost })
}

/// An estimate with the script's own cost, in nano-dollars; `()` if it is unknown.
fn own_cost_estimate(
    context: NativeCallContext<'_>,
    _: &mut Offered,
    input: INT,
    output: INT,
    cost: Dynamic,
) -> Fallible<CostEstimate> {
    let (input_tokens, output_tokens) = (tokens(input)?, tokens(output)?);
    let given = cost.as_int().ok().and_then(|cost| u64::try_from(cost).ok());
    if given.is_none() && !cost.is_unit() {
        let is = kind(context.engine(), &cost);
        let should = "cost_estimate: the cost should be whole nano-dollars from 0, or ()";
        return Err(failure(format!("{should}, but is {is}{}", if cost.is_int() { " below 0" } else { "" })));
    }
    Ok(CostEstimate { input_tokens, output_tokens, cost: given })
}

fn tokens(count: INT) -> Fallible<u32> {
    let wrong = |_| failure(format!("tokens should be from 0 to {}, but are {count}", u32::MAX));
    u32::try_from(count).map_err(wrong)
}
