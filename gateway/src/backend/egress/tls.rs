//! Whom the gateway trusts at the other end of a TLS connection, and how it shows who it is.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls_platform_verifier::Verifier;

use super::expiry::expiry;
use wasmgate_base::time::UnixSeconds;

/// TLS to a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Root certificates in addition to the platform's.
    pub roots: Roots,
    /// The certificate that the gateway shows.
    pub client: Option<ClientCertificate>,
}

/// Root certificates.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Those of a text in PEM form.
    ///
    /// # Errors
    /// If there is none, or one of them is not a certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let roots = Self(certificates(pem)?);
        let mut store = rustls::RootCertStore::empty();
        for root in &roots.0 {
            store.add(root.clone()).map_err(|error| format!("a certificate in it cannot be used: {error}"))?;
        }
        Ok(roots)
    }

    /// When none of them is valid any more; `None` if there is none.
    #[must_use]
    pub fn expire(&self) -> Option<UnixSeconds> {
        self.0.iter().filter_map(|root| expiry(root)).max()
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, more: Self) -> Self {
        Self([&self.0[..], &more.0].concat())
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} more", self.0.len())
    }
}

/// A client certificate with its chain and its key. Its debug output shows neither.
#[derive(Clone)]
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && *self.key == *other.key
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(certificate)")
    }
}

/// The file of a client certificate in which something is wrong, and what.
#[derive(Debug, PartialEq, Eq)]
pub enum WrongClient {
    /// The certificate with its chain.
    Certificate(String),
    /// The private key.
    Key(String),
}

impl ClientCertificate {
    /// The certificate, with its chain, and its key, both in PEM form.
    ///
    /// # Errors
    /// If one of them cannot be used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, WrongClient> {
        let chain = certificates(chain).map_err(WrongClient::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            WrongClient::Key("no private key in PEM form is in it, expected one without a password".into())
        })?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider())
            .map_err(|error| WrongClient::Key(format!("the key does not fit the certificate: {error}")))?;
        Ok(Self { chain, key: Arc::new(key) })
    }

    /// When the first certificate of its chain expires.
    #[must_use]
    pub fn expires(&self) -> Option<UnixSeconds> {
        self.chain.iter().filter_map(|certificate| expiry(certificate)).min()
    }
}

impl Tls {
    /// The configuration of connections.
    ///
    /// # Errors
    /// If the platform's certificates cannot be used.
    pub(in crate::backend) fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(provider());
        let verifier = Verifier::new_with_extra_roots(self.roots.0.iter().cloned(), Arc::clone(&provider))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            // The platform's verifier with more roots, not a weaker one.
            .with_custom_certificate_verifier(Arc::new(verifier));
        match &self.client {
            None => Ok(config.with_no_client_auth()),
            Some(client) => config.with_client_auth_cert(client.chain.clone(), client.key.clone_key()),
        }
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("no certificate in PEM form is in it, expected at least one".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "text", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", not_der] {
            assert!(Roots::from_pem(pem.as_bytes()).is_err(), "{pem}");
        }
        assert!(matches!(ClientCertificate::from_pem(b"", b""), Err(WrongClient::Certificate(_))));
        assert!(matches!(ClientCertificate::from_pem(not_der.as_bytes(), b""), Err(WrongClient::Key(_))));
    }
}
