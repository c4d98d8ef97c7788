//! Rankings in scripts: lists of candidates, best first. These functions reorder and never drop, and equal candidates
//! keep their order, so that a script can chain them.

use crate::candidate::Offered;
use crate::failure::{Fallible, failure, kind};
use crate::request::Asked;
use crate::text::texts;
use rhai::{Array, Dynamic, Engine, FnPtr, NativeCallContext};
use wasmgate_policy::money;

/// Output tokens that `cheapest` expects if no cost policy estimated them: the built-in policies' default.
const USUAL_OUTPUT: u32 = 500;

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("by", by)
        .register_fn("prefer", prefer)
        .register_fn("prefer", prefer_models)
        .register_fn("able_first", able_first)
        .register_fn("cheapest", cheapest);
}

/// Sorts by a number of each, ascending; `()` comes last.
fn by(context: NativeCallContext<'_>, ranking: Array, number: FnPtr) -> Fallible<Array> {
    sorted(ranking, |candidate| {
        let number = number.call_within_context::<Dynamic>(&context, (candidate.clone(),))?;
        match (number.as_int(), number.as_float()) {
            (Ok(whole), _) => Ok(whole as f64),
            (_, Ok(number)) if !number.is_nan() => Ok(number),
            _ if number.is_unit() => Ok(f64::INFINITY),
            _ => {
                let is = kind(context.engine(), &number);
                Err(failure(format!("by: the function should return a number or (), but returned {is}")))
            }
        }
    })
}

/// Puts those first for which a predicate is true.
fn prefer(context: NativeCallContext<'_>, ranking: Array, predicate: FnPtr) -> Fallible<Array> {
    sorted(ranking, |candidate| {
        let answer = predicate.call_within_context::<Dynamic>(&context, (candidate.clone(),))?;
        answer.as_bool().map(|preferred| !preferred).map_err(|_| {
            let is = kind(context.engine(), &answer);
            failure(format!("prefer: the function should return true or false, but returned {is}"))
        })
    })
}

/// Puts those first whose models a list names, in the list's order.
fn prefer_models(context: NativeCallContext<'_>, ranking: Array, models: Array) -> Fallible<Array> {
    let models = texts(&context, models)?;
    sorted(ranking, |entry| {
        let offered = offered(&context, entry)?;
        Ok(models.iter().position(|model| *model == offered.named().model).unwrap_or(models.len()))
    })
}

/// Puts those last that cannot take the request.
fn able_first(context: NativeCallContext<'_>, _: Asked, ranking: Array) -> Fallible<Array> {
    sorted(ranking, |entry| Ok(offered(&context, entry)?.obstacle().is_some()))
}

/// Sorts by expected cost: the cost policy's estimate, else by price; candidates with neither come last.
fn cheapest(context: NativeCallContext<'_>, ranking: Array) -> Fallible<Array> {
    sorted(ranking, |entry| {
        let offered = offered(&context, entry)?;
        let cost = money::expected_cost(&offered.call.request, offered.candidate(), USUAL_OUTPUT);
        Ok(cost.map_or((true, 0), |cost| (false, cost)))
    })
}

/// The candidate in an entry of a ranking that a script passed to a function.
fn offered(context: &NativeCallContext<'_>, entry: &Dynamic) -> Fallible<Offered> {
    let wrong = || {
        let (function, kind) = (context.fn_name(), kind(context.engine(), entry));
        failure(format!("{function}: a ranking should hold candidates, but has {kind} in it"))
    };
    entry.read_lock::<Offered>().map(|offered| offered.clone()).ok_or_else(wrong)
}

fn sorted<K: PartialOrd>(ranking: Array, mut key: impl FnMut(&Dynamic) -> Fallible<K>) -> Fallible<Array> {
    let keyed = ranking.into_iter().map(|candidate| Ok((key(&candidate)?, candidate)));
    let mut keyed = keyed.collect::<Fallible<Vec<_>>>()?;
    // No key is NaN, so any two compare.
    keyed.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    Ok(keyed.into_iter().map(|(_, candidate)| candidate).collect())
}
