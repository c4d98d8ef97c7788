//! A model that the client names, and the fallbacks that the operator gave it.

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, ends_well, error_code};

const PATH: &str = "/v1/chat/completions";
const USAGE: Usage = Usage { input: 11, output: 3 };

fn good() -> Backend {
    Backend::start(|request| match request.json()["stream"] == true {
        true => Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["good"], USAGE)).end(),
        false => Reply::json(200, &Dialect::OpenAi.answer("good", USAGE)),
    })
}

fn failing() -> Backend {
    Backend::start(|_| Reply::json(500, &json!({})))
}

fn model(name: &str, backend: &Backend, more: &str) -> String {
    let url = backend.url();
    format!(
        "[backends.{name}]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
         retries = {{ attempts = 1 }}\n[models.{name}]\nbackend = \"{name}\"\n{more}\n"
    )
}

/// `third` is no fallback of `named`; `spare` is its only one.
fn setup(named: &Backend, spare: &Backend, third: &Backend) -> Setup {
    Gateway::setup()
        .models(&model("third", third, ""))
        .models(&model("spare", spare, "fallbacks = [\"named\"]"))
        .models(&model("named", named, "fallbacks = [\"spare\"]"))
}

#[test]
fn a_fallback_answers_if_the_named_model_fails() {
    let (named, spare, third) = (failing(), good(), good());
    let gateway = setup(&named, &spare, &third).start();
    let mut count = 0.0;
    for path in CLIENT_PATHS {
        for stream in [false, true] {
            let response = gateway.post(path, &ask(path, "named", "hello", stream)).expect(200);
            assert_eq!(response.header("x-wasmgate-model"), "spare", "{path}, stream {stream}");
            assert_eq!(response.header("x-wasmgate-failed-attempts"), "named upstream_5xx", "{path}, stream {stream}");
            count += 1.0;
            let labels = [("from_model", "named"), ("to_model", "spare"), ("reason", "upstream_5xx")];
            gateway.wait_metric("api_gateway_fallbacks_total", &labels, count);
        }
    }
    let line = gateway.wait_for_ending("finished");
    assert_eq!((&line["chosen"], &line["model"]), (&json!("named"), &json!("spare")));
    assert_eq!(third.requests().len(), 0);
}

/// The model that the client named is called first, whatever order a policy gives: so it would be if a shadow decided.
#[test]
fn a_shadow_that_ranks_the_fallback_first_agrees() {
    let (named, spare, third) = (good(), good(), good());
    let gateway = setup(&named, &spare, &third)
        .file("other.rhai", b"fn route(request, candidates) { candidates.reverse(); route_to(candidates, \"turned\") }")
        .routing("shadows.other = { builtin = \"script\", setting_files = { script = \"other.rhai\" } }")
        .start();
    let response = gateway.post(PATH, &ask(PATH, "named", "hello", false)).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "named");
    gateway.wait_metric("api_gateway_policy_shadow_comparisons_total", &[("result", "agree")], 1.0);
    let labels = [("active_model", "named"), ("shadow_model", "named")];
    gateway.wait_metric("api_gateway_policy_shadow_choices_total", &labels, 1.0);
}

#[test]
fn a_fallback_of_a_fallback_is_not_called() {
    let (named, spare, third) = (good(), failing(), good());
    let gateway = setup(&named, &spare, &third).start();
    let response = gateway.post(PATH, &ask(PATH, "third", "hello", false)).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "third");
    // `spare` has `named` as its fallback, and `named` has `spare`.
    let response = gateway.post(PATH, &ask(PATH, "spare", "hello", false)).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "named");
    let named = failing();
    let both = setup(&named, &spare, &third).start();
    let response = both.post(PATH, &ask(PATH, "spare", "hello", false)).expect(502);
    assert_eq!(response.header("x-wasmgate-failed-attempts"), "spare upstream_5xx, named upstream_5xx");
    assert_eq!(response.header("x-wasmgate-model"), "spare");
}

#[test]
fn a_stream_that_has_begun_has_no_fallback() {
    let frames = Dialect::OpenAi.frames(&["one", "two"], USAGE);
    let named = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames[..2]).cut());
    let (spare, third) = (good(), good());
    let gateway = setup(&named, &spare, &third).start();
    let data = gateway.stream(PATH, &ask(PATH, "named", "hello", true)).all();
    assert!(!ends_well(PATH, &data), "{data:?}");
    assert_eq!(error_code(PATH, data.last().unwrap()), "stream_cut");
    assert_eq!(spare.requests().len(), 0);
}

#[test]
fn policies_see_the_fallbacks_and_may_leave_them_out() {
    const ROUTE: &str = r#"fn route(request, candidates) {
        if candidates.len() != 2 || candidates[0].model != "named" || candidates[1].model != "spare" {
            return deny("unexpected", "these are not the candidates");
        }
        if request.prompt == "deny" { return deny("no", "not this one"); }
        if request.prompt == "only" { return route_to([candidates[0]], "no fallback"); }
        if request.prompt == "spare" { return route_to([candidates[1]], "not the named one"); }
        route_to([candidates[1], candidates[0]], "the other way round")
    }"#;
    let (good, third) = (good(), self::good());
    let scripted = |named: &Backend| {
        setup(named, &good, &third)
            .file("route.rhai", ROUTE.as_bytes())
            .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
            .start()
    };
    let (bad, fine) = (failing(), self::good());
    let gateway = scripted(&bad);
    let ask_for = |gateway: &Gateway, prompt: &str| gateway.post(PATH, &ask(PATH, "named", prompt, false));
    let answer = ask_for(&gateway, "hello").expect(200);
    assert_eq!(answer.header("x-wasmgate-failed-attempts"), "named upstream_5xx", "the named model is called first");
    assert_eq!(error_code(PATH, &ask_for(&gateway, "deny").expect(403).json()), "no");
    let left_out = ask_for(&gateway, "only").expect(502);
    assert_eq!(left_out.header("x-wasmgate-failed-attempts"), "named upstream_5xx");
    let answer = ask_for(&gateway, "spare").expect(200);
    assert_eq!((answer.header("x-wasmgate-model"), answer.header("x-wasmgate-policy").is_empty()), ("spare", false));
    let gateway = scripted(&fine);
    assert_eq!(ask_for(&gateway, "hello").expect(200).header("x-wasmgate-model"), "named");
}

#[test]
fn a_fallback_without_the_capabilities_of_a_request_is_no_candidate() {
    let (named, spare, third) = (failing(), good(), good());
    let gateway = setup(&named, &spare, &third).start();
    let mut with_tools = ask(PATH, "named", "hello", false);
    with_tools["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let _ = gateway.post(PATH, &with_tools).expect(502);
    assert_eq!((named.requests().len(), spare.requests().len()), (1, 0));
}
