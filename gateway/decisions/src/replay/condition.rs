//! A condition under which a replay fails, as in `changed>5%` or `score<-0.02`.

use std::fmt;
use std::str::FromStr;

/// Fails a replay if a figure is beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// The figure.
    pub measure: Measure,
    /// The bound: in percent, or in scores.
    pub bound: f64,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The share of decisions whose choice changes.
    Changed,
    /// The expected change of the cost.
    Cost,
    /// The expected change of the mean score, from -1 to 1: not in percent, because scores are shares already.
    Score,
}

const PERCENTAGES: [(&str, Measure); 2] = [("changed", Measure::Changed), ("cost", Measure::Cost)];

impl Condition {
    /// Whether a figure is beyond the bound: above it, or for a score below it.
    #[must_use]
    pub fn holds(self, found: f64) -> bool {
        match self.measure {
            Measure::Changed | Measure::Cost => found > self.bound,
            Measure::Score => found < self.bound,
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percentage = || {
            let (name, bound) = text.split_once('>')?;
            let (_, measure) = *PERCENTAGES.iter().find(|(known, _)| *known == name.trim())?;
            let bound: f64 = bound.trim().strip_suffix('%')?.trim_end().parse().ok()?;
            bound.is_finite().then_some(Self { measure, bound })
        };
        let score = || {
            let (_, bound) = text.split_once('<').filter(|(name, _)| name.trim() == "score")?;
            let bound: f64 = bound.trim().parse().ok()?;
            (-1.0..=1.0).contains(&bound).then_some(Self { measure: Measure::Score, bound })
        };
        percentage().or_else(score).ok_or_else(|| {
            let expected =
                "expected `changed>N%`, `cost>N%` or `score<N` (a change of the mean score, -1 to 1), as in ";
            format!("{expected}changed>5%, cost>+2% or score<-0.02")
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Changed => write!(f, "changed>{}%", self.bound),
            Measure::Cost => write!(f, "cost>{:+}%", self.bound),
            Measure::Score => write!(f, "score<{:+}", self.bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_written() {
        for (text, measure, bound) in [
            ("changed>5%", Measure::Changed, 5.0),
            ("cost>+2%", Measure::Cost, 2.0),
            ("cost > -0.5 %", Measure::Cost, -0.5),
            ("score<-0.02", Measure::Score, -0.02),
            ("score < +0.1", Measure::Score, 0.1),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition, Condition { measure, bound });
            assert_eq!(condition.to_string(), text.replace(' ', ""));
        }
        let wrong = ["", "cost", "cost>2", "cost<2%", "quality>2%", "cost>x%", "cost>NaN%", "cost>inf%"];
        for wrong in wrong.into_iter().chain(["score>0.1", "score<-2%", "score<-1.1", "score<NaN", "score<"]) {
            assert!(wrong.parse::<Condition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_condition_holds_beyond_its_bound() {
        let holds = |text: &str, found: f64| text.parse::<Condition>().unwrap().holds(found);
        assert!(holds("cost>+2%", 2.1) && !holds("cost>+2%", 2.0));
        assert!(holds("score<-0.02", -0.021) && !holds("score<-0.02", -0.02) && !holds("score<-0.02", 0.5));
    }
}
