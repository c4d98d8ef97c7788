//! Numbers in scripts: compared exactly, and formatted for people.

use crate::failure::{Fallible, failure};
use rhai::{Engine, INT};

/// Rhai treats two numbers as equal if they differ in their last bit. Here thresholds are compared exactly, as in every
/// other policy: 0.1 + 0.2 is above 0.3. Operators are functions and can be overridden, but only without the
/// interpreter's fast operators, which costs the example a fifth more instructions.
pub(crate) fn register(engine: &mut Engine) {
    engine.set_fast_operators(false);
    compare(engine, |x: f64| x, |y: f64| y);
    compare(engine, |x: f64| x, |y: INT| y as f64);
    compare(engine, |x: INT| x as f64, |y: f64| y);
    engine
        .register_fn("fixed", |number: f64, decimals: INT| fixed(number, decimals))
        .register_fn("fixed", |number: INT, decimals: INT| fixed(number as f64, decimals));
}

type Comparison = fn(f64, f64) -> bool;

fn compare<X: Number, Y: Number>(engine: &mut Engine, left: fn(X) -> f64, right: fn(Y) -> f64) {
    let operators: [(&str, Comparison); 6] = [
        ("==", |x, y| x == y),
        ("!=", |x, y| x != y),
        ("<", |x, y| x < y),
        ("<=", |x, y| x <= y),
        (">", |x, y| x > y),
        (">=", |x, y| x >= y),
    ];
    for (operator, holds) in operators {
        engine.register_fn(operator, move |x: X, y: Y| holds(left(x), right(y)));
    }
}

/// A whole number or a number with a fraction.
trait Number: Copy + Send + Sync + 'static {}
impl Number for f64 {}
impl Number for INT {}

/// Formats a number with 0 to 9 decimals; halves are rounded away from zero.
fn fixed(number: f64, decimals: INT) -> Fallible<String> {
    if !number.is_finite() || !(0..=9).contains(&decimals) {
        return Err(failure("fixed: expected a finite number and 0 to 9 decimals"));
    }
    let scale = 10_f64.powi(decimals as i32);
    let rounded = (number.abs() * scale + 0.5).floor() / scale;
    let sign = if number < 0.0 && rounded > 0.0 { "-" } else { "" };
    Ok(format!("{sign}{rounded:.*}", decimals as usize))
}
