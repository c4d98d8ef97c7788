//! Rankings, reasons and settings; the scores are in `tests/cases.toml`.

extern crate std;

use super::*;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use wasmgate_policy::testing::{candidate, cloud, request};
use wasmgate_policy::{Breaker, Health, Message, Role};

const LOW: &str = "list three fruits";
const MEDIUM: &str = "analyze and design a logo";
const HIGH: &str = "design and build: def f(x): return class";

fn policy() -> Complexity {
    Complexity::configure(&Settings::of([])).unwrap()
}

fn models() -> Vec<Candidate<'static>> {
    vec![cloud("claude-sonnet", 3_000_000_000, 15_000_000_000), candidate("phi2"), candidate("tinyllama")]
}

fn decide(policy: &Complexity, request: &Request, candidates: &[Candidate]) -> (Vec<String>, Decision) {
    match policy.route(request, candidates) {
        Ok(Verdict::Route(decision)) => {
            (decision.ranking.iter().map(|&index| candidates[index as usize].model.to_owned()).collect(), decision)
        }
        other => std::panic!("{other:?}"),
    }
}

#[test]
fn fallbacks_go_up_first_and_then_down() {
    let table = [
        (LOW, Tier::Low, ["tinyllama", "phi2", "claude-sonnet"]),
        (MEDIUM, Tier::Medium, ["phi2", "claude-sonnet", "tinyllama"]),
        (HIGH, Tier::High, ["claude-sonnet", "phi2", "tinyllama"]),
    ];
    for (prompt, tier, models_in_order) in table {
        let (ranking, decision) = decide(&policy(), &request(prompt), &models());
        assert_eq!((decision.tier, ranking), (Some(tier), models_in_order.map(String::from).to_vec()), "{prompt}");
    }
}

#[test]
fn of_a_very_long_message_both_ends_are_scored() {
    let tier = |prompt: &str| decide(&policy(), &request(prompt), &models()).1.tier;
    let filler = "漢字 ".repeat(40_000);
    assert_eq!(tier(&filler), Some(Tier::Medium));
    for prompt in [std::format!("{HIGH} {filler}"), std::format!("{filler} {HIGH}")] {
        assert_eq!(tier(&prompt), Some(Tier::High));
    }
    assert_eq!(tier(&std::format!("{filler} {HIGH} {filler}")), Some(Tier::Medium), "the middle is not");
    assert_eq!(tier(&std::format!("{filler}{}", &HIGH[..HIGH.len() - 1])), Some(Tier::High), "no character is cut");
}

#[test]
fn models_that_the_settings_do_not_name_come_after() {
    let candidates = [candidate("z"), candidate("tinyllama"), candidate("a"), candidate("phi2")];
    assert_eq!(decide(&policy(), &request(HIGH), &candidates).0, ["phi2", "tinyllama", "z", "a"]);
}

#[test]
fn tiers_may_have_several_models_or_none() {
    let texts = |names: &[&str]| Value::Texts(names.iter().map(|&name| name.into()).collect());
    let settings = Settings::of([
        ("low-models", texts(&["a", "b"])),
        ("medium-models", texts(&[])),
        ("high-models", texts(&["c", "d"])),
    ]);
    let policy = Complexity::configure(&settings).unwrap();
    let candidates = ["d", "c", "b", "a"].map(candidate);
    assert_eq!(decide(&policy, &request(LOW), &candidates).0, ["a", "b", "c", "d"]);
    assert_eq!(decide(&policy, &request(MEDIUM), &candidates).0, ["c", "d", "b", "a"]);
    assert_eq!(decide(&policy, &request(HIGH), &candidates).0, ["c", "d", "b", "a"]);
}

#[test]
fn who_cannot_answer_goes_last_and_the_reason_says_so() {
    type Way = (fn(&mut Candidate), &'static str);
    let ways: [Way; 3] = [
        (|model| model.health = Health::Down, "; phi2 would be first but is down"),
        (|model| model.breaker = Breaker::Open, "; phi2 would be first but has an open breaker"),
        (|model| model.context_window = Some(10), "; phi2 would be first but has too small a context window"),
    ];
    for (hinder, words) in ways {
        let mut candidates = models();
        hinder(&mut candidates[1]);
        let mut request = request(MEDIUM);
        request.max_tokens = Some(100);
        let (ranking, decision) = decide(&policy(), &request, &candidates);
        assert_eq!(ranking, ["claude-sonnet", "tinyllama", "phi2"]);
        assert!(decision.reason.to_string().ends_with(words), "{}", decision.reason);
    }
}

#[test]
fn a_reason_is_silent_about_what_changes_nothing() {
    let mut candidates = models();
    candidates[2].health = Health::Down;
    let (ranking, decision) = decide(&policy(), &request(MEDIUM), &candidates);
    assert_eq!(ranking, ["phi2", "claude-sonnet", "tinyllama"]);
    assert_eq!(decision.reason, "score 0.30: length +0.1, complex keywords +0.2 (analyze, design)");
    // One candidate: the client named it.
    let (ranking, decision) = decide(&policy(), &request(MEDIUM), &candidates[2..]);
    assert_eq!((ranking.len(), decision.reason.to_string().contains("down")), (1, false));
}

#[test]
fn reasons() {
    let long = std::format!("{}?", "analyze design architect implement refactor optimize debug ".repeat(3));
    let table = [
        ("hello", "score 0.20: length +0.1, no keywords +0.1"),
        ("what is it?", "score 0.00: length +0.1, simple keywords -0.1, question -0.1"),
        (
            "Design and BUILD: def f(x)",
            "score 0.80: length +0.1, complex keywords +0.2 (design, build), code +0.3, creation +0.2",
        ),
        (
            &long,
            "score 0.50: length +0.3, complex keywords +0.3 (analyze, design, architect, implement, refactor, …), question -0.1",
        ),
    ];
    for (prompt, reason) in table {
        assert_eq!(decide(&policy(), &request(prompt), &models()).1.reason, reason);
    }
}

#[test]
fn the_last_user_message_is_scored() {
    let mut request = request("list them");
    let says = |role, text: &'static str| Message { role, text };
    request.messages.insert(0, says(Role::User, HIGH));
    request.messages.push(says(Role::Assistant, HIGH));
    request.messages.push(says(Role::Tool, HIGH));
    assert_eq!(decide(&policy(), &request, &models()).1.tier, Some(Tier::Low));
    request.messages.clear();
    assert_eq!(decide(&policy(), &request, &models()).1.complexity, Some(0.2), "as an empty text");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let text = |text: &str| Value::Texts(vec![text.into()]);
    let table = [
        (
            Settings::of([("low-below", Value::Number(0.7))]),
            "setting low-below should be at most high-above (0.6), but is 0.7",
        ),
        (
            Settings::of([("high-models", text("phi2"))]),
            "settings low-models, medium-models and high-models should name each model once, but name \"phi2\" twice",
        ),
        (
            Settings::of(["low-models", "medium-models", "high-models"].map(|name| (name, Value::Texts(vec![])))),
            "setting high-models should name at least one model, as no tier has one",
        ),
        (
            Settings::of([("simple-keywords", text("a"))]),
            "setting simple-keywords should have keywords of two letters or more, but has \"a\"",
        ),
    ];
    for (settings, sentence) in table {
        assert_eq!(Complexity::configure(&settings).err().as_deref(), Some(sentence));
    }
}

#[test]
fn thresholds_and_keywords_can_be_set() {
    let settings = Settings::of([
        ("low-below", Value::Integer(0)),
        ("high-above", Value::Number(0.15)),
        ("complex-keywords", Value::Texts(vec!["Étude".into()])),
        ("simple-keywords", Value::Texts(vec![])),
    ]);
    let policy = Complexity::configure(&settings).unwrap();
    let (_, decision) = decide(&policy, &request("une ÉTUDE, list them"), &models());
    assert_eq!((decision.complexity, decision.tier), (Some(0.2), Some(Tier::High)));
    assert_eq!(decision.reason, "score 0.20: length +0.1, complex keywords +0.1 (étude)");
}

fn any_candidate() -> impl Strategy<Value = Candidate<'static>> {
    let model = prop_oneof![Just("tinyllama"), Just("phi2"), Just("claude-sonnet"), Just("other")];
    (model, any::<bool>(), any::<bool>(), any::<Option<u32>>()).prop_map(|(model, down, open, context_window)| {
        Candidate {
            health: if down { Health::Down } else { Health::Unknown },
            breaker: if open { Breaker::Open } else { Breaker::Closed },
            context_window,
            ..candidate(model)
        }
    })
}

proptest! {
    #[test]
    fn a_ranking_is_a_permutation(
        prompt in "\\PC*",
        tokens in any::<(u32, Option<u32>)>(),
        candidates in proptest::collection::vec(any_candidate(), 1..12),
    ) {
        let mut request = request(&prompt);
        (request.prompt_tokens, request.max_tokens) = tokens;
        let (_, mut decision) = decide(&policy(), &request, &candidates);
        decision.ranking.sort();
        prop_assert_eq!(decision.ranking, rank::given(&candidates));
    }
}
