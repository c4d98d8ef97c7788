//! What a script may return, and what is said of the rest.

use crate::{cost, decision, route};
use wasmgate_policy::testing::{candidate, request};
use wasmgate_policy::{Budget, Candidate, Cost, CostEstimate, Denial, Price, Request, Tier, Verdict};

fn models() -> [Candidate<'static>; 2] {
    [candidate("a"), candidate("b")]
}

#[test]
fn verdicts() {
    let judged = decision(route(
        "route_to([\"b\", \"a\"], \"why\", #{ complexity: 0.4, tier: \"medium\" })",
        &request(""),
        &models(),
    ));
    assert_eq!((judged.ranking, judged.reason.to_string().as_str()), (vec![1, 0], "why"));
    assert_eq!((judged.complexity, judged.tier), (Some(0.4), Some(Tier::Medium)));
    let plain = decision(route("route_to(candidates, \"\", #{ complexity: 1, tier: () })", &request(""), &models()));
    assert_eq!((plain.complexity, plain.tier), (Some(1.0), None));
    assert_eq!(route("pass()", &request(""), &models()), Ok(Verdict::Pass));
    assert_eq!(route("return deny(\"no_1\", \"x\");", &request(""), &models()), Ok(Denial::new("no_1", "x").into()));
}

#[test]
fn verdicts_that_will_not_do() {
    let ranking = "route_to: the ranking should hold";
    let table = [
        ("", "fn route should return route_to(…), deny(…) or pass(), but returned nothing".to_owned()),
        ("candidates", "fn route should return route_to(…), deny(…) or pass(), but returned a list".to_owned()),
        ("route_to([], \"\")", format!("{ranking} at least one candidate, but is empty")),
        ("route_to([\"a\", candidates[0]], \"\")", format!("{ranking} each candidate once, but has a twice")),
        (
            "route_to([\"c\"], \"\")",
            format!("{ranking} candidates or their model names, but has a text that is the model of none"),
        ),
        ("route_to([0], \"\")", format!("{ranking} candidates or their model names, but has a whole number")),
        (
            "route_to(candidates, \"\", #{ complexity: 1.5 })",
            "route_to: complexity should be from 0 to 1, but is 1.5".to_owned(),
        ),
        (
            "route_to(candidates, \"\", #{ complexity: \"x\" })",
            "route_to: complexity should be a number, but is a text".to_owned(),
        ),
        (
            "route_to(candidates, \"\", #{ tier: \"huge\" })",
            "route_to: tier should be low, medium or high, but is another text".to_owned(),
        ),
        (
            "route_to(candidates, \"\", #{ tier: 1 })",
            "route_to: tier should be low, medium or high, but is a whole number".to_owned(),
        ),
        (
            "route_to(candidates, \"\", #{ teir: 1 })",
            "route_to: expected complexity and tier, but teir is given".to_owned(),
        ),
        (
            "deny(\"No\", \"\")",
            "deny: the code should be 1 to 64 lower-case letters, digits and _, but is not".to_owned(),
        ),
        (
            "deny(\"\", \"\")",
            "deny: the code should be 1 to 64 lower-case letters, digits and _, but is not".to_owned(),
        ),
    ];
    for (body, expected) in table {
        let failed = route(body, &request(""), &models()).expect_err(body);
        assert!(failed.ends_with(&expected), "{body}: {failed}");
    }
}

fn estimate(body: &str) -> Result<Vec<CostEstimate>, String> {
    let script = format!("fn estimate(request, candidates) {{ {body} }}");
    cost(&script).expect(&script).estimate(&request("12345"), &models())
}

#[test]
fn estimates() {
    let costs = |cost| CostEstimate { input_tokens: 2, output_tokens: 9, cost };
    let table = [
        ("cost_estimate(c, request.prompt_tokens, 9)", Some(0)),
        ("cost_estimate(c, 2, 9, 77)", Some(77)),
        ("cost_estimate(c, 2, 9, ())", None),
    ];
    for (each, cost) in table {
        assert_eq!(estimate(&format!("candidates.map(|c| {each})")), Ok(vec![costs(cost); 2]), "{each}");
    }
}

#[test]
fn estimates_that_will_not_do() {
    let should = "fn estimate should return a list of cost_estimate(…), one for each candidate";
    let table = [
        ("", format!("{should}, but returned nothing")),
        ("[]", format!("{should} (2), but returned 0 in all")),
        ("[1, 2]", format!("{should}, but returned a list with a whole number in it")),
        (
            "cost_estimate(candidates[0], 1, 2, -1)",
            "should be whole nano-dollars from 0, or (), but is a whole number below 0".to_owned(),
        ),
        (
            "cost_estimate(candidates[0], 1, 2, 0.5)",
            "should be whole nano-dollars from 0, or (), but is a number".to_owned(),
        ),
        ("cost_estimate(candidates[0], 1, -2)", "tokens should be from 0 to 4294967295, but are -2".to_owned()),
    ];
    for (body, expected) in table {
        let failed = estimate(body).expect_err(body);
        assert!(failed.ends_with(&expected), "{body}: {failed}");
    }
}

#[test]
fn each_kind_of_value_has_a_name() {
    let table = [
        ("()", "nothing"),
        ("true", "true or false"),
        ("1", "a whole number"),
        ("0.5", "a number"),
        ("'c'", "a text"),
        ("[]", "a list"),
        ("#{}", "a map"),
        ("|x| x", "a function"),
        ("request", "the request"),
        ("request.messages[0]", "a message"),
        ("request.budget", "a budget"),
        ("candidates[0]", "a candidate"),
        ("candidates[0].price", "a price"),
        ("cost_estimate(candidates[0], 1, 2)", "a cost estimate"),
        ("pass()", "a verdict"),
        ("1..2", "something else"),
        ("1..=2", "something else"),
        ("range(1, 9, 2)", "something else"),
        ("range(0.5, 9.5, 0.5)", "something else"),
        ("\"text\".chars(0..2)", "something else"),
        ("\"text\".to_blob()", "something else"),
        ("{ let kept = candidates; let reader = || kept; kept }", "a list"),
    ];
    let asked = Request { budget: Some(Budget { limit: 1, left: 1 }), ..request("") };
    let models = [Candidate { price: Some(Price { input: 1, output: 1 }), ..candidate("a") }];
    let should = "fn route should return route_to(…), deny(…) or pass()";
    let list = "keywords: the list should hold texts, but has";
    for (value, kind) in table {
        let failed = |body: &str| route(body, &asked, &models).expect_err(body);
        let (thrown, held) = (failed(&format!("throw {value}")), failed(&format!("keywords(\"\", [{value}])")));
        assert!(thrown.ends_with(&format!(": the script threw {kind}")), "{value}: {thrown}");
        assert!(held.ends_with(&format!(": {list} {kind} in it")), "{value}: {held}");
        if value != "pass()" {
            assert_eq!(failed(value), format!("{should}, but returned {kind}"), "{value}");
        }
    }
    assert!(estimate("pass()").is_err_and(|failed| failed.ends_with("for each candidate, but returned a verdict")));
}
