//! What policies are asked is what is read back from a line.

use proptest::prelude::*;

use super::*;
use crate::content::ContentMessage;
use crate::models::{ModelRow, RowPrice};
use crate::record::Outcome;
use crate::time::Moment;

/// A request with everything in it.
#[derive(Debug, Clone)]
struct Asked {
    request: OwnedRequest,
    rows: Vec<ModelRow>,
    candidates: Vec<host::Candidate>,
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(words: &'static [(&'static str, T)]) -> impl Strategy<Value = T> {
    (0..words.len()).prop_map(|at| words[at].1)
}

fn texts() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a-z-]{1,8}", "\\PC{0,12}"), 0..4)
}

prop_compose! {
    fn requests()(
        messages in prop::collection::vec((one_of(&ROLES), "\\PC{0,30}"), 0..6),
        words in ("[0-9a-f]{32}", "[a-z-]{1,9}", "\\PC{1,12}", prop::option::of("\\PC{1,12}")),
        numbers in (any::<u32>(), prop::option::of(1..u32::MAX), prop::option::of((1..u64::MAX, any::<u64>()))),
        flags in any::<[bool; 4]>(),
        limits in prop::collection::vec((one_of(&MEASURES), any::<u64>(), any::<u64>(), any::<Option<u64>>()), 0..4),
        labels in texts(),
        hints in texts(),
    ) -> OwnedRequest {
        OwnedRequest {
            id: words.0,
            dialect: words.1,
            requested_model: words.2,
            messages,
            prompt_tokens: numbers.0,
            max_tokens: numbers.1,
            streaming: flags[0],
            tools: flags[1],
            images: flags[2],
            structured_output: flags[3],
            tenant: words.3,
            budget: numbers.2.map(|(limit, left)| host::Budget { limit, left: left.min(limit) }),
            limits: limits.into_iter().map(|(measure, most, left, ends_in)| host::Limit { measure, most, left, ends_in }).collect(),
            labels,
            hints,
        }
    }
}

/// A model: name, price, context window, capabilities and whether it is local.
type Known = (String, Option<(u64, u64)>, Option<u32>, [bool; 4]);

fn row(at: usize, (name, price, context_window, flags): Known) -> ModelRow {
    let capabilities = ["tools", "images", "structured-output"].into_iter().zip(flags);
    ModelRow {
        name: format!("{name}{at}"),
        backend: format!("b{at}"),
        location: if flags[3] { "local" } else { "cloud" }.to_owned(),
        price: price.map(|(input, output)| RowPrice {
            input,
            output,
            cache_read: None,
            cache_write: Some(1),
            reasoning: None,
        }),
        context_window,
        capabilities: capabilities.filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect(),
        labels: vec![("at".to_owned(), at.to_string())],
    }
}

fn rows() -> impl Strategy<Value = Vec<ModelRow>> {
    let price = prop::option::of(any::<(u64, u64)>());
    let known = ("\\PC{0,6}", price, prop::option::of(1..u32::MAX), any::<[bool; 4]>());
    let rows = |known: Vec<Known>| known.into_iter().enumerate().map(|(at, known)| row(at, known)).collect();
    prop::collection::vec(known, 1..5).prop_map(rows)
}

/// Finite and above 0, as the contract says.
fn above_zero() -> impl Strategy<Value = f64> {
    prop::num::f64::POSITIVE.prop_map(|number| if number.is_finite() && number > 0.0 { number } else { 0.1 })
}

prop_compose! {
    fn observations()(
        health in one_of(&HEALTH),
        breaker in one_of(&BREAKERS),
        in_flight in any::<u32>(),
        time_left in above_zero(),
        observed in prop::option::of((above_zero(), prop::option::of(above_zero()), prop::option::of(above_zero()))),
        estimate in prop::option::of((any::<u32>(), any::<u32>(), prop::option::of(any::<u64>()))),
        chosen in any::<u32>(),
    ) -> host::Candidate {
        host::Candidate {
            model: chosen,
            now: host::Observation {
                health,
                breaker,
                in_flight,
                observed: observed.map(|(latency, time_to_first_token, tokens_per_second)| host::Observed {
                    latency, time_to_first_token, tokens_per_second,
                }),
            },
            time_left,
            estimate: estimate.map(|(input_tokens, output_tokens, cost)| host::CostEstimate {
                input_tokens, output_tokens, cost,
            }),
        }
    }
}

prop_compose! {
    fn asked()(request in requests(), rows in rows(), mut candidates in prop::collection::vec(observations(), 1..5)) -> Asked {
        let count = u32::try_from(rows.len()).unwrap();
        candidates.iter_mut().for_each(|candidate| candidate.model %= count);
        Asked { request, rows, candidates }
    }
}

/// The decision about a request, as it is written.
fn decision(asked: &Asked, table: &ModelTable) -> Decision {
    let lists = asked.request.lists();
    let request = asked.request.request(&lists);
    Decision {
        id: request.id.to_owned(),
        time: Moment(1),
        group: request.tenant.map(str::to_owned),
        dialect: request.dialect.to_owned(),
        models_id: table.id().to_owned(),
        request: Request::of(&request),
        candidates: asked.candidates.iter().map(|candidate| Candidate::of(candidate, table.models())).collect(),
        routing: None,
        cost: None,
        verdict: Verdict::of(&host::Verdict::Pass, &asked.candidates, table.models()),
        chosen: None,
        explored: false,
        exploration: None,
        propensity: 1.0,
        outcome: outcome(),
    }
}

pub(crate) fn outcome() -> Outcome {
    Outcome {
        ending: "finished".to_owned(),
        failure: None,
        model: None,
        attempts: Vec::new(),
        hedged: false,
        calls: Vec::new(),
        cost: None,
        cost_basis: None,
        first_token_seconds: None,
        model_seconds: None,
        seconds: 0.1,
    }
}

/// A request as text, with the texts of messages in it or only their lengths.
fn shown(request: &OwnedRequest, with_texts: bool) -> String {
    let lists = request.lists();
    let facts = Request::of(&request.request(&lists));
    let texts = if with_texts { &request.messages[..] } else { &[] };
    format!("{} {} {:?} {facts:?} {texts:?}", request.id, request.dialect, request.tenant)
}

proptest! {
    /// What policies are asked is what is read back from the line: all of it with the content, and without it all but texts.
    #[test]
    fn what_was_asked_can_be_asked_again(asked in asked()) {
        let table = ModelTable::new(asked.rows.clone());
        let mut line = Vec::new();
        crate::record::append(crate::record::DECISION, &decision(&asked, &table), &mut line);
        let read: Decision = serde_json::from_slice(&line).unwrap();

        let mut row = Vec::new();
        crate::record::append(crate::record::MODELS, &table.line(), &mut row);
        let again: crate::models::TableLine = serde_json::from_slice(&row).unwrap();
        let again = again.table();
        prop_assert_eq!(again.models().all(), table.models().all());

        let messages = asked.request.messages.clone();
        let whole = Content::of(&read.id, read.time, Keep::Full, messages, None).unwrap();
        for (content, with_texts) in [(Some(&whole), true), (None, false)] {
            let input = read.input(&again, content).unwrap();
            prop_assert_eq!(shown(&input.request, with_texts), shown(&asked.request, with_texts));
            prop_assert_eq!(format!("{:?}", input.candidates), format!("{:?}", asked.candidates));
        }
    }
}

#[test]
fn a_word_of_a_later_version_is_named() {
    let asked = Asked {
        request: OwnedRequest::default(),
        rows: vec![ModelRow {
            name: "m".to_owned(),
            backend: "b".to_owned(),
            location: "local".to_owned(),
            price: None,
            context_window: None,
            labels: Vec::new(),
            capabilities: Vec::new(),
        }],
        candidates: vec![host::Candidate {
            model: 0,
            now: host::Observation::default(),
            time_left: 1.0,
            estimate: None,
        }],
    };
    let table = ModelTable::new(asked.rows.clone());
    let mut read = decision(&asked, &table);
    read.candidates[0].health = "bored".to_owned();
    assert_eq!(read.input(&table, None).unwrap_err(), unreadable("candidates.health", "bored"));
    read.candidates[0].model = "other".to_owned();
    assert_eq!(read.input(&table, None).unwrap_err(), unreadable("candidates.model", "other"));
}

#[test]
fn a_policy_that_reads_text_needs_the_whole_text() {
    let reads = |prompt| Reads { prompt, labels: Vec::new(), tenant: false };
    let content = |keep| Content {
        id: String::new(),
        time: Moment(0),
        keep,
        messages: vec![ContentMessage { role: "user".to_owned(), bytes: 1, text: Some("a".to_owned()), hash: None }],
    };
    assert!(can_ask(&reads(ReadsPrompt::None), None));
    for prompt in [ReadsPrompt::Newest, ReadsPrompt::Conversation] {
        let kept = Keep::ALL.map(|keep| can_ask(&reads(prompt), Some(&content(keep))));
        assert_eq!((kept, can_ask(&reads(prompt), None)), ([false, false, false, true], false));
    }
}
