//! What a valid configuration probably does not mean: backends that nobody uses, locations that the gateway had to guess,
//! providers without a key.

use super::Config;
use super::problem::{Code, Problems, wrong};
use crate::backend::{LocatedBy, Location, Settings};

/// Hosts of providers that answer nobody without a key.
const PROVIDERS: &[&str] = &[
    "anthropic.com",
    "openai.com",
    "openai.azure.com",
    "openrouter.ai",
    "groq.com",
    "mistral.ai",
    "together.xyz",
    "together.ai",
    "deepseek.com",
    "fireworks.ai",
    "x.ai",
    "perplexity.ai",
    "cohere.com",
    "cohere.ai",
    "googleapis.com",
    "ollama.com",
];

/// Adds the warnings of a configuration.
pub(super) fn add(config: &Config, problems: &mut Problems) {
    for (position, backend) in config.backends.iter().enumerate() {
        let path = ["backends", &*backend.name];
        let named = |key| ["backends", &*backend.name, key];
        // A model that is wrong may have been meant for it.
        let used = config.models.iter().any(|model| model.backend == position);
        if !used && !problems.has_errors() {
            problems.warn(wrong(&path, Code::Unused, "no model uses this backend", "a [models.NAME] that names it"));
        }
        let Some(url) = backend.url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()) else { continue };
        let host = url.host_str().unwrap_or_default();
        if backend.located_by == LocatedBy::Address && backend.location == Location::Cloud {
            let found = format!("not set; the gateway took \"cloud\", because {host} is a public host");
            let expected = "\"cloud\" (models without a price are unpriced) or \"local\" (they are free)";
            problems.warn(wrong(&named("location"), Code::AssumedLocation, found, expected));
        }
        if has_key(backend) {
            if url.scheme() == "http" && Location::of_host(host) == Location::Cloud {
                let found = format!("requests to {host} carry the API key without TLS");
                problems.warn(wrong(&named("url"), Code::KeyWithoutTls, found, "an address that begins with https"));
            }
        } else if is_provider(host) {
            let found = format!("missing; {host} refuses requests without an API key");
            let expected = "the name of the environment variable that holds it";
            problems.warn(wrong(&named("api_key_env"), Code::MissingKey, found, expected));
        }
        let own = config.listen.port() != 0 && url.port_or_known_default() == Some(config.listen.port());
        if own && Location::of_host(host) == Location::Local && is_this_machine(host) {
            let found = format!("port {} of this machine is where the gateway itself listens", config.listen.port());
            problems.warn(wrong(&named("url"), Code::Conflict, found, "the address of a model server"));
        }
    }
}

fn is_provider(host: &str) -> bool {
    let below = |domain: &&&str| host.strip_suffix(**domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    PROVIDERS.iter().any(|domain| below(&domain))
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether requests carry a key: as one, or in a header.
fn has_key(backend: &Settings) -> bool {
    let carries = ["authorization", "x-api-key", "api-key"];
    backend.api_key.is_some()
        || backend.egress.headers.iter().any(|header| header.is_secret() || carries.contains(&header.name().as_str()))
}
