//! Faults of policies.

use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::guests;

use super::faults::{MODELS, TOUCHY, ask, beside, calm, flood, models, quiet, script, touch};
use super::{Drill, To};

pub(super) const POLICIES: &[Drill] = &[
    Drill {
        fault: "the policy fails for one request in ten",
        setup: |ollama| script(TOUCHY, models(ollama)),
        inject: |stack| touch(stack, 10),
        repair: calm,
        told: &[(To::Critical, "PolicyTrapping")],
        inhibited: &[],
        says: &["x guest_error."],
    },
    Drill {
        fault: "the policy fails for every request",
        setup: |ollama| script(TOUCHY, models(ollama)),
        inject: |stack| touch(stack, 1),
        repair: calm,
        told: &[(To::Warning, "PolicyBreakerOpen")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "the policy is slow",
        setup: |ollama| models(ollama).guest("ponders").limits("call_time_ms = 10_000"),
        inject: |stack| touch(stack, 8).into_iter().chain(ask(stack, 20, &[("auto", 1)])).collect(),
        repair: quiet,
        told: &[(To::Warning, "PolicyLatencyHigh")],
        inhibited: &[],
        says: &["one call may take 10s."],
    },
    Drill {
        fault: "a policy's new file is broken",
        setup: |ollama| models(ollama).component("live", &guests::build("decides")),
        inject: |stack| {
            stack.gateway.put("live.wasm", b"not a component");
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.put("live.wasm", &guests::build("decides"));
            Vec::new()
        },
        told: &[(To::Warning, "PolicyReloadRejected")],
        inhibited: &[],
        says: &["The version was not parsed."],
    },
    Drill {
        fault: "a shadow fails for one request in ten",
        setup: |ollama| beside("shadows.next", "counts-and-traps", "", models(ollama)),
        inject: |stack| touch(stack, 10),
        repair: flood,
        told: &[(To::Warning, "PolicyTrappingNonActive")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "a shadow decides otherwise",
        setup: |ollama| beside("shadows.next", "second", "", models(ollama)),
        inject: |stack| touch(stack, 10),
        repair: quiet,
        told: &[(To::Info, "ShadowDisagreement")],
        inhibited: &[],
        says: &[" in place of "],
    },
    Drill {
        fault: "a canary's choices fail",
        setup: |_| {
            let flaky = MODELS.replace("fault = { every = 2,", "fault = { every = 8,");
            let canary = "percent = 30, abort = { min_samples = 1_000_000 }";
            beside("canary", "second", canary, Gateway::setup().reloading().server("affinity = false").models(&flaky))
        },
        inject: |stack| touch(stack, 10),
        repair: |stack| ask(stack, 1, &[("good", 1)]),
        told: &[(To::Warning, "CanaryErrorsHigh")],
        inhibited: &[],
        says: &[],
    },
];
