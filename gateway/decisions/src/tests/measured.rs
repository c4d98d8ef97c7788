//! Figures of targets are right, know how wrong they may be, and are refused where the log does not tell.

use super::*;
use crate::models::{ModelRow, RowPrice};
use crate::replay::bootstrap::Random;
use crate::replay::learned::Gathered;
use crate::replay::sample::answered;

fn table(price: Option<RowPrice>) -> ModelTable {
    let row = |name: &str| ModelRow {
        name: name.to_owned(),
        backend: name.to_owned(),
        location: "cloud".to_owned(),
        price,
        context_window: None,
        capabilities: Vec::new(),
        labels: Vec::new(),
    };
    ModelTable::new(vec![row("this"), row("other")])
}

const PRICE: RowPrice =
    RowPrice { input: 1_000_000, output: 2_000_000, cache_read: None, cache_write: None, reasoning: None };

/// A request that `model` answered in so many seconds with so many tokens.
fn took(model: &str, output_tokens: u64, seconds: f64) -> Decision {
    let mut decision = answered(model, output_tokens);
    decision.outcome.model_seconds = Some(seconds);
    decision
}

fn answer(decision: &Decision, choice: Option<&str>) -> Answer {
    Answer { choice: choice.map(str::to_owned), ..Answer::logged(decision) }
}

/// Of decisions that `this` answered, each of which goes to the choice paired with it.
fn measured(
    target: &Target,
    asked: &[(Decision, Option<&str>)],
    evidence: &Evidence,
    price: Option<RowPrice>,
) -> Measured {
    let (mut measured, mut half, table) = (Measured::default(), Measured::default(), table(price));
    for (at, (decision, choice)) in asked.iter().enumerate() {
        let of = if at % 2 == 0 { &mut measured } else { &mut half };
        of.add(target, decision, &table, &answer(decision, *choice), evidence);
    }
    measured.merge(half);
    measured
}

fn evidence(others: u64) -> Evidence {
    let mut gathered = Gathered::default();
    (0..others).for_each(|number| gathered.note(&took("other", 40 + number % 21, 3.0)));
    gathered.learned()
}

#[test]
fn figures_are_those_of_the_choices() {
    let evidence = evidence(42);
    let choices = [Some("this"), Some("other"), Some("this"), None];
    let asked: Vec<_> = (0..400).map(|at| (took("this", 5, 1.0), choices[at % 4])).collect();
    let figure = |target: &str| {
        let target: Target = target.parse().unwrap();
        measured(&target, &asked, &evidence, Some(PRICE)).figure(&target, &evidence, 1e6).unwrap()
    };
    let share = figure("share:other=30%");
    assert!(share.low > 21.0 && share.expected == 25.0 && share.high < 30.0, "{share:?}");
    // Half cost the 1000 nano-dollars that were paid, a quarter 100 tokens in and 50 out.
    let spend = figure("spend=$1/month");
    let expected = (0.5 * 1000.0 + 0.25 * (100.0 + 2.0 * 50.0)) * 1e-9 * 1e6;
    assert!((spend.expected - expected).abs() < 1e-9 && spend.low < expected && expected < spend.high, "{spend:?}");
    // One in three that are answered takes three seconds.
    assert_eq!(figure("p60=2s"), Figure { expected: 1.0, low: 1.0, high: 1.0 });
    assert_eq!(figure("p80=2s"), Figure { expected: 3.0, low: 3.0, high: 3.0 });
    let split = figure("p66=2s");
    assert_eq!((split.low, split.high), (1.0, 3.0));
}

#[test]
fn what_the_log_does_not_tell_has_no_figure() {
    let few = evidence(29);
    let asked = [(took("this", 5, 1.0), Some("other")), (took("this", 5, 1.0), Some("this"))];
    for target in ["spend=$1/month", "p95=2s"] {
        let target: Target = target.parse().unwrap();
        let measured = measured(&target, &asked, &few, Some(PRICE));
        assert_eq!(measured.figure(&target, &few, 1.0), None);
        assert_eq!(measured.counted.too_few, BTreeMap::from([("other".to_owned(), 1)]));
    }
    // What has no price is not in the spending, and is counted.
    let target: Target = "spend=$1/month".parse().unwrap();
    let measured = measured(&target, &asked, &few, None);
    assert_eq!(measured.counted.unpriced, BTreeMap::from([("other".to_owned(), 1)]));
    assert_eq!(measured.figure(&target, &few, 2e9).map(|spend| spend.expected), Some(1000.0));
    assert_eq!(Measured::default().figure(&target, &few, 1.0), None);
}

/// The interval of what is true in the long run, in most trials: of the requests, half go to `other`, whose answers and times were
/// learned of 200.
#[test]
fn intervals_contain_the_truth_in_most_trials() {
    let exponential = |mean: f64, random: &mut Random| -mean * random.share().ln();
    let (share, spend, p90): (Target, Target, Target) =
        ("share:other=50%".parse().unwrap(), "spend=$1/month".parse().unwrap(), "p90=2s".parse().unwrap());
    let mut contained = [0; 3];
    for trial in 0..200 {
        let mut random = Random::new(7000 + trial);
        let mut gathered = Gathered::default();
        for _ in 0..200 {
            gathered.note(&took("other", exponential(2e6, &mut random) as u64, exponential(2.0, &mut random)));
        }
        let evidence = gathered.learned();
        let asked: Vec<_> = (0..500)
            .map(|_| {
                let mut decision = took("this", 5, exponential(2.0, &mut random));
                decision.outcome.cost = Some(exponential(2e6, &mut random) as u64);
                (decision, Some(if random.share() < 0.5 { "other" } else { "this" }))
            })
            .collect();
        // Two million tokens at two nano-dollars, and the input's 100; half of the requests cost two million.
        let truths = [50.0, (0.5 * 4e6 + 0.5 * 2e6) * 1e-9, 2.0 * 10f64.ln()];
        for ((target, truth), contained) in [&share, &spend, &p90].into_iter().zip(truths).zip(&mut contained) {
            let measured = measured(target, &asked, &evidence, Some(PRICE));
            let Figure { low, high, .. } = measured.figure(target, &evidence, 1.0).unwrap();
            *contained += usize::from((low..=high).contains(&truth));
            assert!(high - low < 0.5 * truth, "{target}: {low} to {high}");
        }
    }
    assert!(contained.iter().all(|contained| (180..=199).contains(contained)), "{contained:?} of 200");
}
