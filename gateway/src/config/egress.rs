//! How requests to a backend leave the gateway: `proxy`, certificates and `headers` of `[backends.NAME]`, as written and as
//! checked settings.

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::error::Wrong;
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
pub(super) fn mean_roots(file: Option<&Path>, folder: &Path) -> Result<Roots, Wrong> {
    let at = || ["server", "ca_file"].map(str::to_owned).to_vec();
    file.map_or(Ok(Roots::default()), |path| read_roots(&folder.join(path)).map_err(|message| (at(), message)))
}

/// `url`: the checked address of the backend; `None`: it is simulated.
pub(super) fn mean_egress(
    name: &str,
    file: EgressFile,
    url: Option<&str>,
    shared: &Shared<'_>,
) -> Result<Egress, Wrong> {
    let at = |key: &str| vec!["backends".to_owned(), name.to_owned(), key.to_owned()];
    let Some(url) = url else {
        let set = [
            ("proxy", file.proxy.is_some()),
            ("ca_file", file.ca_file.is_some()),
            ("client_cert_file", file.client_cert_file.is_some()),
            ("client_key_file", file.client_key_file.is_some()),
            ("headers", !file.headers.is_empty()),
        ];
        return match set.into_iter().find(|(_, set)| *set) {
            Some((key, _)) => Err((at(key), "a simulated backend has no connections".into())),
            None => Ok(Egress::default()),
        };
    };
    let (proxy, proxy_by) = match file.proxy.as_deref() {
        Some("none") => (None, ProxyBy::Configuration),
        Some(address) => {
            (Some(Proxy::parse(address).map_err(|message| (at("proxy"), message))?), ProxyBy::Configuration)
        }
        None => shared.variables.of(url).map_err(|message| {
            (at("proxy"), format!("{message}; or set `proxy = \"none\"` to reach this backend without one"))
        })?,
    };
    if !url.starts_with("https:") {
        let tls = [
            ("ca_file", &file.ca_file),
            ("client_cert_file", &file.client_cert_file),
            ("client_key_file", &file.client_key_file),
        ];
        if let Some((key, _)) = tls.into_iter().find(|(_, path)| path.is_some()) {
            return Err((at(key), format!("{url:?} has no TLS, expected an address that begins with https")));
        }
    }
    let roots = match &file.ca_file {
        None => shared.roots.clone(),
        Some(path) => {
            let more = read_roots(&shared.folder.join(path)).map_err(|message| (at("ca_file"), message))?;
            shared.roots.and(more)
        }
    };
    let client = match (&file.client_cert_file, &file.client_key_file) {
        (None, None) => None,
        (Some(chain), Some(key)) => Some(
            read_client(&shared.folder.join(chain), &shared.folder.join(key))
                .map_err(|(key, message)| (at(key), message))?,
        ),
        (Some(_), None) => {
            return Err((at("client_key_file"), "missing, expected the key of `client_cert_file`".into()));
        }
        (None, Some(_)) => {
            return Err((at("client_cert_file"), "missing, expected the certificate of `client_key_file`".into()));
        }
    };
    let mut headers: Vec<ExtraHeader> = Vec::with_capacity(file.headers.len());
    for (header, value) in file.headers {
        let here = || vec!["backends".to_owned(), name.to_owned(), "headers".to_owned(), header.clone()];
        let (value, secret) = mean_value(value, shared.folder).map_err(|message| (here(), message))?;
        let extra = ExtraHeader::new(&header, &value, secret).map_err(|message| (here(), message))?;
        if headers.iter().any(|known| known.name() == extra.name()) {
            return Err((here(), "this header is there twice, expected each once".into()));
        }
        headers.push(extra);
    }
    Ok(Egress { proxy, proxy_by, tls: Tls { roots, client }, headers })
}

/// A header's value, and whether it is secret.
fn mean_value(value: HeaderFile, folder: &Path) -> Result<(String, bool), String> {
    match value {
        HeaderFile::Value(value) => Ok((value, false)),
        HeaderFile::Secret(SecretFile { env: Some(variable), file: None }) => match std::env::var(&variable) {
            Ok(value) if !value.trim().is_empty() => Ok((value.trim().to_owned(), true)),
            _ => Err(format!("the environment variable {variable} is not set")),
        },
        HeaderFile::Secret(SecretFile { env: None, file: Some(path) }) => {
            secret::read(&folder.join(path), Readers::Anyone).map(|value| (value, true))
        }
        HeaderFile::Secret(_) => Err("expected one of `env` and `file`".into()),
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
