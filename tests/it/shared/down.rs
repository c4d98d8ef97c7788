//! What holds while the server of the shared limits does not answer, and what follows when it returns.

use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::redis::Redis;
use wasmgate_tests::wait::{until, until_slowly};
use wasmgate_tests::wire::Dialect;

use super::{USAGE, chat, setup, wait_up};

fn answers() -> Backend {
    Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)))
}

/// How many requests are admitted before the first that is not; its status and error code.
fn admitted(gateway: &Gateway) -> (usize, u16, String) {
    for count in 0..1000 {
        let answer = chat(gateway);
        if answer.status() != 200 {
            let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
            return (count, answer.status(), code);
        }
    }
    panic!("a thousand requests are admitted");
}

#[test]
fn without_the_server_a_gateway_spends_what_it_borrowed_or_nothing_or_its_share() {
    let backend = answers();
    for (on_down, acme, expected) in [
        // A tenth of a dollar was borrowed, of which the first request took 0.003; twice that if a round of the clock came between.
        ("borrowed-only", "limits = { usd_total = 1 }", (20..75, 503, "limits_unavailable")),
        ("closed", "limits = { usd_total = 1 }", (0..1, 503, "limits_unavailable")),
        // Half of twenty for each of two, one of them used before; the dollars are never a share.
        ("local-share", "limits = { requests_total = 20 }", (9..10, 429, "rate_limit_exceeded")),
        ("local-share", "limits = { usd_total = 1 }\nexact = true", (0..1, 503, "limits_unavailable")),
        ("borrowed-only", "limits = { usd_total = 1 }\nexact = true", (0..1, 503, "limits_unavailable")),
    ] {
        let mut redis = Redis::start();
        let shared = format!("slice_percent = 10\non_shared_down = \"{on_down}\"");
        let start = || setup(&redis, acme, &shared, &backend).start();
        let (one, two) = (start(), start());
        for gateway in [&one, &two] {
            wait_up(gateway, true);
            gateway.wait_metric("api_gateway_shared_gateways", &[("store", "redis")], 2.0);
        }
        let _ = chat(&one).expect(200);
        until("some is borrowed ahead, where it is", || {
            let asked = |by: &str| {
                one.metrics().value("api_gateway_shared_borrows_total", &[("by", by), ("result", "granted")])
            };
            (asked("request") >= 1.0).then_some(())
        });
        redis.kill();
        wait_up(&one, false);
        let (count, status, code) = admitted(&one);
        assert!(expected.0.contains(&count), "{on_down}, {acme}: {count} admitted");
        assert_eq!((status, &*code), (expected.1, expected.2), "{on_down}, {acme}");
        if status == 503 {
            let labels = [("reason", "shared_down")];
            until("the refusal is counted", || {
                (one.metrics().value("api_gateway_rejected_requests_total", &labels) >= 1.0).then_some(())
            });
            assert_eq!(chat(&one).header("retry-after"), "1");
        }
        // The server returns and knows nothing; the gateway tells it what it spent.
        redis.start_again();
        wait_up(&one, true);
        let spent = 1 + count;
        let (part, each) = if acme.contains("requests") { ("requests:total", 1) } else { ("usd:total", 3_000_000) };
        until_slowly("what was spent is told", || {
            let bucket = redis.bucket(part)?;
            (bucket["spent"] == i64::try_from(spent).unwrap() * each).then_some(())
        });
    }
}

#[test]
fn a_server_that_hangs_is_as_one_that_is_gone() {
    let redis = Redis::start();
    let backend = answers();
    let acme = "limits = { usd_total = 1 }\nexact = true";
    let gateway = setup(&redis, acme, "", &backend).start();
    wait_up(&gateway, true);
    let _ = chat(&gateway).expect(200);
    redis.freeze(true);
    let _ = chat(&gateway).expect(503);
    wait_up(&gateway, false);
    redis.freeze(false);
    wait_up(&gateway, true);
    let _ = chat(&gateway).expect(200);
    gateway.wait_for_log("lost", |line| line["message"] == "the shared state is lost");
}

#[test]
fn the_password_is_in_the_environment_and_nowhere_else() {
    let redis = Redis::with_password(Some("hunter2hunter2"));
    let backend = answers();
    let start = |variable: &str| {
        let lines = "password_env = \"STATE_PASSWORD\"";
        setup(&redis, "limits = { requests_total = 5 }", lines, &backend).variable("STATE_PASSWORD", variable).start()
    };
    let right = start("hunter2hunter2");
    wait_up(&right, true);
    let _ = chat(&right).expect(200);
    let wrong = start("wrongwrong");
    wrong.wait_for_log("refused", |line| line["message"] == "the shared state cannot be reached");
    wait_up(&wrong, false);
    for gateway in [right, wrong] {
        let log = gateway.log_to_its_end().join("\n");
        assert!(!log.contains("hunter2") && !log.contains("wrongwrong"), "{log}");
    }
}

#[test]
fn each_mistake_in_the_shared_settings_is_named() {
    for (text, said) in [
        ("url = \"redis://:hunter2@localhost\"", "shared.url: has a password in it"),
        ("url = \"http://localhost\"", "shared.url: not an address that begins with redis://"),
        ("url = \"redis://localhost\"\nslice_percent = 80", "shared.slice_percent: 80, expected 0 to 50"),
        ("url = \"redis://localhost\"\non_shared_down = \"open\"", "shared.on_shared_down"),
        ("url = \"redis://localhost\"\nprefix = \"a b\"", "shared.prefix: \"a b\""),
        ("password_env = \"NO_SUCH_VARIABLE_HERE\"", "shared.password_env: no such variable is set"),
    ] {
        let exit = Gateway::setup().top(&format!("[shared]\n{text}")).check();
        exit.expect(2, &[said]);
        assert!(!exit.text().contains("hunter2"), "{}", exit.text());
    }
}
