//! Faults of traffic.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::monitoring::load::{Load, streamed};
use wasmgate_tests::monitoring::stack::Stack;
use wasmgate_tests::wire::{Dialect, Usage};

use super::faults::{MODELS, ask, flood, in_order, models, quiet};
use super::{Drill, To};

pub(super) const TRAFFIC: &[Drill] = &[
    Drill {
        fault: "one request in eight fails",
        setup: models,
        inject: |stack| ask(stack, 20, &[("flaky", 2), ("good", 6)]),
        // No more than before: what the windows remember must not be told again.
        repair: |stack| ask(stack, 20, &[("good", 1)]),
        told: &[(To::Critical, "HighErrorRate")],
        inhibited: &[],
        says: &["x upstream_5xx (local).", "Worst model: flaky ("],
    },
    Drill {
        fault: "half of very few requests fail",
        setup: models,
        inject: |stack| ask(stack, 1200, &[("flaky", 1)]),
        repair: flood,
        told: &[(To::Critical, "ErrorBudgetBurnFast")],
        inhibited: &[],
        says: &["x upstream_5xx (local)."],
    },
    Drill {
        fault: "one request in twelve fails",
        setup: models,
        inject: |stack| ask(stack, 20, &[("flaky", 2), ("good", 10)]),
        repair: flood,
        told: &[(To::Warning, "ErrorBudgetBurnSlow")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "answers take twelve seconds",
        setup: models,
        inject: |stack| [0, 900, 1800, 2700].iter().flat_map(|&pause| ask(stack, pause, &[("slow", 1)])).collect(),
        repair: quiet,
        told: &[(To::Warning, "SlowResponses")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "a few answers cost much",
        setup: models,
        inject: |stack| {
            let load = ask(stack, 500, &[("dear", 1)]);
            load[0].wait_answered(4);
            Vec::new()
        },
        repair: quiet,
        told: &[(To::Warning, "HighAPICosts")],
        inhibited: &[],
        says: &["Most of it: dear, "],
    },
    Drill {
        fault: "all goes to the cloud",
        setup: models,
        inject: |stack| ask(stack, 100, &[("cloudy", 1)]),
        repair: flood,
        told: &[(To::Warning, "ExcessiveCloudUsage")],
        inhibited: &["LowLocalRouting"],
        says: &["Most of them to cloudy ("],
    },
    Drill {
        fault: "one request in eight finds its backend full",
        setup: models,
        inject: |stack| full(stack, 7),
        repair: |stack| ask(stack, 20, &[("good", 1)]),
        told: &[(To::Critical, "HighErrorRate")],
        inhibited: &[],
        says: &["x backend_full."],
    },
    Drill {
        fault: "one request in twenty finds its backend full",
        setup: models,
        inject: |stack| full(stack, 19),
        repair: |stack| ask(stack, 20, &[("good", 1)]),
        told: &[(To::Warning, "GatewayOverloaded")],
        inhibited: &[],
        says: &["x backend_full."],
    },
    Drill {
        fault: "the first choice does not know its model",
        setup: |_| {
            let url = UNKNOWING.url();
            let first =
                format!("[backends.first]\nkind = \"openai\"\nurl = \"{url}\"\n[models.first]\nbackend = \"first\"\n");
            in_order(Gateway::setup().models(&(first + MODELS)))
        },
        inject: |stack| ask(stack, 50, &[("auto", 1), ("good", 1)]),
        repair: |stack| ask(stack, 50, &[("good", 1)]),
        told: &[(To::Warning, "FallbackSurge")],
        inhibited: &[],
        says: &["x first to ", "upstream_4xx."],
    },
    Drill {
        fault: "a provider sends frames of no dialect",
        setup: |_| {
            let url = CHATTY.url();
            Gateway::setup().models(&format!(
                "[backends.chatty]\nkind = \"openai\"\nurl = \"{url}\"\n[models.chatty]\nbackend = \"chatty\"\n{MODELS}"
            ))
        },
        inject: |stack| {
            vec![Load::start(stack.gateway.address, Duration::from_millis(100), vec![streamed("chatty", "hello")])]
        },
        repair: quiet,
        told: &[(To::Info, "FramesSkipped")],
        inhibited: &[],
        says: &["Streams of backend chatty had"],
    },
    Drill {
        fault: "half of the calls of a cloud model break off, and another model answers",
        setup: |_| {
            let first = format!(
                "[backends.first]\nkind = \"openai\"\nurl = \"{}\"\nlocation = \"cloud\"\n\
                 retries = {{ attempts = 1 }}\nbreaker = {{ enabled = false }}\n[models.first]\nbackend = \"first\"\n\
                 price = {{ input_usd_per_million_tokens = 0.1, output_usd_per_million_tokens = 0.1 }}\n",
                BREAKS_OFF.url()
            );
            in_order(Gateway::setup().models(&(first + MODELS)))
        },
        inject: |stack| ask(stack, 20, &[("auto", 1), ("good", 5)]),
        repair: |stack| ask(stack, 20, &[("good", 1)]),
        told: &[(To::Info, "UnaccountedCalls")],
        inhibited: &[],
        says: &["calls of model first in", "x broken."],
    },
    Drill {
        fault: "a model has no price",
        setup: models,
        inject: |stack| ask(stack, 50, &[("unpriced", 1), ("good", 3)]),
        repair: quiet,
        told: &[(To::Warning, "UnpricedTraffic")],
        inhibited: &[],
        says: &["Model unpriced answered"],
    },
    Drill {
        fault: "streams begin late",
        setup: models,
        inject: |stack| {
            let late = || Load::start(stack.gateway.address, Duration::ZERO, vec![streamed("late", "hello")]);
            (0..16).map(|_| late()).collect()
        },
        repair: quiet,
        told: &[(To::Warning, "SlowFirstToken")],
        inhibited: &[],
        says: &["of model late is"],
    },
];

static UNKNOWING: LazyLock<Backend> =
    LazyLock::new(|| Backend::start(|_| Reply::json(404, &json!({"error": {"code": "model_not_found"}}))));

/// Two frames of each stream are JSON and of no dialect.
static CHATTY: LazyLock<Backend> = LazyLock::new(|| {
    Backend::start(|_| {
        let frames = Dialect::OpenAi.frames(&["well"], USAGE);
        Reply::stream("text/event-stream").frames(["data: {\"id\": 7}\n\n"; 2]).frames(frames).end()
    })
});

/// Every other answer breaks off after its first byte.
static BREAKS_OFF: LazyLock<Backend> = LazyLock::new(|| {
    let calls = AtomicUsize::new(0);
    Backend::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
        _ => Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 64\r\n\r\n{").cut(),
    })
});

const USAGE: Usage = Usage { input: 3, output: 1 };

/// One request has the only place of a backend, and one in so many others asks for it.
fn full(stack: &Stack, others: usize) -> Vec<Load> {
    let mut load = ask(stack, 0, &[("narrow", 1)]);
    let of_narrow = [("upstream", "narrow"), ("state", "in_flight")];
    stack.gateway.wait_metric("api_gateway_upstream_calls", &of_narrow, 1.0);
    load.extend(ask(stack, 20, &[("narrow", 1), ("good", others)]));
    load
}
