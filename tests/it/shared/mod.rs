//! What several gateways share in a real Redis server: limits, and what they spend together whatever dies; keys and groups.

mod clock;
mod down;
mod fleet;
mod keys;
mod lives;

use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::Backend;
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::redis::Redis;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const KEY: &str = "wg-anna-0123456789";
const PATH: &str = "/v1/chat/completions";
/// At a dollar a million input tokens and two a million output tokens: 0.003 dollars. A little more is reserved.
const USAGE: Usage = Usage { input: 1000, output: 1000 };

/// A gateway of the fleet: these lines of `[groups.acme]` and of `[shared]`, one model, no policies.
fn setup(redis: &Redis, acme: &str, shared: &str, backend: &Backend) -> Setup {
    setup_at(&redis.url(), acme, shared, backend)
}

fn setup_at(url: &str, acme: &str, shared: &str, backend: &Backend) -> Setup {
    let hash = KeyHash::of(KEY.as_bytes());
    let text = format!(
        "[groups.acme]\n{acme}\n[keys.anna]\ngroup = \"acme\"\nsha256 = \"{hash}\"\n\
         [shared]\nurl = \"{url}\"\ndeadline_ms = 5000\nlease_seconds = 1\n{shared}"
    );
    let setup = Gateway::setup().top(&text).routing("enabled = false").cost("enabled = false");
    setup.model("only", Dialect::OpenAi, backend)
}

fn bytes(stream: bool) -> Vec<u8> {
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    request("POST", PATH, &headers, ask(PATH, "only", "hello", stream).to_string().as_bytes())
}

fn chat(gateway: &Gateway) -> Response {
    gateway.send(bytes(false))
}

/// Waits until the gateway can ask the server, or until it knows that it cannot.
fn wait_up(gateway: &Gateway, up: bool) {
    gateway.wait_metric("api_gateway_shared_up", &[("store", "redis")], f64::from(u8::from(up)));
}
