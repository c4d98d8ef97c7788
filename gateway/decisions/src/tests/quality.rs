//! Estimates contain the quality that a log was made with, and there are none where it tells too little.

use proptest::prelude::*;

use super::gathered::Choice;
use super::*;
use crate::record::{Decision, Exploration, Feedback};
use crate::replay::answer::Answer;
use crate::replay::bootstrap::Random;
use crate::replay::sample::answered;
use crate::time::Moment;

const MODELS: [&str; 3] = ["small", "medium", "large"];
/// The probability that an answer is right: of each model, to a short prompt and to a long one. Short ones are easy for all, so
/// that the mean score of a model's own answers would say more of its prompts than of the model.
const RIGHT: [[f64; 2]; 3] = [[0.9, 0.3], [0.85, 0.5], [0.95, 0.7]];

/// A request that the logging policy sends to `small`, whatever it is, and the gateway to one of all, by exploration.
fn decision(at: u64, long: bool, share: f64, random: &mut Random) -> Decision {
    let drawn = if random.share() <= share { random.below(MODELS.len()) } else { 0 };
    let mut decision = answered(MODELS[drawn], 5);
    decision.id = format!("{at:06}");
    decision.request.prompt_tokens = if long { 2000 } else { 10 };
    decision.verdict.ranking = MODELS.map(str::to_owned).to_vec();
    let models = MODELS.map(str::to_owned).to_vec();
    decision.explored = drawn > 0;
    decision.exploration = Some(Exploration { share, models });
    decision.propensity = decision.probability_of(MODELS[drawn]);
    decision
}

fn choosing(decision: &Decision, model: &str) -> Answer {
    let mut answer = Answer::logged(decision);
    answer.choice = Some(model.to_owned());
    answer
}

/// What a log says of a policy that sends long prompts to `large`, and short ones where they went.
fn log(count: u64, share: f64, seed: u64) -> Scored {
    let (mut scored, mut random) = (Scored::default(), Random::new(seed));
    for at in 0..count {
        // Short prompts are twice as many.
        let long = random.below(3) == 0;
        let decision = decision(at, long, share, &mut random);
        let model = MODELS.iter().position(|model| decision.chosen.as_deref() == Some(*model)).unwrap();
        let score = f64::from(u8::from(random.share() <= RIGHT[model][usize::from(long)]));
        let after = choosing(&decision, if long { "large" } else { "small" });
        scored.add(&decision, &Answer::logged(&decision), &after, score);
    }
    scored
}

#[test]
fn intervals_contain_the_quality_that_the_log_was_made_with_in_most_trials() {
    let before = (2.0 * RIGHT[0][0] + RIGHT[0][1]) / 3.0;
    let after = (2.0 * RIGHT[0][0] + RIGHT[2][1]) / 3.0;
    let truth = [before, after, after - before];
    let (mut contained, mut widths) = ([[0; 3]; 3], [0.0; 3]);
    for trial in 0..100 {
        let quality = log(900, 0.5, 5000 + trial).quality(trial);
        assert!(quality.changed > 200 && quality.effective[1] > 100.0, "{quality:?}");
        for (at, estimate) in quality.estimates.expect("an estimate").iter().enumerate() {
            for (of, figure) in [estimate.before, estimate.after, estimate.change].iter().enumerate() {
                contained[at][of] += u32::from((figure.low..=figure.high).contains(&truth[of]));
                assert!(figure.low < figure.expected && figure.expected < figure.high, "{figure:?}");
            }
            widths[at] += (estimate.change.high - estimate.change.low) / 100.0;
        }
    }
    assert!(contained.iter().flatten().all(|contained| *contained >= 90), "{contained:?}");
    // They are worth having: the change is seen, and the doubly robust interval is narrower than the plain one.
    assert!(widths[0] < truth[2] * 2.0 && widths[0] < widths[2], "{widths:?}");
}

#[test]
fn the_same_decisions_give_the_same_estimates_in_any_order() {
    let estimates = |scored: Scored| scored.quality(7).estimates.expect("an estimate");
    let whole = estimates(log(800, 0.5, 1));
    let mut parts = log(800, 0.5, 1);
    let mut rest = Scored { decisions: parts.decisions.split_off(200), ..Scored::default() };
    rest.merge(parts);
    assert_eq!(estimates(rest), whole);
    assert_ne!(estimates(log(800, 0.5, 2)), whole);
}

#[test]
fn what_does_not_change_changes_nothing() {
    let mut random = Random::new(3);
    let mut scored = Scored::default();
    for at in 0..100 {
        let decision = decision(at, false, 0.2, &mut random);
        let answer = Answer::logged(&decision);
        scored.add(&decision, &answer, &answer, 0.75);
    }
    let quality = scored.quality(1);
    assert_eq!((quality.changed, quality.change()), (0, Some(0.0)));
    for estimate in quality.estimates.unwrap() {
        assert_eq!((estimate.change.low, estimate.change.high), (0.0, 0.0));
        assert_eq!(
            (estimate.before, estimate.name == "ips"),
            (estimate.after, (estimate.before.expected - 0.75).abs() > 1e-9)
        );
    }
}

#[test]
fn without_overlap_there_is_a_reason_in_place_of_a_number() {
    let refused = |change: &dyn Fn(u64, &mut Decision, &mut Answer)| {
        let (mut scored, mut random) = (Scored::default(), Random::new(9));
        for at in 0..400 {
            let mut decision = decision(at, false, 0.5, &mut random);
            let mut after = choosing(&decision, "large");
            change(at, &mut decision, &mut after);
            scored.add(&decision, &Answer::logged(&decision), &after, 1.0);
        }
        let quality = scored.quality(1);
        assert_eq!(quality.change().is_none(), quality.estimates.is_err());
        quality.estimates.err()
    };
    assert_eq!(refused(&|_, _, _| {}), None);
    // Of one in twenty-five decisions nothing is known: the interval is wider. Of one in ten: there is none.
    let unexplored = |every: u64| {
        move |at: u64, decision: &mut Decision, _: &mut Answer| {
            if at.is_multiple_of(every) {
                decision.exploration = None;
                decision.chosen = Some("small".to_owned());
            }
        }
    };
    assert_eq!(refused(&unexplored(25)), None);
    let Some(NoQuality::NoOverlap { lost, reasons }) = refused(&unexplored(10)) else { panic!("no refusal") };
    assert_eq!((lost, &reasons), (0.1, &[("not_open_to_exploration", 40)].into()));
    let words = NoQuality::NoOverlap { lost, reasons }.to_string();
    assert!(words.contains("10.0 %") && words.contains("40 were not open to exploration"), "{words}");
    for (answer, reason) in [(Some("other"), "not_among_the_drawn"), (None, "denied")] {
        let refusal = refused(&|_, _, after| after.choice = answer.map(str::to_owned));
        let Some(NoQuality::NoOverlap { reasons, .. }) = refusal else { panic!("{refusal:?}") };
        assert_eq!(reasons, [(reason, 400)].into());
    }
    // A share so small that the clip hides what the choice is worth.
    let rare = refused(&|_, decision, _| decision.exploration.as_mut().unwrap().share = 0.003);
    assert!(matches!(rare, Some(NoQuality::NoOverlap { lost, .. }) if (lost - 0.8).abs() < 1e-9), "{rare:?}");
}

#[test]
fn the_interval_is_wider_by_what_the_log_does_not_tell() {
    let width = |every: u64| {
        let (mut scored, mut random) = (Scored::default(), Random::new(9));
        for at in 0..400 {
            let mut decision = decision(at, false, 0.5, &mut random);
            if at.is_multiple_of(every) {
                decision.exploration = None;
                decision.chosen = Some("small".to_owned());
            }
            let after = choosing(&decision, "large");
            scored.add(&decision, &Answer::logged(&decision), &after, 1.0);
        }
        let [doubly_robust, ..] = scored.quality(1).estimates.unwrap();
        doubly_robust.change.high - doubly_robust.change.low
    };
    // All scores are the same, so that the model of scores explains all of them.
    for (every, unknown) in [(400, 0.0025), (100, 0.01), (25, 0.04)] {
        assert!((width(every) - 2.0 * unknown).abs() < 1e-9, "{every}: {}", width(every));
    }
}

#[test]
fn below_the_floor_there_is_a_reason_in_place_of_a_number() {
    let refused = |scored: Scored| scored.quality(1).estimates.err();
    assert_eq!(refused(log(0, 0.5, 1)), Some(NoQuality::NoFeedback));
    assert_eq!(refused(log(29, 0.5, 1)), Some(NoQuality::FewScores(29)));
    let few = refused(log(100, 0.3, 1));
    assert!(matches!(few, Some(NoQuality::FewMatches { changed: true, matched: 0..10, .. })), "{few:?}");
    assert!(few.unwrap().to_string().contains("that change"));
    // Many match, but few of them carry the weight.
    let (mut scored, mut random) = (Scored::default(), Random::new(4));
    for at in 0..400 {
        let mut decision = decision(at, false, 0.5, &mut random);
        decision.chosen = Some("large".to_owned());
        if at < 10 {
            decision.exploration.as_mut().unwrap().share = 0.02;
        } else {
            decision.exploration.as_mut().unwrap().models = vec!["large".to_owned()];
        }
        let (before, after) = (choosing(&decision, "large"), choosing(&decision, "large"));
        scored.add(&decision, &before, &after, 1.0);
    }
    let few = refused(scored);
    assert!(
        matches!(few, Some(NoQuality::FewMatches { matched: 400, effective: 1.0..30.0, changed: false })),
        "{few:?}"
    );
}

#[test]
fn a_weight_is_that_of_the_version_that_decided_and_clipped() {
    let weigh = |decision: &Decision, model: &str| {
        let mut scored = Scored::default();
        scored.add(decision, &choosing(decision, model), &choosing(decision, model), 1.0);
        let Choice { weight, lost, clipped, .. } = &scored.decisions[0].choices[0];
        (*weight, *lost, *clipped)
    };
    // A canary of 10 %, without exploration: the version could only choose so.
    let mut decision = answered("this", 5);
    decision.propensity = 0.1;
    assert_eq!((weigh(&decision, "this"), weigh(&decision, "other")), ((1.0, 0.0, false), (0.0, 1.0, false)));
    decision.exploration = Some(Exploration { share: 0.5, models: vec!["other".to_owned(), "this".to_owned()] });
    assert_eq!((weigh(&decision, "this"), weigh(&decision, "other")), ((4.0, 0.0, false), (0.0, 0.0, false)));
    decision.exploration.as_mut().unwrap().share = 0.005;
    assert_eq!(weigh(&decision, "this"), (CLIP, 0.5, true));
}

#[test]
fn the_score_of_a_request_is_the_mean_of_what_was_said_of_it() {
    let mut scores = Scores::default();
    for (id, score) in [("a", 1.0), ("b", 0.5), ("a", 0.0), ("a", 0.5), ("c", 7.0)] {
        let (id, source) = (id.to_owned(), "user".to_owned());
        scores.note(Feedback { id, time: Moment(1), group: None, score, source });
    }
    assert_eq!(
        [scores.of("a"), scores.of("b"), scores.of("c"), scores.of("d")],
        [Some(0.5), Some(0.5), Some(1.0), None]
    );
    assert_eq!(scores.requests(), 3);
}

proptest! {
    #[test]
    fn whatever_a_log_has_figures_are_ordered(
        rows in prop::collection::vec((0..3_usize, 0..4_usize, 0.0..=1.0, 0.0..=0.5, any::<bool>()), 0..120),
    ) {
        let mut scored = Scored::default();
        for (at, (chosen, after, score, share, open)) in rows.iter().enumerate() {
            let mut decision = decision(at as u64, at.is_multiple_of(2), *share, &mut Random::new(1));
            decision.chosen = Some(MODELS[*chosen].to_owned());
            decision.exploration = decision.exploration.filter(|_| *open);
            let mut answer = Answer::logged(&decision);
            answer.choice = MODELS.get(*after).map(|model| (*model).to_owned());
            let total: f64 = MODELS.iter().map(|model| decision.probability_of(model)).sum();
            prop_assert!((total - 1.0).abs() < 1e-9);
            scored.add(&decision, &Answer::logged(&decision), &answer, *score);
        }
        let quality = scored.quality(1);
        prop_assert!(quality.effective.iter().all(|effective| effective.is_finite()));
        for estimate in quality.estimates.iter().flatten() {
            for figure in [estimate.before, estimate.after, estimate.change] {
                prop_assert!(figure.low <= figure.high && figure.expected.is_finite(), "{figure:?}");
            }
        }
    }
}
