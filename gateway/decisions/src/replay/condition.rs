//! A condition under which a replay fails, as in `changed>5%`.

use std::fmt;
use std::str::FromStr;

/// Fails a replay if a figure is above a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// The figure.
    pub measure: Measure,
    /// The bound, in percent.
    pub above: f64,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The share of decisions whose choice changes.
    Changed,
    /// The expected change of the cost.
    Cost,
}

const MEASURES: [(&str, Measure); 2] = [("changed", Measure::Changed), ("cost", Measure::Cost)];

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (name, bound) = text.split_once('>')?;
            let (_, measure) = *MEASURES.iter().find(|(known, _)| *known == name.trim())?;
            let above: f64 = bound.trim().strip_suffix('%')?.trim_end().parse().ok()?;
            above.is_finite().then_some(Self { measure, above })
        };
        parse().ok_or_else(|| "expected `changed>N%` or `cost>N%`, as in changed>5% or cost>+2%".to_owned())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Changed => write!(f, "changed>{}%", self.above),
            Measure::Cost => write!(f, "cost>{:+}%", self.above),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_written() {
        for (text, measure, above) in [
            ("changed>5%", Measure::Changed, 5.0),
            ("cost>+2%", Measure::Cost, 2.0),
            ("cost > -0.5 %", Measure::Cost, -0.5),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition, Condition { measure, above });
            assert_eq!(condition.to_string(), text.replace(' ', ""));
        }
        for wrong in ["", "cost", "cost>2", "cost<2%", "quality>2%", "cost>x%", "cost>NaN%", "cost>inf%"] {
            assert!(wrong.parse::<Condition>().is_err(), "{wrong}");
        }
    }
}
