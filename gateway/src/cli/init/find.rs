//! Finds Ollama with its models, and API keys of providers in the environment.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::root_cause;

/// Timeout of each request to Ollama, which is on this machine or near it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How many models of Ollama the file gets at most.
const MOST_MODELS: usize = 20;

/// Where Ollama listens by default.
const DEFAULT_URL: &str = "http://127.0.0.1:11434";

/// What was found.
pub(super) struct Found {
    pub(super) ollama: Ollama,
    /// Providers whose key is in the environment.
    pub(super) providers: Vec<&'static Provider>,
}

impl Found {
    /// The models of Ollama, the smallest first; empty if it cannot be asked.
    pub(super) fn local(&self) -> &[Local] {
        self.ollama.models.as_deref().unwrap_or_default()
    }
}

/// Ollama.
pub(super) struct Ollama {
    /// Its address.
    pub(super) url: String,
    /// Its models that write text, the smallest first, or why it cannot be asked.
    pub(super) models: Result<Vec<Local>, String>,
}

/// A model of Ollama.
pub(super) struct Local {
    pub(super) name: String,
    /// Its parameters if Ollama states them, else its bytes.
    size: f64,
    /// The size for people: `3.2B parameters`, or `2.0 GB`.
    pub(super) shown_size: String,
    pub(super) context_window: Option<u64>,
    /// In the configuration's words.
    pub(super) capabilities: Vec<&'static str>,
}

/// A provider.
pub(super) struct Provider {
    /// The name of its backend.
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// `None`: the default of its kind.
    pub(super) url: Option<&'static str>,
    /// The variable with its key.
    pub(super) variable: &'static str,
}

/// No models: providers replace theirs every few months, and a name that a program remembers is soon wrong.
static PROVIDERS: [Provider; 6] = [
    compatible("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    Provider { name: "anthropic", kind: "anthropic", url: None, variable: "ANTHROPIC_API_KEY" },
    compatible("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    compatible("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    compatible("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    compatible("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
];

const fn compatible(name: &'static str, url: &'static str, variable: &'static str) -> Provider {
    Provider { name, kind: "openai", url: Some(url), variable }
}

/// Asks Ollama for its models, and looks for keys. It sends no key anywhere.
pub(super) async fn look() -> Found {
    let is_set = |variable: &str| std::env::var(variable).is_ok_and(|key| !key.trim().is_empty());
    let url = address(&std::env::var("OLLAMA_HOST").unwrap_or_default());
    let models = models(&url).await;
    let providers = PROVIDERS.iter().filter(|provider| is_set(provider.variable)).collect();
    Found { ollama: Ollama { url, models }, providers }
}

/// Ollama's address from its variable, as Ollama's own programs read it.
fn address(host: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    let whole = match host.split_once("://") {
        _ if host.is_empty() => return DEFAULT_URL.into(),
        Some(_) => host.to_owned(),
        None if host.starts_with(':') => format!("http://127.0.0.1{host}"),
        None => format!("http://{host}"),
    };
    // The default port of a scheme is no port to `Url`.
    let has_port = |url: &Url| url.port().is_some() || host.contains("://") || whole.ends_with(":80");
    match Url::parse(&whole) {
        Ok(mut url) => {
            if !has_port(&url) {
                let _ = url.set_port(Some(11434));
            }
            // A server listens on all addresses; a client needs one of them.
            if url.host_str() == Some("0.0.0.0") {
                let _ = url.set_host(Some("127.0.0.1"));
            }
            url.as_str().trim_end_matches('/').to_owned()
        }
        Err(_) => DEFAULT_URL.into(),
    }
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    parameter_size: String,
}

async fn models(url: &str) -> Result<Vec<Local>, String> {
    let client = Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| format!("the HTTP client: {error}"))?;
    let unreachable = |error: reqwest::Error| root_cause(&error).to_string();
    let response = client.get(format!("{url}/api/tags")).send().await.map_err(unreachable)?;
    let response =
        response.error_for_status().map_err(|error| format!("status {}", error.status().unwrap_or_default()))?;
    let body = response.bytes().await.map_err(unreachable)?;
    let tags: Tags = serde_json::from_slice(&body).map_err(|_| "the answer is not Ollama's".to_owned())?;
    let mut models = Vec::new();
    for tag in tags.models.into_iter().take(MOST_MODELS) {
        let details = details(&client, url, &tag.name).await;
        models.extend(local(tag, &details.unwrap_or(Value::Null)));
    }
    models.sort_by(|a: &Local, b| a.size.total_cmp(&b.size).then_with(|| a.name.cmp(&b.name)));
    Ok(models)
}

/// What Ollama knows of a model, if it answers. Without it, the file lacks the context window and the capabilities.
async fn details(client: &Client, url: &str, model: &str) -> Option<Value> {
    let request = client.post(format!("{url}/api/show")).body(json!({"model": model}).to_string());
    serde_json::from_slice(&request.send().await.ok()?.bytes().await.ok()?).ok()
}

/// A model, unless it only makes embeddings or cannot have its name in a configuration.
fn local(tag: Tag, details: &Value) -> Option<Local> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if tag.name.is_empty() || tag.name.len() > 128 || !tag.name.chars().all(allowed) {
        return None;
    }
    let can: Vec<&str> = details["capabilities"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let embeds = if can.is_empty() { tag.name.contains("embed") } else { !can.contains(&"completion") };
    if embeds {
        return None;
    }
    let names = [("tools", "tools"), ("vision", "images")];
    let info = details["model_info"].as_object();
    let context = info.and_then(|info| info.iter().find(|(key, _)| key.ends_with(".context_length")));
    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    let bytes = tag.size as f64;
    let stated = tag.details.parameter_size;
    Some(Local {
        // A parameter takes half a byte to two bytes, so that the two can be compared.
        size: parameters(&stated).unwrap_or(bytes),
        shown_size: if stated.is_empty() { format!("{:.1} GB", bytes / 1e9) } else { format!("{stated} parameters") },
        context_window: context.and_then(|(_, length)| length.as_u64()).filter(|length| *length > 0),
        capabilities: names.iter().filter(|(theirs, _)| can.contains(theirs)).map(|(_, ours)| *ours).collect(),
        name: tag.name,
    })
}

/// The number in a text like `3.2B` or `270M`.
fn parameters(text: &str) -> Option<f64> {
    let units = [('K', 1e3), ('M', 1e6), ('B', 1e9), ('T', 1e12)];
    let (unit, factor) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    Some(text.trim_end_matches(unit).parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_as_ollama_reads_it() {
        for (host, url) in [
            ("", DEFAULT_URL),
            ("127.0.0.1", "http://127.0.0.1:11434"),
            ("0.0.0.0:8000", "http://127.0.0.1:8000"),
            (":8000", "http://127.0.0.1:8000"),
            ("http://gpu.local:11434/", "http://gpu.local:11434"),
            ("https://ollama.example", "https://ollama.example"),
        ] {
            assert_eq!(address(host), url, "{host:?}");
        }
    }

    #[test]
    fn sizes_are_compared_by_parameters() {
        assert!(parameters("270M").unwrap() < parameters("3.2B").unwrap());
        assert_eq!((parameters(""), parameters("large")), (None, None));
    }
}
