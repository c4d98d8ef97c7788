//! Faults of the parts of the stack.

use std::sync::{Mutex, PoisonError};

use wasmgate_tests::backend::Backend;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::redis::Redis;

use super::faults::{GONE, MODELS, SHAKY, ask, at_one_port, backend, first_choice, models, with_ollama};
use super::{Drill, To};

/// The server of the drill that loses it.
static SHARED: Mutex<Option<Redis>> = Mutex::new(None);

fn with_shared(act: impl FnOnce(&mut Redis)) {
    act(SHARED.lock().unwrap_or_else(PoisonError::into_inner).as_mut().expect("a server"));
}

pub(super) const PARTS: &[Drill] = &[
    Drill {
        fault: "Ollama is gone",
        setup: with_ollama,
        inject: |stack| {
            stack.ollama.set_up(false);
            Vec::new()
        },
        repair: |stack| {
            stack.ollama.set_up(true);
            Vec::new()
        },
        told: &[(To::Critical, "OllamaDown")],
        inhibited: &["BackendDown"],
        says: &[],
    },
    Drill {
        fault: "the gateway is gone",
        setup: |ollama| at_one_port(models(ollama)),
        inject: |stack| {
            stack.gateway.process.signal("KILL");
            Vec::new()
        },
        repair: |stack| {
            stack.restart_gateway();
            Vec::new()
        },
        told: &[(To::Critical, "GatewayDown")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "no backend is reached",
        setup: |ollama| Gateway::setup().reloading().models(&backend("only", &ollama.url())),
        inject: |stack| {
            stack.gateway.edit_config(&stack.ollama.url(), &Backend::nowhere());
            Vec::new()
        },
        repair: |stack| {
            let url = stack.ollama.url();
            stack.gateway.put_config(&backend("only", &url));
            Vec::new()
        },
        told: &[(To::Critical, "GatewayUnhealthy")],
        inhibited: &["BackendDown"],
        says: &[],
    },
    Drill {
        fault: "one backend of several is not reached",
        setup: |ollama| models(ollama).models(&backend("second", &ollama.url())),
        inject: |stack| {
            stack.gateway.edit_config(&stack.ollama.url(), &Backend::nowhere());
            Vec::new()
        },
        repair: |stack| {
            let url = stack.ollama.url();
            stack.gateway.put_config(&format!("{MODELS}{}", backend("second", &url)));
            Vec::new()
        },
        told: &[(To::Warning, "BackendDown")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "the backend of the first choice is gone",
        setup: |_| first_choice(&GONE, 0.05),
        inject: |stack| {
            GONE.fail_every(1);
            ask(stack, 100, &[("auto", 1)])
        },
        // A probe finds it well before the breaker lets a call through.
        repair: |stack| {
            GONE.fail_every(0);
            ask(stack, 100, &[("auto", 1)])
        },
        told: &[(To::Warning, "BackendDown")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "the model of the first choice fails every other time",
        setup: |_| first_choice(&SHAKY, 10.0),
        inject: |stack| {
            SHAKY.fail_every(2);
            ask(stack, 100, &[("auto", 1)])
        },
        repair: |stack| {
            SHAKY.fail_every(0);
            ask(stack, 100, &[("auto", 1)])
        },
        told: &[(To::Warning, "BreakerOpen")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "the gateway's configuration is broken",
        setup: models,
        inject: |stack| {
            stack.gateway.put_config("[backends.\n");
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.put_config(MODELS);
            Vec::new()
        },
        told: &[(To::Warning, "ConfigReloadRejected")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "the server of the shared limits is gone",
        setup: |ollama| {
            let redis = Redis::start();
            let lines = format!("[groups.team]\nlimits.usd_per_day = 5\n[shared]\nurl = \"{}\"", redis.url());
            *SHARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(redis);
            models(ollama).top(&lines)
        },
        inject: |_| {
            with_shared(Redis::kill);
            Vec::new()
        },
        repair: |_| {
            with_shared(Redis::start_again);
            Vec::new()
        },
        told: &[(To::Critical, "SharedStateDown")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "Prometheus' configuration is broken",
        setup: models,
        inject: |stack| {
            let file = stack.prometheus.folder().join("prometheus.yml");
            std::fs::rename(&file, file.with_extension("good")).unwrap();
            std::fs::write(&file, "scrape_configs: nothing\n").unwrap();
            assert_eq!(stack.prometheus.api.reload(), 500);
            Vec::new()
        },
        repair: |stack| {
            let file = stack.prometheus.folder().join("prometheus.yml");
            std::fs::rename(file.with_extension("good"), &file).unwrap();
            assert_eq!(stack.prometheus.api.reload(), 200);
            Vec::new()
        },
        told: &[(To::Warning, "PrometheusConfigReloadFailed")],
        inhibited: &[],
        says: &[],
    },
    Drill {
        fault: "the gateway has far too many series",
        setup: |ollama| models(ollama).top("keep_series_seconds = 0.1"),
        inject: |stack| {
            stack.gateway.edit_config("[models.good]", &(many_models() + "[models.good]"));
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.edit_config(&many_models(), "");
            Vec::new()
        },
        told: &[(To::Warning, "GatewaySeriesTooMany")],
        inhibited: &[],
        says: &[],
    },
];

pub(super) fn many_models() -> String {
    (0..200).map(|number| format!("[models.m{number}]\nbackend = \"quick\"\n")).collect()
}
