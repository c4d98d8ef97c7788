//! Proxies: their addresses, their credentials, and which one the environment names for a server.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;
use hyper::header::HeaderValue;

use super::ProxyBy;
use super::encoding::{base64, percent_decoded};
use super::no_proxy::NoProxy;

/// An HTTP proxy. Neither its debug output nor its display shows its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Scheme, host and port.
    address: Uri,
    /// User and password, as the header has them.
    authorization: Option<HeaderValue>,
    /// The same as the address had them.
    secrets: Vec<String>,
}

impl Proxy {
    /// Reads an address like `http://user:password@proxy.example:3128`. Without a scheme, it is `http`.
    ///
    /// # Errors
    /// If it is none. The message does not repeat credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            |what: &str| format!("{:?} {what}, expected one like \"http://proxy.example:3128\"", redacted(text));
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = reqwest::Url::parse(&whole).map_err(|_| wrong("is not the address of a proxy"))?;
        if url.scheme() != "http" {
            return Err(wrong("is not the address of an HTTP proxy"));
        }
        let Some(host) = url.host_str().filter(|_| matches!(url.path(), "" | "/") && url.query().is_none()) else {
            return Err(wrong("is not the address of a proxy"));
        };
        let address = format!("http://{host}:{}", url.port_or_known_default().unwrap_or(80));
        let address = address.parse().map_err(|_| wrong("is not the address of a proxy"))?;
        let (user, password) = (percent_decoded(url.username()), percent_decoded(url.password().unwrap_or_default()));
        if user.is_empty() && password.is_empty() {
            return Ok(Self { address, authorization: None, secrets: Vec::new() });
        }
        let encoded = base64(&[&*user, b":", &*password].concat());
        let mut authorization = HeaderValue::from_str(&format!("Basic {encoded}"))
            .map_err(|_| wrong("has credentials that do not work"))?;
        authorization.set_sensitive(true);
        let mut secrets = vec![encoded];
        if !password.is_empty() {
            secrets.push(String::from_utf8_lossy(&password).into_owned());
        }
        Ok(Self { address, authorization: Some(authorization), secrets })
    }

    /// Scheme, host and port.
    pub(in crate::backend) fn address(&self) -> &Uri {
        &self.address
    }

    /// The value of `Proxy-Authorization`.
    pub(in crate::backend) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        self.secrets.iter().cloned()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.address.authority().map_or("", |authority| authority.as_str());
        write!(f, "http://{authority}")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", if self.authorization.is_some() { " (with credentials)" } else { "" })
    }
}

/// The text without what may be credentials: all before the last `@`.
fn redacted(text: &str) -> String {
    match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{after}")
        }
    }
}

/// What the environment says about proxies: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in lower case first.
#[derive(Debug, Clone, Default)]
pub struct ProxyVariables {
    http: Option<Variable>,
    https: Option<Variable>,
    exempt: NoProxy,
}

/// A variable: its name, and the proxy or why it names none.
type Variable = (&'static str, Result<Proxy, String>);

impl ProxyVariables {
    /// Reads them. An empty variable is as good as none.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            let mut set = names.into_iter().filter_map(|name| Some((name, variable(name)?)));
            set.find(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |names| first(names).map(|(name, value)| (name, Proxy::parse(value.trim())));
        Self {
            http: proxy(["http_proxy", "HTTP_PROXY"]),
            https: proxy(["https_proxy", "HTTPS_PROXY"]),
            exempt: first(["no_proxy", "NO_PROXY"]).map_or(NoProxy::default(), |(_, value)| NoProxy::parse(&value)),
        }
    }

    /// The proxy for the server of a checked http or https address, and who chose it. It is never one for this machine.
    ///
    /// # Errors
    /// If the variable that names it is not the address of a proxy.
    pub fn of(&self, url: &str) -> Result<(Option<Proxy>, ProxyBy), String> {
        let url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
        let variable = if url.scheme() == "https" { &self.https } else { &self.http };
        let Some((name, proxy)) = variable else { return Ok((None, ProxyBy::Default)) };
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        if is_loopback(host) {
            return Ok((None, ProxyBy::Loopback));
        }
        if self.exempt.exempts(host, port) {
            return Ok((None, ProxyBy::NoProxy));
        }
        let proxy = proxy.clone().map_err(|message| format!("the environment variable {name}: {message}"))?;
        Ok((Some(proxy), ProxyBy::Environment(name)))
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_forms_that_other_programs_take() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("10.0.0.1:3128", "http://10.0.0.1:3128"),
            ("http://[2001:db8::1]:3128/", "http://[2001:db8::1]:3128"),
            ("http://user:secret@proxy.example:3128", "http://proxy.example:3128"),
        ] {
            assert_eq!(Proxy::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy = Proxy::parse("http://us%65r:p%40ss@proxy.example:3128").unwrap();
        assert_eq!(proxy.authorization().unwrap(), "Basic dXNlcjpwQHNz");
        assert_eq!(proxy.secrets().collect::<Vec<_>>(), ["dXNlcjpwQHNz", "p@ss"]);
        let shown = format!("{proxy} {proxy:?}");
        assert!(!shown.contains("p@ss") && !shown.contains("dXNl") && !shown.contains("user"), "{shown}");
        for text in [
            "socks5://user:secret@proxy.example",
            "http://user:secret@",
            "http://user:secret@proxy:99999",
            "u:secret@x/y",
        ] {
            let message = Proxy::parse(text).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn the_environment_names_a_proxy_by_the_scheme_unless_the_host_is_exempt() {
        let variables = |pairs: &'static [(&str, &str)]| {
            ProxyVariables::read(|name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let both = variables(&[
            ("HTTP_PROXY", "http://plain.example:1"),
            ("https_proxy", "http://secure.example:2"),
            ("HTTPS_PROXY", "http://other.example:3"),
            ("NO_PROXY", "10.0.0.0/8,.internal.example:8443"),
        ]);
        for (url, proxy, by) in [
            ("http://api.example", Some("http://plain.example:1"), ProxyBy::Environment("HTTP_PROXY")),
            ("https://api.example/v1", Some("http://secure.example:2"), ProxyBy::Environment("https_proxy")),
            ("https://10.1.2.3", None, ProxyBy::NoProxy),
            ("https://a.internal.example:8443", None, ProxyBy::NoProxy),
            ("https://a.internal.example", Some("http://secure.example:2"), ProxyBy::Environment("https_proxy")),
            ("http://127.0.0.1:8000", None, ProxyBy::Loopback),
            ("http://[::1]:8000", None, ProxyBy::Loopback),
            ("http://localhost:11434", None, ProxyBy::Loopback),
            ("http://api.localhost", None, ProxyBy::Loopback),
            ("http://vllm:8000", Some("http://plain.example:1"), ProxyBy::Environment("HTTP_PROXY")),
        ] {
            let (found, found_by) = both.of(url).unwrap();
            assert_eq!((found.map(|proxy| proxy.to_string()).as_deref(), found_by), (proxy, by), "{url}");
        }
        let none = variables(&[("HTTP_PROXY", ""), ("ALL_PROXY", "http://all.example:1")]);
        assert_eq!(none.of("http://api.example").unwrap(), (None, ProxyBy::Default));
        let wrong = variables(&[("HTTPS_PROXY", "socks5://user:secret@proxy.example")]);
        let message = wrong.of("https://api.example").unwrap_err();
        assert!(message.contains("HTTPS_PROXY") && !message.contains("secret"), "{message}");
        assert_eq!(wrong.of("https://127.0.0.1").unwrap(), (None, ProxyBy::Loopback), "nobody needs it");
    }
}
