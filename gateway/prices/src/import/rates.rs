//! Reads rates of public formats.

use wasmgate_base::money::{Band, MAX_BANDS, NanoDollars, Price, Rates};

use crate::decimal::Decimal;
use crate::node::Node;
use crate::read::MOST_NANO;

/// The names of the rates in a format, in the order of `Stated`.
pub(super) type Names = [&'static str; 5];

/// What a file states of the rates: input, output, cache reads, cache writes, thinking.
pub(super) type Stated = [Option<NanoDollars>; 5];

pub(super) const INPUT: usize = 0;
pub(super) const OUTPUT: usize = 1;
pub(super) const CACHE_READ: usize = 2;
const KINDS: [&str; 5] = ["input", "output", "cached input", "input written to the cache", "thinking"];

/// A price, from a number or a text with one. `scale`: the power of ten that makes nano-dollars per million tokens of it, 9 for
/// dollars per million tokens, 15 for dollars per token. `None` if there is none. Reports what was rounded.
///
/// # Errors
/// If it is something else.
pub(super) fn rate(
    node: Option<&Node>,
    name: &str,
    scale: i32,
    reasons: &mut Vec<String>,
) -> Result<Option<NanoDollars>, String> {
    let Some(node) = node else { return Ok(None) };
    let text = match node {
        Node::Text(text) if text.trim().is_empty() => return Ok(None),
        Node::Number(text) | Node::Text(text) => text,
        other => return Err(format!("{name} is {}, which is no price", other.in_words())),
    };
    let wrong = |why: &dyn std::fmt::Display| format!("{name} is {}: {why}", node.in_words());
    let (nano, exact) =
        Decimal::parse(text).and_then(|decimal| decimal.scaled(scale)).map_err(|error| wrong(&error))?;
    if nano > MOST_NANO {
        return Err(wrong(&"more than a dollar a token"));
    }
    if !exact {
        reasons.push(format!("{name} is rounded to a nano-dollar for a million tokens"));
    }
    Ok(Some(NanoDollars(nano)))
}

/// All rates of a table, by a format's names.
///
/// # Errors
/// If one is no price.
pub(super) fn stated(table: &Node, names: &Names, scale: i32, reasons: &mut Vec<String>) -> Result<Stated, String> {
    let mut stated = Stated::default();
    for (slot, name) in stated.iter_mut().zip(names) {
        *slot = rate(table.get(name), name, scale, reasons)?;
    }
    Ok(stated)
}

/// The price of these rates and bands: of a band, what it does not state is what the ordinary rates state. `above` is by rising
/// number of tokens.
///
/// # Errors
/// If the input or the output has none, all are 0, or there are more bands than a price has.
pub(super) fn price(ordinary: Stated, above: &[(u64, Stated)], reasons: &mut Vec<String>) -> Result<Price, String> {
    let first = rates(ordinary)?;
    if first.is_free() {
        return Err("all its prices are 0, which can mean free as well as unknown".to_owned());
    }
    if above.len() > MAX_BANDS {
        return Err(format!("it has {} bands of input tokens, and a price has at most {MAX_BANDS}", above.len()));
    }
    let mut bands = [None; MAX_BANDS];
    for (slot, (above, own)) in bands.iter_mut().zip(above) {
        let mut filled = *own;
        for ((slot, ordinary), what) in filled.iter_mut().zip(ordinary).zip(KINDS) {
            if slot.is_none() && ordinary.is_some() {
                *slot = ordinary;
                reasons
                    .push(format!("above {above} input tokens it states no price of {what}; the ordinary one is kept"));
            }
        }
        *slot = Some(Band { above: *above, rates: rates(filled)? });
    }
    Ok(Price { rates: first, bands })
}

fn rates([input, output, cache_read, cache_write, reasoning]: Stated) -> Result<Rates, String> {
    let input = input.ok_or("it has no price of input tokens")?;
    let output = output.ok_or("it has no price of output tokens")?;
    Ok(Rates {
        input,
        output,
        cache_read: cache_read.unwrap_or(input),
        cache_write: cache_write.unwrap_or(input),
        reasoning: reasoning.unwrap_or(output),
    })
}
