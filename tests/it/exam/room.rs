//! A gateway of the exam: a primary model that a scenario scripts, and a fallback that is well.

use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::{Stream, post_json, request};
use wasmgate_tests::wire::ask;

use super::seen::{PATH, Seen, Who};

/// The primary first, whatever is known of it: which model answers is then up to retries, fallbacks and breakers alone.
const ROUTE: &str = "fn route(request, candidates) { route_to(candidates, \"in order\") }";

/// How the exam is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    /// Streams are held back until they are whole.
    pub(super) guarded: bool,
    /// The fallback is also asked where the primary takes long to its first token.
    pub(super) hedged: bool,
    /// Clients name the primary, which has a fallback, rather than leave the choice to the gateway.
    pub(super) named: bool,
}

/// A gateway with its two models.
pub(super) struct Room {
    pub(super) gateway: Gateway,
    pub(super) fallback: Backend,
    variant: Variant,
}

/// Whether a call asks for a stream.
pub(super) fn streams(request: &Request) -> bool {
    request.json()["stream"] == true
}

/// A primary that answers calls for streams so; others it answers well.
pub(super) fn primary(stream: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Backend {
    Backend::start(move |request| if streams(request) { stream(request) } else { Who::Primary.well(false) })
}

impl Room {
    /// Starts it. `settings` are tables of the primary, such as `[backends.primary.breaker]`.
    pub(super) fn open(variant: Variant, primary: &str, settings: &str) -> Self {
        let fallback = Backend::start(|request| Who::Fallback.well(streams(request)));
        let model = |name: &str, url: &str, own: &str| {
            format!(
                "[backends.{name}]\nkind = \"openai\"\nlocation = \"cloud\"\nurl = {url:?}\n\
                 [models.{name}]\nbackend = {name:?}\n{own}\n"
            )
        };
        let fallbacks = if variant.named { "fallbacks = [\"fallback\"]" } else { "" };
        let hedge = if variant.hedged { "[models.primary.timeouts]\nhedge_seconds = 1\n" } else { "" };
        let models = [
            model("primary", primary, fallbacks),
            model("fallback", &fallback.url(), ""),
            settings.to_owned(),
            hedge.to_owned(),
        ];
        let gateway = Gateway::setup()
            .models(&models.concat())
            .file("route.rhai", ROUTE.as_bytes())
            .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
            .start();
        Self { gateway, fallback, variant }
    }

    /// Asks for an answer, and waits for what comes of it.
    pub(super) fn ask(&self, stream: bool) -> Seen {
        let model = if self.variant.named { "primary" } else { "auto" };
        let body = ask(PATH, model, "hello", stream);
        if !stream {
            return Seen::of_whole(&self.gateway.send(post_json(PATH, &body)));
        }
        let guard: &[_] = if self.variant.guarded { &[("x-wasmgate-guarded", "true")] } else { &[] };
        let headers = [&[("content-type", "application/json")], guard].concat();
        let asked = request("POST", PATH, &headers, body.to_string().as_bytes());
        let mut client = self.gateway.connect();
        let head = client.send(&asked).head();
        if head.status != 200 {
            return Seen::of_whole(&client.body_of(head));
        }
        Seen::of_stream(&Stream::of(client, head).all())
    }

    /// Asks so often, streamed and not by turns.
    pub(super) fn ask_often(&self, count: usize) -> Vec<Seen> {
        (0..count).map(|number| self.ask(number % 2 == 0)).collect()
    }

    /// Asks for so many streams.
    pub(super) fn streams(&self, count: usize) -> Vec<Seen> {
        (0..count).map(|_| self.ask(true)).collect()
    }

    /// Whether a model's breaker is closed.
    pub(super) fn is_closed(&self, model: &str) -> bool {
        let labels = [("upstream", model), ("model", model), ("state", "closed")];
        self.gateway.metrics().value("api_gateway_breaker_state", &labels) == 1.0
    }

    /// Whether a model's backend counts as reachable.
    pub(super) fn is_up(&self, model: &str) -> bool {
        self.gateway.metrics().find("api_gateway_upstream_up", &[("upstream", model)]) != Some(0.0)
    }
}
