//! `wasmgate health`: checks whether a gateway is healthy, for health checks in images without other programs.
//!
//! Exit codes: 0 healthy; 1 unhealthy or unreachable; 2 wrong usage.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::{StatusCode, Url};

use super::root_cause;

/// Timeout of a check. Health checks repeat soon.
const TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Args)]
pub(crate) struct Health {
    /// The gateway's address for clients.
    #[arg(long, env = "WASMGATE_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
}

/// Checks the gateway's health and prints the result.
pub(crate) fn run(health: &Health) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(ask(&health.url)),
        Err(error) => Err(format!("the async runtime: {error}")),
    };
    match outcome {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("wasmgate: {message}");
            ExitCode::from(1)
        }
    }
}

async fn ask(base: &Url) -> Result<String, String> {
    let url = base.join("health").map_err(|error| format!("{base} is not a valid gateway address: {error}"))?;
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| format!("the HTTP client: {error}"))?;
    let unreachable = |error| format!("{url} did not answer: {}", root_cause(&error));
    let response = client.get(url.clone()).send().await.map_err(unreachable)?;
    let (status, text) = (response.status(), response.text().await.map_err(unreachable)?);
    match status {
        StatusCode::OK => Ok(text),
        _ => Err(format!("{url} answered {status}: {text}")),
    }
}
