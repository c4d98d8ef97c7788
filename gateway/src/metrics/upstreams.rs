//! The gauges that each scrape reads from the backends.

use std::time::Instant;

use prometheus::{IntGauge, IntGaugeVec};

use super::register::Families;
use crate::backend::Catalog;
use crate::backend::{BreakerState, ClientCertificate, HealthState, Protocol};

/// See the module.
#[derive(Debug)]
pub(super) struct Upstreams {
    health: IntGauge,
    ollama_models_loaded: IntGauge,
    up: IntGaugeVec,
    connections: IntGaugeVec,
    calls: IntGaugeVec,
    priced: IntGaugeVec,
    price_source: IntGaugeVec,
    breaker_state: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
}

impl Upstreams {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            health: families
                .gauge("api_gateway_health", "1: policies are loaded and at least one backend is not down."),
            ollama_models_loaded: families
                .gauge("ollama_models_loaded", "Models in memory at the Ollama backends, as of the last probe."),
            up: families.gauges("api_gateway_upstream_up", "0: the backend is down.", &["upstream"]),
            connections: families.gauges(
                "api_gateway_upstream_connections",
                "Open connections to the backend, idle ones included.",
                &["upstream", "protocol"],
            ),
            calls: families.gauges(
                "api_gateway_upstream_calls",
                "Calls to the backend, in flight and waiting for its concurrency limit.",
                &["upstream", "state"],
            ),
            priced: families.gauges(
                "api_gateway_model_priced",
                "1: the model has a price, or is local and therefore free. 0: its spend is unknown and counts as 0.",
                &["model"],
            ),
            price_source: families.gauges(
                "api_gateway_model_price_source",
                "1: where the price of the model is from: the catalogue has its name (exact), or has it as another name of a \
                 model (alias), the configuration states it (override), the model is local and free (local), or it has none \
                 (unpriced).",
                &["model", "source"],
            ),
            breaker_state: families.gauges(
                "api_gateway_breaker_state",
                "1: the current state of the circuit breaker of a model at its backend. A breaker is also half_open \
                 when its pause is over and no call has come yet.",
                &["upstream", "model", "state"],
            ),
            certificate_expiry: families.gauges(
                "api_gateway_certificate_expiry_timestamp_seconds",
                "When certificates from files expire, in seconds since 1970: the first of a backend's client certificate \
                 and its chain (client), or the last of the root certificates (roots).",
                &["upstream", "certificate"],
            ),
        }
    }

    /// Updates all gauges from the backends' current state.
    pub(super) fn read(&self, catalog: &Catalog, healthy: bool) {
        self.health.set(i64::from(healthy));
        let mut loaded = 0;
        // A reload may take a certificate away, or a price.
        self.certificate_expiry.reset();
        self.price_source.reset();
        for backend in catalog.backends() {
            let up = backend.health().state() != HealthState::Down;
            self.up.with_label_values(&[&*backend.settings().name]).set(i64::from(up));
            for protocol in Protocol::ALL {
                let labels = [&*backend.settings().name, protocol.as_str()];
                self.connections.with_label_values(&labels).set(backend.connections(protocol).into());
            }
            for (state, calls) in [("in_flight", backend.in_flight()), ("waiting", backend.waiting())] {
                self.calls.with_label_values(&[&*backend.settings().name, state]).set(calls.into());
            }
            let tls = &backend.settings().egress.tls;
            let client = tls.client.as_ref().and_then(ClientCertificate::expires);
            for (certificate, at) in [("client", client), ("roots", tls.roots.expire())] {
                if let Some(at) = at.and_then(|at| i64::try_from(at).ok()) {
                    self.certificate_expiry.with_label_values(&[&*backend.settings().name, certificate]).set(at);
                }
            }
            loaded += i64::try_from(backend.loaded_models()).unwrap_or(i64::MAX);
        }
        self.ollama_models_loaded.set(loaded);
        for live in catalog.models() {
            self.priced.with_label_values(&[&*live.model.name]).set(i64::from(live.model.price.is_some()));
            self.price_source.with_label_values(&[&*live.model.name, live.model.priced.as_str()]).set(1);
            let is = live.breaker.state(Instant::now());
            for state in BreakerState::ALL {
                let labels = [&*live.backend.settings().name, &*live.model.name, state.as_str()];
                self.breaker_state.with_label_values(&labels).set(i64::from(state == is));
            }
        }
    }
}
