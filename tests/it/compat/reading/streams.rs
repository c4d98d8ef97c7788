//! Streams of backends that are odd and whole.

use serde_json::{Value, json};
use wasmgate_tests::backend::Reply;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, ends_well};

use super::{serving, sse, text_in};

const USAGE: Usage = Usage { input: 12, output: 5 };

fn chunk(delta: Value, finish: Value) -> String {
    sse(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
}

fn openai(middle: &[&str], end: &str) -> Vec<String> {
    let mut frames = vec![chunk(json!({"role": "assistant", "content": "Hel"}), Value::Null)];
    frames.extend(middle.iter().map(|frame| (*frame).to_owned()));
    frames.push(chunk(json!({"content": "lo"}), Value::Null));
    frames.push(chunk(json!({}), json!("stop")));
    frames.push(end.to_owned());
    frames
}

fn anthropic(middle: &[&str]) -> Vec<String> {
    let mut frames = Dialect::Anthropic.frames(&["Hel", "lo"], USAGE);
    for (position, frame) in middle.iter().enumerate() {
        frames.insert(3 + position, (*frame).to_owned());
    }
    frames
}

const DONE: &str = "data: [DONE]\n\n";

fn cases() -> Vec<(String, Dialect, Vec<String>)> {
    let o = Dialect::OpenAi;
    let a = Dialect::Anthropic;
    let crlf = |frames: Vec<String>| frames.into_iter().map(|frame| frame.replace('\n', "\r\n")).collect::<Vec<_>>();
    let unnamed = |frames: Vec<String>| -> Vec<String> {
        frames
            .into_iter()
            .map(|frame| frame.split_once('\n').map_or(String::new(), |(_, data)| data.to_owned()))
            .collect()
    };
    let renamed: Vec<String> = anthropic(&[])
        .into_iter()
        .map(|frame| frame.replacen(&frame[7..frame.find('\n').unwrap()], "message", 1))
        .collect();
    let parts = |parts: Value| chunk(json!({ "content": parts }), Value::Null);
    let cases: Vec<(&str, Dialect, Vec<String>)> = vec![
        ("null", o, openai(&["data: null\n\n"; 40], DONE)),
        ("empty", o, openai(&["data: \n\n", "data:\n\n", "data: {}\n\n", "data: \"\"\n\n", "event: x\n\n"], DONE)),
        (
            "without-choices",
            o,
            openai(&["data: {\"id\":\"c\",\"model\":\"up\"}\n\n", "data: {\"warning\":\"w\"}\n\n"], DONE),
        ),
        (
            "null-choices",
            o,
            openai(&["data: {\"choices\":null}\n\n", "data: {\"choices\":[null],\"error\":null}\n\n"], DONE),
        ),
        (
            "null-delta",
            o,
            openai(&[&sse(&json!({"choices": [{"index": 0, "delta": null, "finish_reason": ""}]}))], DONE),
        ),
        ("without-done", o, openai(&[], "")),
        ("done-with-spaces", o, openai(&[], "data:  [DONE] \n\n")),
        ("done-without-blank-line", o, openai(&[], "data: [DONE]")),
        ("crlf", o, crlf(openai(&[": hi\n\n"], DONE))),
        ("cr", o, openai(&[], DONE).into_iter().map(|frame| frame.replace('\n', "\r")).collect()),
        ("no-space", o, openai(&[], DONE).into_iter().map(|frame| frame.replace("data: ", "data:")).collect()),
        ("bom", o, [vec!["\u{feff}".to_owned()], openai(&[], DONE)].concat()),
        ("other-fields", o, openai(&["id: 7\n\n", "retry: 100\n\n", "event: keep-alive\n\n"], DONE)),
        ("two-lines", o, openai(&[], DONE).into_iter().map(|frame| frame.replacen(",\"", ",\ndata: \"", 1)).collect()),
        ("nan", o, openai(&["data: {\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":NaN}]}\n\n"], DONE)),
        (
            "odd-usage",
            o,
            openai(&["data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":\"x\"}}\n\n"], DONE),
        ),
        (
            "parts",
            o,
            vec![
                parts(json!([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}])),
                parts(json!("Hel")),
                parts(json!([{"type": "text", "text": "l"}, "o"])),
                chunk(json!({}), json!("stop")),
                DONE.to_owned(),
            ],
        ),
        (
            "one-part",
            o,
            vec![parts(json!({"type": "text", "text": "Hello"})), chunk(json!({}), json!("eos")), DONE.to_owned()],
        ),
        (
            "odd-ids",
            o,
            vec![
                sse(
                    &json!({"id": 7, "model": null, "created": "x", "choices": [{"index": "0", "delta": {"content": "Hello", "role": null}}]}),
                ),
                chunk(json!({}), json!("a new reason")),
                DONE.to_owned(),
            ],
        ),
        (
            "pings",
            a,
            anthropic(&[
                "event: ping\ndata: \n\n",
                "event: ping\ndata: {}\n\n",
                "event: ping\ndata: null\n\n",
                "event: ping\n\n",
            ]),
        ),
        (
            "unknown-events",
            a,
            anthropic(&[
                "event: new\ndata: {\"type\":\"new\",\"index\":\"x\"}\n\n",
                "data: {\"type\":\"newer\"}\n\n",
                "data: null\n\n",
            ]),
        ),
        ("unnamed", a, unnamed(anthropic(&[]))),
        ("unnamed-crlf", a, crlf(unnamed(anthropic(&[])))),
        ("renamed", a, renamed),
        (
            "untyped-end",
            a,
            anthropic(&[]).into_iter().map(|frame| frame.replace("{\"type\":\"message_stop\"}", "{}")).collect(),
        ),
        (
            "nulls",
            a,
            anthropic(&[])
                .into_iter()
                .map(|frame| frame.replace("\"output_tokens\":5", "\"input_tokens\":null,\"output_tokens\":-5"))
                .collect(),
        ),
        ("lines", Dialect::Ollama, crlf(Dialect::Ollama.frames(&["Hel", "lo"], USAGE))),
        ("blank-lines", Dialect::Ollama, {
            let mut frames = Dialect::Ollama.frames(&["Hel", "lo"], USAGE);
            frames.insert(1, "\n\r\nnull\n{\"status\":\"loading\"}\n".to_owned());
            frames
        }),
        (
            "uncounted",
            Dialect::Ollama,
            Dialect::Ollama
                .frames(&["Hel", "lo"], USAGE)
                .into_iter()
                .map(|frame| {
                    frame
                        .replace(",\"eval_count\":5", "")
                        .replace("\"prompt_eval_count\":12", "\"prompt_eval_count\":null")
                })
                .collect(),
        ),
    ];
    cases.into_iter().map(|(name, dialect, frames)| (name.to_owned(), dialect, frames)).collect()
}

#[test]
fn odd_streams_come_whole_to_every_client() {
    let names: Vec<_> = cases().into_iter().map(|(name, dialect, _)| (name, dialect)).collect();
    let (gateway, _backend) = serving(cases(), |frames, _, _| {
        Reply::stream("text/event-stream").frames(frames.iter().filter(|f| !f.is_empty())).end()
    });
    let mut wrong = Vec::new();
    for (name, dialect) in names {
        for path in CLIENT_PATHS {
            let data = gateway.stream(path, &ask(path, &name, "hello", true)).all();
            // No SDK fails on what it gets.
            let objects = data.iter().all(|value| value.is_object() || value.is_null());
            if !ends_well(path, &data) || text_in(path, &data) != "Hello" || !objects {
                wrong.push(format!("{name} ({dialect:?}) to {path}: {data:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_forwarded_event_has_the_line_by_which_sdks_tell_it() {
    let cases = cases().into_iter().filter(|(_, dialect, _)| *dialect == Dialect::Anthropic).collect::<Vec<_>>();
    let names: Vec<_> = cases.iter().map(|(name, ..)| name.clone()).collect();
    let (gateway, _backend) = serving(cases, |frames, _, _| Reply::stream("text/event-stream").frames(frames).end());
    for name in names {
        let response = gateway.post("/v1/messages", &ask("/v1/messages", &name, "hello", true)).expect(200);
        let text = response.text();
        for frame in text.split("\n\n").filter(|frame| !frame.is_empty() && !frame.starts_with(':')) {
            let (event, data) = frame.split_once('\n').unwrap_or_else(|| panic!("{name}: {frame:?} in {text}"));
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(event.strip_prefix("event: ").unwrap(), data["type"], "{name}: {text}");
        }
    }
}

#[test]
fn a_picture_of_many_megabytes_is_forwarded() {
    let picture = "A".repeat(9_000_000);
    let frames = vec![
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": "", "images": [{"type": "image_url", "image_url": {"url": picture}}]}), Value::Null),
        chunk(json!({"content": "Hello"}), Value::Null),
        chunk(json!({}), json!("stop")),
        DONE.to_owned(),
    ];
    let (gateway, _backend) = serving(vec![("picture".to_owned(), Dialect::OpenAi, frames)], |frames, _, _| {
        Reply::stream("text/event-stream").frames(frames).end()
    });
    let path = "/v1/chat/completions";
    let data = gateway.stream(path, &ask(path, "picture", "hello", true)).all();
    assert!(ends_well(path, &data));
    let url =
        |value: &Value| value.pointer("/choices/0/delta/images/0/image_url/url").map(|url| url.as_str().unwrap().len());
    assert_eq!(data.iter().filter_map(url).collect::<Vec<_>>(), [9_000_000]);
    // No other dialect has a place for it: the text comes, and the operator sees that something was left out.
    let data = gateway.stream("/v1/messages", &ask("/v1/messages", "picture", "hello", true)).all();
    assert!(ends_well("/v1/messages", &data) && text_in("/v1/messages", &data) == "Hello");
    gateway.wait_metric("api_gateway_skipped_frames_total", &[("upstream", "picture")], 1.0);
}

#[test]
fn calls_are_understood_however_they_are_streamed() {
    let call = |call: Value| chunk(json!({ "tool_calls": [call] }), Value::Null);
    let ends = |frames: Vec<String>, reason: Value| [frames, vec![chunk(json!({}), reason), DONE.to_owned()]].concat();
    let whole = json!({"name": "weather", "arguments": {"city": "Oslo"}});
    let text = r#"{"city":"Oslo"}"#;
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("object", ends(vec![call(json!({"index": 0, "id": "c", "function": whole}))], json!("tool_calls"))),
        (
            "one-call",
            ends(vec![chunk(json!({"tool_calls": {"id": "c", "function": whole}}), Value::Null)], json!("stop")),
        ),
        (
            "text-index",
            ends(
                vec![call(json!({"index": "0", "id": 7, "function": {"name": "weather", "arguments": text}}))],
                json!("eos"),
            ),
        ),
        (
            "legacy",
            ends(
                vec![
                    chunk(json!({"function_call": {"name": "weather", "arguments": ""}}), Value::Null),
                    chunk(json!({"function_call": {"arguments": text}}), Value::Null),
                ],
                json!("function_call"),
            ),
        ),
        (
            "fragments",
            ends(
                vec![
                    call(json!({"id": "c", "function": {"name": "weather", "arguments": null}})),
                    call(json!({"function": {"arguments": "{\"city\":"}})),
                    call(json!({"id": "", "function": {"name": "", "arguments": "\"Oslo\"}"}})),
                    call(Value::Null),
                ],
                json!("tool_calls"),
            ),
        ),
        ("no-reason", vec![call(json!({"index": 0, "id": "c", "function": whole})), DONE.to_owned()]),
    ];
    let names: Vec<_> = cases.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cases = cases.into_iter().map(|(name, frames)| (name.to_owned(), Dialect::OpenAi, frames)).collect();
    let (gateway, _backend) =
        serving(cases, |frames: &Vec<String>, _, _| Reply::stream("text/event-stream").frames(frames).end());
    for name in names {
        let data = gateway.stream("/v1/messages", &ask("/v1/messages", &name, "hello", true)).all();
        assert!(ends_well("/v1/messages", &data), "{name}: {data:?}");
        let partial =
            data.iter().filter_map(|event| event.pointer("/delta/partial_json")?.as_str()).collect::<String>();
        assert_eq!(partial, text, "{name}: {data:?}");
        let reason = data.iter().find_map(|event| event.pointer("/delta/stop_reason")?.as_str());
        assert_eq!(reason, Some("tool_use"), "{name}");
        let data = gateway.stream("/api/chat", &ask("/api/chat", &name, "hello", true)).all();
        let arguments = data.iter().find_map(|line| line.pointer("/message/tool_calls/0/function/arguments"));
        assert_eq!(arguments, Some(&json!({"city": "Oslo"})), "{name}: {data:?}");
        let data = gateway.stream("/v1/chat/completions", &ask("/v1/chat/completions", &name, "hello", true)).all();
        assert!(ends_well("/v1/chat/completions", &data), "{name}: {data:?}");
    }
}
