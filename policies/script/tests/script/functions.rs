//! Each function of the reference.

use crate::{decision, plain, route, value_of};
use wasmgate_policy::testing::{candidate, cloud, request};
use wasmgate_policy::{Candidate, CostEstimate, Health, Request, Verdict};

#[test]
fn texts() {
    let table = [
        (r#"chars("né😀")"#, "3"),
        (r#"words("  one two\nthree ")"#, "3"),
        (r#"words("")"#, "0"),
        (r#"count_of("what? why??", "?")"#, "3"),
        (r#"count_of("aaa", "aa")"#, "1"),
        (r#"count_of("aaa", "")"#, "0"),
        (r#"has("Say WHAT IS it", "what is")"#, "true"),
        (r#"has("L’ÉTÉ", "été")"#, "true"),
        (r#"has("undefine", "define")"#, "true"),
        (r#"has("a", "b")"#, "false"),
        (r#"has("a", "")"#, "false"),
        ("has(\"RIS\u{212A} and SK\u{130}\", \"risk\")", "true"),
        ("has(\"RIS\u{212A} and SK\u{130}\", \"ski\")", "true"),
        (r#"has("η οδος", "ΟΔΟΣ")"#, "true"),
        (r#"has("“quoted”", "QUOTED”")"#, "true"),
        (r#"has_any("a;b", "{}[]();")"#, "true"),
        (r#"has_any("a", "")"#, "false"),
        (r#"has_any("a “b” é", "“”")"#, "true"),
        (r#"has_any("a", "“”")"#, "false"),
        (r#"has_word("def f", "def")"#, "true"),
        (r#"has_word("Def f", "def")"#, "false"),
        (r#"has_word("undef def_ édef def² def1", "def")"#, "false"),
        (r#"has_word("undef; def!", "def")"#, "true"),
        (r#"has_word("—def😀", "def")"#, "true"),
        (r#"has_word("aéa é", "é")"#, "true"),
        (r#"has_word("a", "")"#, "false"),
        (r#"keywords("Design the BUILDING", ["build", "x", "design", "Build"])"#, r#"["build", "design"]"#),
        (r#"keywords("ananas", ["nas", "ana", "anana", ""])"#, r#"["nas", "ana", "anana"]"#),
        (r#"whole_words("from class to classes", ["class", "from", "to", "classe"])"#, r#"["class", "from", "to"]"#),
        (r#"matches("order 66", "[0-9]{2}$")"#, "true"),
        (r#"matches("order", "^[0-9]")"#, "false"),
        (r#"matches("ORDER", "(?i)order")"#, "true"),
        (r#"code_blocks("```rust\nfn\n```\nand\n```\nx\n```\n ```Python3 x=1\n```")"#, r#"["rust", "", "python3"]"#),
        (r#"code_blocks("````md\n```js\n```\n````\n```c")"#, r#"["md", "c"]"#),
        (r#"code_blocks("```inline``` and `x`")"#, "[]"),
        ("fixed(0.375, 2)", "0.38"),
        ("fixed(-0.04, 1)", "0.0"),
        ("fixed(-0.1, 1)", "-0.1"),
        ("fixed(3, 2)", "3.00"),
        ("fixed(12.5, 0)", "13"),
    ];
    for (expression, expected) in table {
        assert_eq!(plain(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn texts_that_will_not_do() {
    let table = [
        (r#"keywords("a", [1])"#, "keywords: the list should hold texts, but has a whole number in it"),
        (r#"whole_words("a", [()])"#, "whole_words: the list should hold texts, but has nothing in it"),
        (r#"matches("a", "(")"#, "matches: not a regular expression: "),
        (r#"matches("a", "(\\d{1000}){1000}")"#, "matches: not a regular expression: "),
        ("fixed(0.0 / 0.0, 2)", "fixed: expected a finite number and 0 to 9 decimals"),
        ("fixed(1.0, 10)", "fixed: expected a finite number and 0 to 9 decimals"),
        (r#"has(1, "a")"#, "Function not found: has (i64, text)"),
    ];
    for (expression, expected) in table {
        let failed = plain(expression).expect_err(expression);
        let sentence = failed.split_once(": ").expect(&failed).1;
        assert!(failed.starts_with("line 1, column ") && sentence.starts_with(expected), "{expression}: {failed}");
    }
}

#[test]
fn more_patterns_than_are_kept() {
    let body = r#"let n = 0; for i in 0..100 { if matches(`${i % 50}`, `^${i}$`) { n += 1; } } deny("n", `${n}`)"#;
    let Ok(Verdict::Deny(denial)) = route(body, &request(""), &[]) else { panic!() };
    assert_eq!(denial.reason, "50");
}

/// From the dearest to the cheapest; one that is down, one without a price.
fn models() -> [Candidate<'static>; 4] {
    let unpriced = Candidate { price: None, health: Health::Down, ..candidate("unpriced") };
    let dear = cloud("dear", 9_000_000_000, 9_000_000_000);
    [unpriced, dear, cloud("cheap", 1_000_000_000, 1_000_000_000), candidate("free")]
}

#[test]
fn rankings() {
    let table = [
        ("candidates", vec![0, 1, 2, 3]),
        ("able_first(request, candidates)", vec![1, 2, 3, 0]),
        ("cheapest(candidates)", vec![3, 2, 1, 0]),
        ("by(candidates, |c| if c.price == () { () } else { c.price.input })", vec![3, 2, 1, 0]),
        ("by(candidates, |c| -c.index)", vec![3, 2, 1, 0]),
        ("by(candidates, |c| 0.5)", vec![0, 1, 2, 3]),
        ("by(candidates, |c| 0.0 / 0.0)", vec![]),
        ("prefer(candidates, |c| c.location == \"local\")", vec![0, 3, 1, 2]),
        ("prefer(candidates, [\"free\", \"nobody\", \"dear\"])", vec![3, 1, 0, 2]),
        ("candidates.filter(|c| c.obstacle == \"\")", vec![1, 2, 3]),
        ("able_first(request, prefer(cheapest(candidates), |c| c.location == \"cloud\"))", vec![2, 1, 3, 0]),
        ("[\"cheap\", candidates[0], \"dear\"]", vec![2, 0, 1]),
    ];
    for (ranking, expected) in table {
        let verdict = route(&format!("route_to({ranking}, \"\")"), &request("hello"), &models());
        match expected.is_empty() {
            true => assert!(verdict.unwrap_err().contains("by: the function should return a number")),
            false => assert_eq!(decision(verdict).ranking, expected, "{ranking}"),
        }
    }
}

#[test]
fn the_cost_policy_has_the_word() {
    let mut candidates = models();
    candidates[1].estimate = Some(CostEstimate { input_tokens: 1, output_tokens: 1, cost: Some(0) });
    let verdict = route("route_to(cheapest(candidates), \"\")", &request("hello"), &candidates);
    assert_eq!(decision(verdict).ranking, [1, 3, 2, 0]);
}

#[test]
fn rankings_that_will_not_do() {
    let table = [
        ("by(candidates, |c| \"x\")", "by: the function should return a number or (), but returned a text"),
        ("prefer(candidates, |c| c)", "prefer: the function should return true or false, but returned a candidate"),
        ("prefer(candidates, [1])", "prefer: the list should hold texts, but has a whole number in it"),
        ("prefer([1], [\"a\"])", "prefer: a ranking should hold candidates, but has a whole number in it"),
        ("able_first(request, [()])", "able_first: a ranking should hold candidates, but has nothing in it"),
        ("cheapest([request])", "cheapest: a ranking should hold candidates, but has the request in it"),
    ];
    for (expression, expected) in table {
        let failed = value_of(expression, &request("hello"), &models()).expect_err(expression);
        assert!(failed.ends_with(expected), "{expression}: {failed}");
    }
}

#[test]
fn money() {
    let asked = Request { prompt_tokens: 1000, max_tokens: Some(100), ..request("") };
    let table = [
        ("expected_output(request, 500)", "100"),
        ("expected_output(request, 50)", "50"),
        ("cost(candidates[1], 1000, 500)", "13500000"),
        ("cost(candidates[0], 1000, 500) == ()", "true"),
        ("cost(candidates[3], 1000, 500)", "0"),
    ];
    for (expression, expected) in table {
        assert_eq!(value_of(expression, &asked, &models()).as_deref(), Ok(expected), "{expression}");
    }
    for expression in ["cost(candidates[1], -1, 0)", "expected_output(request, 4294967296)"] {
        let failed = value_of(expression, &asked, &models()).expect_err(expression);
        assert!(failed.contains("tokens should be from 0 to 4294967295, but are "), "{failed}");
    }
}
