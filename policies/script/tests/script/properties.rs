//! Each property of the reference: there, and as the contract has it.

use crate::{plain, value_of};
use wasmgate_policy::facts::Given;
use wasmgate_policy::testing::{candidate, request};
use wasmgate_policy::{
    Breaker, Budget, Candidate, Capabilities, CostEstimate, Health, Limit, Location, Measure, Message, Observed, Price,
    Request, Role,
};

fn full() -> (Request<'static>, Candidate<'static>) {
    let message = |role, text| Message { role, text };
    let given = Given {
        id: "id-1".into(),
        dialect: "anthropic".into(),
        tenant: Some("acme".into()),
        limits: vec![Limit { measure: Measure::Tokens, most: 9, left: 2, ends_in: None }],
        labels: vec![("x-a".into(), "1".into()), ("x-a".into(), "2".into())],
        hints: vec![("region".into(), "eu".into())],
    };
    let asked = Request {
        messages: vec![message(Role::User, "first"), message(Role::User, "second"), message(Role::Assistant, "third")],
        prompt_tokens: u32::MAX,
        max_tokens: Some(7),
        streaming: true,
        tools: true,
        images: true,
        structured_output: true,
        budget: Some(Budget { limit: u64::MAX, left: 5 }),
        facts: given.into(),
        ..request("")
    };
    let offered = Candidate {
        backend: "provider",
        location: Location::Cloud,
        price: Some(Price { input: 3, output: u64::MAX }),
        context_window: Some(8192),
        capabilities: Capabilities::TOOLS | Capabilities::STRUCTURED_OUTPUT,
        health: Health::Degraded,
        breaker: Breaker::HalfOpen,
        in_flight: 4,
        time_left: 12.5,
        labels: Box::leak(Box::new([("quality".to_owned(), "high".to_owned())])),
        observed: Some(Observed { latency: 1.5, time_to_first_token: Some(0.25), tokens_per_second: None }),
        estimate: Some(CostEstimate { input_tokens: 1, output_tokens: 2, cost: Some(9) }),
        ..candidate("sonnet")
    };
    (asked, offered)
}

#[test]
fn all_that_is_given() {
    let (asked, offered) = full();
    let table = [
        ("request.id", "id-1"),
        ("request.dialect", "anthropic"),
        ("request.requested_model", "auto"),
        ("request.prompt", "second"),
        ("request.messages.len", "3"),
        ("request.messages[2].role", "assistant"),
        ("request.messages[2].text", "third"),
        ("request.prompt_tokens", "4294967295"),
        ("request.max_tokens", "7"),
        ("request.streaming && request.tools && request.images && request.structured_output", "true"),
        ("request.tenant", "acme"),
        ("request.budget.limit", "9223372036854775807"),
        ("request.budget.left", "5"),
        ("request.limits.len", "1"),
        ("request.limits[0].measure", "tokens"),
        ("request.limits[0].most - request.limits[0].left", "7"),
        ("request.limits[0].ends_in == ()", "true"),
        ("request.labels[\"x-a\"]", "1"),
        ("request.labels[\"x-b\"] == ()", "true"),
        ("request.hints.region", "eu"),
        ("candidates[0].index", "0"),
        ("candidates[0].model", "sonnet"),
        ("candidates[0].backend", "provider"),
        ("candidates[0].location", "cloud"),
        ("candidates[0].price.input", "3"),
        ("candidates[0].price.output", "9223372036854775807"),
        ("candidates[0].context_window", "8192"),
        ("candidates[0].tools", "true"),
        ("candidates[0].images", "false"),
        ("candidates[0].structured_output", "true"),
        ("candidates[0].health", "degraded"),
        ("candidates[0].breaker", "half-open"),
        ("candidates[0].in_flight", "4"),
        ("candidates[0].time_left", "12.5"),
        ("candidates[0].labels.quality", "high"),
        ("candidates[0].labels.speed == ()", "true"),
        ("candidates[0].latency", "1.5"),
        ("candidates[0].time_to_first_token", "0.25"),
        ("candidates[0].tokens_per_second == ()", "true"),
        ("candidates[0].estimated_cost", "9"),
        ("candidates[0].obstacle", "has too small a context window"),
    ];
    for (expression, expected) in table {
        assert_eq!(
            value_of(expression, &asked, std::slice::from_ref(&offered)).as_deref(),
            Ok(expected),
            "{expression}"
        );
    }
}

#[test]
fn what_is_not_given_is_nothing() {
    for name in ["max_tokens", "tenant", "budget"] {
        assert_eq!(plain(&format!("request.{name} == ()")).as_deref(), Ok("true"), "{name}");
    }
    let bare = [Candidate { price: None, ..candidate("a") }];
    for name in ["price", "context_window", "latency", "time_to_first_token", "tokens_per_second", "estimated_cost"] {
        let expression = format!("candidates[0].{name} == ()");
        assert_eq!(value_of(&expression, &request(""), &bare).as_deref(), Ok("true"), "{name}");
    }
    assert_eq!(value_of("candidates[0].obstacle", &request(""), &bare).as_deref(), Ok(""));
    let silent = Request { messages: vec![Message { role: Role::System, text: "x" }], ..request("") };
    assert_eq!(value_of("request.prompt", &silent, &bare).as_deref(), Ok(""));
}

#[test]
fn what_is_misspelt_or_assigned_is_an_error() {
    for expression in ["request.promt", "candidates[0].modell", "request.messages[0].txt", "candidates[0].price.in_"] {
        let failed = value_of(expression, &request("hello"), &[candidate("a")]).expect_err(expression);
        assert!(failed.contains("Unknown property"), "{expression}: {failed}");
    }
    let failed = crate::route("request.prompt = \"\"; pass()", &request("hello"), &[]).unwrap_err();
    assert!(failed.contains("Cannot modify property") || failed.contains("setter"), "{failed}");
}
