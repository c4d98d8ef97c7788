//! A gateway whose clock differs from the server's.

use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::redis::Redis;
use wasmgate_tests::wire::Dialect;

use super::{USAGE, chat, setup_at, wait_up};

/// Longer than any month, so that the two clocks are never in the same one.
const AHEAD: u64 = 40 * 86_400;

#[test]
fn a_gateway_counts_by_the_servers_clock_alone() {
    let redis = Redis::start();
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)));
    // Ten requests of 0.003 dollars.
    let acme = "limits = { usd_per_month = 0.03 }\nexact = true";
    let gateway = setup_at(&redis.url_ahead(AHEAD), acme, "", &backend).start();
    wait_up(&gateway, true);
    let refused = (0..30).map(|_| {
        // Who looks at the limits reads no other clock.
        let _ = gateway.metrics();
        chat(&gateway)
    });
    let refused = refused.enumerate().find(|(_, answer)| answer.status() != 200);
    let (admitted, refused) = refused.expect("one is refused: the budget is spent");
    assert!((5..=10).contains(&admitted), "{admitted} are admitted");
    assert_eq!((refused.status(), refused.json()["error"]["code"].as_str()), (429, Some("insufficient_quota")));
}
