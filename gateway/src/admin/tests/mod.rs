//! The admin listener in front of a scripted control task: access control, the operation of each route, answers and
//! audit lines. Each answer is checked against the API's description.

mod described;
mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::input;
use super::route::{Subject, TABLE};
use crate::rollout::api::Operation;
use harness::{Answer, Listener, TOKEN};
use wasmgate_policy_host::MAX_COMPONENT_BYTES;

const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;

/// The path of a route with this name in it.
fn path_of(pattern: &str, name: &str) -> String {
    ["{slot}", "{id}", "{name}"].iter().fold(pattern.to_owned(), |path, place| path.replace(place, name))
}

#[test]
fn the_description_has_each_route_and_no_other() {
    let code: BTreeSet<_> = TABLE.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(described::operations(), code);
}

#[tokio::test]
async fn what_there_is_is_told() {
    let listener = Listener::start(None).await;
    let welcome = listener.get("/").await.expect(200);
    assert_eq!(welcome["name"], "wasmgate");
    assert_eq!(welcome["routes"].as_array().unwrap().len(), TABLE.len());
    assert_eq!(listener.get("/openapi.json").await.expect(200)["openapi"], "3.1.0");
    let status = listener.get("/policies").await.expect(200);
    assert_eq!(status["policies"][1]["slot"], "routing.canary");
    assert_eq!(listener.get("/history").await.expect(200)["history"], status["history"]);
    let head = listener.send(&Method::HEAD, "/policies", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_place_comes_with_its_own_history() {
    let listener = Listener::start(None).await;
    let canary = listener.get("/policies/routing.canary").await.expect(200);
    assert_eq!((&canary["share_percent"], &canary["refused"]["stage"]), (&json!(5.0), &json!("probed")));
    let events: Vec<_> = canary["history"].as_array().unwrap().iter().map(|event| &event["slot"]).collect();
    assert_eq!(events, [&json!("routing.canary")]);
    let empty = listener.get("/policies/cost.canary").await;
    empty.refused(404, "unknown_slot", "cost.canary has no policy; expected one of routing, routing.canary");
    listener.get("/policies/rooting").await.refused(404, "unknown_slot", "expected routing, routing.canary");
}

#[tokio::test]
async fn each_operation_asks_the_lifecycle_for_what_the_request_says() {
    let listener = Listener::start(None).await;
    let component = "\0asm the component";
    let settings = "%7B%22low-below%22%3A0.2%7D";
    for (method, path, body, asked) in [
        (PUT, "/policies/routing", component, "Upload routing 18 None None"),
        (PUT, "/policies/routing.canary?percent=2.5", component, "Upload routing.canary 18 None Some(2.5)"),
        (
            PUT,
            &*format!("/policies/cost.shadows.a?settings={settings}"),
            component,
            "Upload cost.shadows.a 18 Some({\"low-below\":0.2}) None",
        ),
        (POST, "/policies/routing.canary/promote", "", "Promote routing.canary"),
        (POST, "/policies/routing/rollback", "", "Rollback routing None"),
        (POST, "/policies/routing/rollback", "{}", "Rollback routing None"),
        (POST, "/policies/routing/rollback", "{\"to\": \"AB12\"}", "Rollback routing Some(\"ab12\")"),
        (POST, "/policies/cost/retry", "", "Retry cost"),
        (POST, "/policies/cost/enable", "{}", "Enable cost"),
        (POST, "/policies/cost/disable", "", "Disable cost"),
        (PUT, "/policies/routing.canary/share", "{\"percent\": 5}", "Share routing.canary 5"),
    ] {
        let slot = path.split(['/', '?']).nth(2).unwrap();
        let answer = listener.json(&method, path, body).await.expect(200);
        assert_eq!(answer["slot"], slot, "{path}");
        assert_eq!(listener.asked().pop().as_deref(), Some(asked), "{path}");
    }
}

#[test]
fn the_words_of_actions_are_those_of_the_lifecycle() {
    let slot = || "routing".parse().unwrap();
    let upload = Operation::Upload { slot: slot(), component: "".into(), name: None, settings: None, percent: None };
    let operations = [
        upload,
        Operation::Promote(slot()),
        Operation::Rollback(slot(), None),
        Operation::Retry(slot()),
        Operation::Enable(slot()),
        Operation::Disable(slot()),
        Operation::Share(slot(), 1.0),
    ];
    let known: Vec<_> = operations.iter().map(Operation::as_str).collect();
    let of_policies = TABLE.iter().map(|(_, _, route)| route).filter(|route| route.subject() == Subject::Slot);
    assert_eq!(of_policies.filter_map(|route| route.action()).collect::<Vec<_>>(), known);
}

#[tokio::test]
async fn what_the_lifecycle_did_not_do_is_told() {
    let listener = Listener::start(None).await;
    for (slot, status, code, said) in [
        ("cost.shadows.gone", 404, "unknown_slot", "there is no cost.shadows.gone"),
        ("cost.shadows.conflicts", 409, "conflict", "no earlier version"),
        ("cost.shadows.refuses", 422, "refused", "not probed: low-below is 0.77"),
        ("cost.shadows.stops", 503, "stopping", "stopping"),
    ] {
        for (method, path) in [(PUT, format!("/policies/{slot}")), (POST, format!("/policies/{slot}/rollback"))] {
            let answer = listener.send(&method, &path, &[], if method == PUT { "component" } else { "" }).await;
            answer.refused(status, code, said);
        }
    }
    let stopped = Listener::without_lifecycle().await;
    for path in ["/policies", "/policies/routing", "/history"] {
        let answer = stopped.get(path).await;
        answer.refused(503, "stopping", "stopping");
        assert_eq!(answer.header("retry-after"), "1");
    }
    stopped.send(&POST, "/policies/cost/retry", &[], "").await.refused(503, "stopping", "stopping");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_and_nothing_is_done() {
    let listener = Listener::start(None).await;
    let cases: &[(&Method, &str, &str, u16, &str, &str)] = &[
        (
            &POST,
            "/policies/routing/rollback",
            "{\"two\": \"ab\"}",
            400,
            "bad_request",
            "unknown key `two`, did you mean `to`?",
        ),
        (&POST, "/policies/routing/rollback", "{\"to\": \"xyz\"}", 400, "bad_request", "1 to 64 hexadecimal digits"),
        (&POST, "/policies/routing/rollback", "{\"to\": 7}", 400, "bad_request", "hexadecimal"),
        (&POST, "/policies/routing/rollback", "[]", 400, "bad_request", "not a JSON object"),
        (&POST, "/policies/routing/rollback", "{\n\"to\": }", 400, "bad_request", "line 2, column 7"),
        (&POST, "/policies/routing/promote", "{\"force\": true}", 400, "bad_request", "this route takes none"),
        (&PUT, "/policies/routing.canary/share", "{\"percnt\": 5}", 400, "bad_request", "did you mean `percent`?"),
        (&PUT, "/policies/routing.canary/share", "{\"percent\": \"5\"}", 400, "bad_request", "expected a number"),
        (&PUT, "/policies/routing.canary/share", "", 400, "bad_request", "expected a number"),
        (&PUT, "/policies/routing", "", 400, "bad_request", "the body is empty"),
        (&PUT, "/policies/routing?percent=much", "c", 400, "bad_request", "expected a number"),
        (&PUT, "/policies/routing?percent=NaN", "c", 400, "bad_request", "expected a number"),
        (&PUT, "/policies/routing?percent=1&percent=2", "c", 400, "bad_request", "twice"),
        (&PUT, "/policies/routing?setings=%7B%7D", "c", 400, "bad_request", "did you mean `settings`?"),
        (&PUT, "/policies/routing?settings=5", "c", 400, "bad_request", "`settings` is not a JSON object"),
        (&PUT, "/policies/routing?settings=%7B", "c", 400, "bad_request", "`settings` is not valid JSON"),
        (&GET, "/policies?slot=routing", "", 400, "bad_request", "unknown parameter `slot`, this route takes none"),
        (&POST, "/policies/rooting/promote", "", 404, "unknown_slot", "is not a policy slot"),
        (&PUT, "/policies/routing.shadows.", "c", 404, "unknown_slot", "routing.shadows.NAME"),
        (
            &POST,
            "/policies/routing/promot",
            "",
            404,
            "unknown_route",
            "did you mean /policies/routing/promote? GET / lists",
        ),
        (&GET, "/something/else/entirely", "", 404, "unknown_route", "there is no such route; GET / lists"),
    ];
    for (method, path, body, status, code, said) in cases {
        listener.json(method, path, body).await.refused(*status, code, said);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = listener.send(&PUT, "/policies/routing.canary/share", &form, "{\"percent\": 5}").await;
    answer.refused(415, "wrong_content_type", "application/json");
    for (method, path, allow) in
        [(Method::DELETE, "/policies/routing", "GET, HEAD, PUT"), (PUT, "/policies/cost/retry", "POST")]
    {
        let answer = listener.send(&method, path, &[], "").await;
        answer.refused(405, "wrong_method", allow);
        assert_eq!(answer.header("allow"), allow);
    }
    assert_eq!(listener.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn bodies_are_bounded_by_what_their_route_needs() {
    let listener = Listener::start(None).await;
    let long = " ".repeat(input::MAX_JSON_BYTES + 1);
    listener.json(&POST, "/policies/routing/retry", &long).await.refused(413, "too_large", "65536 bytes");
    assert!(listener.send(&PUT, "/policies/routing", &[], &long).await.status == 200);
    // Announced, but never sent.
    let length = MAX_COMPONENT_BYTES + 1;
    let head = format!("PUT /policies/routing HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    assert!(listener.raw(&head).await.starts_with("HTTP/1.1 413 "));
    // Without a length, the listener counts the bytes as they arrive.
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = "POST /policies/routing/retry HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    assert!(listener.raw(&format!("{head}{chunk}")).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(listener.asked().len(), 1);
}

#[tokio::test]
async fn with_a_token_each_route_wants_it() {
    let listener = Listener::start(Some(TOKEN)).await;
    let shown = |value: &str| vec![("authorization", value.to_owned())];
    let wrong = [
        vec![],
        shown(""),
        shown("Bearer"),
        shown("Bearer "),
        shown("Bearer wrong-token-0123456789"),
        shown(&format!("Bearer {TOKEN}x")),
        shown(&format!("Bearer {}", &TOKEN[1..])),
        shown(&format!("Basic {TOKEN}")),
        shown(TOKEN),
        shown(&format!("Bearer{TOKEN}")),
        [shown(&format!("Bearer {TOKEN}")), shown(&format!("Bearer {TOKEN}"))].concat(),
    ];
    for (method, pattern, _) in &TABLE {
        let path = path_of(pattern, "routing");
        for headers in &wrong {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = listener.send(method, &path, &headers, "").await;
            answer.refused(401, "unauthorized", "token");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(listener.asked(), Vec::<String>::new());
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let value = format!("{scheme} {TOKEN}");
        let answer = listener.send(&GET, "/policies", &[("authorization", &value)], "").await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    // Without the token, unknown routes are not revealed either.
    listener.get("/nowhere").await.refused(401, "unauthorized", "token");
    let lines = listener.log_lines();
    let failed = lines.iter().filter(|line| line["message"] == "an operator's authentication failed").count();
    assert!((1..20).contains(&failed), "{failed} lines of some hundred failures");
    assert!(!listener.log_text().contains(TOKEN) && !listener.log_text().contains(&TOKEN[1..]));
}

#[tokio::test]
async fn with_a_token_a_name_and_an_origin_do_not_matter() {
    let listener = Listener::start(Some(TOKEN)).await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", &*bearer), ("host", "gateway.example"), ("origin", "https://gateway.example")];
    assert_eq!(listener.send(&GET, "/policies", &headers, "").await.status, 200);
}

#[tokio::test]
async fn without_a_token_browsers_are_kept_out() {
    let listener = Listener::start(None).await;
    for host in ["localhost", "LocalHost:8081", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8081"] {
        assert_eq!(listener.send(&GET, "/policies", &[("host", host)], "").await.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8081",
        "localhost@evil.example",
        "127.0.0.2",
        "::1",
    ] {
        let head = format!("POST /policies/routing/disable HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
        let answer = listener.raw(&head).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("Host is localhost"), "{host}: {answer}");
    }
    for origin in ["http://localhost:8081", "https://evil.example", "null"] {
        let answer = listener.send(&POST, "/policies/routing/disable", &[("origin", origin)], "").await;
        answer.refused(403, "forbidden", "browser");
    }
    let whole = "GET http://evil.example/policies HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert!(listener.raw(whole).await.starts_with("HTTP/1.1 403 "));
    for hosts in ["", "host: localhost\r\nhost: localhost\r\n"] {
        let head = format!("GET /policies HTTP/1.1\r\n{hosts}\r\n");
        assert!(listener.raw(&head).await.starts_with("HTTP/1.1 400 "), "{hosts:?}");
    }
    assert!(listener.raw("GET /policies HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 403 "));
    assert_eq!(listener.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn each_action_is_written_down_once() {
    let listener = Listener::start(None).await;
    let upload = "/policies/routing.canary?percent=5&settings=%7B%22low-below%22%3A%22s3cr3t-value%22%7D";
    /// Method, path, headers and body; action, slot and outcome; a part of the detail.
    type Case<'a> = (&'a Method, &'a str, &'a [(&'a str, &'a str)], &'a str, [&'a str; 3], &'a str);
    let cases: &[Case<'_>] = &[
        (
            &PUT,
            upload,
            &[],
            "component-bytes",
            ["upload", "routing.canary", "done"],
            ", 15 bytes, 5 percent, with settings",
        ),
        (
            &PUT,
            "/policies/cost.shadows.refuses",
            &[],
            "component-bytes",
            ["upload", "cost.shadows.refuses", "refused"],
            "the component was refused",
        ),
        (&POST, "/policies/routing/promote", &[], "", ["promote", "routing", "done"], ""),
        (
            &POST,
            "/policies/cost.shadows.conflicts/rollback",
            &[],
            "",
            ["rollback", "cost.shadows.conflicts", "refused"],
            "no earlier version",
        ),
        (
            &PUT,
            "/policies/routing.canary/share",
            &[("content-type", "application/json")],
            "{\"percent\": 7}",
            ["share", "routing.canary", "done"],
            "7 percent",
        ),
        (&POST, "/policies/nowhere/retry", &[], "", ["retry", "nowhere", "refused"], "is not a policy slot"),
        (
            &POST,
            "/policies/cost/disable",
            &[("origin", "https://evil.example")],
            "",
            ["disable", "cost", "denied"],
            "browser",
        ),
        (&POST, "/policies/cost/dance", &[], "", ["unknown", "", "refused"], "no such route"),
        (&Method::DELETE, "/policies/cost", &[], "", ["unknown", "cost", "refused"], "GET, HEAD, PUT"),
        (
            &PUT,
            "/policies/cost?settings=%22s3cr3t-value%22",
            &[],
            "component-bytes",
            ["upload", "cost", "refused"],
            "not a JSON object",
        ),
    ];
    for (method, path, headers, body, expected, detail) in cases {
        let before = listener.audit().len();
        listener.send(method, path, headers, body).await;
        let lines = listener.audit();
        assert_eq!(lines.len(), before + 1, "{path}: {lines:?}");
        let line = &lines[before];
        assert_eq!(
            [&line["action"], &line["slot"], &line["outcome"]],
            expected.map(|word| json!(word)).each_ref(),
            "{line}"
        );
        assert!(line["detail"].as_str().unwrap().contains(detail), "{line}");
        assert!(line["remote"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert_eq!((&line["message"], &line["level"]), (&json!("operator action"), &json!("INFO")));
    }
    for path in ["/", "/policies", "/policies/routing", "/history", "/nowhere"] {
        listener.get(path).await;
    }
    assert_eq!(listener.audit().len(), cases.len(), "reading is no action");
    for secret in ["component-bytes", "s3cr3t", "0.77"] {
        assert!(!listener.log_text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_denied_action_is_written_down_without_the_token() {
    let listener = Listener::start(Some(TOKEN)).await;
    let wrong = [("authorization", "Bearer wrong-token-0123456789")];
    listener.send(&POST, "/policies/routing/promote", &wrong, "").await.refused(401, "unauthorized", "token");
    let lines = listener.audit();
    assert_eq!((lines.len(), &lines[0]["outcome"], &lines[0]["action"]), (1, &json!("denied"), &json!("promote")));
    assert!(!listener.log_text().contains("wrong-token"));
}

#[tokio::test]
async fn an_operation_goes_on_when_its_client_hangs_up() {
    let listener = Listener::start(None).await;
    let mut client = TcpStream::connect(listener.address).await.unwrap();
    let head = "POST /policies/cost.shadows.waits/retry HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    listener.wait("the operation", || (!listener.asked().is_empty()).then_some(())).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(listener.audit().len(), 0);
    listener.let_go();
    let line = listener.wait("its line", || listener.audit().pop()).await;
    assert_eq!((&line["action"], &line["outcome"]), (&json!("retry"), &json!("done")));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_written_down() {
    let listener = Listener::start(None).await;
    let mut client = TcpStream::connect(listener.address).await.unwrap();
    let head = "PUT /policies/routing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf";
    client.write_all(head.as_bytes()).await.unwrap();
    drop(client);
    let line = listener.wait("its line", || listener.audit().pop()).await;
    assert_eq!((&line["action"], &line["outcome"]), (&json!("upload"), &json!("refused")));
    assert_eq!(listener.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn connections_are_bounded_and_one_more_waits_its_turn() {
    let listener = Listener::start(None).await;
    // All addresses of 127.0.0.0/8 are loopback.
    let from = async |last: usize| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.{last}:0").parse().unwrap()).unwrap();
        socket.connect(listener.address).await.unwrap()
    };
    let mut open = Vec::new();
    for number in 0..super::MAX_CONNECTIONS {
        let address = 1 + number / super::MAX_CONNECTIONS_PER_ADDRESS;
        let mut client = from(address).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
        open.push(client);
        if open.len() == super::MAX_CONNECTIONS_PER_ADDRESS {
            let closed = from(address).await.read(&mut [0; 1]).await;
            assert!(matches!(closed, Ok(0) | Err(_)), "one address got more than its share");
        }
    }
    let mut waiting = from(100).await;
    waiting.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    let early = tokio::time::timeout(Duration::from_millis(100), waiting.read(&mut answer)).await;
    assert!(early.is_err(), "it was answered while all connections were taken");
    open.pop();
    assert!(waiting.read(&mut answer).await.unwrap() > 0);
}

#[tokio::test]
async fn it_stops_when_told_to() {
    let listener = Listener::start(None).await;
    let idle = TcpStream::connect(listener.address).await.unwrap();
    listener.stop().await;
    drop(idle);
}

#[tokio::test]
async fn each_answer_is_json_that_nobody_keeps() {
    let listener = Listener::start(None).await;
    for path in ["/", "/policies", "/nowhere"] {
        let answer: Answer = listener.get(path).await;
        assert_eq!([answer.header("content-type"), answer.header("cache-control")], ["application/json", "no-store"]);
        assert!(serde_json::from_str::<Value>(&answer.text).is_ok());
    }
}
