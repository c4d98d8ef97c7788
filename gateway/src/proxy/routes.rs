//! The client routes: each path, its handler and the dialect of its errors.

use hyper::Method;
use hyper::header::UPGRADE;
use hyper::http::request::Parts;

use super::introspect::Page;
use super::models::MODELS;
use super::stored::Stored;
use wasmgate_dialect::Dialect;
use wasmgate_dialect::embeddings::Form;

/// The handler of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    /// A chat in a dialect.
    Chat(Dialect),
    /// A routing decision without an answer.
    Explain,
    /// Embeddings in a form.
    Embeddings(Form),
    /// How many tokens a prompt has.
    CountTokens,
    /// What a client says of an answer.
    Feedback,
    /// What a model can do, as Ollama's clients ask.
    Show,
    /// A model, as the SDKs list it.
    Model,
    /// An answer that a provider has stored.
    Stored(Stored),
    /// A page about the gateway itself.
    Page(Page),
}

const ROUTES: [(&str, Route); 24] = [
    ("/api/v1/chat", Route::Chat(Dialect::Native)),
    ("/v1/chat/completions", Route::Chat(Dialect::OpenAi)),
    ("/v1/responses", Route::Chat(Dialect::Responses)),
    ("/v1/messages", Route::Chat(Dialect::Anthropic)),
    ("/api/chat", Route::Chat(Dialect::Ollama)),
    ("/api/v1/complexity", Route::Explain),
    ("/v1/completions", Route::Chat(Dialect::Completions)),
    ("/api/generate", Route::Chat(Dialect::Generate)),
    ("/v1/messages/count_tokens", Route::CountTokens),
    ("/v1/feedback", Route::Feedback),
    ("/v1/embeddings", Route::Embeddings(Form::OpenAi)),
    ("/api/embed", Route::Embeddings(Form::Ollama)),
    ("/api/embeddings", Route::Embeddings(Form::OllamaSingle)),
    ("/api/show", Route::Show),
    ("/", Route::Page(Page::Alive)),
    ("/health", Route::Page(Page::Health)),
    ("/metrics", Route::Page(Page::Metrics)),
    ("/api/v1/models", Route::Page(Page::Models)),
    ("/api/v1/stats", Route::Page(Page::Stats)),
    ("/v1/models", Route::Page(Page::SdkModels)),
    ("/api/tags", Route::Page(Page::OllamaTags)),
    ("/api/ps", Route::Page(Page::OllamaRunning)),
    ("/api/version", Route::Page(Page::OllamaVersion)),
    ("/api/hello", Route::Page(Page::Hello)),
];

impl Route {
    /// The route of a path.
    pub(super) fn find(path: &str) -> Option<Self> {
        let known = ROUTES.iter().find(|(known, _)| *known == path).map(|(_, route)| *route);
        let is_model = || path.strip_prefix(MODELS).is_some_and(|id| !id.is_empty());
        let stored = || Stored::find(path).map(|(_, stored)| Self::Stored(stored));
        known.or_else(stored).or_else(|| is_model().then_some(Self::Model))
    }

    /// Whether it is meant for operators, who also find it on the admin listener.
    pub(super) fn is_for_operators(self) -> bool {
        matches!(self, Self::Page(Page::Metrics | Page::Stats))
    }

    /// Whether a client needs a key for it, if the operator wants keys: for all that calls a model or names one.
    pub(super) fn needs_key(self) -> bool {
        match self {
            Self::Page(page) => page.names_models(),
            Self::Chat(_) | Self::Explain | Self::Embeddings(_) | Self::CountTokens | Self::Feedback => true,
            Self::Show | Self::Model | Self::Stored(_) => true,
        }
    }

    /// The methods that the route accepts, as the `Allow` header lists them.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Chat(_) | Self::Explain | Self::Embeddings(_) | Self::CountTokens | Self::Feedback | Self::Show => {
                "POST"
            }
            Self::Stored(stored) => stored.allowed(),
            Self::Page(_) | Self::Model => "GET, HEAD",
        }
    }

    /// Whether a client asks for a WebSocket in place of a stream. Codex then takes the stream if it is told status 426.
    pub(super) fn is_websocket(self, head: &Parts) -> bool {
        let upgrade = head.headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        matches!(self, Self::Chat(Dialect::Responses)) && upgrade.eq_ignore_ascii_case("websocket")
    }

    /// Whether the route accepts a method.
    pub(super) fn allows(self, method: &Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// The dialect in which errors of a path are encoded, whether the path is known or not.
pub(super) fn dialect_of(path: &str) -> Dialect {
    if path.starts_with("/v1/messages") {
        Dialect::Anthropic
    } else if path.starts_with("/v1/") {
        Dialect::OpenAi
    } else if path.starts_with("/api/") && !path.starts_with("/api/v1/") {
        Dialect::Ollama
    } else {
        Dialect::Native
    }
}

/// What to say of a path that is no route: mostly, the base URL of an SDK is wrong.
pub(super) fn unknown(path: &str) -> String {
    let known = |path: &str| Route::find(path).is_some();
    let base =
        "the base URL of OpenAI's SDKs is this server's address with /v1, that of Anthropic's and Ollama's without it";
    match path {
        _ if path.strip_suffix('/').is_some_and(known) => {
            format!("there is no such route; {} is one, without the slash at its end", &path[..path.len() - 1])
        }
        _ if path.starts_with("/v1/v1/") || path.starts_with("/v1/api/") => {
            format!("there is no such route; the base URL has a /v1 too many: {base}")
        }
        _ if known(&format!("/v1{path}")) => {
            format!("there is no such route; the base URL lacks /v1: {base}")
        }
        _ => format!("there is no such route; GET / lists the routes for models, health and metrics; {base}"),
    }
}
