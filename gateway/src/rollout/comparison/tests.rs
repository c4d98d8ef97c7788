use super::*;

/// Random numbers that a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, with mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().max(f64::MIN_POSITIVE).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    fn happens(&mut self, share: f64) -> bool {
        self.share() < share
    }
}

/// Requests as one version decides them.
#[derive(Clone, Copy)]
struct Traffic {
    fail: f64,
    seconds: f64,
    cost: f64,
}

const USUAL: Traffic = Traffic { fail: 0.01, seconds: 1.0, cost: 0.01 };

impl Traffic {
    /// Times and costs are lognormal, as those of models are.
    fn request(&self, random: &mut Random) -> Outcome {
        let failed = random.happens(self.fail);
        let seconds = self.seconds * (0.6 * random.normal()).exp();
        let cost = self.cost * random.normal().exp();
        Outcome { failed: Some(failed), seconds: (!failed).then_some(seconds), cost: Some(cost) }
    }
}

fn standings(comparison: &Comparison) -> [Standing; 3] {
    let measures = comparison.compared().measures;
    [measures[0].standing, measures[1].standing, measures[2].standing]
}

fn is_found(standing: Standing) -> bool {
    matches!(standing, Standing::Better | Standing::Worse)
}

/// In how many of 300 runs of 2,000 requests each a difference was claimed at any time, if somebody looks after each request.
fn false_claims(percent: f64, of: impl Fn(&mut Random, f64) -> Outcome) -> usize {
    let claims = (0..300_u64).filter(|seed| {
        let (mut random, comparison) = (Random(seed * 7919 + 13), Comparison::begin(percent).unwrap());
        (0..2000).any(|number| {
            let by_canary = random.happens(percent / 100.0);
            comparison.note(by_canary, of(&mut random, f64::from(number) / 2000.0));
            standings(&comparison).into_iter().any(is_found)
        })
    });
    claims.count()
}

#[test]
fn without_a_difference_at_most_one_run_of_twenty_claims_one_however_often_somebody_looks() {
    for percent in [50.0, 10.0] {
        let usual = false_claims(percent, |random, _| USUAL.request(random));
        assert!(usual <= 15, "{usual} of 300 at {percent} %");
    }
    // Traffic gets slower, dearer and fails more during the run, for both.
    let changing = false_claims(50.0, |random, time| {
        Traffic { fail: 0.01 + 0.3 * time, seconds: 1.0 + 5.0 * time, cost: 0.01 + 0.1 * time }.request(random)
    });
    assert!(changing <= 15, "{changing} of 300");
    // The warm-up sees few of the requests that cost and take a hundred times as much.
    let rare = false_claims(10.0, |random, _| {
        let times = if random.happens(0.01) { 100.0 } else { 1.0 };
        Outcome { failed: Some(times > 1.0), seconds: Some(times), cost: Some(0.001 * times) }
    });
    assert!(rare <= 15, "{rare} of 300");
}

#[test]
fn a_true_difference_is_found_within_its_number_of_requests_and_on_its_side() {
    let cases = [
        (50.0, 0, Traffic { fail: 0.1, ..USUAL }, Standing::Worse, 1500),
        (50.0, 1, Traffic { seconds: 1.2, ..USUAL }, Standing::Worse, 2500),
        (50.0, 1, Traffic { seconds: 0.5, ..USUAL }, Standing::Better, 500),
        (50.0, 2, Traffic { cost: 0.005, ..USUAL }, Standing::Better, 1500),
        (50.0, 2, Traffic { cost: 0.008, ..USUAL }, Standing::Better, 6000),
        (10.0, 0, Traffic { fail: 0.1, ..USUAL }, Standing::Worse, 5000),
        (10.0, 2, Traffic { cost: 0.02, ..USUAL }, Standing::Worse, 5000),
    ];
    for (percent, measure, canary, expected, most) in cases {
        for seed in 0..20 {
            let (mut random, comparison) = (Random(seed), Comparison::begin(percent).unwrap());
            let found = (0..most).find_map(|_| {
                let by_canary = random.happens(percent / 100.0);
                comparison.note(by_canary, if by_canary { canary } else { USUAL }.request(&mut random));
                Some(standings(&comparison)[measure]).filter(|standing| is_found(*standing))
            });
            assert_eq!(found, Some(expected), "measure {measure} at {percent} %, seed {seed}");
        }
    }
}

#[test]
fn the_intervals_have_the_truth_in_them() {
    let canary = Traffic { fail: 0.03, seconds: 1.5, ..USUAL };
    let missed = (0..200).filter(|&seed| {
        let (mut random, comparison) = (Random(seed), Comparison::begin(30.0).unwrap());
        for _ in 0..3000 {
            let by_canary = random.happens(0.3);
            comparison.note(by_canary, if by_canary { canary } else { USUAL }.request(&mut random));
        }
        let has = |measure: usize, truth: f64| {
            let measured = &comparison.compared().measures[measure];
            measured.low < Some(truth) && Some(truth) < measured.high
        };
        !(has(0, 0.02) && has(1, 0.5) && has(2, 0.0))
    });
    assert!(missed.count() <= 10);
}

#[test]
fn few_requests_say_nothing_and_a_model_without_a_price_ends_the_comparison_of_costs() {
    let comparison = Comparison::begin(50.0).unwrap();
    let outcome = Outcome { failed: Some(false), seconds: Some(1.0), cost: Some(0.01) };
    let each = |count: u64| (0..count).for_each(|number| comparison.note(number % 2 == 0, outcome));
    each(2 * MIN_REQUESTS - 1);
    assert_eq!(standings(&comparison), [Standing::NotEnough; 3]);
    each(WARM_UP + 2);
    assert_eq!(standings(&comparison), [Standing::NoDifference; 3]);
    let compared = comparison.compared();
    assert_eq!(compared.measures[0].canary.requests, 56);
    assert!(compared.measures[2].canary.mean.is_some_and(|mean| (mean - 0.01).abs() < 1e-9));
    comparison.note(true, Outcome { cost: None, ..outcome });
    assert_eq!(standings(&comparison), [Standing::NoDifference, Standing::NoDifference, Standing::Unpriced]);
    assert_eq!(comparison.compared().measures[2].difference, None);
}

#[test]
fn what_a_client_left_is_no_failure_and_no_time() {
    let comparison = Comparison::begin(50.0).unwrap();
    for number in 0..200 {
        comparison.note(number % 2 == 0, Outcome { failed: None, seconds: None, cost: Some(0.01) });
    }
    let measures = comparison.compared().measures;
    assert_eq!([0, 1].map(|at: usize| measures[at].canary.requests), [0, 0]);
    assert_eq!(measures[2].standing, Standing::NoDifference);
}

#[test]
fn without_a_share_for_each_there_is_nothing_to_compare() {
    for percent in [0.0, 100.0, f64::NAN] {
        assert!(Comparison::begin(percent).is_none(), "{percent}");
    }
}

#[test]
fn requests_of_many_threads_are_all_counted() {
    let comparison = Comparison::begin(50.0).unwrap();
    let outcome = Outcome { failed: Some(true), seconds: Some(2.0), cost: Some(0.5) };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let comparison = &comparison;
            scope.spawn(move || (0..1000).for_each(|_| comparison.note(thread % 2 == 0, outcome)));
        }
    });
    for measured in comparison.compared().measures {
        let left_out = if measured.measure == Measure::Failures { 0 } else { WARM_UP };
        assert_eq!(measured.canary.requests + measured.active.requests, 4000 - left_out);
    }
}
