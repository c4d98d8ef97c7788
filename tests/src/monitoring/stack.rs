//! A gateway and all that watches over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::alertmanager::Alertmanager;
use super::prometheus::{Addresses, Prometheus};
use super::{Server, repository};
use crate::backend::{Backend, Reply};
use crate::gateway::{Gateway, Setup};

/// What Ollama says of itself, and whether it is there. It is a stand-in, for its faults: its answers count no tokens.
#[derive(Debug)]
pub struct Ollama {
    server: Backend,
    up: Arc<AtomicBool>,
}

impl Ollama {
    /// One that is up.
    #[must_use]
    pub fn start() -> Self {
        let up = Arc::new(AtomicBool::new(true));
        let is_up = Arc::clone(&up);
        let pages = move |path: &str| match (is_up.load(Ordering::Relaxed), path) {
            (false, _) => Reply::silent().cut(),
            (true, "/api/ps") => Reply::json(200, &json!({"models": [{"name": "tinyllama"}]})),
            (true, _) => Reply::whole(200, "text/plain", b"Ollama is running"),
        };
        let message = json!({"role": "assistant", "content": "well"});
        let answer = json!({"model": "llama", "message": message, "done": true, "done_reason": "stop"});
        Self { server: Backend::with_pages(move |_| Reply::json(200, &answer), pages), up }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Whether it answers from now on.
    pub fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }
}

/// The stack. All of it ends when dropped.
#[derive(Debug)]
pub struct Stack {
    /// What is watched.
    pub gateway: Gateway,
    /// The stand-in for Ollama.
    pub ollama: Ollama,
    /// Who watches.
    pub prometheus: Prometheus,
    /// Who is told.
    pub alertmanager: Alertmanager,
    _blackbox: Server,
}

impl Stack {
    /// Starts it, and waits until all is scraped.
    ///
    /// # Panics
    /// Where a part does not start.
    #[must_use]
    pub fn start(setup: impl FnOnce(&Ollama) -> Setup) -> Self {
        let ollama = Ollama::start();
        let gateway = setup(&ollama).start();
        let blackbox = Server::start("prometheus-blackbox-exporter", |command| {
            command.arg(format!("--config.file={}", repository("monitoring/blackbox/blackbox.yml").display()));
        });
        let alertmanager = Alertmanager::start();
        let prometheus = Prometheus::start(&Addresses {
            gateway: gateway.address.to_string(),
            ollama: format!("{}/", ollama.url()),
            blackbox: blackbox.address.to_string(),
            alertmanager: alertmanager.server.address.to_string(),
            node: String::new(),
        });
        prometheus.api.wait_up(&["api-gateway", "ollama", "prometheus", "alertmanager"]);
        Self { gateway, ollama, prometheus, alertmanager, _blackbox: blackbox }
    }

    /// Starts the gateway again that has ended, over the same folder.
    ///
    /// # Panics
    /// Where it has not ended, or does not start.
    pub fn restart_gateway(&mut self) {
        let _ = self.gateway.wait_exit();
        self.gateway.start_again();
    }
}
