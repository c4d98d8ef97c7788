use serde::de::DeserializeOwned;

use super::*;

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("any JSON is read")
}

#[test]
fn counts_are_read_in_any_form_and_impossible_ones_are_passed_over() {
    for (text, count) in [
        ("5", Some(5)),
        ("0", Some(0)),
        ("5.0", Some(5)),
        ("5.9", Some(5)),
        ("1e3", Some(1000)),
        ("\"7\"", Some(7)),
        ("-35", None),
        ("-0.5", None),
        ("18446744073709551615", None),
        ("1e999", None),
        ("null", None),
        ("true", None),
        ("\"many\"", None),
        ("\"NaN\"", None),
        ("[5]", None),
        ("{\"n\":5}", None),
    ] {
        assert_eq!(read::<Count>(text).0, count, "{text}");
    }
}

#[test]
fn content_is_read_as_text_as_a_part_and_as_parts() {
    let of =
        |text: &str, thinking: &str| Content { text: text.into(), thinking: thinking.into(), ..Content::default() };
    for (json, content) in [
        (r#""Hi""#, of("Hi", "")),
        ("null", of("", "")),
        (r#"[]"#, of("", "")),
        (r#"["H",{"type":"text","text":"i"}]"#, of("Hi", "")),
        (r#"{"type":"text","text":"Hi"}"#, of("Hi", "")),
        (r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},"Hi"]"#, of("Hi", "hm")),
        (r#"[{"type":"reasoning","text":"hm"},{"type":"output_text","text":"Hi"}]"#, of("Hi", "hm")),
        (r#"{"type":"text","text":{"value":"Hi","annotations":[]}}"#, of("Hi", "")),
        (r#"[{"type":"thing","content":"Hi"}]"#, of("Hi", "")),
    ] {
        assert_eq!(read::<Content>(json), content, "{json}");
    }
    assert!(read::<Content>("5").unreadable && read::<Content>("[true]").unreadable);
    assert!(read::<Content>(r#"[{"type":"image_url","image_url":{"url":"data:"}}]"#).other > 0);
}

#[test]
fn what_is_not_standard_json_is_made_so() {
    for (text, fixed) in [
        (r#"{"a":NaN,"b":[-Infinity,Infinity]}"#, Some(r#"{"a":null,"b":[null,null]}"#)),
        (r#"{"a":"\ud83d x"}"#, Some("{\"a\":\"\u{fffd} x\"}")),
        (r#"{"a":"\ude00"}"#, Some("{\"a\":\"\u{fffd}\"}")),
        (r#"{"a":"\ud83d\ude00 \\ud83d NaN \""}"#, None),
        (r#"{"a":-1,"b":"Infinity"}"#, None),
    ] {
        assert_eq!(repaired(text.as_bytes()).as_deref(), fixed.map(str::as_bytes), "{text}");
    }
    assert_eq!(repaired(b"{\"a\":\"\xff\"}").as_deref(), Some("{\"a\":\"\u{fffd}\"}".as_bytes()));
}

#[test]
fn an_object_takes_the_last_of_two_members_and_any_other_value() {
    object! {
        struct Thing {
            "n" n: Count,
            "list" list: Many<Element>,
            ..other
        }
    }
    object! { struct Element { "a" a: Count, } }
    let one: Thing = read(r#"{"list":{"a":7}}"#);
    assert_eq!(one.list.0[0].a.0, Some(7));
    let thing: Thing = read(r#"{"n":1,"list":5,"n":2,"x":"text","y":null,"z":7}"#);
    assert_eq!((thing.n.0, thing.list.0.len(), thing.other.has_content), (Some(2), 0, true));
    for odd in ["null", "5", "\"x\"", "[1]", "true", "{\"list\":{\"a\":1}}"] {
        assert_eq!(read::<Thing>(odd).n.0, None, "{odd}");
    }
}
