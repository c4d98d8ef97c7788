//! Real clients, unchanged: each is run at a model that speaks its API, and at gateways before the same model, which ask it
//! through each API that a backend may have. The client must tell and do the same. `tests/real/clients` has their versions.

mod claude_code;
mod codex;
mod sdks;
mod versions;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::model::Model;

/// How a gateway asks the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    OpenAi,
    Responses,
    Anthropic,
    Ollama,
}

impl Backend {
    /// Its settings.
    fn lines(self) -> &'static str {
        match self {
            Self::OpenAi => "kind = \"openai\"",
            Self::Responses => "kind = \"openai\"\nresponses = true",
            Self::Anthropic => "kind = \"anthropic\"",
            Self::Ollama => "kind = \"ollama\"",
        }
    }

    /// Where it is asked for answers.
    fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::Ollama => "/api/chat",
        }
    }
}

/// A gateway with that one model, behind a backend that is asked once for each request.
fn before(model: &Model, name: &str, backend: Backend) -> Gateway {
    let (url, lines) = (model.url(), backend.lines());
    let models = format!(
        r#"
        [backends.only]
        {lines}
        url = "{url}"
        probe_interval_seconds = 0
        retries = {{ attempts = 1 }}
        [models."{name}"]
        backend = "only"
        name = "backend-model"
        capabilities = ["tools", "images", "structured-output"]
        context_window = 200000
        "#
    );
    Gateway::setup().models(&models).start()
}

/// Runs a client at the model, then at gateways before it, and gives what it told and did, which must always be the same.
/// `client` is given the address, and the backend where it is a gateway's.
#[track_caller]
fn the_same(
    name: &str,
    backends: &[Backend],
    model: impl Fn() -> Model,
    client: impl Fn(&str, Option<Backend>) -> Value,
) -> Value {
    let directly = client(&model().url(), None);
    let mut failures = String::new();
    for backend in backends {
        let model = model();
        let gateway = before(&model, name, *backend);
        let through = client(&format!("http://{}", gateway.address), Some(*backend));
        if through != directly {
            let (difference, log) = (difference(&directly, &through), gateway.process.lines().join("\n"));
            let _ = writeln!(failures, "{backend:?} backend:\n{difference}\nthe gateway's log:\n{log}");
            continue;
        }
        assert!(model.paths().iter().any(|path| path == backend.path()), "{backend:?}: {:?}", model.paths());
        gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    }
    assert!(failures.is_empty(), "not the same through the gateway\n{failures}");
    directly
}

/// What differs, case by case where there are cases.
fn difference(directly: &Value, through: &Value) -> String {
    let (Some(directly), Some(through)) = (directly.as_array(), through.as_array()) else {
        return format!("directly: {directly:#}\nthrough the gateway: {through:#}");
    };
    let mut lines = vec![format!("{} cases directly, {} through the gateway", directly.len(), through.len())];
    for (directly, through) in directly.iter().zip(through).filter(|(directly, through)| directly != through) {
        lines.push(format!("directly: {directly}\nthrough:  {through}"));
    }
    lines.join("\n")
}

/// A home and a folder to work in, new for each run but always at the same place, as prompts name it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn work(&self) -> PathBuf {
        self.0.path().join("work")
    }

    /// Empties both.
    fn empty(&self) {
        for folder in [self.home(), self.work()] {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
        }
    }

    /// A client that works here, knows nothing of this machine, and ends with all its children when its time is over.
    fn client(&self, program: &Path) -> Command {
        let mut client = Command::new("timeout");
        client.args(["--signal=KILL", "120"]).arg(program).current_dir(self.work()).stdin(Stdio::null());
        let path = std::env::var_os("PATH").unwrap_or_default();
        client.env_clear().env("PATH", path).env("HOME", self.home()).env("LANG", "C.UTF-8");
        // There is no network: whoever looks for it learns so at once.
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            client.env(proxy, "http://127.0.0.1:9");
        }
        client.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        client
    }
}

/// The lines of JSON that a client printed, and whether it ended well.
fn told(mut client: Command) -> (Vec<Value>, bool) {
    let output = client.output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!lines.is_empty(), "{client:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    (lines, output.status.success())
}
