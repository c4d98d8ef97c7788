//! `[backends.NAME]`: as written, and as checked settings of a backend.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::checks::{check_name, seconds};
use super::egress::{EgressFile, HeaderFile, Shared, mean_egress};
use super::error::Wrong;
use super::quirks::QuirksFile;
use super::secret::{self, Readers};
use crate::backend::retry::Retries;
use crate::backend::{self, Kind, LocatedBy, Location, Secret, Timeouts};

/// Shortest interval of probes, in seconds: a hundred times a second is more than any server needs.
const MIN_PROBE_INTERVAL: f64 = 0.01;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendFile {
    kind: &'static Kind,
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

pub(super) fn mean_backend(name: String, file: BackendFile, shared: &Shared<'_>) -> Result<backend::Settings, Wrong> {
    let at = |key: &str| vec!["backends".to_owned(), name.clone(), key.to_owned()];
    check_name(&["backends", &name], &name)?;
    let kind = file.kind;
    let sim = match (kind.simulated, file.sim) {
        (true, sim) => Some(sim.unwrap_or_default()),
        (false, None) => None,
        (false, Some(_)) => return Err((at("sim"), "only a backend of kind \"sim\" has these settings".into())),
    };
    if let Some(message) = sim.as_ref().and_then(backend::SimSettings::out_of_range) {
        return Err((at("sim"), message));
    }
    let url = match file.url.as_deref().or(kind.default_url) {
        Some(_) if kind.simulated => return Err((at("url"), "a simulated backend has no address".into())),
        None if kind.simulated => None,
        None => return Err((at("url"), "missing, expected one like \"http://127.0.0.1:11434\"".into())),
        Some(url) => {
            let parsed = reqwest::Url::parse(url)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty());
            match parsed {
                Some(_) => Some(url.trim_end_matches('/').to_owned()),
                None => return Err((at("url"), format!("{url:?} is not an http or https address without a user"))),
            }
        }
    };
    if file.responses && kind.responses_path.is_none() {
        return Err((at("responses"), "only a backend of kind \"openai\" has a Responses API".into()));
    }
    let api_key = match (&file.api_key_env, &file.api_key_file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err((at("api_key_file"), "`api_key_env` is also set, expected only one of them".into()));
        }
        (Some(variable), None) => match std::env::var(variable) {
            Ok(key) if !key.trim().is_empty() => Some(Secret::new(key.trim().to_owned())),
            _ => return Err((at("api_key_env"), format!("the environment variable {variable} is not set"))),
        },
        (None, Some(path)) => {
            let key = secret::read(&shared.folder.join(path), Readers::Anyone)
                .map_err(|message| (at("api_key_file"), message))?;
            Some(Secret::new(key))
        }
    };
    let egress = EgressFile {
        proxy: file.proxy,
        ca_file: file.ca_file,
        client_cert_file: file.client_cert_file,
        client_key_file: file.client_key_file,
        headers: file.headers,
    };
    let egress = mean_egress(&name, egress, url.as_deref(), shared)?;
    let key_header = kind.key_header();
    if api_key.is_some() && egress.headers.iter().any(|header| *header.name() == key_header) {
        let message = format!("the API key is sent as `{key_header}`, expected only one of them");
        return Err((vec!["backends".to_owned(), name.clone(), "headers".to_owned(), key_header.to_owned()], message));
    }
    let (location, located_by) = match (file.location, kind.location) {
        (Some(location), _) => (location, LocatedBy::Configuration),
        (None, Some(location)) => (location, LocatedBy::Kind),
        (None, None) => (url.as_deref().map_or(Location::Local, location_of), LocatedBy::Address),
    };
    let timeouts = file.timeouts.or(&Timeouts::defaults(location)).map_err(|(key, message)| {
        (vec!["backends".to_owned(), name.clone(), "timeouts".to_owned(), key.to_owned()], message)
    })?;
    if let Some(message) = file.retries.out_of_range() {
        return Err((at("retries"), message));
    }
    if let Some(message) = file.breaker.out_of_range() {
        return Err((at("breaker"), message));
    }
    if let Some(message) = file.queue.out_of_range() {
        return Err((at("queue"), message));
    }
    let probe_interval = match file.probe_interval_seconds {
        None if location == Location::Local && url.is_some() => Some(Duration::from_secs(15)),
        None => None,
        Some(0.0) => None,
        Some(interval) if interval < MIN_PROBE_INTERVAL => {
            let expected = format!("expected 0 (no probes) or at least {MIN_PROBE_INTERVAL} seconds");
            return Err((at("probe_interval_seconds"), format!("{interval}, {expected}")));
        }
        Some(interval) => Some(seconds(&["backends", &name, "probe_interval_seconds"], interval)?),
    };
    let quirks = file.quirks.mean(kind.dialect).map_err(|(key, message)| {
        (vec!["backends".to_owned(), name.clone(), "quirks".to_owned(), key.to_owned()], message)
    })?;
    Ok(backend::Settings {
        name,
        kind,
        sim,
        url,
        http2: file.http2,
        location,
        located_by,
        api_key,
        egress,
        timeouts,
        probe_interval,
        retries: file.retries,
        breaker: file.breaker,
        queue: file.queue,
        responses: file.responses,
        strict_streams: file.strict_streams,
        quirks,
    })
}

/// Where the server of a checked address runs.
fn location_of(url: &str) -> Location {
    let url = reqwest::Url::parse(url).ok();
    url.as_ref().and_then(reqwest::Url::host_str).map_or(Location::Cloud, Location::of_host)
}
