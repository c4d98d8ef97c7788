use super::*;
use crate::chat::{Part, Role};
use crate::fields::Hints;

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
    assert_eq!(chat.messages[1].parts[0], Part::Reasoning("hm".to_owned()));
    let calls: Vec<_> = chat.messages[1].parts[1..]
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
    let body = r#"{"model":"m","messages":[{"role":"user","images":["data:image/png;base64,AAAA"]}]}"#;
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    let image = crate::chat::Image::Base64 { media_type: Some("image/png".to_owned()), data: "AAAA".to_owned() };
    assert_eq!(chat.messages[0].parts, [Part::Image(image)]);
}

/// What is wrong with a body: it is refused, or kept out of the other dialects.
fn wrong_with(body: &str) -> String {
    let read = decode(body.as_bytes(), &Bounds::default());
    let wrong = read.map_or_else(Some, |chat| chat.misread.filter(|_| chat.unportable.is_some()));
    wrong.expect(body).to_string()
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
        let refusal = wrong_with(&body);
        assert!(refusal.starts_with(sentence), "{body}: {refusal}");
    }
}

#[test]
fn content_of_this_dialect_alone_is_noted_by_its_path() {
    for (members, path) in
        [(r#""raw":true"#, "raw"), (r#""template":"x""#, "template"), (r#""logprobs":true"#, "logprobs")]
    {
        let chat = decode(with(members).as_bytes(), &Bounds::default()).expect(members);
        assert_eq!(chat.unportable.as_deref(), Some(path), "{members}");
    }
}

#[test]
fn hints_of_this_dialect_alone_are_noted_and_keep_no_backend_out() {
    for (members, hint, names) in [
        (r#""keep_alive":"5m""#, Hint::KeepAlive, vec![]),
        (r#""options":{"num_ctx":4096,"temperature":1}"#, Hint::ServerOptions, vec!["options.num_ctx"]),
        (r#""options":{"mirostat":1}"#, Hint::ServerOptions, vec!["options.mirostat"]),
        (r#""options":{"num_predict":-2}"#, Hint::OutputLimit, vec![]),
        (r#""think":"brand_new""#, Hint::Effort, vec![]),
        (r#""truncate":true"#, Hint::ContextManagement, vec!["truncate"]),
        (r#""brand_new":1"#, Hint::Other, vec!["brand_new"]),
    ] {
        let chat = decode(with(members).as_bytes(), &Bounds::default()).expect(members);
        assert_eq!((chat.unportable, chat.unread), (None, Hints::default().with(hint)), "{members}");
        assert_eq!(chat.unread_names, names, "{members}");
    }
    let silent = with(
        r#""raw":false,"template":"","format":"","options":{"num_predict":-1,"num_ctx":null,"presence_penalty":0}"#,
    );
    let chat = decode(silent.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!((chat.unportable, chat.unread, chat.max_tokens), (None, Hints::default(), None));
}

#[test]
fn how_much_a_model_thinks_is_read() {
    for (value, thinking, effort) in [
        ("true", Some(Thinking::On), None),
        ("false", Some(Thinking::Off), None),
        (r#""high""#, None, Some(Effort::High)),
    ] {
        let chat = decode(with(&format!(r#""think":{value}"#)).as_bytes(), &Bounds::default()).expect(value);
        assert_eq!((chat.thinking, chat.effort), (thinking, effort), "{value}");
    }
    let chat = decode(with(r#""options":{"temperature":2.5}"#).as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.temperature, Some(2.5));
}
