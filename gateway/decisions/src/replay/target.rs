//! What a setting is calibrated for, as in `share:claude-sonnet=30%`, and the part of a log that a decision is in.

use std::fmt;
use std::str::FromStr;

/// The part of a log that a decision is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Picks the value of a setting.
    Training,
    /// Checks it.
    HeldOut,
}

impl Fold {
    /// Tenths of the decisions that train.
    const TRAINING_TENTHS: u64 = 7;

    /// Of a request, by its id alone: the same in each run, and independent of what the request is.
    #[must_use]
    pub fn of(id: &str) -> Self {
        // FNV-1a, and a last mix, because its high bits hardly change with the last letters.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if mixed % 10 < Self::TRAINING_TENTHS { Self::Training } else { Self::HeldOut }
    }
}

/// A figure of all requests, and what it is to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The share of requests that a model is chosen for, in percent.
    Share {
        /// The model.
        model: String,
        /// 0 to 100.
        percent: f64,
    },
    /// What a month costs, in US dollars, at the rate of requests of the log.
    Spend {
        /// Above 0.
        usd_per_month: f64,
    },
    /// A percentile of what the calls that answer take, in seconds.
    Latency {
        /// Which percentile, above 0 and below 100.
        percentile: f64,
        /// Above 0.
        seconds: f64,
    },
}

impl Target {
    /// What it is to be, in its unit.
    #[must_use]
    pub fn value(&self) -> f64 {
        match *self {
            Self::Share { percent, .. } => percent,
            Self::Spend { usd_per_month } => usd_per_month,
            Self::Latency { seconds, .. } => seconds,
        }
    }

    /// How far a figure is off: of a share in points, of the others in percent of the target.
    #[must_use]
    pub fn off(&self, figure: f64) -> f64 {
        match self {
            Self::Share { percent, .. } => (figure - percent).abs(),
            _ => (figure / self.value() - 1.0).abs() * 100.0,
        }
    }

    /// Its unit, as in JSON.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Share { .. } => "percent",
            Self::Spend { .. } => "usd_per_month",
            Self::Latency { .. } => "seconds",
        }
    }

    /// A figure with its unit.
    #[must_use]
    pub fn shown(&self, figure: f64) -> String {
        match self {
            Self::Share { .. } => format!("{figure:.2} %"),
            Self::Spend { .. } => format!("${figure:.2}/month"),
            Self::Latency { .. } => format!("{figure:.3} s"),
        }
    }

    /// A distance as `off` gives it, with its unit.
    #[must_use]
    pub fn shown_off(&self, off: f64) -> String {
        match self {
            Self::Share { .. } => format!("{off:.2} points"),
            _ => format!("{off:.2} % of the target"),
        }
    }
}

/// A number above 0 before a unit.
fn number(text: &str, unit: &str) -> Option<f64> {
    let number: f64 = text.trim().strip_suffix(unit)?.trim_end().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some(number)
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (figure, value) = text.rsplit_once('=')?;
            let figure = figure.trim();
            if let Some(model) = figure.strip_prefix("share:") {
                let percent: f64 = value.trim().strip_suffix('%')?.trim_end().parse().ok()?;
                let fits = !model.is_empty() && (0.0..=100.0).contains(&percent);
                return fits.then(|| Self::Share { model: model.to_owned(), percent });
            }
            if figure == "spend" {
                let usd_per_month = number(value.trim().strip_prefix('$')?, "/month")?;
                return Some(Self::Spend { usd_per_month });
            }
            let percentile: f64 = figure.strip_prefix('p')?.parse().ok()?;
            let seconds = number(value, "ms").map(|millis| millis / 1000.0).or_else(|| number(value, "s"))?;
            (percentile > 0.0 && percentile < 100.0).then_some(Self::Latency { percentile, seconds })
        };
        parse().ok_or_else(|| {
            "expected `share:MODEL=N%`, `spend=$N/month` or `pN=Ns`, as in share:claude-sonnet=30%, spend=$400/month or \
             p95=2s"
                .to_owned()
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share { model, percent } => write!(f, "share:{model}={percent}%"),
            Self::Spend { usd_per_month } => write!(f, "spend=${usd_per_month}/month"),
            Self::Latency { percentile, seconds } => write!(f, "p{percentile}={seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        let share = Target::Share { model: "a=b".into(), percent: 30.0 };
        let latency = Target::Latency { percentile: 99.5, seconds: 0.8 };
        for (text, target, written) in [
            ("share:a=b=30%", share, "share:a=b=30%"),
            ("spend = $400 /month", Target::Spend { usd_per_month: 400.0 }, "spend=$400/month"),
            ("p95=2s", Target::Latency { percentile: 95.0, seconds: 2.0 }, "p95=2s"),
            ("p99.5=800ms", latency, "p99.5=0.8s"),
        ] {
            let read: Target = text.parse().unwrap();
            assert_eq!((&read, read.to_string().as_str()), (&target, written));
        }
        for wrong in [
            "",
            "share",
            "share:=3%",
            "share:a=101%",
            "share:a=NaN%",
            "share:a=3",
            "spend=$0/month",
            "spend=$4",
            "spend=4/month",
            "spend=$inf/month",
            "p95=2",
            "p0=2s",
            "p100=2s",
            "p95=-2s",
            "quality=9%",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn seven_of_ten_decisions_train() {
        let ids = (0..20_000).map(|number| format!("019b1f3c{number:024x}"));
        let training = ids.filter(|id| Fold::of(id) == Fold::Training).count();
        assert!((13_700..14_300).contains(&training), "{training} of 20000");
    }

    #[test]
    fn a_figure_is_off_by_points_or_by_percent() {
        assert_eq!("share:a=30%".parse::<Target>().unwrap().off(27.0), 3.0);
        assert_eq!("p95=2s".parse::<Target>().unwrap().off(1.0), 50.0);
    }
}
