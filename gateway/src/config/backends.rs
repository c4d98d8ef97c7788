//! `[backends.NAME]`: as written, and as checked settings of a backend.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::checks::check_name;
use super::egress::{EgressFile, HeaderFile, Shared, check_simulated, mean_egress};
use super::problem::{Code, Problems, Wrong, wrong};
use super::quirks::QuirksFile;
use super::secret::{self, Readers};
use crate::backend::retry::Retries;
use crate::backend::{self, Egress, Kind, LocatedBy, Location, Secret, Timeouts, seconds};
use wasmgate_base::range::Range;

/// Shortest interval of probes, in seconds: a hundred times a second is more than any server needs.
const MIN_PROBE_INTERVAL: f64 = 0.01;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendFile {
    kind: Option<&'static Kind>,
    url: Option<String>,
    #[serde(default)]
    http2: backend::Http2,
    location: Option<Location>,
    api_key_env: Option<String>,
    api_key_file: Option<PathBuf>,
    proxy: Option<String>,
    ca_file: Option<PathBuf>,
    client_cert_file: Option<PathBuf>,
    client_key_file: Option<PathBuf>,
    #[serde(default)]
    headers: IndexMap<String, HeaderFile>,
    #[serde(default)]
    timeouts: backend::TimeoutsFile,
    #[serde(default)]
    retries: Retries,
    #[serde(default)]
    breaker: backend::BreakerSettings,
    #[serde(default)]
    queue: backend::QueueSettings,
    probe_interval_seconds: Option<f64>,
    #[serde(default)]
    responses: bool,
    #[serde(default)]
    strict_streams: bool,
    sim: Option<backend::SimSettings>,
    #[serde(default)]
    quirks: QuirksFile,
}

/// The numbers that each setting may have.
pub(super) const RANGES: &[(&str, Range)] =
    &[("probe_interval_seconds", Range::ZeroOr("no probes", MIN_PROBE_INTERVAL, 86_400.0))];

/// The checked settings; `None` if the kind is not known, or a simulated backend has what it cannot have.
pub(super) fn mean_backend(
    name: String,
    file: BackendFile,
    shared: &Shared<'_>,
    problems: &mut Problems,
) -> Option<backend::Settings> {
    let at = |key: &'static str| ["backends", &*name, key];
    problems.take(check_name(&["backends", &name], &name));
    let Some(kind) = file.kind else {
        let expected = "\"ollama\", \"openai\" (any compatible server), \"anthropic\" or \"sim\"";
        problems.add(wrong(&at("kind"), Code::Missing, "missing", expected));
        problems.leave_out(&["backends", &name]);
        return None;
    };
    let url = mean_url(&name, kind, file.url.as_deref(), problems);
    if !kind.simulated && file.sim.is_some() {
        let found = "only a backend of kind \"sim\" has these settings";
        problems.add(wrong(&at("sim"), Code::Conflict, found, ""));
    }
    if file.responses && kind.responses_path.is_none() {
        let found = "only a backend of kind \"openai\" has a Responses API";
        problems.add(wrong(&at("responses"), Code::Conflict, found, ""));
    }
    let api_key = match (&file.api_key_env, &file.api_key_file) {
        (None, None) => None,
        _ if kind.simulated => {
            let key = if file.api_key_env.is_some() { "api_key_env" } else { "api_key_file" };
            problems.add(wrong(&at(key), Code::Conflict, "a simulated backend has no API key", ""));
            None
        }
        (Some(_), Some(_)) => {
            let found = "`api_key_env` is also set";
            problems.add(wrong(&at("api_key_file"), Code::Conflict, found, "only one of them"));
            None
        }
        (Some(variable), None) => problems.take(key_of_variable(variable, &at("api_key_env"))).map(Secret::new),
        (None, Some(path)) => {
            problems.take(key_of_file(&shared.folder.join(path), &at("api_key_file"))).map(Secret::new)
        }
    };
    if api_key.is_none() && (file.api_key_env.is_some() || file.api_key_file.is_some()) {
        // There is one, and what is wrong with it was said.
        problems.leave_out(&at("api_key_env"));
    }
    let egress = EgressFile {
        proxy: file.proxy,
        ca_file: file.ca_file,
        client_cert_file: file.client_cert_file,
        client_key_file: file.client_key_file,
        headers: file.headers,
    };
    let egress = if kind.simulated {
        check_simulated(&name, &egress, problems);
        Egress::default()
    } else {
        mean_egress(&name, egress, url.as_deref(), shared, problems)
    };
    let key_header = kind.key_header();
    if api_key.is_some() && egress.headers.iter().any(|header| *header.name() == key_header) {
        let found = format!("the API key is sent as `{key_header}`");
        problems.add(wrong(&["backends", &name, "headers", key_header], Code::Conflict, found, "only one of them"));
    }
    let (location, located_by) = match (file.location, kind.location) {
        (Some(location), _) => (location, LocatedBy::Configuration),
        (None, Some(location)) => (location, LocatedBy::Kind),
        (None, None) => (url.as_deref().map_or(Location::Local, location_of), LocatedBy::Address),
    };
    let probe_interval = match file.probe_interval_seconds {
        None => (location == Location::Local && url.is_some()).then_some(Duration::from_secs(15)),
        Some(0.0) => None,
        Some(interval) => Some(seconds(interval)),
    };
    let quirks = file.quirks.mean(kind.dialect, &at("quirks"), problems);
    Some(backend::Settings {
        kind,
        sim: kind.simulated.then(|| file.sim.unwrap_or_default()),
        url,
        http2: file.http2,
        location,
        located_by,
        api_key,
        egress,
        timeouts: file.timeouts.or(&Timeouts::defaults(location)),
        probe_interval,
        retries: file.retries,
        breaker: file.breaker,
        queue: file.queue,
        responses: file.responses,
        strict_streams: file.strict_streams,
        quirks,
        name,
    })
}

/// The API key in a variable of the environment.
fn key_of_variable(variable: &str, path: &[&str]) -> Result<String, Wrong> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(name) || variable.starts_with(|c: char| c.is_ascii_digit()) {
        // It may be a key, so it is not repeated.
        let expected = "the name of the environment variable that holds the key, as in \"OPENAI_API_KEY\"";
        return Err(wrong(path, Code::InvalidValue, "this is not the name of a variable", expected));
    }
    match std::env::var(variable) {
        Ok(key) if !key.trim().is_empty() => {
            let key = key.trim().to_owned();
            let found = |what: &str| format!("the environment variable {variable} holds {what}");
            secret::no_key(&key)
                .map_or(Ok(key), |what| Err(wrong(path, Code::InvalidValue, found(what), "the key alone")))
        }
        Ok(_) => Err(wrong(path, Code::Missing, format!("the environment variable {variable} is empty"), "an API key")),
        Err(_) => Err(wrong(path, Code::Missing, format!("the environment variable {variable} is not set"), "")),
    }
}

/// The API key in a file.
fn key_of_file(file: &Path, path: &[&str]) -> Result<String, Wrong> {
    let key = secret::read(file, Readers::Anyone).map_err(|message| wrong(path, Code::Unreadable, message, ""))?;
    let found = |what: &str| format!("{} holds {what}", file.display());
    secret::no_key(&key).map_or(Ok(key), |what| Err(wrong(path, Code::InvalidValue, found(what), "the key alone")))
}

/// The checked address of a backend, without a slash at its end; `None` if it has none, or a wrong one.
fn mean_url(name: &str, kind: &Kind, written: Option<&str>, problems: &mut Problems) -> Option<String> {
    let path = ["backends", name, "url"];
    let example = kind.default_url.unwrap_or("http://127.0.0.1:8000/v1");
    match written.or(kind.default_url) {
        Some(_) if kind.simulated => {
            problems.add(wrong(&path, Code::Conflict, "a simulated backend has no address", ""));
            None
        }
        None if kind.simulated => None,
        None => {
            problems.add(wrong(&path, Code::Missing, "missing", format!("an address, as in {example:?}")));
            None
        }
        Some(url) => match check_url(kind, url) {
            Ok(()) => Some(url.trim_end_matches('/').to_owned()),
            Err((found, expected)) => {
                problems.add(wrong(&path, Code::InvalidValue, found, expected));
                None
            }
        },
    }
}

/// Checks an address; else what it is, and what is expected. The gateway appends the paths of its kind to it.
fn check_url(kind: &Kind, text: &str) -> Result<(), (String, String)> {
    let shown = match text.rsplit_once('@') {
        Some((_, host)) => format!("\"…@{host}\""),
        None => match text.split_once('?') {
            Some((before, _)) => format!("\"{before}?…\""),
            None => format!("{text:?}"),
        },
    };
    let example = kind.default_url.unwrap_or("http://127.0.0.1:8000/v1");
    let expected = || format!("one like {example:?}");
    let Some(url) = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Err((format!("{shown} is not an http or https address"), expected()));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let expected = "the key in `api_key_env` or in `headers`".to_owned();
        return Err((format!("{shown} has a user or a password"), expected));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err((format!("{shown} has something behind its path"), "only scheme, host, port and path".into()));
    }
    // Paths that the gateway appends itself, and their beginnings.
    let appended = [Some(kind.chat_path), kind.responses_path, kind.count_path, kind.probe_path]
        .into_iter()
        .chain([kind.embeddings.map(|(_, path)| path)])
        .chain(kind.others.iter().map(|(_, path)| Some(*path)))
        .flatten()
        .filter(|path| !path.is_empty());
    let path = url.path().trim_end_matches('/');
    for whole in appended {
        let mut end = whole;
        while !end.is_empty() {
            // `/v1/models` is one of our paths; `/models` alone may be part of an address.
            let alone = end != "/models" && end != "/chat" || path.ends_with(&format!("{}{end}", kind.root_path));
            if path.ends_with(end) && alone {
                let begins = text.trim_end_matches('/').strip_suffix(end).unwrap_or(text);
                let found = format!("{shown} ends in {end:?}, which the gateway appends itself");
                return Err((found, format!("{begins:?}")));
            }
            end = &end[..end.rfind('/').unwrap_or(0)];
        }
    }
    if kind.loads_models && path.ends_with("/v1") {
        let found = format!("{shown} is the address of an API like OpenAI's");
        let expected =
            format!("{:?} for kind \"ollama\", or kind \"openai\"", text.trim_end_matches('/').trim_end_matches("/v1"));
        return Err((found, expected));
    }
    Ok(())
}

/// Where the server of a checked address runs.
fn location_of(url: &str) -> Location {
    let url = reqwest::Url::parse(url).ok();
    url.as_ref().and_then(reqwest::Url::host_str).map_or(Location::Cloud, Location::of_host)
}
