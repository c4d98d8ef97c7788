//! A simulated week whose truth is known: what replay and calibration say of it, and what is true.

use std::path::Path;

use serde_json::{Map, Value, json};
use wasmgate_decisions::replay::{Answer, Case, Fold, Gathered, Tally};
use wasmgate_policy_host::Verdict;
use wasmgate_tests::process::{Exit, run};
use wasmgate_tests::week::Week;

/// The settings under which the week was decided.
const BEFORE: &str = "{\"low-below\": 0.3, \"high-above\": 0.6}";

fn settings(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

/// The runtime in which policies are asked.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(work)
}

/// What `complexity` with these settings answers to each request, and the models that are called.
fn decided(week: &Week, text: &str) -> (Vec<Verdict>, Vec<usize>) {
    block_on(async {
        let verdicts = week.ask(&week.complexity(&settings(text)).await).await;
        let choices = week.choices(&verdicts);
        (verdicts, choices)
    })
}

/// A log of the week as `complexity` decided it, and the folder of its files.
fn logged(week: &Week) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let policy = week.complexity(&settings(BEFORE)).await;
        let verdicts = week.ask(&policy).await;
        week.write(&folder.path().join("log"), &policy, &verdicts);
    });
    std::fs::write(folder.path().join("before.json"), BEFORE).unwrap();
    folder
}

/// The command with this policy of the log, with the settings under which it decided. A loaded machine must not make it fail.
fn asked(command: &[&str], folder: &Path, more: &[&str]) -> Exit {
    let paths = [folder.join("log"), folder.join("before.json")];
    let [log, before] = paths.each_ref().map(|path| path.to_str().unwrap());
    let usual = ["complexity", "--log", log, "--settings", before, "--limit", "call_time_ms=5000", "--json"];
    run(&[command, &usual, more].concat())
}

fn found(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error} in {}", exit.text()))
}

#[test]
fn the_policy_that_decided_the_week_decides_it_the_same_again() {
    let week = Week::new(1, 20_000);
    let folder = logged(&week);
    let exit = asked(&["policy", "replay"], folder.path(), &["--fail-if", "changed>0%", "--fail-if", "cost>+0%"]);
    exit.expect(0, &[]);
    let all = found(&exit);
    let counts = ["records", "asked", "identical", "changed"].map(|key| all[key].as_u64().unwrap());
    assert_eq!(counts, [20_000, 20_000, 20_000, 0], "{all:#}");
    assert_eq!((&all["failures"], &all["log"]["deciders"][0]["is_replayed"]), (&json!([]), &json!(true)));
    // All tiers are in it, and so are clients that name a model.
    assert_eq!((all["tiers"].as_array().unwrap().len(), all["models"].as_array().unwrap().len()), (3, 3));
}

/// The same prompts come again with other answers in each trial: the candidate's true cost is known, because the models are.
#[test]
fn the_interval_of_a_candidates_cost_contains_what_the_same_traffic_then_cost() {
    const TRIALS: u64 = 100;
    let week = Week::new(2, 2000);
    let (verdicts, before) = decided(&week, BEFORE);
    let policy = block_on(week.complexity(&settings(BEFORE)));
    let candidates = [(0.3, 0.4), (0.5, 0.8), (0.0, 0.1)];
    for candidate in candidates.map(|(low, high)| json!({"low-below": low, "high-above": high}).to_string()) {
        let candidate = candidate.as_str();
        let (candidates, after) = decided(&week, candidate);
        let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!(changed > 200, "{changed} of 2000 decisions change");
        let mut contained = 0;
        for draw in 0..TRIALS {
            let decisions: Vec<_> = verdicts
                .iter()
                .zip(&before)
                .enumerate()
                .map(|(at, (verdict, chosen))| week.decision(at, &policy, verdict, *chosen, draw))
                .collect();
            let mut gathered = Gathered::default();
            decisions.iter().for_each(|decision| gathered.note(decision));
            let (evidence, mut tally) = (gathered.learned(), Tally::default());
            for ((decision, sent), verdict) in decisions.iter().zip(week.requests()).zip(&candidates) {
                let input = decision.input(week.table(), None).unwrap();
                assert_eq!(input.candidates.len(), sent.candidates.len());
                let answered = Ok(verdict.clone());
                let after = Answer::of(decision, &input, week.table(), &answered);
                let before = Answer::logged(decision);
                tally.add(Case { decision, table: week.table(), before, after }, &evidence);
            }
            let cost = tally.cost.compared(&evidence.outputs, draw).unwrap();
            let truly = week.cost(&after, draw) as f64;
            let spent = week.cost(&before, draw) as f64;
            assert!((cost.before.expected / spent - 1.0).abs() < 1e-6, "what was spent is known: {cost:?} {spent}");
            contained += u64::from((cost.after.low..=cost.after.high).contains(&truly));
            // An interval that contains everything says nothing.
            assert!(cost.after.high - cost.after.low < 0.4 * truly, "{cost:?} {truly}");
        }
        assert!(contained >= 90, "{contained} of {TRIALS} with {candidate}, {changed} of 2000 changed");
    }
}

/// The parts of the figures of a calibration.
fn expected(figure: &Value) -> f64 {
    figure["expected"].as_f64().unwrap_or_else(|| panic!("{figure}"))
}

#[test]
fn calibrated_settings_reach_their_targets_on_requests_that_were_held_out() {
    let week = Week::new(1, 12_000);
    let folder = logged(&week);
    let held_out = |at: &usize| Fold::of(&week.requests()[*at].request.id) == Fold::HeldOut;
    let held_out: Vec<usize> = (0..week.requests().len()).filter(held_out).collect();
    let out = folder.path().join("after.toml");
    let calibrate = |target: &str, more: &[&str]| {
        let more = [&["--setting", "high-above", "--out", out.to_str().unwrap()], more].concat();
        let exit = asked(&["calibrate", "--target", target], folder.path(), &more);
        exit.expect(0, &[]);
        let all = found(&exit);
        let text = std::fs::read_to_string(&out).unwrap();
        let written: Map<String, Value> = toml::from_str(&text).unwrap();
        assert_eq!(&Value::Object(written.clone()), &all["settings"]);
        assert!(text.contains("# Predicted: ") && text.contains("# Held out: ") && text.contains(target), "{text}");
        let (_, choices) = decided(&week, &serde_json::to_string(&written).unwrap());
        (all, choices)
    };
    // Scores have steps of a tenth, so only some shares can be reached. This one can.
    let (_, choices) = decided(&week, "{\"low-below\": 0.3, \"high-above\": 0.45}");
    let share = |choices: &[usize], of: &[usize]| {
        100.0 * of.iter().filter(|at| choices[**at] == 2).count() as f64 / of.len() as f64
    };
    let all_of_it: Vec<usize> = (0..week.requests().len()).collect();
    let wanted = share(&choices, &all_of_it).round();
    let (all, choices) = calibrate(&format!("share:claude-sonnet={wanted}%"), &[]);
    let truly = share(&choices, &held_out);
    assert!((truly - wanted).abs() <= 2.0, "{truly} of {wanted}: {:#}", all["nearest"]);
    assert!((expected(&all["nearest"]["held_out"]) - truly).abs() < 1e-9, "{:#}", all["nearest"]);
    assert_eq!(all["nearest"]["setting"], "high-above");

    // What the week would have cost with a higher threshold, in a month at its rate.
    let seconds = |at: usize| wasmgate_decisions::Moment::of_id(&week.requests()[at].request.id).0 as f64 / 1000.0;
    let months = (seconds(week.requests().len() - 1) - seconds(0)) / (365.25 / 12.0 * 86_400.0);
    let spent = |choices: &[usize]| week.cost(choices, 0) as f64 / 1e9 / months;
    let (_, cheaper) = decided(&week, "{\"low-below\": 0.3, \"high-above\": 0.65}");
    let wanted = spent(&cheaper);
    let (all, choices) = calibrate(&format!("spend=${wanted:.2}/month"), &["--within", "10"]);
    let truly = spent(&choices);
    assert!((truly / wanted - 1.0).abs() < 0.1, "{truly} of {wanted}: {:#}", all["nearest"]);

    let (_, faster) = decided(&week, "{\"low-below\": 0.3, \"high-above\": 0.75}");
    let p95 = |choices: &[usize], of: &[usize]| {
        let mut times: Vec<f64> = of.iter().map(|&at| week.truth(at, choices[at], 0).seconds).collect();
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() * 95 / 100]
    };
    let wanted = p95(&faster, &all_of_it);
    let (all, choices) = calibrate(&format!("p95={wanted:.3}s"), &["--within", "5"]);
    let truly = p95(&choices, &all_of_it);
    assert!((truly / wanted - 1.0).abs() < 0.1, "{truly} of {wanted}: {:#}", all["nearest"]);
}
