//! The gateway dies while alerts fire. No alert may be called resolved before it is back: only what is asked can say that all
//! is well.

use std::collections::BTreeSet;

use wasmgate_tests::backend::Backend;
use wasmgate_tests::gateway::Setup;
use wasmgate_tests::guests;
use wasmgate_tests::monitoring::load::Load;
use wasmgate_tests::monitoring::stack::{Ollama, Stack};
use wasmgate_tests::wait::try_until_slowly;

use super::faults::{MODELS, TOUCHY, ask, at_one_port, backend, models, script, touch};
use super::{To, assert_texts, firing, is_quiet, receivers, start, told};

struct Death {
    name: &'static str,
    setup: fn(&Ollama) -> Setup,
    inject: fn(&mut Stack) -> Vec<Load>,
    /// All messages sent before it dies.
    told: &'static [(To, &'static str)],
    /// An alert of which nothing is left while the gateway is gone; `None` where all repeat the last known state.
    ends: Option<&'static str>,
    /// What is mended before it is started again.
    repair: fn(&mut Stack),
}

const DEATHS: &[Death] = &[
    Death {
        name: "while requests fail, are slow and cost much",
        setup: |ollama| at_one_port(models(ollama)),
        inject: |stack| {
            let slow = [0, 900, 1800, 2700].iter().flat_map(|&pause| ask(stack, pause, &[("slow", 1)]));
            let mut load: Vec<Load> = slow.collect();
            load.extend(ask(stack, 20, &[("flaky", 2), ("good", 6)]));
            load.extend(ask(stack, 500, &[("dear", 1)]));
            load
        },
        told: &[(To::Critical, "HighErrorRate"), (To::Warning, "SlowResponses"), (To::Warning, "HighAPICosts")],
        ends: Some("HighErrorRate"),
        repair: |_| (),
    },
    Death {
        name: "while a backend is down and what is new was refused",
        setup: |ollama| {
            let with_second = models(ollama).models(&backend("second", &ollama.url()));
            at_one_port(with_second.component("live", &guests::build("decides")))
        },
        inject: |stack| {
            std::fs::copy(stack.gateway.path("wasmgate.toml"), stack.gateway.path("good.toml")).unwrap();
            stack.gateway.edit_config(&stack.ollama.url(), &Backend::nowhere());
            // A configuration is refused while a component is broken.
            stack.gateway.wait_metric("api_gateway_upstream_up", &[("upstream", "second")], 0.0);
            stack.gateway.put("live.wasm", b"not a component");
            Vec::new()
        },
        told: &[(To::Warning, "BackendDown"), (To::Warning, "PolicyReloadRejected")],
        ends: None,
        repair: |stack| {
            std::fs::copy(stack.gateway.path("good.toml"), stack.gateway.path("wasmgate.toml")).unwrap();
            stack.gateway.put("live.wasm", &guests::build("decides"));
        },
    },
    Death {
        name: "while the configuration is broken",
        setup: |ollama| at_one_port(models(ollama)),
        inject: |stack| {
            stack.gateway.put_config("[backends.\n");
            Vec::new()
        },
        told: &[(To::Warning, "ConfigReloadRejected")],
        ends: None,
        repair: |stack| stack.gateway.put_config(MODELS),
    },
    Death {
        name: "while a policy fails",
        setup: |ollama| at_one_port(script(TOUCHY, models(ollama))),
        inject: |stack| touch(stack, 10),
        told: &[(To::Critical, "PolicyTrapping")],
        ends: Some("PolicyTrapping"),
        repair: |_| (),
    },
];

#[test]
fn nothing_is_called_resolved_because_the_gateway_died() {
    std::thread::scope(|scope| {
        let running: Vec<_> = DEATHS.iter().map(|death| (death.name, scope.spawn(|| run(death)))).collect();
        let failed: Vec<&str> = running.into_iter().filter_map(|(name, run)| run.join().err().map(|_| name)).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

fn run(death: &Death) {
    let name = death.name;
    let mut stack = start(death.setup);
    let state = |stack: &Stack| format!("firing {:?}\n{}", firing(stack), stack.alertmanager.texts());
    let load = (death.inject)(&mut stack);
    let mut expected = receivers(death.told);
    let fired = try_until_slowly(|| told(&stack, false).is_superset(&expected).then_some(()));
    assert!(fired.is_some(), "{name}: not {expected:?}: {}", state(&stack));

    stack.gateway.process.signal("KILL");
    drop(load);
    expected.extend(receivers(&[(To::Critical, "GatewayDown")]));
    let gone = try_until_slowly(|| {
        let ended = death.ends.is_none_or(|alert| !firing(&stack).contains(&alert.to_owned()));
        (told(&stack, false).is_superset(&expected) && ended).then_some(())
    });
    assert!(gone.is_some(), "{name}: the death is not told, or nothing ended: {}", state(&stack));
    assert_eq!(told(&stack, true), BTreeSet::new(), "{name}: resolved by a death: {}", state(&stack));

    (death.repair)(&mut stack);
    stack.restart_gateway();
    let down = receivers(&[(To::Critical, "GatewayDown")]);
    let well = try_until_slowly(|| (told(&stack, true).is_superset(&down) && is_quiet(&stack)).then_some(()));
    assert!(well.is_some(), "{name}: not all is well after the restart: {}", state(&stack));
    assert_eq!(told(&stack, false), expected, "{name}: {}", state(&stack));
    assert!(told(&stack, true).is_subset(&expected), "{name}: {}", state(&stack));
    assert_texts(name, &stack, &[]);
}
