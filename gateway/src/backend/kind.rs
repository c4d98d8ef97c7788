//! The kinds of backend: one table row per kind, with everything that distinguishes it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use wasmgate_dialect::Dialect;
use wasmgate_dialect::embeddings::Form;

use super::settings::Location;

/// All kinds. A new kind is a new row.
static KINDS: [Kind; 4] = [
    // Ollama's native API.
    Kind {
        name: "ollama",
        dialect: Dialect::Ollama,
        default_url: Some("http://127.0.0.1:11434"),
        location: Some(Location::Local),
        root_path: "",
        chat_path: "/api/chat",
        responses_path: None,
        others: &[(Dialect::Generate, "/api/generate")],
        count_path: None,
        embeddings: Some((Form::Ollama, "/api/embed")),
        probe_path: Some("/api/ps"),
        key: Key::Bearer,
        headers: &[],
        loads_models: true,
        simulated: false,
    },
    // OpenAI's API, or any compatible server. There are many, so there is no default address.
    Kind {
        name: "openai",
        dialect: Dialect::OpenAi,
        default_url: None,
        location: None,
        root_path: "/v1",
        chat_path: "/chat/completions",
        responses_path: Some("/responses"),
        others: &[(Dialect::Completions, "/completions")],
        count_path: None,
        embeddings: Some((Form::OpenAi, "/embeddings")),
        probe_path: Some("/models"),
        key: Key::Bearer,
        headers: &[],
        loads_models: false,
        simulated: false,
    },
    // Anthropic's API.
    Kind {
        name: "anthropic",
        dialect: Dialect::Anthropic,
        default_url: Some("https://api.anthropic.com"),
        location: Some(Location::Cloud),
        root_path: "",
        chat_path: "/v1/messages",
        responses_path: None,
        others: &[],
        count_path: Some("/v1/messages/count_tokens"),
        embeddings: None,
        probe_path: Some("/v1/models"),
        key: Key::Header("x-api-key"),
        headers: &[("anthropic-version", "2023-06-01")],
        loads_models: false,
        simulated: false,
    },
    // A simulated model inside the gateway. Its answers say so.
    Kind {
        name: "sim",
        dialect: Dialect::OpenAi,
        default_url: None,
        location: Some(Location::Local),
        root_path: "",
        chat_path: "",
        responses_path: None,
        others: &[],
        count_path: None,
        embeddings: None,
        probe_path: None,
        key: Key::Bearer,
        headers: &[],
        loads_models: false,
        simulated: true,
    },
];

/// A kind of backend.
pub struct Kind {
    /// The word in the configuration.
    pub name: &'static str,
    /// The dialect of its chat API.
    pub dialect: Dialect,
    /// Address if the configuration sets none; `None`: the configuration must set it.
    pub default_url: Option<&'static str>,
    /// Where it runs if the configuration does not say; `None`: its address tells.
    pub location: Option<Location>,
    /// Path appended to an address without one, so that `http://host` and `http://host/v1` mean the same server.
    pub root_path: &'static str,
    /// Path of the chat API below the address.
    pub chat_path: &'static str,
    /// Path of the Responses API, if the backend is configured to have it; `None`: this kind never has it.
    pub responses_path: Option<&'static str>,
    /// Further dialects that it speaks, to clients that do: dialect and path.
    pub others: &'static [(Dialect, &'static str)],
    /// Path at which it counts the tokens of a prompt; `None`: it does not.
    pub count_path: Option<&'static str>,
    /// Form and path of its embeddings API; `None`: it has none.
    pub embeddings: Option<(Form, &'static str)>,
    /// Path that a probe requests; `None`: no probes.
    pub probe_path: Option<&'static str>,
    /// How it expects the API key.
    pub key: Key,
    /// Headers that it requires on each request: name and value.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether it loads models from disk on demand, and its probe lists the models in memory.
    pub loads_models: bool,
    /// Whether it is simulated inside the gateway: it has `sim` settings instead of an address.
    pub simulated: bool,
}

/// How a backend expects the API key.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    /// As `Authorization: Bearer KEY`.
    Bearer,
    /// In a header of this name.
    Header(&'static str),
}

impl Kind {
    /// The name of the header that holds the API key.
    #[must_use]
    pub fn key_header(&self) -> &'static str {
        match self.key {
            Key::Bearer => "authorization",
            Key::Header(name) => name,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// From the word in the configuration.
impl<'de> Deserialize<'de> for &'static Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static NAMES: [&str; KINDS.len()] = {
            let mut names = [""; KINDS.len()];
            let mut index = 0;
            while index < names.len() {
                names[index] = KINDS[index].name;
                index += 1;
            }
            names
        };
        let word = String::deserialize(deserializer)?;
        KINDS.iter().find(|kind| kind.name == word).ok_or_else(|| D::Error::unknown_variant(&word, &NAMES))
    }
}
