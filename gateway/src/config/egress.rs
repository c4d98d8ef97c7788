//! How requests to a backend leave the gateway: `proxy`, certificates and `headers` of `[backends.NAME]`, as written and as
//! checked settings.

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::problem::{Code, Problems, wrong};
use super::secret::{self, Readers};
use crate::backend::{ClientCertificate, Egress, ExtraHeader, Proxy, ProxyBy, ProxyVariables, Roots, Tls, WrongClient};

/// The settings of a backend.
#[derive(Default)]
pub(super) struct EgressFile {
    pub(super) proxy: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client_cert_file: Option<PathBuf>,
    pub(super) client_key_file: Option<PathBuf>,
    pub(super) headers: IndexMap<String, HeaderFile>,
}

/// The value of a header, or where it is.
pub(super) enum HeaderFile {
    Value(String),
    Secret(SecretFile),
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(super) struct SecretFile {
    env: Option<String>,
    file: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for HeaderFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = HeaderFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`")
            }

            fn visit_str<E>(self, value: &str) -> Result<HeaderFile, E> {
                Ok(HeaderFile::Value(value.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderFile, A::Error> {
                SecretFile::deserialize(MapAccessDeserializer::new(map)).map(HeaderFile::Secret)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What all backends share.
pub(super) struct Shared<'a> {
    /// The folder of the configuration.
    pub(super) folder: &'a Path,
    /// Root certificates of `[server]`.
    pub(super) roots: &'a Roots,
    /// What the environment says about proxies.
    pub(super) variables: &'a ProxyVariables,
}

/// The root certificates of `[server]`.
pub(super) fn mean_roots(file: Option<&Path>, folder: &Path, problems: &mut Problems) -> Roots {
    let read = file.map(|path| {
        let wrong = |message| wrong(&["server", "ca_file"], Code::Unreadable, message, "");
        read_roots(&folder.join(path)).map_err(wrong)
    });
    read.and_then(|read| problems.take(read)).unwrap_or_default()
}

/// `url`: the checked address of the backend; `None` if it is wrong, so that what depends on it is not checked.
pub(super) fn mean_egress(
    name: &str,
    file: EgressFile,
    url: Option<&str>,
    shared: &Shared<'_>,
    problems: &mut Problems,
) -> Egress {
    let at = |key: &'static str| ["backends", name, key];
    let (proxy, proxy_by) = match (file.proxy.as_deref(), url) {
        (Some("none"), _) => (None, ProxyBy::Configuration),
        (Some(address), _) => {
            let proxy = Proxy::parse(address).map_err(|message| wrong(&at("proxy"), Code::InvalidValue, message, ""));
            (problems.take(proxy), ProxyBy::Configuration)
        }
        (None, None) => (None, ProxyBy::Default),
        (None, Some(url)) => shared.variables.of(url).unwrap_or_else(|message| {
            let found = format!("{message}; or set `proxy = \"none\"` to reach this backend without one");
            problems.add(wrong(&at("proxy"), Code::InvalidValue, found, ""));
            (None, ProxyBy::Default)
        }),
    };
    if let Some(url) = url.filter(|url| !url.starts_with("https:")) {
        let tls = [
            ("ca_file", &file.ca_file),
            ("client_cert_file", &file.client_cert_file),
            ("client_key_file", &file.client_key_file),
        ];
        for (key, _) in tls.into_iter().filter(|(_, path)| path.is_some()) {
            let found = format!("{url:?} has no TLS");
            problems.add(wrong(&at(key), Code::Conflict, found, "an address that begins with https"));
        }
    }
    let more = file.ca_file.as_ref().map(|path| {
        read_roots(&shared.folder.join(path)).map_err(|message| wrong(&at("ca_file"), Code::Unreadable, message, ""))
    });
    let more = more.and_then(|read| problems.take(read));
    let roots = more.map_or_else(|| shared.roots.clone(), |more| shared.roots.and(more));
    let client = match (&file.client_cert_file, &file.client_key_file) {
        (None, None) => None,
        (Some(chain), Some(key)) => {
            let read = read_client(&shared.folder.join(chain), &shared.folder.join(key));
            problems.take(read.map_err(|(key, message)| wrong(&at(key), Code::Unreadable, message, "")))
        }
        (Some(_), None) => {
            problems.add(wrong(&at("client_key_file"), Code::Missing, "missing", "the key of `client_cert_file`"));
            None
        }
        (None, Some(_)) => {
            let expected = "the certificate of `client_key_file`";
            problems.add(wrong(&at("client_cert_file"), Code::Missing, "missing", expected));
            None
        }
    };
    let mut headers: Vec<ExtraHeader> = Vec::with_capacity(file.headers.len());
    for (header, value) in file.headers {
        let here = ["backends", name, "headers", &header];
        let value = mean_value(value, shared.folder).map_err(|(code, message)| wrong(&here, code, message, ""));
        let Some((value, secret)) = problems.take(value) else { continue };
        let extra = ExtraHeader::new(&header, &value, secret);
        let extra = extra.map_err(|message| wrong(&here, Code::InvalidValue, message, ""));
        let Some(extra) = problems.take(extra) else { continue };
        if headers.iter().any(|known| known.name() == extra.name()) {
            problems.add(wrong(&here, Code::DuplicateKey, "this header is there twice", "each once"));
        }
        headers.push(extra);
    }
    Egress { proxy, proxy_by, tls: Tls { roots, client }, headers }
}

/// Refuses what a simulated backend cannot have.
pub(super) fn check_simulated(name: &str, file: &EgressFile, problems: &mut Problems) {
    let set = [
        ("proxy", file.proxy.is_some()),
        ("ca_file", file.ca_file.is_some()),
        ("client_cert_file", file.client_cert_file.is_some()),
        ("client_key_file", file.client_key_file.is_some()),
        ("headers", !file.headers.is_empty()),
    ];
    for (key, _) in set.into_iter().filter(|(_, set)| *set) {
        let found = "a simulated backend has no connections";
        problems.add(wrong(&["backends", name, key], Code::Conflict, found, ""));
    }
}

/// A header's value, and whether it is secret.
fn mean_value(value: HeaderFile, folder: &Path) -> Result<(String, bool), (Code, String)> {
    match value {
        HeaderFile::Value(value) => Ok((value, false)),
        HeaderFile::Secret(SecretFile { env: Some(variable), file: None }) => match std::env::var(&variable) {
            Ok(value) if !value.trim().is_empty() => Ok((value.trim().to_owned(), true)),
            _ => Err((Code::Missing, format!("the environment variable {variable} is not set"))),
        },
        HeaderFile::Secret(SecretFile { env: None, file: Some(path) }) => {
            let read = secret::read(&folder.join(path), Readers::Anyone);
            read.map(|value| (value, true)).map_err(|message| (Code::Unreadable, message))
        }
        HeaderFile::Secret(_) => Err((Code::Conflict, "expected one of `env` and `file`".into())),
    }
}

fn read_roots(path: &Path) -> Result<Roots, String> {
    let pem = secret::read_pem(path)?;
    Roots::from_pem(pem.as_bytes()).map_err(|message| format!("{}: {message}", path.display()))
}

/// A wrong file is said with its key.
fn read_client(chain: &Path, key: &Path) -> Result<ClientCertificate, (&'static str, String)> {
    let chain_pem = secret::read_pem(chain).map_err(|message| ("client_cert_file", message))?;
    let key_pem = secret::read_pem(key).map_err(|message| ("client_key_file", message))?;
    ClientCertificate::from_pem(chain_pem.as_bytes(), key_pem.as_bytes()).map_err(|wrong| match wrong {
        WrongClient::Certificate(message) => ("client_cert_file", format!("{}: {message}", chain.display())),
        WrongClient::Key(message) => ("client_key_file", format!("{}: {message}", key.display())),
    })
}
