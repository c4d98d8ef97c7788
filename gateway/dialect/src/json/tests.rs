use proptest::prelude::*;

use super::*;

fn refusal(bytes: &[u8]) -> String {
    body(bytes).expect_err("must be refused").to_string()
}

const ANY: Most<'_> = Most { what: "element", limit: usize::MAX, left: usize::MAX };

#[test]
fn bodies_that_are_not_objects_are_refused_with_the_place() {
    for (input, sentence) in [
        (&b""[..], "the body is empty; a JSON object is expected"),
        (b" \n", "the body is empty; a JSON object is expected"),
        (b"{\"a\":\"\xff\"}", "the body is not UTF-8 at byte 6; JSON is expected"),
        (b"[1]", "the body is an array; an object is expected"),
        (b"null", "the body is null; an object is expected"),
        (b"{\"a\":1", "the body is not valid JSON: EOF while parsing an object at line 1 column 6"),
        (b"{\"a\":\n secret}", "the body is not valid JSON: expected value at line 2 column 2"),
        (b"{} {}", "the body is not valid JSON: trailing characters at line 1 column 4"),
        (b"{\"a\":1,\"b\":2,\"a\":3}", "a appears twice; it may appear once"),
        (b"{\"a\":1,\"\\u0061\":3}", "a appears twice; it may appear once"),
        (b"{a:1}", "the body is not valid JSON: key must be a string at line 1 column 2"),
    ] {
        assert_eq!(refusal(input), sentence, "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn depth_is_counted_outside_strings() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(body(nested(64).as_bytes()).is_ok());
    assert_eq!(
        refusal(nested(65).as_bytes()),
        "the body is nested more than 64 levels deep at byte 68; at most 64 are allowed"
    );
    let text = format!(r#"{{"a":"\"\\{}"}}"#, "[".repeat(100));
    assert!(body(text.as_bytes()).is_ok());
    // A hostile body costs one pass and no recursion.
    assert!(refusal("[".repeat(1_000_000).as_bytes()).contains("at byte 64;"));
}

#[test]
fn duplicates_are_found_among_many_members_too() {
    let many = |last: &str| {
        let members: Vec<_> = (0..4000).map(|n| format!("\"k{n}\":0")).collect();
        format!("{{{},\"{last}\":1}}", members.join(","))
    };
    assert!(body(many("new").as_bytes()).is_ok());
    assert_eq!(refusal(many("k17").as_bytes()), "k17 appears twice; it may appear once");
}

#[test]
fn objects_come_one_after_the_other_up_to_the_first_that_is_refused() {
    let opened = |input: &str| {
        let body = format!(r#"{{"m":{input}}}"#);
        let fields = super::body(body.as_bytes()).expect("valid");
        let mut seen = Vec::new();
        let outcome = objects(&Path::top("m"), fields.get("m").expect("there"), |path, fields| {
            let name = required_string(path, fields, "n")?;
            seen.push(name);
            Ok(())
        });
        (seen.concat(), outcome.err().map(|error| error.to_string()))
    };
    for (input, seen, refused) in [
        ("[]", "", None),
        (r#"[{"n":"a"}, {"n":"b","x":[{}]} ]"#, "ab", None),
        (r#"{"n":"a"}"#, "", Some("m is an object; an array is expected")),
        (r#"[{"n":"a"},[],{"n":1}]"#, "a", Some("m[1] is an array; an object is expected")),
        (r#"[{"n":"a"},{"n":1},[]]"#, "a", Some("m[1].n is a number; a string is expected")),
        (r#"[{"n":"a"},{"n":"b","n":"c"}]"#, "a", Some("m[1].n appears twice; it may appear once")),
        (
            r#"[{"n":"a"},{"\ud800":1}]"#,
            "a",
            Some("m[1] has a \\u escape that is half of a surrogate pair; both halves are expected"),
        ),
    ] {
        assert_eq!(opened(input), (seen.to_owned(), refused.map(str::to_owned)), "{input}");
    }
}

#[test]
fn getters_name_path_found_and_expected() {
    let input =
        br#"{"s":"a\n","n":1.5,"i":3e0,"b":true,"z":null,"big":1e999,"o":{"x":1,"x":2},"u":"\ud800","a":[1,"x"]}"#;
    let fields = body(input).expect("valid");
    let outer = Path::top("m");
    let path = outer.index(2);
    let path = path.key("c");
    let at = |key: &str| fields.iter().find(|(k, _)| *k == key).expect("there").1;

    assert_eq!(string(&path, at("s")).expect("a string"), "a\n");
    assert_eq!(number(&path, at("n"), 0.0..=2.0), Ok(1.5));
    assert_eq!(integer(&path, at("i"), 1..=5), Ok(3));
    assert_eq!(boolean(&path, at("b")), Ok(true));
    assert_eq!(array(&path, at("a"), ANY).expect("an array").len(), 2);
    assert!(fields.get("z").is_none());

    let sentences = [
        (string(&path, at("n")).map(drop), "m[2].c is a number; a string is expected"),
        (
            string(&path, at("u")).map(drop),
            "m[2].c has a \\u escape that is half of a surrogate pair; both halves are expected",
        ),
        (number(&path, at("n"), 0.0..=1.0).map(drop), "m[2].c is 1.5; a number from 0 to 1 is expected"),
        (number(&path, at("big"), 0.0..=1.0).map(drop), "m[2].c is 1e999; a number from 0 to 1 is expected"),
        (number(&path, at("s"), 0.0..=1.0).map(drop), "m[2].c is a string; a number from 0 to 1 is expected"),
        (integer(&path, at("n"), 1..=5).map(drop), "m[2].c is 1.5; a whole number from 1 to 5 is expected"),
        (count(&path, at("i"), 4).map(drop), "m[2].c is 3e0; a whole number of at least 4 is expected"),
        (boolean(&path, at("z")).map(drop), "m[2].c is null; a boolean is expected"),
        (array(&path, at("o"), ANY).map(drop), "m[2].c is an object; an array is expected"),
        (object(&path, at("a")).map(drop), "m[2].c is an array; an object is expected"),
        (object(&path, at("o")).map(drop), "m[2].c.x appears twice; it may appear once"),
    ];
    for (result, sentence) in sentences {
        assert_eq!(result.expect_err(sentence).to_string(), sentence);
    }
}

#[test]
fn lists_and_objects_are_bounded_while_they_are_read() {
    let many = format!("[{}1]", "0,".repeat(100_000));
    let raw: &RawValue = serde_json::from_str(&many).expect("an array");
    let (kept, more) = list::first(raw, 10).expect("an array");
    assert!(kept.len() == 10 && kept.capacity() < 100 && more == 99_991);
    let of = |raw: &RawValue| {
        length(&Path::top("m"), raw).map(|(first, count)| (first.map(|raw| raw.get().to_owned()), count))
    };
    assert_eq!(of(raw), Ok((Some("0".into()), 100_001)));
    let path = Path::top("m");
    let most = |left| Most { what: "part", limit: 16, left };
    let refused = array(&path, raw, most(10)).expect_err("too many");
    assert_eq!(refused.to_string(), BadRequest::too_many(&path.index(10), "part", 16).to_string());
    assert!(refused.is_too_large());
    assert_eq!(array(&path, raw, most(100_001)).expect("as many as there may be").len(), 100_001);

    let object = |members: usize| {
        let members: Vec<String> = (0..members).map(|at| format!("\"k{at}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(body(object(MAX_MEMBERS).as_bytes()).expect("as many as there may be").len(), MAX_MEMBERS);
    let refused = body(object(100_000).as_bytes()).expect_err("too many").to_string();
    assert_eq!(refused, "the body has too many members; at most 4096 are expected");
    let text = object(100_000);
    let fields: Fields<'_> = serde_json::from_str(&text).expect("an object");
    assert!(fields.0.capacity() < 4 * MAX_MEMBERS, "{}", fields.0.capacity());
}

#[test]
fn unknown_keys_appear_short_and_harmless() {
    let key = format!("<b>\n{}", "x".repeat(100));
    let shown = Path::top(&key).to_string();
    assert_eq!(shown, format!("?b??{}…", "x".repeat(36)));
}

proptest! {
    #[test]
    fn junk_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = body(&bytes);
    }

    #[test]
    fn json_like_junk_never_panics(text in r#"[{}\[\]",:\\u0-9a-f \n]{0,80}"#) {
        if let Ok(fields) = body(text.as_bytes()) {
            for (key, raw) in fields.iter() {
                let path = Path::top(key);
                let _ = (string(&path, raw), number(&path, raw, 0.0..=1.0), integer(&path, raw, 0..=9));
                let _ = (array(&path, raw, ANY), object(&path, raw), boolean(&path, raw));
            }
        }
    }
}
