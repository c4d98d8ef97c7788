//! The configuration of the gateway under measurement.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// What differs from the three models and the two built-in policies that decide.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// All at one backend.
    pub(crate) models: usize,
    /// Of these, the first so many are asked beside.
    pub(crate) shadows: usize,
    /// Lines of `[policies.routing]`.
    pub(crate) routing: String,
    /// How connections are shared out among threads, and how many there are, on all cores; `None`: as by default, on one core.
    pub(crate) threads: Option<(&'static str, usize)>,
    /// Whether each request is logged.
    pub(crate) log: bool,
    /// What must have decided each request.
    pub(crate) policy: &'static str,
}

const SHADOWS: [&str; 3] = ["cheapest-healthy", "latency-aware", "budget-guard"];

impl Default for Settings {
    fn default() -> Self {
        let routing = "builtin = \"complexity\"\n".to_owned();
        Self { models: 3, shadows: 0, routing, threads: None, log: false, policy: "complexity@" }
    }
}

impl Settings {
    /// Writes the file, for models at `backend`.
    pub(crate) fn write(&self, path: &Path, backend: SocketAddr, cache: &Path) -> Result<(), String> {
        std::fs::write(path, self.text(backend, cache)).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn text(&self, backend: SocketAddr, cache: &Path) -> String {
        let Self { models, shadows, routing, threads, log, .. } = self;
        let threads =
            threads.map_or(String::new(), |(runtime, count)| format!("runtime = {runtime:?}\nthreads = {count}"));
        let mut text = format!(
            r#"state_dir = "state"
cache_dir = {cache:?}
[server]
max_in_flight = 50_000
max_connections = 50_000
max_prompt_chars = 200_000
{threads}
[admin]
listen = "127.0.0.1:0"
[log]
requests = {log}
[backends.simulated]
kind = "openai"
url = "http://{backend}/v1"
location = "cloud"
[policies.cost]
builtin = "token-cost"
[policies.routing]
{routing}"#
        );
        // Writing to a String cannot fail.
        for shadow in &SHADOWS[..*shadows] {
            let _ = writeln!(text, "shadows.{shadow}.builtin = {shadow:?}");
        }
        for number in 0..*models {
            let _ = writeln!(text, "[models.model-{number}]\nbackend = \"simulated\"\ncontext_window = 200_000");
            let price = 0.5 + number as f64;
            let _ = writeln!(
                text,
                "price = {{ input_usd_per_million_tokens = {price:?}, output_usd_per_million_tokens = {price:?} }}"
            );
        }
        text
    }
}
