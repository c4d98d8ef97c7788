use super::*;
use crate::chat::{Part, Role};
use crate::fields::Hints;

fn with(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"hi"}}]{comma}{members}}}"#)
}

fn message(message: &str) -> String {
    format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"hi"}},{message}]}}"#)
}

#[test]
fn every_known_field_is_read() {
    let body = with(
        r#""max_completion_tokens":7,"temperature":1.5,"top_p":0.5,"top_k":40,"stop":"END","seed":-3,"stream":true,
        "stream_options":{"include_usage":true,"include_obfuscation":false},"user":"u1","parallel_tool_calls":false,
        "tool_choice":{"type":"function","function":{"name":"f"}},
        "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}"#,
    );
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.unportable, None);
    assert_eq!((chat.max_tokens, chat.temperature, chat.top_p, chat.top_k), (Some(7), Some(1.5), Some(0.5), Some(40)));
    assert_eq!((chat.stop.as_slice(), chat.seed), (["END".to_owned()].as_slice(), Some(-3)));
    assert!(chat.stream && chat.include_usage);
    assert_eq!(chat.user.as_deref(), Some("u1"));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert_eq!(chat.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!((chat.tools[0].name.as_str(), chat.tools[0].strict), ("f", Some(true)));
    assert!(matches!(&chat.format, Some(Format::Schema { strict: Some(true), .. })));
    assert_eq!(chat.raw.len(), 15);
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
        ("{}".to_owned(), "model is missing; a string is expected"),
        (r#"{"model":"m"}"#.to_owned(), "messages is missing; an array is expected"),
        (r#"{"model":null,"messages":[]}"#.to_owned(), "model is null; a string is expected"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), "messages is empty; at least one message is expected"),
        (r#"{"model":"m","messages":{}}"#.to_owned(), "messages is an object; an array is expected"),
        (with(r#""temperature":3"#), "temperature is 3; a number from 0 to 2 is expected"),
        (with(r#""temperature":"hot""#), "temperature is a string; a number from 0 to 2 is expected"),
        (with(r#""max_tokens":0"#), "max_tokens is 0; a whole number of at least 1 is expected"),
        (with(r#""max_tokens":1.5"#), "max_tokens is 1.5; a whole number of at least 1 is expected"),
        (
            with(r#""max_tokens":5,"max_completion_tokens":6"#),
            "max_tokens and max_completion_tokens differ; one of them is expected",
        ),
        (with(r#""stop":[1]"#), "stop[0] is a number; a string is expected"),
        (with(r#""stop":7"#), "stop is a number; a string or an array of strings is expected"),
        (with(r#""stream":"yes""#), "stream is a string; a boolean is expected"),
        (with(r#""stream_options":[]"#), "stream_options is an array; an object is expected"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function is missing; an object is expected"),
        (with(r#""tools":[{"function":{}}]"#), "tools[0].function.name is missing; a string is expected"),
        (
            with(r#""tool_choice":"maybe""#),
            "tool_choice is an unknown word; `none`, `auto`, `required` or an object is expected",
        ),
        (with(r#""user":"a","user":"b""#), "user appears twice; it may appear once"),
        (message("3"), "messages[1] is a number; an object is expected"),
        (message("{}"), "messages[1].role is missing; a string is expected"),
        (message(r#"{"role":"user"}"#), "messages[1].content is missing; a string or an array is expected"),
        (
            message(r#"{"role":"user","content":5}"#),
            "messages[1].content is a number; a string or an array is expected",
        ),
        (
            message(r#"{"role":"robot","content":"x"}"#),
            "messages[1].role is an unknown word; `system`, `developer`, `user`, `assistant` or `tool` is expected",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"text","text":4}]}"#),
            "messages[1].content[0].text is a number; a string is expected",
        ),
        (
            message(r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#),
            "messages[1].content[0].image_url.url is missing; a string is expected",
        ),
        (message(r#"{"role":"tool","content":"x"}"#), "messages[1].tool_call_id is missing; a string is expected"),
        (
            message(
                r#"{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":""}}]}"#,
            ),
            "messages[1].tool_calls[0].id is missing; a string is expected",
        ),
        (
            message(
                r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":3}}]}"#,
            ),
            "messages[1].tool_calls[0].function.arguments is a number; a string or an object is expected",
        ),
        (
            message(r#"{"role":"assistant","content":[{"type":"text","text":"a","text":"b"}]}"#),
            "messages[1].content[0].text appears twice; it may appear once",
        ),
    ] {
        assert_eq!(wrong_with(&body), sentence, "{body}");
    }
}

#[test]
fn content_of_this_dialect_alone_is_noted_by_its_path() {
    for (body, path) in [
        (with(r#""logprobs":true"#), "logprobs"),
        (with(r#""n":2"#), "n"),
        (with(r#""reasoning_effort":"low","n":2"#), "n"),
        (with(r#""functions":[{"name":"f"}]"#), "functions"),
        (with(r#""web_search_options":{}"#), "web_search_options"),
        (with(r#""modalities":["text","audio"]"#), "modalities"),
        (with(r#""tools":[{"type":"custom","custom":{"name":"x"}}]"#), "tools[0].type"),
        (with(r#""tool_choice":{"type":"custom","custom":{"name":"x"}}"#), "tool_choice"),
        (with(r#""response_format":{"type":"grammar","grammar":"x"}"#), "response_format.type"),
        (
            message(r#"{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}"#),
            "messages[1].content[0].type",
        ),
        (message(r#"{"role":"user","content":[{"type":"file","file":{}}]}"#), "messages[1].content[0].type"),
        (message(r#"{"role":"assistant","audio":{"id":"a"}}"#), "messages[1].audio"),
        (
            message(r#"{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{}}]}"#),
            "messages[1].tool_calls[0].type",
        ),
    ] {
        let chat = decode(body.as_bytes(), &Bounds::default()).expect(&body);
        assert_eq!(chat.unportable.as_deref(), Some(path), "{body}");
    }
}

#[test]
fn hints_of_this_dialect_alone_are_noted_and_keep_no_backend_out() {
    for (body, hint, names) in [
        (with(r#""store":true"#), Hint::Store, vec![]),
        (with(r#""logit_bias":{"5":1}"#), Hint::LogitBias, vec![]),
        (with(r#""verbosity":"low""#), Hint::Verbosity, vec![]),
        (with(r#""service_tier":"flex""#), Hint::ServiceTier, vec![]),
        (with(r#""reasoning_effort":"brand_new""#), Hint::Effort, vec![]),
        (with(r#""prompt_cache_key":"k""#), Hint::CacheControl, vec!["prompt_cache_key"]),
        (with(r#""min_p":0.1"#), Hint::ServerOptions, vec!["min_p"]),
        (with(r#""brand_new":{"x":1}"#), Hint::Other, vec!["brand_new"]),
        (message(r#"{"role":"user","content":"x","name":"Ann"}"#), Hint::Name, vec![]),
        (
            message(
                r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x","detail":"high"}}]}"#,
            ),
            Hint::Detail,
            vec![],
        ),
        (message(r#"{"role":"user","content":"x","brand_new":1}"#), Hint::Other, vec!["messages[1].brand_new"]),
    ] {
        let chat = decode(body.as_bytes(), &Bounds::default()).expect(&body);
        assert_eq!((chat.unportable, chat.unread), (None, Hints::default().with(hint)), "{body}");
        assert_eq!(chat.unread_names, names, "{body}");
    }
}

#[test]
fn what_sdks_write_into_messages_is_read() {
    let arguments = |chat: &Chat| match &chat.messages[1].parts[..] {
        [Part::ToolCall(call)] => call.arguments.clone(),
        parts => panic!("{parts:?}"),
    };
    for (written, read) in [(r#"{"a": 1}"#, r#"{"a": 1}"#), (r#""{\"a\":1}""#, r#"{"a":1}"#), (r#""""#, "")] {
        let call = format!(r#"{{"id":"a","type":"function","function":{{"name":"f","arguments":{written}}}}}"#);
        let body = message(&format!(r#"{{"role":"assistant","content":null,"tool_calls":[{call}]}}"#));
        assert_eq!(arguments(&decode(body.as_bytes(), &Bounds::default()).expect(&body)), read);
    }
    for silent in [
        r#"{"role":"assistant","content":null}"#,
        r#"{"role":"assistant","tool_calls":[]}"#,
        r#"{"role":"user","content":null,"tool_calls":[]}"#,
        r#"{"role":"user","content":[]}"#,
    ] {
        let chat = decode(message(silent).as_bytes(), &Bounds::default()).expect(silent);
        assert_eq!(
            (chat.messages[1].parts.len(), chat.unportable, chat.unread),
            (0, None, Hints::default()),
            "{silent}"
        );
    }
    let older = r#"{"model":"m","messages":[{"role":"user","content":"x"},
        {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
        {"role":"function","name":"f","content":"1"}]}"#;
    let chat = decode(older.as_bytes(), &Bounds::default()).expect("valid");
    let (Part::ToolCall(call), Part::ToolResult { call_id, .. }) =
        (&chat.messages[1].parts[0], &chat.messages[2].parts[0])
    else {
        panic!("{:?}", chat.messages)
    };
    assert_eq!((chat.unportable, &call.id), (None, call_id));
}

#[test]
fn earlier_thinking_is_read_once_and_comes_first() {
    for (members, text) in [
        (r#""reasoning_content":"hm""#, "hm"),
        (r#""reasoning":"ah","reasoning_details":[{}]"#, "ah"),
        (r#""reasoning":"hm","reasoning_content":"hm""#, "hm"),
    ] {
        let body = message(&format!(r#"{{"role":"assistant","content":"x",{members}}}"#));
        let chat = decode(body.as_bytes(), &Bounds::default()).expect(members);
        let expected = [Part::Reasoning(text.to_owned()), Part::Text("x".to_owned())];
        assert_eq!((chat.messages[1].parts.as_slice(), chat.unportable), (expected.as_slice(), None), "{members}");
    }
}

#[test]
fn a_choice_among_some_tools_leaves_the_others_out() {
    let tool = |name: &str| format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#);
    let allowed = |mode: &str| {
        with(&format!(
            r#""tool_choice":{{"type":"allowed_tools","allowed_tools":{{"mode":"{mode}","tools":[{}]}}}},"tools":[{},{}]"#,
            tool("b"),
            tool("a"),
            tool("b")
        ))
    };
    for (mode, choice) in [("auto", ToolChoice::Auto), ("required", ToolChoice::Required)] {
        let chat = decode(allowed(mode).as_bytes(), &Bounds::default()).expect(mode);
        let names: Vec<_> = chat.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!((names.as_slice(), chat.tool_choice, chat.unportable), (["b"].as_slice(), Some(choice), None));
    }
}

#[test]
fn what_changes_no_answer_is_not_noted() {
    let body = with(
        r#""n":1,"logprobs":false,"top_logprobs":0,"store":false,"frequency_penalty":0,"presence_penalty":0.0,
        "logit_bias":{},"metadata":{},"service_tier":"auto","modalities":["text"],"verbosity":"medium",
        "safety_identifier":"s","reasoning_effort":null,"audio":null,"stop":null,"tools":null,
        "tool_choice":null,"response_format":{"type":"text"},"stream_options":null,"max_tokens":9,"max_completion_tokens":9"#,
    );
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!((chat.unportable, chat.unread), (None, Hints::default()));
    assert_eq!((chat.user.as_deref(), chat.max_tokens), (Some("s"), Some(9)));
    let echoed = message(
        r#"{"role":"assistant","content":null,"refusal":"No.","annotations":[],"audio":null,"function_call":null,
        "tool_calls":null,"parsed":{"a":1}}"#,
    );
    let chat = decode(echoed.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.unportable, None);
    assert_eq!(
        (chat.messages[1].role, &chat.messages[1].parts),
        (Role::Assistant, &vec![Part::Text("No.".to_owned())])
    );
}

#[test]
fn refusals_never_repeat_what_the_client_wrote() {
    for body in [
        with(r#""temperature":"SECRET""#),
        with(r#""tool_choice":"SECRET""#),
        message(r#"{"role":"SECRET","content":"SECRET"}"#),
        message(r#"{"role":"user","content":{"SECRET":"SECRET"}}"#),
        r#"{"model":"m","messages":"SECRET"#.to_owned(),
        r#"{"model":"m" SECRET}"#.to_owned(),
    ] {
        assert!(!wrong_with(&body).contains("SECRET"), "{body}");
    }
}
