//! How requests to a backend leave the gateway: through which proxy, with which certificates, and with which headers beyond
//! those that the gateway writes. Settings and rules only; this module must not know: sockets, files, the environment.

mod encoding;
mod expiry;
mod headers;
mod no_proxy;
mod proxy;
mod tls;

use std::fmt;

pub use headers::{ExtraHeader, SECRET_HEADERS};
pub use proxy::{Proxy, ProxyVariables};
pub use tls::{ClientCertificate, Roots, Tls, WrongClient};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// The proxy before the backend.
    pub proxy: Option<Proxy>,
    /// Who chose the proxy, or that there is none.
    pub proxy_by: ProxyBy,
    /// Whom the gateway trusts, and how it shows who it is.
    pub tls: Tls,
    /// Headers of each request, besides those that the gateway writes.
    pub headers: Vec<ExtraHeader>,
}

/// Who chose a backend's proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyBy {
    /// Nobody: no proxy is configured.
    #[default]
    Default,
    /// The backend's settings.
    Configuration,
    /// This variable of the environment.
    Environment(&'static str),
    /// `NO_PROXY` exempts the backend from a proxy of the environment.
    NoProxy,
    /// The backend is on this machine, which a proxy of the environment is never for.
    Loopback,
}

impl Egress {
    /// Whether both use the same connections and the same account: what is known of one then holds for the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let secret =
            |egress: &Self| egress.headers.iter().filter(|header| header.is_secret()).cloned().collect::<Vec<_>>();
        self.proxy == other.proxy && self.tls == other.tls && secret(self) == secret(other)
    }

    /// Texts that must not appear in anything that others read.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        let headers = self.headers.iter().flat_map(ExtraHeader::secrets);
        headers.chain(self.proxy.iter().flat_map(Proxy::secrets))
    }
}

/// The proxy for people, without its credentials.
impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proxy {
            Some(proxy) => write!(f, "through the proxy {proxy} ")?,
            None => f.write_str("without a proxy ")?,
        }
        match self.proxy_by {
            ProxyBy::Default => f.write_str("(none is configured)"),
            ProxyBy::Configuration => f.write_str("(as configured)"),
            ProxyBy::Environment(variable) => write!(f, "({variable})"),
            ProxyBy::NoProxy => f.write_str("(NO_PROXY)"),
            ProxyBy::Loopback => f.write_str("(it is on this machine)"),
        }
    }
}
