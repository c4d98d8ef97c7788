//! Says how a canary compares with the active version.

use wasmgate::rollout::comparison::{Compared, MIN_REQUESTS, Measure, Measured, Sample, Standing, WARM_UP};

use super::table::ago;

/// A sentence for each thing to say.
pub(super) fn in_words(compared: &Compared, now: u64) -> Vec<String> {
    let Compared { since, share_percent, confidence, measures } = compared;
    let head = format!(
        "compared with the active version at a share of {share_percent} % since {}; together the intervals hold with {} %, \
         however often you look",
        ago(now, *since),
        rounded(confidence * 100.0)
    );
    std::iter::once(head).chain(measures.iter().map(sentence)).collect()
}

fn sentence(measured: &Measured) -> String {
    let Measured { measure, standing, difference, low, high, canary, active } = measured;
    let name = match measure {
        Measure::Failures => "failed requests",
        Measure::Latency => "time of an answer",
        Measure::Cost => "cost of a request",
    };
    let size = |figure: f64| amount(*measure, figure.abs());
    let said = match (standing, difference, low, high) {
        (Standing::Unpriced, ..) => {
            return format!(
                "{name}: not compared, because {} requests of the canary and {} of the active version called models without a price",
                canary.unpriced, active.unpriced
            );
        }
        (Standing::Worse, Some(difference), Some(low), Some(high)) => {
            format!("the canary is worse by {} ({} to {})", size(*difference), size(*low), size(*high))
        }
        (Standing::Better, Some(difference), Some(low), Some(high)) => {
            format!("the canary is better by {} ({} to {})", size(*difference), size(*high), size(*low))
        }
        (Standing::NoDifference, Some(_), Some(low), Some(high)) => {
            format!("no difference found so far (between {} better and {} worse)", size(*low), size(*high))
        }
        _ => {
            let after = match measure {
                Measure::Failures => String::new(),
                Measure::Latency => format!(" after the first {WARM_UP}"),
                Measure::Cost => format!(" after the first {WARM_UP}, ten of which must have a cost"),
            };
            return format!(
                "{name}: not enough requests yet: {} of the canary, {} of the active version; expected {MIN_REQUESTS} of each{after}",
                canary.requests, active.requests
            );
        }
    };
    format!("{name}: {said}; canary {}, active {}", sample(*measure, canary), sample(*measure, active))
}

/// As in `0.4 % of 1200 requests`.
fn sample(measure: Measure, sample: &Sample) -> String {
    let mean = sample.mean.unwrap_or_default();
    let mean = match measure {
        Measure::Failures => format!("{} %", rounded(mean * 100.0)),
        Measure::Latency => format!("{mean:.3} s"),
        Measure::Cost => format!("${mean:.6}"),
    };
    let bounded = match sample.bounded {
        0 => String::new(),
        bounded => format!(" ({bounded} bounded)"),
    };
    let word = if measure == Measure::Failures { "of" } else { "over" };
    format!("{mean} {word} {} requests{bounded}", sample.requests)
}

/// A difference in the unit of its measure.
fn amount(measure: Measure, figure: f64) -> String {
    match measure {
        Measure::Failures => format!("{} points", rounded(figure * 100.0)),
        Measure::Latency => format!("{} %", rounded(figure * 100.0)),
        Measure::Cost => format!("${figure:.6}"),
    }
}

/// With at most two decimals.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
