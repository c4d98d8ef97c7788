//! The gateway of a run, and the backends behind it.

use serde_json::json;

use crate::backend::{Backend, Reply};
use crate::chaos::plan::Draws;
use crate::faults::{Call, FAULTS, USAGE};
use crate::gateway::Gateway;
use crate::http2::{self, Answer, Http2Backend};
use crate::wire::Dialect;

/// Answers at once, always.
pub(super) const STEADY: &str = "steady";
/// Streams more than sockets hold.
pub(super) const BIG: &str = "big";
/// Falls silent at some point.
pub(super) const SILENT: &str = "silent";
/// Has a fault of the table.
pub(super) const FAULTY: &str = "faulty";

/// Speaks HTTP/2, allows few streams, refuses some, and goes away.
pub(super) const REFUSING: &str = "refusing";

/// Streams that the refusing one allows on a connection.
const FEW_STREAMS: u32 = 3;
/// Requests that may be in flight. Those that hostile clients hold for as long as they may are fewer.
const MAX_IN_FLIGHT: usize = 160;

/// See the module.
pub(super) struct Scene {
    /// The process under test.
    pub gateway: Gateway,
    backend: Backend,
    // Serves until dropped.
    _refusing: Http2Backend,
}

impl Scene {
    /// Starts all.
    #[must_use]
    pub(super) fn start(seed: u64) -> Self {
        let backend = Backend::start(move |request| {
            let model = request.path.split('/').nth(1).unwrap_or_default();
            let body = String::from_utf8_lossy(&request.body);
            let stream = request.json()["stream"] == true;
            let mut draws = Draws(seed ^ number_in(&body));
            match model {
                BIG => big(),
                SILENT => silent(&mut draws),
                FAULTY => {
                    let fault = &FAULTS[draws.below(FAULTS.len())];
                    (fault.reply)(&Call { dialect: Dialect::OpenAi, stream, number: 0, texts: &["one ", "two"] })
                }
                _ if stream => {
                    Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["always ", "well"], USAGE)).end()
                }
                _ => Reply::json(200, &Dialect::OpenAi.answer("always well", USAGE)),
            }
        });
        let refusing = Http2Backend::start(FEW_STREAMS, move |call| refusing(seed, call));
        let mut models: String = [STEADY, BIG, SILENT, FAULTY]
            .map(|name| model(name, &format!("{}/{name}", backend.url()), "auto"))
            .concat();
        models += &model(REFUSING, &refusing.url(), "prior-knowledge");
        let gateway = Gateway::setup()
            .server(&format!(
                "max_in_flight = {MAX_IN_FLIGHT}\nhead_timeout_seconds = 2\nbody_timeout_seconds = 2\n\
                 write_timeout_seconds = 2\n"
            ))
            .models(&models)
            .start();
        Self { gateway, backend, _refusing: refusing }
    }

    /// Forgets what the backend has seen.
    pub(super) fn forget(&self) {
        self.backend.forget_requests();
    }
}

/// A prompt by which the backend knows what to draw.
#[must_use]
pub(super) fn prompt(draws: &mut Draws) -> String {
    format!("soak-{}-", draws.next())
}

fn number_in(body: &str) -> u64 {
    let number = body.split_once("soak-").and_then(|(_, rest)| rest.split('-').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn model(name: &str, url: &str, http2: &str) -> String {
    format!(
        r#"
        [backends.{name}]
        kind = "openai"
        url = "{url}"
        http2 = "{http2}"
        probe_interval_seconds = 0
        retries = {{ attempts = 1 }}
        [backends.{name}.breaker]
        retry_seconds = 0.1
        ramp_seconds = 0.1
        [backends.{name}.timeouts]
        head_seconds = 3
        first_token_seconds = 3
        idle_seconds = 3
        total_seconds = 5
        [models.{name}]
        backend = "{name}"
        "#
    )
}

fn big() -> Reply {
    let piece = json!({"id": "b", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "many words ".repeat(700)}, "finish_reason": null}]});
    let piece = format!("data: {piece}\n\n");
    Reply::stream("text/event-stream").frames(std::iter::repeat_n(&piece, 512)).frames(["data: [DONE]\n\n"]).end()
}

fn silent(draws: &mut Draws) -> Reply {
    let frames = Dialect::OpenAi.frames(&["one ", "two ", "three"], USAGE);
    match draws.below(4) {
        0 => Reply::silent().stall(),
        1 => Reply::raw(b"HTTP/1.1 200 O").stall(),
        sent => Reply::stream("text/event-stream").frames(&frames[..sent]).stall(),
    }
}

/// Draws anew when a request is sent again.
fn refusing(seed: u64, call: &http2::Call) -> Answer {
    let mut draws = Draws(seed ^ number_in(&call.body.to_string()) ^ ((call.number as u64) << 32));
    match draws.below(10) {
        0..=2 => Answer::Refuse,
        3 => Answer::GoAway,
        4 => Answer::Nothing,
        _ if call.body["stream"] == true => Answer::Events(Dialect::OpenAi.frames(&["one ", "two"], USAGE)),
        _ => Answer::Json(Dialect::OpenAi.answer("one two", USAGE)),
    }
}
