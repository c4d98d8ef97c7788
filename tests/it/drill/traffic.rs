//! Faults of traffic.

use std::time::Duration;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::monitoring::load::{Load, streamed};
use wasmgate_tests::monitoring::stack::Stack;

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
        fault: "one request in thirty finds its backend full",
        setup: models,
        inject: |stack| full(stack, 29),
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

static UNKNOWING: std::sync::LazyLock<Backend> =
    std::sync::LazyLock::new(|| Backend::start(|_| Reply::json(404, &json!({"error": {"code": "model_not_found"}}))));

/// One request has the only place of a backend, and one in so many others asks for it.
fn full(stack: &Stack, others: usize) -> Vec<Load> {
    let mut load = ask(stack, 0, &[("narrow", 1)]);
    let of_narrow = [("upstream", "narrow"), ("state", "in_flight")];
    stack.gateway.wait_metric("api_gateway_upstream_calls", &of_narrow, 1.0);
    load.extend(ask(stack, 20, &[("narrow", 1), ("good", others)]));
    load
}
