//! What would run away ends as an error with its line, and no error repeats the prompt.

use crate::{route, routing};
use wasmgate_policy::Routing;
use wasmgate_policy::testing::{candidate, request};

#[test]
fn what_runs_away_is_ended() {
    let (reads, operations) =
        (": more than 5000 reads of variables: a loop without end?", "more than 50000 operations");
    let table = [
        ("let n = 0; while n < 1 { n = n * 2; }", "line 2, column ", reads),
        ("loop { if helper(1) { break } }", "line 3, column ", reads),
        ("loop { try { request.id } catch { } }", operations, ": a loop without end?"),
        ("loop { 1; }", operations, ": a loop without end?"),
        ("let t = \"xxxxxxxx\"; loop { t += t; }", "Length of string", " too large"),
        ("let l = [1]; loop { l += l; }", "Size of array/BLOB", " too large"),
        ("deep(1)", "line 3, column ", ": functions that call one another more than 12 deep"),
        ("blind()", "functions that call one another", " more than 12 deep"),
    ];
    for (body, begin, end) in table {
        let script = format!(
            "fn route(request, candidates) {{\n{body}\n}} fn deep(n) {{ deep(n + 1) }} fn blind() {{ blind() }} fn helper(n) {{ n > 1 }}"
        );
        let failed = routing(&script).unwrap().route(&request(""), &[candidate("a")]);
        let failed = failed.expect_err(body);
        assert!(failed.starts_with(begin) && failed.ends_with(end), "{body}: {failed}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let nested = format!("fn route(request, candidates) {{ {}1{} }}", "(".repeat(200), ")".repeat(200));
    let refused = routing(&nested).err().unwrap();
    assert!(refused.ends_with("Expression exceeds maximum complexity"), "{refused}");
}

#[test]
fn what_was_asked_is_not_in_errors() {
    let bodies = [
        "request.prompt.nothing",
        "request.prompt.nothing()",
        "candidates[request.prompt]",
        "#{}[request.prompt].x",
        "parse_int(request.prompt)",
        "parse_float(request.prompt)",
        "request.prompt - 1",
        "matches(\"a\", request.prompt)",
        "route_to([request.prompt], \"\")",
        "route_to(candidates, \"\", #{ tier: request.prompt })",
        "deny(request.prompt, \"\")",
        "keywords(\"a\", [request])",
        "prefer([request.prompt], [\"a\"])",
        "throw #{ text: request.prompt }",
        "request.prompt",
        "[request.prompt]",
    ];
    for body in bodies {
        let failed = route(body, &request("(my secret"), &[candidate("a")]).expect_err(body);
        assert!(!failed.contains("secret"), "{body}: {failed}");
    }
}

#[test]
fn a_long_sentence_is_cut() {
    let failed = route("throw request.prompt", &request(&"é".repeat(1000)), &[]).unwrap_err();
    assert_eq!(failed.len(), "line 1, column 33: ".len() + 300);
}
