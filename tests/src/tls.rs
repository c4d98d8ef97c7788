//! Certificates of an authority that a test makes, and a server that takes TLS off connections before a scripted backend.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    der: Vec<u8>,
    pkcs8: Vec<u8>,
}

impl Certificate {
    /// In PEM form.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Its private key in PEM form.
    #[must_use]
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }
}

/// An authority.
#[derive(Debug)]
pub struct Authority(Certificate);

impl Authority {
    /// Makes one with a certificate of its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        // basicConstraints, critical: it may issue certificates.
        let may_issue = sequence(&[&[0x01, 0x01, 0xff]]);
        let extension = sequence(&[&oid(&[0x55, 0x1d, 0x13]), &[0x01, 0x01, 0xff], &tagged(0x04, &may_issue)]);
        let pkcs8 = new_key();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap();
        Self(Certificate { der: certificate(name, name, (&key, &key), &extension, LAST), pkcs8 })
    }

    /// Issues a certificate for this name of a host.
    #[must_use]
    pub fn issue(&self, host: &str) -> Certificate {
        self.issue_until(host, LAST)
    }

    /// Issues a certificate that is valid until then, as `YYMMDDhhmmssZ`.
    #[must_use]
    pub fn issue_until(&self, host: &str, end: &str) -> Certificate {
        let names = sequence(&[&tagged(0x82, host.as_bytes())]);
        let extension = sequence(&[&oid(&[0x55, 0x1d, 0x11]), &tagged(0x04, &names)]);
        let pkcs8 = new_key();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap();
        let issuer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.0.pkcs8).unwrap();
        let name = common_name(&self.0.der);
        Certificate { der: certificate(&name, host, (&issuer, &key), &extension, end), pkcs8 }
    }

    /// Its own certificate in PEM form.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }
}

/// Takes TLS off connections and passes what is in them to a backend. Stops when dropped.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl TlsServer {
    /// Shows `certificate`; takes only clients with a certificate of `clients`, if there is such an authority.
    #[must_use]
    pub fn start(certificate: &Certificate, clients: Option<&Authority>, backend: SocketAddr) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from(authority.0.der.clone())).unwrap();
                let provider = Arc::new(default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.pkcs8.clone()));
        let config = builder.with_single_cert(vec![CertificateDer::from(certificate.der.clone())], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(backend).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { address, runtime: Some(runtime) }
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn new_key() -> Vec<u8> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
    key.as_ref().to_vec()
}

/// The end of 2049.
const LAST: &str = "491231235959Z";

/// A certificate of the third version with one extension (RFC 5280, section 4.1), valid from 2020 to `end`.
fn certificate(
    issuer: &str,
    subject: &str,
    (signer, key): (&EcdsaKeyPair, &EcdsaKeyPair),
    extension: &[u8],
    end: &str,
) -> Vec<u8> {
    let algorithm = sequence(&[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])]);
    let curve = sequence(&[
        &oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]),
        &oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
    ]);
    let valid = sequence(&[&tagged(0x17, b"200101000000Z"), &tagged(0x17, end.as_bytes())]);
    let mut serial = [0; 8];
    aws_lc_rs::rand::fill(&mut serial).unwrap();
    serial[0] = 1;
    let content = sequence(&[
        &tagged(0xa0, &tagged(0x02, &[2])),
        &tagged(0x02, &serial),
        &algorithm,
        &name_of(issuer),
        &valid,
        &name_of(subject),
        &sequence(&[&curve, &bits(key.public_key().as_ref())]),
        &tagged(0xa3, &sequence(&[extension])),
    ]);
    let signature = signer.sign(&SystemRandom::new(), &content).unwrap();
    sequence(&[&content, &algorithm, &bits(signature.as_ref())])
}

/// The common name in a certificate that `certificate` made: the first text in it.
fn common_name(der: &[u8]) -> String {
    let at = der.windows(5).position(|window| window == [0x06, 0x03, 0x55, 0x04, 0x03]).expect("a common name") + 5;
    String::from_utf8(der[at + 2..at + 2 + usize::from(der[at + 1])].to_vec()).unwrap()
}

fn name_of(text: &str) -> Vec<u8> {
    let pair = sequence(&[&oid(&[0x55, 0x04, 0x03]), &tagged(0x0c, text.as_bytes())]);
    sequence(&[&tagged(0x31, &pair)])
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    tagged(0x06, bytes)
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short value").to_be_bytes();
    let head = match length {
        [0, short @ 0..128] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

fn pem(kind: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let group = three.iter().chain([0, 0].iter()).take(3).fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let digit = |place: usize| char::from(DIGITS[(group >> (18 - 6 * place)) as usize & 63]);
        text.extend((0..4).map(|place| if place <= three.len() { digit(place) } else { '=' }));
    }
    format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
}
