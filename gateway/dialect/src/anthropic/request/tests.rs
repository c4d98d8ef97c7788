use super::*;
use crate::chat::{Image, Part};
use crate::fields::Hints;

fn with(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"model":"auto","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]{comma}{members}}}"#)
}

fn user(content: &str) -> String {
    format!(r#"{{"model":"auto","max_tokens":9,"messages":[{{"role":"user","content":{content}}}]}}"#)
}

#[test]
fn every_known_field_is_read() {
    let body = with(
        r#""system":[{"type":"text","text":"be"},{"type":"text","text":"kind"}],"temperature":0.5,"top_p":0.9,"top_k":5,
        "stop_sequences":["END"],"stream":true,"metadata":{"user_id":"u1"},
        "tool_choice":{"type":"any","disable_parallel_tool_use":true},
        "tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],
        "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}"#,
    );
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.unportable, None);
    assert_eq!(chat.messages[0].role, Role::System);
    assert_eq!(chat.messages[0].parts.len(), 2);
    assert_eq!((chat.max_tokens, chat.temperature, chat.top_p, chat.top_k), (Some(9), Some(0.5), Some(0.9), Some(5)));
    assert_eq!((chat.tool_choice, chat.parallel_tool_calls), (Some(ToolChoice::Required), Some(false)));
    assert_eq!((chat.user.as_deref(), chat.stop.as_slice()), (Some("u1"), ["END".to_owned()].as_slice()));
    assert!(chat.stream && chat.include_usage);
    assert!(matches!(chat.format, Some(Format::Schema { strict: Some(true), .. })));
}

#[test]
fn tool_results_become_messages_of_their_own_in_their_order() {
    let body = user(
        r#"[{"type":"tool_result","tool_use_id":"a","content":"1"},
        {"type":"tool_result","tool_use_id":"b","is_error":true,"content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]},
        {"type":"text","text":"so?"},{"type":"image","source":{"type":"url","url":"https://x/a.png"}}]"#,
    );
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    let roles: Vec<_> = chat.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::Tool, Role::Tool, Role::User]);
    let result = |call_id: &str, text: &str, is_error| Part::ToolResult {
        call_id: call_id.to_owned(),
        name: None,
        text: text.to_owned(),
        images: Vec::new(),
        is_error,
    };
    assert_eq!(chat.messages[0].parts, [result("a", "1", false)]);
    assert_eq!(chat.messages[1].parts, [result("b", "x\ny", true)]);
    assert_eq!(chat.messages[2].parts[1], Part::Image(Image::Url("https://x/a.png".to_owned())));
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
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#.to_owned(),
            "max_tokens is missing; a whole number of at least 1 is expected",
        ),
        (
            r#"{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"x"}]}"#.to_owned(),
            "max_tokens is 0; a whole number of at least 1 is expected",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[]}"#.to_owned(),
            "messages is empty; at least one message is expected",
        ),
        (with(r#""temperature":1.5"#), "temperature is 1.5; a number from 0 to 1 is expected"),
        (with(r#""system":3"#), "system is a number; a string or an array is expected"),
        (with(r#""tools":[{"name":"f"}]"#), "tools[0].input_schema is missing; an object is expected"),
        (
            with(r#""tool_choice":{"type":"x"}"#),
            "tool_choice.type is an unknown word; `auto`, `any`, `tool` or `none` is expected",
        ),
        (with(r#""tool_choice":{"type":"tool"}"#), "tool_choice.name is missing; a string is expected"),
        (with(r#""thinking":true"#), "thinking is a boolean; an object is expected"),
        (user("null"), "messages[0].content is missing; a string or an array is expected"),
        (user(r#"[{"text":"x"}]"#), "messages[0].content[0].type is missing; a string is expected"),
        (user(r#"[{"type":"text"}]"#), "messages[0].content[0].text is missing; a string is expected"),
        (
            user(r#"[{"type":"image","source":{"type":"base64","data":"AA"}}]"#),
            "messages[0].content[0].source.media_type is missing; a string is expected",
        ),
        (
            user(r#"[{"type":"tool_use","id":"a","name":"f","input":3}]"#),
            "messages[0].content[0].input is a number; a string or an object is expected",
        ),
        (
            user(r#"[{"type":"tool_result","tool_use_id":"a","is_error":"no"}]"#),
            "messages[0].content[0].is_error is a string; a boolean is expected",
        ),
    ] {
        assert_eq!(wrong_with(&body), sentence, "{body}");
    }
}

#[test]
fn content_of_this_dialect_alone_is_noted_by_its_path() {
    for (body, path) in [
        (with(r#""container":"c""#), "container"),
        (with(r#""mcp_servers":[{"url":"https://x"}]"#), "mcp_servers"),
        (with(r#""inference_geo":"us""#), "inference_geo"),
        (with(r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#), "tools[0].type"),
        (user(r#"[{"type":"document","source":{"type":"base64","data":"AA"}}]"#), "messages[0].content[0].type"),
        (user(r#"[{"type":"brand_new"}]"#), "messages[0].content[0].type"),
        (user(r#"[{"type":"image","source":{"type":"file","file_id":"f"}}]"#), "messages[0].content[0].source.type"),
        (
            user(r#"[{"type":"tool_result","tool_use_id":"a","content":[{"type":"search_result"}]}]"#),
            "messages[0].content[0].content[0].type",
        ),
    ] {
        let chat = decode(body.as_bytes(), &Bounds::default()).expect(&body);
        assert_eq!(chat.unportable.as_deref(), Some(path), "{body}");
    }
}

#[test]
fn hints_of_this_dialect_alone_are_noted_and_keep_no_backend_out() {
    for (body, hint, names) in [
        (with(r#""context_management":{"edits":[]}"#), Hint::ContextManagement, vec![]),
        (with(r#""thinking":{"type":"brand_new"}"#), Hint::Thinking, vec![]),
        (with(r#""service_tier":"standard_only""#), Hint::ServiceTier, vec!["service_tier"]),
        (with(r#""speed":"fast""#), Hint::ServiceTier, vec!["speed"]),
        (with(r#""metadata":{"team":"a"}"#), Hint::Metadata, vec!["metadata.team"]),
        (with(r#""output_config":{"effort":"extreme"}"#), Hint::Effort, vec![]),
        (with(r#""brand_new":{"x":1}"#), Hint::Other, vec!["brand_new"]),
        (
            with(
                r#""tools":[{"name":"f","input_schema":{},"defer_loading":true},{"name":"g","input_schema":{},"defer_loading":true}]"#,
            ),
            Hint::ToolLoading,
            vec!["tools[].defer_loading"],
        ),
        (user(r#"[{"type":"text","text":"x","citations":[{}]}]"#), Hint::Citations, vec![]),
        (user(r#"[{"type":"redacted_thinking","data":"x"}]"#), Hint::Reasoning, vec![]),
    ] {
        let chat = decode(body.as_bytes(), &Bounds::default()).expect(&body);
        assert_eq!((chat.unportable, chat.unread), (None, Hints::default().with(hint)), "{body}");
        assert_eq!(chat.unread_names, names, "{body}");
    }
}

#[test]
fn thinking_and_effort_are_read() {
    for (members, thinking, effort, word) in [
        (r#""thinking":{"type":"disabled"}"#, None, None, None),
        (r#""thinking":{"type":"adaptive"}"#, Some(Thinking::Adaptive), None, None),
        (
            r#""thinking":{"type":"enabled","budget_tokens":1024}"#,
            Some(Thinking::Budget(1024)),
            None,
            Some(Effort::Low),
        ),
        (
            r#""thinking":{"type":"enabled","budget_tokens":31999}"#,
            Some(Thinking::Budget(31999)),
            None,
            Some(Effort::High),
        ),
        (r#""output_config":{"effort":"max"}"#, None, Some(Effort::Max), Some(Effort::Max)),
    ] {
        let chat = decode(with(members).as_bytes(), &Bounds::default()).expect(members);
        assert_eq!((chat.thinking, chat.effort, chat.effort()), (thinking, effort, word), "{members}");
        assert_eq!((chat.unportable, chat.unread), (None, Hints::default()), "{members}");
    }
}

#[test]
fn results_come_before_the_rest_of_their_turn_and_keep_their_images() {
    let body = user(
        r#"[{"type":"text","text":"so?"},{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"},
        {"type":"image","source":{"type":"url","url":"https://x/a.png"}}]}]"#,
    );
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    let roles: Vec<_> = chat.messages.iter().map(|m| m.role).collect();
    assert_eq!((roles.as_slice(), chat.images()), ([Role::Tool, Role::User].as_slice(), 1));
    let document =
        user(r#"[{"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"words"}}]"#);
    let chat = decode(document.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.messages[0].parts, [Part::Text("T\nwords".to_owned())]);
}

#[test]
fn what_changes_no_answer_is_not_noted() {
    let body = r#"{"model":"m","max_tokens":1,"thinking":{"type":"disabled"},"service_tier":"auto","tools":null,
        "messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
        {"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"x"},
        {"type":"text","text":"y","citations":null},
        {"type":"tool_use","id":"a","name":"f","input":{"b": 1},"caller":{"type":"direct"}}]}]}"#;
    let chat = decode(body.as_bytes(), &Bounds::default()).expect("valid");
    assert_eq!(chat.unportable, None);
    assert_eq!(chat.messages[1].parts.len(), 3);
    assert!(matches!(&chat.messages[1].parts[2], Part::ToolCall(call) if call.arguments == r#"{"b": 1}"#));
}

#[test]
fn marks_of_what_to_cache_keep_no_backend_out() {
    let marked = r#"{"type":"ephemeral"}"#;
    for body in [
        with(&format!(r#""cache_control":{marked}"#)),
        with(&format!(r#""system":[{{"type":"text","text":"x","cache_control":{marked}}}]"#)),
        with(&format!(r#""tools":[{{"name":"f","input_schema":{{}},"cache_control":{marked}}}]"#)),
        user(&format!(r#"[{{"type":"text","text":"x","cache_control":{marked}}}]"#)),
    ] {
        assert_eq!(decode(body.as_bytes(), &Bounds::default()).expect(&body).unportable, None, "{body}");
    }
}
