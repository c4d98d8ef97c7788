//! Tool calls of streams, however servers identify and cut them, and however text comes between their pieces: no argument is
//! lost, doubled or given to another call.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Decoder, Encoder};
use super::{Dialect, facts, json, total};
use crate::chat::{Delta, Deltas, Finish};

/// Names and arguments, as text.
type Calls = Vec<(String, String)>;

fn calls(most: usize) -> impl Strategy<Value = Calls> {
    let call = ("[fg]", "[a-z]{1,3}", "[a-zé \"\\\\{}\n]{0,9}");
    let call = call.prop_map(|(name, key, value)| (name, json!({ key: value }).to_string()));
    proptest::collection::vec(call, 1..=most)
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// What a decoder makes of events.
fn decoded(dialect: Dialect, events: &[Value]) -> Vec<Delta> {
    let (mut decoder, mut deltas) = (Decoder::new(dialect), Deltas::new());
    for event in events {
        decoder
            .frame(format!("data: {event}\n\n").as_bytes(), &mut deltas)
            .unwrap_or_else(|error| panic!("{error}: {event}"));
    }
    deltas.into()
}

fn calls_in(deltas: &[Delta]) -> Calls {
    let mut calls = Calls::new();
    for delta in deltas {
        match delta {
            Delta::ToolCallStart { index, name, .. } => {
                assert_eq!(*index, calls.len());
                calls.push((name.clone(), String::new()));
            }
            Delta::ToolCallArguments { index, fragment } => calls[*index].1.push_str(fragment),
            _ => {}
        }
    }
    calls
}

/// How a server writes the calls of OpenAI's stream.
#[derive(Debug, Clone, Copy)]
enum Ids {
    Stable,
    NewInEachFragment,
    OnlyLast,
    Empty,
    Missing,
}

#[derive(Debug, Clone, Copy)]
enum Indexes {
    Counted,
    AllZero,
    Missing,
}

fn openai_fragments(
    calls: &Calls,
    ids: Ids,
    indexes: Indexes,
    repeats_name: bool,
    empty_first: bool,
    size: usize,
) -> Vec<Value> {
    let mut fragments = Vec::new();
    for (number, (name, arguments)) in calls.iter().enumerate() {
        let mut parts = pieces(arguments, size);
        if empty_first {
            parts.insert(0, String::new());
        }
        let last = parts.len() - 1;
        for (at, part) in parts.into_iter().enumerate() {
            let mut call = json!({"type": "function", "function": {"arguments": part}});
            if at == 0 || repeats_name {
                call["function"]["name"] = json!(name);
            }
            match ids {
                Ids::Stable if at == 0 || repeats_name => call["id"] = json!(format!("c{number}")),
                Ids::NewInEachFragment => call["id"] = json!(format!("c{number}-{at}")),
                Ids::OnlyLast if at == last => call["id"] = json!(format!("c{number}")),
                Ids::Empty => call["id"] = json!(""),
                Ids::Stable | Ids::OnlyLast | Ids::Missing => {}
            }
            match indexes {
                Indexes::Counted => call["index"] = json!(number),
                Indexes::AllZero => call["index"] = json!(0),
                Indexes::Missing => {}
            }
            fragments.push(json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}));
        }
    }
    fragments
}

/// The events of Anthropic's stream for one block with a call.
fn anthropic_block(
    index: usize,
    call: &(String, String),
    start: usize,
    streams: bool,
    stop: usize,
    size: usize,
) -> Vec<Value> {
    let input = match start {
        0 => Value::Null,
        1 | 2 => json!({}),
        _ => json(call.1.as_bytes()),
    };
    let block = json!({"type": "tool_use", "id": format!("c{index}"), "name": call.0, "input": input});
    let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": block})];
    for piece in pieces(&call.1, size).into_iter().filter(|_| streams) {
        let delta = json!({"type": "input_json_delta", "partial_json": piece});
        events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }
    if stop > 0 {
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events
}

/// Merges sequences; `picks` says which one is next.
fn merged<T>(sequences: Vec<Vec<T>>, picks: &[usize]) -> Vec<T> {
    let mut rest: Vec<_> = sequences.into_iter().map(Vec::into_iter).collect();
    let mut out = Vec::new();
    for &pick in picks.iter().cycle() {
        rest.retain(|sequence| sequence.len() > 0);
        let count = rest.len();
        match rest.get_mut(pick % count.max(1)) {
            None => break,
            Some(sequence) => out.extend(sequence.next()),
        }
    }
    out
}

proptest! {
    #[test]
    fn fragments_find_their_call_however_a_server_identifies_it(
        calls in calls(3), repeats_name: bool, empty_first: bool, size in 1_usize..9,
        ids in proptest::sample::select(vec![Ids::Stable, Ids::NewInEachFragment, Ids::OnlyLast, Ids::Empty, Ids::Missing]),
        indexes in proptest::sample::select(vec![Indexes::Counted, Indexes::AllZero, Indexes::Missing]),
    ) {
        // Nobody can tell two calls of one tool apart that have neither an id nor an index nor a first piece.
        let is_told = matches!(indexes, Indexes::Counted) || matches!(ids, Ids::Stable);
        let empty_first = empty_first && is_told;
        // Nor a call from a fragment of it, if all names and ids are new and nothing is counted.
        let repeats_name = repeats_name && (is_told || matches!(ids, Ids::Empty | Ids::Missing));
        let fragments = openai_fragments(&calls, ids, indexes, repeats_name, empty_first, size);
        prop_assert_eq!(calls_in(&decoded(Dialect::OpenAi, &fragments)), calls, "{:?}", fragments);
    }

    #[test]
    fn arguments_at_the_start_of_a_block_and_behind_it_are_the_same_arguments(
        calls in calls(3),
        styles in proptest::collection::vec((0_usize..4, any::<bool>(), 0_usize..3), 3),
        size in 1_usize..9, picks in proptest::collection::vec(0_usize..4, 1..40), ends: bool,
    ) {
        let blocks = calls.iter().zip(&styles).enumerate();
        let blocks = blocks.map(|(index, (call, &(start, streams, stop)))| anthropic_block(index, call, start, streams, stop, size));
        let mut events = merged(blocks.collect(), &picks);
        if ends {
            events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}));
        }
        events.push(json!({"type": "message_stop"}));
        // The spaces that some servers write.
        let (mut decoder, mut deltas) = (Decoder::new(Dialect::Anthropic), Deltas::new());
        for event in &events {
            let event = event.to_string().replace("\"input\":{}", "\"input\":{ }");
            decoder.frame(format!("data: {event}\n\n").as_bytes(), &mut deltas).expect("it is read");
        }
        let deltas: Vec<Delta> = deltas.into();
        // Calls are numbered in the order in which their blocks begin.
        let started = events.iter().filter(|event| event["type"] == "content_block_start");
        let expected: Calls = started
            .map(|event| {
                let at = usize::try_from(event["index"].as_u64().unwrap_or_default()).unwrap_or_default();
                let (start, streams, _) = styles[at];
                let says = streams || start > 2;
                (calls[at].0.clone(), if says { calls[at].1.clone() } else { "{}".to_owned() })
            })
            .collect();
        let found: Calls = calls_in(&deltas).into_iter().map(|(name, text)| (name, json(text.as_bytes()).to_string())).collect();
        let expected: Calls = expected.into_iter().map(|(name, text)| (name, json(text.as_bytes()).to_string())).collect();
        prop_assert_eq!(found, expected, "{:?}", events);
        prop_assert!(deltas.contains(&Delta::Finish(Finish::ToolCalls)));
    }

    #[test]
    fn anthropics_clients_get_each_block_whole_whatever_comes_between_its_pieces(
        calls in calls(4), said in proptest::collection::vec(("[a-z]{1,4}", any::<bool>()), 0..8),
        size in 1_usize..9, picks in proptest::collection::vec(0_usize..5, 1..40),
    ) {
        let mut sequences: Vec<Vec<Delta>> = Vec::new();
        for (index, (name, arguments)) in calls.iter().enumerate() {
            let start = Delta::ToolCallStart { index, id: format!("c{index}"), name: name.clone() };
            let more = pieces(arguments, size).into_iter().map(|fragment| Delta::ToolCallArguments { index, fragment });
            sequences.push(std::iter::once(start).chain(more).collect());
        }
        let words = said.iter().cloned();
        sequences.push(words.map(|(word, thinks)| if thinks { Delta::Reasoning(word) } else { Delta::Text(word) }).collect());
        let mut deltas = merged(sequences, &picks);
        // Encoders get calls numbered in the order in which they begin.
        let begun: Vec<usize> = deltas.iter().filter_map(|delta| match delta {
            Delta::ToolCallStart { index, .. } => Some(*index),
            _ => None,
        }).collect();
        for delta in &mut deltas {
            if let Delta::ToolCallStart { index, .. } | Delta::ToolCallArguments { index, .. } = delta {
                *index = begun.iter().position(|begun| begun == index).expect("each call begins");
            }
        }
        let (mut encoder, mut out) = (Encoder::new(Dialect::Anthropic, facts()), Vec::new());
        deltas.into_iter().for_each(|delta| encoder.delta(delta, &mut out));
        encoder.end(&total(), &mut out);
        let stream = String::from_utf8(out).expect("text");
        let events: Vec<Value> =
            stream.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| json(data.as_bytes())).collect();
        let (mut open, mut next) = (None, 0);
        let (mut found, mut text, mut thinking) = (Calls::new(), String::new(), String::new());
        for event in &events {
            let index = event["index"].as_u64();
            match event["type"].as_str().unwrap_or_default() {
                "content_block_start" => {
                    prop_assert_eq!((open, index), (None, Some(next)), "{}", stream);
                    open = index;
                    if event["content_block"]["type"] == "tool_use" {
                        let name = event["content_block"]["name"].as_str().unwrap_or_default();
                        found.push((name.to_owned(), String::new()));
                    }
                }
                "content_block_delta" => {
                    prop_assert_eq!(open, index, "{}", stream);
                    let piece = |key: &str| event["delta"][key].as_str().unwrap_or_default();
                    text.push_str(piece("text"));
                    thinking.push_str(piece("thinking"));
                    if let Some((_, arguments)) = found.last_mut() {
                        arguments.push_str(piece("partial_json"));
                    }
                }
                "content_block_stop" => {
                    prop_assert_eq!(open.take(), index, "{}", stream);
                    next += 1;
                }
                _ => {}
            }
        }
        let expected: Calls = begun.iter().map(|&at| calls[at].clone()).collect();
        prop_assert_eq!(found, expected, "{}", stream);
        let words = |wanted: bool| said.iter().filter(|(_, thinks)| *thinks == wanted).map(|(word, _)| word.as_str()).collect::<String>();
        prop_assert_eq!((text, thinking), (words(false), words(true)), "{}", stream);
    }
}

#[test]
fn a_call_that_broke_off_is_not_completed_by_what_follows_it() {
    let (mut encoder, mut out) = (Encoder::new(Dialect::Anthropic, facts()), Vec::new());
    let begin = |index| Delta::ToolCallStart { index, id: format!("c{index}"), name: "f".to_owned() };
    let more = |index, fragment: &str| Delta::ToolCallArguments { index, fragment: fragment.to_owned() };
    let steps = [begin(0), more(0, "{\"a\":"), Delta::Text("so".to_owned()), begin(1), more(1, "{\"b\":")];
    steps.into_iter().for_each(|delta| encoder.delta(delta, &mut out));
    encoder.end(&total(), &mut out);
    let stream = String::from_utf8(out).expect("text");
    let place = |text: &str| stream.find(text).unwrap_or_else(|| panic!("{text} in {stream}"));
    assert!(place("{\\\"a\\\":") < place("\"so\"") && place("\"so\"") < place("{\\\"b\\\":"));
}
