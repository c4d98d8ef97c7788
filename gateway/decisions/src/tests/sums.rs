//! Intervals contain what other choices then cost, and nothing differs without a change.

use super::*;
use crate::replay::learned::Gathered;
use crate::replay::sample::answered;

/// Lengths of answers are skewed like these.
fn lengths(count: usize, random: &mut Random) -> Vec<u64> {
    (0..count).map(|_| (-200.0 * random.share().ln()) as u64).collect()
}

fn learned(lengths: &[u64]) -> Learned {
    let mut gathered = Gathered::default();
    for length in lengths {
        gathered.note(&answered("other", *length));
    }
    gathered.learned().outputs
}

#[test]
fn the_interval_contains_what_the_other_choice_then_cost_in_most_trials() {
    let (weight, mut contained) = (3, 0);
    for trial in 0..100 {
        let mut random = Random::new(1000 + trial);
        let learned = learned(&lengths(150, &mut random));
        let cell = learned.cell("other", 10).unwrap();
        let mut comparison = Comparison::default();
        for _ in 0..200 {
            let after = Amount { known: 50, expected: Some((cell, weight)) };
            comparison.add(&Amount::known(1000), &after, true);
            comparison.add(&Amount::known(10), &Amount::known(10), false);
        }
        let truly: u64 = lengths(200, &mut random).iter().map(|length| 50 + 10 + weight * length).sum();
        let compared = comparison.compared(&learned, trial).unwrap();
        let truly = truly as f64 / MILLION;
        contained += usize::from((compared.after.low..=compared.after.high).contains(&truly));
        assert!(compared.after.high - compared.after.low < 0.5 * compared.after.expected);
        assert_eq!((compared.records, compared.before.low), (400, compared.before.high));
    }
    assert!(contained >= 90, "{contained} of 100");
}

#[test]
fn without_a_change_nothing_differs() {
    let learned = learned(&lengths(40, &mut Random::new(1)));
    let cell = learned.cell("other", 10).unwrap();
    let mut comparison = Comparison::default();
    assert_eq!(comparison.compared(&learned, 1), None);
    let amount = Amount { known: 5, expected: Some((cell, 2)) };
    comparison.add(&amount, &amount, false);
    let compared = comparison.compared(&learned, 1).unwrap();
    let zero = Figure { expected: 0.0, low: 0.0, high: 0.0 };
    assert_eq!((compared.change, compared.percent), (zero, Some(zero)));
    assert!(compared.before == compared.after && compared.after.low < compared.after.high);
}
