use super::*;
use crate::chat::{Part, Role};

fn with(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"hi"}}]{comma}{members}}}"#)
}

#[test]
fn every_known_field_is_read() {
    let body = with(
        r#""stream":false,"format":"json","options":{"num_predict":7,"temperature":0.5,"top_p":0.9,"top_k":5,"seed":3,
        "stop":["END"]},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#,
    );
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.unportable, None);
    assert_eq!((chat.max_tokens, chat.temperature, chat.top_p, chat.top_k), (Some(7), Some(0.5), Some(0.9), Some(5)));
    assert_eq!((chat.seed, chat.stop.as_slice(), chat.stream), (Some(3), ["END".to_owned()].as_slice(), false));
    assert!(matches!(chat.format, Some(Format::Json)));
    assert_eq!(chat.tools[0].name, "f");
}

#[test]
fn a_stream_is_the_default() {
    for (members, stream) in
        [("", true), (r#""stream":null"#, true), (r#""stream":true"#, true), (r#""stream":false"#, false)]
    {
        assert_eq!(decode(with(members).as_bytes(), &Bounds::default()).expect("valid").stream, stream, "{members}");
    }
}

#[test]
fn calls_get_ids_and_results_find_their_calls() {
    let body = r#"{"model":"m","messages":[
        {"role":"user","content":"x"},
        {"role":"assistant","content":"","thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},
            {"function":{"name":"g","arguments":{}}},{"id":"own","function":{"name":"f","arguments":{"a":2}}}]},
        {"role":"tool","tool_name":"g","content":"G"},
        {"role":"tool","content":"F"},
        {"role":"tool","tool_call_id":"own","content":"O"}]}"#;
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.unportable, None);
    let calls: Vec<_> = chat.messages[1]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => (call.id.as_str(), call.name.as_str(), call.arguments.as_str()),
            _ => ("", "", ""),
        })
        .collect();
    assert_eq!(calls, [("call_0", "f", r#"{"a":1}"#), ("call_1", "g", "{}"), ("own", "f", r#"{"a":2}"#)]);
    let results: Vec<_> = chat.messages[2..]
        .iter()
        .map(|message| match &message.parts[0] {
            Part::ToolResult { call_id, name, text, .. } => (call_id.as_str(), name.as_deref(), text.as_str()),
            _ => ("", None, ""),
        })
        .collect();
    assert_eq!(results, [("call_1", Some("g"), "G"), ("call_0", Some("f"), "F"), ("own", Some("f"), "O")]);
}

#[test]
fn pictures_come_before_words() {
    let body = r#"{"model":"m","messages":[{"role":"User","content":"what?","images":["AAAA"]}]}"#;
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.messages[0].role, Role::User);
    assert!(matches!(chat.messages[0].parts.as_slice(), [Part::Image(_), Part::Text(_)]));
}

#[test]
fn what_is_wrong_is_named() {
    for (body, sentence) in [
        (r#"{"model":"m"}"#.to_owned(), "messages is missing; an array is expected"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[]}]}"#.to_owned(),
            "messages[0].content is an array; a string is expected",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","images":[3]}]}"#.to_owned(),
            "messages[0].images[0] is a number; a string is expected",
        ),
        (with(r#""format":"yaml""#), "format is an unknown word; `json` or a JSON schema is expected"),
        (with(r#""format":3"#), "format is a number; `json` or a JSON schema is expected"),
        (with(r#""options":{"temperature":-1}"#), "options.temperature is -1; a number from 0 to"),
        (
            with(r#""options":{"num_predict":"5"}"#),
            "options.num_predict is a string; a whole number of at least -2 is expected",
        ),
        (with(r#""options":{"seed":1,"seed":2}"#), "options.seed appears twice; it may appear once"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function is missing; an object is expected"),
    ] {
        let refusal = decode(body.as_bytes(), &Bounds::default()).expect_err(&body).to_string();
        assert!(refusal.starts_with(sentence), "{body}: {refusal}");
    }
}

#[test]
fn what_only_this_dialect_says_is_noted_and_kept() {
    for (members, path) in [
        (r#""think":true"#, "think"),
        (r#""raw":true"#, "raw"),
        (r#""template":"x""#, "template"),
        (r#""options":{"num_ctx":4096}"#, "options.num_ctx"),
        (r#""options":{"num_predict":-2}"#, "options.num_predict"),
        (r#""options":{"temperature":2.5}"#, "options.temperature"),
        (r#""options":{"temperature":1,"mirostat":1}"#, "options.mirostat"),
    ] {
        let chat = decode(with(members).as_bytes(), &Bounds::default()).expect(members);
        assert_eq!(chat.unportable.as_deref(), Some(path), "{members}");
    }
    let silent = with(
        r#""raw":false,"template":"","keep_alive":"5m","think":false,"format":"","options":{"num_predict":-1,"num_ctx":null}"#,
    );
    let chat = decode(silent.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!((chat.unportable, chat.max_tokens), (None, None));
}
