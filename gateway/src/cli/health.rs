//! `wasmgate health`: asks a gateway whether it can do its work. For health checks in images that hold no other program.
//!
//! Exit codes: 0 where it can; 1 where it cannot, or cannot be reached; 2 where the usage is wrong.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::{StatusCode, Url};

use super::root_cause;

/// Whoever checks the health asks again soon.
const TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Args)]
pub(crate) struct Health {
    /// Where the gateway listens for clients.
    #[arg(long, env = "WASMGATE_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
}

/// Asks, and says what came of it.
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
    let url = base.join("health").map_err(|error| format!("{base} is not the address of a gateway: {error}"))?;
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| format!("the HTTP client: {error}"))?;
    let unreachable = |error| format!("{url} does not answer: {}", root_cause(&error));
    let response = client.get(url.clone()).send().await.map_err(unreachable)?;
    let (status, text) = (response.status(), response.text().await.map_err(unreachable)?);
    match status {
        StatusCode::OK => Ok(text),
        _ => Err(format!("{url} answers {status}: {text}")),
    }
}
