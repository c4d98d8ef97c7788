//! A client of the admin API, with timeouts and with errors that name the next step; and what its commands have in common.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmgate_base::io_reason::io_reason;

use super::root_cause;

/// Timeout for connecting. Short, because a person waits for the command.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout for reading requests.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for operations, which may compile a component.
const DO_TIMEOUT: Duration = Duration::from_secs(660);
/// Time after which the command prints what it is waiting for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a command reaches a gateway.
#[derive(Args)]
pub(super) struct Access {
    /// Address of the gateway's admin listener.
    #[arg(
        long,
        global = true,
        env = "WASMGATE_ADMIN_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8081"
    )]
    admin: Url,
    /// File with the token of the admin listener (default: the token in WASMGATE_ADMIN_TOKEN).
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// How a command reaches a gateway, and how it prints the answer.
#[derive(Args)]
pub(super) struct Connection {
    #[command(flatten)]
    access: Access,
    /// Print the API's JSON unchanged.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// An answer, for people and as JSON.
pub(super) struct Answered {
    /// For people.
    pub(super) text: String,
    /// The API's JSON.
    pub(super) json: String,
}

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The user can fix it.
    Refused(String),
    /// The gateway cannot be reached, or failed.
    Unreachable(String),
}

impl Connection {
    /// Runs a command and prints its answer.
    pub(super) fn run(&self, command: impl AsyncFnOnce(Client) -> Result<Answered, Failed>) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(async { command(self.access.client()?).await }),
            Err(error) => Err(Failed::Unreachable(format!("the async runtime: {error}"))),
        };
        let (message, code) = match outcome {
            Ok(Answered { text, json }) => {
                let text = if self.json { json } else { text };
                // Ignored: a reader such as `head` may close the pipe early.
                let _ = std::io::stdout().write_all(text.as_bytes());
                return ExitCode::SUCCESS;
            }
            Err(Failed::Refused(message)) => (message, 2),
            Err(Failed::Unreachable(message)) => (message, 1),
        };
        let _ = writeln!(std::io::stderr(), "wasmgate: {}", super::table::clean(&message));
        ExitCode::from(code)
    }
}

impl Access {
    /// A client of that gateway.
    pub(super) fn client(&self) -> Result<Client, Failed> {
        Client::new(self.admin.clone(), token(self.token_file.as_deref())?)
    }
}

/// The token. The flag overrides the environment.
fn token(file: Option<&Path>) -> Result<Option<String>, Failed> {
    let text = match file {
        Some(file) => String::from_utf8(read_file(file)?)
            .ok()
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| Failed::Refused(format!("{}: expected a token", file.display())))?,
        None => std::env::var("WASMGATE_ADMIN_TOKEN").unwrap_or_default(),
    };
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// The content of a file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failed> {
    std::fs::read(path)
        .map_err(|error| Failed::Refused(format!("{}: cannot be read: {}", path.display(), io_reason(&error))))
}

/// An answer as its type.
pub(super) fn read<T: DeserializeOwned>(answer: &str) -> Result<T, Failed> {
    serde_json::from_str(answer)
        .map_err(|error| Failed::Unreachable(format!("the gateway's answer is not what this version expects: {error}")))
}

/// A request to the admin API.
pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    parameters: Vec<(&'static str, String)>,
    content_type: Option<&'static str>,
    body: Vec<u8>,
}

impl Call {
    pub(super) fn new(method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        Self { method, path, parameters: Vec::new(), content_type: None, body: Vec::new() }
    }

    pub(super) fn parameter(mut self, key: &'static str, value: &str) -> Self {
        self.parameters.push((key, value.to_owned()));
        self
    }

    pub(super) fn json(mut self, value: &Value) -> Self {
        self.content_type = Some("application/json");
        self.body = value.to_string().into();
        self
    }

    pub(super) fn component(mut self, component: Vec<u8>) -> Self {
        self.content_type = Some("application/wasm");
        self.body = component;
        self
    }

    /// The length of its query, in bytes.
    pub(super) fn query_bytes(&self) -> usize {
        Url::parse("http://localhost").map_or(0, |base| self.url(&base).query().unwrap_or_default().len())
    }

    /// Its URL below `base`, which may have a path if a proxy serves the API there.
    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.path);
        }
        if !self.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.parameters);
        }
        url
    }
}

/// See the module.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<HeaderValue>,
}

impl Client {
    fn new(base: Url, token: Option<String>) -> Result<Self, Failed> {
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            let message = format!("{base} is not an http or https address, expected one like http://127.0.0.1:8081");
            return Err(Failed::Refused(message));
        }
        let token = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failed::Refused("the token has characters that an HTTP header cannot carry".into()))?;
            value.set_sensitive(true);
            Ok(value)
        });
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("wasmgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failed::Unreachable(format!("the HTTP client: {error}")))?;
        Ok(Self { http, base, token: token.transpose()? })
    }

    /// Sends the request and returns the JSON of the answer.
    pub(super) async fn ask(&self, call: Call) -> Result<String, Failed> {
        let doing = call.method != Method::GET;
        let about = call.path.first().cloned().unwrap_or_default();
        let compiles = doing && about == "policies";
        let mut request = self.http.request(call.method.clone(), call.url(&self.base));
        request = request.timeout(if doing { DO_TIMEOUT } else { READ_TIMEOUT });
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(content_type) = call.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let answered = async {
            let response = request.body(call.body).send().await?;
            Ok((response.status(), response.text().await?))
        };
        tokio::pin!(answered);
        let answer: Result<_, reqwest::Error> = tokio::select! {
            answer = &mut answered => answer,
            () = tokio::time::sleep(PATIENCE), if compiles => {
                eprintln!("wasmgate: waiting for the gateway to check and compile; up to {} s", DO_TIMEOUT.as_secs());
                answered.await
            }
        };
        let (status, text) = answer.map_err(|error| self.unreachable(&about, &error))?;
        if status.is_success() { Ok(text) } else { Err(self.refused(&about, status, &text)) }
    }

    fn unreachable(&self, about: &str, error: &reqwest::Error) -> Failed {
        let base = &self.base;
        let cause = root_cause(error);
        Failed::Unreachable(if error.is_connect() {
            format!(
                "cannot reach {base}: {cause}; is the gateway running with its admin listener there? --admin or \
                 WASMGATE_ADMIN_URL name another address"
            )
        } else if error.is_timeout() {
            format!("{base} did not answer in time; `wasmgate {about} list` shows the current state")
        } else {
            format!("{base} did not answer: {cause}; is that the gateway's admin listener?")
        })
    }

    fn refused(&self, about: &str, status: StatusCode, text: &str) -> Failed {
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        let error = &answer["error"];
        let (Some(code), Some(message)) = (error["code"].as_str(), error["message"].as_str()) else {
            let base = &self.base;
            let message =
                format!("{base} answered {status} without the admin API's JSON; is that the gateway's admin listener?");
            return Failed::Unreachable(message);
        };
        let next = match (code, &self.token) {
            ("unauthorized", None) => "; set WASMGATE_ADMIN_TOKEN or give --token-file",
            ("unauthorized", Some(_)) => "; check WASMGATE_ADMIN_TOKEN or --token-file",
            ("unknown_slot", _) => "; `wasmgate policies list` shows the slots",
            ("unknown_key", _) => "; `wasmgate keys list` shows the keys",
            ("unknown_group", _) => "; `wasmgate groups list` shows the groups",
            ("conflict", _) if about == "policies" => "; `wasmgate policies show SLOT` shows the slot's state",
            ("unknown_route", _) => "; is that the gateway's admin listener?",
            _ => "",
        };
        let message = format!("{code}: {message}{next}");
        if status.is_server_error() { Failed::Unreachable(message) } else { Failed::Refused(message) }
    }
}
