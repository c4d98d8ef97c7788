//! What browsers may send. A web page can make its visitor's browser send requests to any address that the browser
//! reaches, a loopback address included, and if the page's owner points a name of their own there (DNS rebinding), the page
//! can even read the answers. Browsers tell such requests apart: they carry the page's `Origin`, how the page relates to
//! the gateway (`Sec-Fetch-Site`), and that name as their `Host`. Other clients send none of these, and any host name.
//!
//! This module must not know: what a request asks, how a refusal is encoded.

use std::net::{IpAddr, Ipv4Addr};

use hyper::HeaderMap;
use hyper::Uri;
use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::http::uri::Authority;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who sent a request, as far as browsers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// No web page, or a page of the gateway's own origin.
    Own,
    /// A page of another origin; `None`: the browser does not name it.
    Page(Option<&'a str>),
}

impl<'a> Sender<'a> {
    /// The sender of a request.
    #[must_use]
    pub fn of(headers: &'a HeaderMap, uri: &Uri) -> Self {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next();
        if let Some(origin) = origin {
            let text = origin.to_str().ok().filter(|_| origins.next().is_none());
            let own = text.and_then(|text| text.split_once("://")).and_then(|(scheme, host)| {
                let same = host_of(headers, uri).is_some_and(|own| same_host(scheme, host, own.as_str()));
                same.then_some(())
            });
            if own.is_none() {
                return Self::Page(text.filter(|text| *text != "null"));
            }
        }
        let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
        match site {
            Some(b"cross-site" | b"same-site") => Self::Page(None),
            _ => Self::Own,
        }
    }

    /// Whether `allowed`, a list of origins, admits the sender. `*` stands for every origin that the browser names, and `:*`
    /// at the end of an origin for any port, or none.
    #[must_use]
    pub fn is_allowed(self, allowed: &[String]) -> bool {
        match self {
            Self::Own => true,
            Self::Page(None) => false,
            Self::Page(Some(origin)) => allowed.iter().any(|allowed| admits(allowed, origin)),
        }
    }

    /// Whether it is a page that this machine serves: a program of this machine, which could call the gateway by itself.
    #[must_use]
    pub fn is_local_page(self) -> bool {
        let Self::Page(Some(origin)) = self else { return false };
        let Some((scheme, host)) = origin.split_once("://") else { return false };
        // Browsers write no user into an origin.
        matches!(scheme, "http" | "https")
            && !host.contains('@')
            && Authority::try_from(host)
                .is_ok_and(|host| is_local_name(host.host(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST))))
    }
}

fn admits(allowed: &str, origin: &str) -> bool {
    match allowed.strip_suffix(":*") {
        Some(host) => {
            let rest = origin
                .get(..host.len())
                .filter(|start| start.eq_ignore_ascii_case(host))
                .map(|_| &origin[host.len()..]);
            rest.is_some_and(|rest| rest.is_empty() || is_port(rest))
        }
        None => allowed == "*" || allowed.eq_ignore_ascii_case(origin),
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether `is_known` knows every host that a request names, in its header and its request line; `None`: it names none.
pub fn knows_host(headers: &HeaderMap, uri: &Uri, is_known: impl Fn(&str) -> bool) -> Option<bool> {
    let of_header =
        headers.get(HOST).map(|host| Authority::try_from(host.as_bytes()).is_ok_and(|host| is_known(host.host())));
    let of_line = uri.authority().map(|host| is_known(host.host()));
    match (of_header, of_line) {
        (None, known) | (known, None) => known,
        (Some(of_header), Some(of_line)) => Some(of_header && of_line),
    }
}

/// The host that a request names: in its request line, else in its header.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    let header = || headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.authority().cloned().or_else(header)
}

/// Whether a host name always means this machine, so that nobody else can have pointed it here: `localhost`, or an IP
/// address. `own`: the listener's address, of which its loopback forms count; `None`: any address counts.
#[must_use]
pub fn is_local_name(host: &str, own: Option<IpAddr>) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return own.is_none_or(|own| address.is_loopback() && (address == own || is_usual(address)));
    }
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

fn is_usual(address: IpAddr) -> bool {
    matches!(address.to_string().as_str(), "127.0.0.1" | "::1")
}

/// Whether an origin's host and a request's host are the same, where one may leave out its scheme's default port.
fn same_host(scheme: &str, origin: &str, own: &str) -> bool {
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |host: &'_ str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    bare(origin) == bare(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn pages_of_other_origins_are_told_apart() {
        let own = [
            vec![("host", "gw:8080")],
            vec![("host", "gw:8080"), ("origin", "http://gw:8080")],
            vec![("host", "gw"), ("origin", "https://GW")],
            vec![("host", "gw:443"), ("origin", "https://gw")],
            vec![("host", "gw"), ("origin", "http://gw:80"), ("sec-fetch-site", "same-origin")],
            vec![("host", "gw"), ("sec-fetch-site", "none")],
            vec![],
        ];
        for lines in own {
            let headers = headers(&lines);
            assert_eq!(Sender::of(&headers, &Uri::from_static("/")), Sender::Own, "{lines:?}");
        }
        let pages = [
            (vec![("host", "gw:8080"), ("origin", "http://gw")], Some("http://gw")),
            (vec![("host", "gw"), ("origin", "https://gw.evil")], Some("https://gw.evil")),
            (vec![("host", "gw"), ("origin", "app://gw")], Some("app://gw")),
            (vec![("host", "gw"), ("origin", "null")], None),
            (vec![("host", "gw"), ("origin", "")], Some("")),
            (vec![("host", "gw"), ("sec-fetch-site", "cross-site")], None),
            (vec![("host", "gw"), ("sec-fetch-site", "same-site")], None),
            (vec![("host", "gw"), ("origin", "http://gw"), ("sec-fetch-site", "cross-site")], None),
            (vec![("origin", "http://gw")], Some("http://gw")),
        ];
        for (lines, origin) in pages {
            let headers = headers(&lines);
            let sender = Sender::of(&headers, &Uri::from_static("/"));
            assert_eq!(sender, Sender::Page(origin), "{lines:?}");
            assert!(!sender.is_allowed(&["https://other".into()]));
            assert_eq!(sender.is_allowed(&["*".into()]), origin.is_some(), "{lines:?}");
        }
        let twice: HeaderMap = [("origin", "http://gw"), ("origin", "https://evil")]
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .into_iter()
            .fold(headers(&[("host", "gw")]), |mut map, (name, value)| {
                map.append(name, value);
                map
            });
        assert_eq!(Sender::of(&twice, &Uri::from_static("/")), Sender::Page(None));
        let absolute = Uri::from_static("http://gw:8080/v1");
        let allowed = headers(&[("host", "other"), ("origin", "http://gw:8080")]);
        assert_eq!(Sender::of(&allowed, &absolute), Sender::Own, "the request line names the host");
    }

    #[test]
    fn an_origin_may_have_any_port() {
        let any_port = ["http://localhost:*".to_owned(), "https://App.example:*".to_owned()];
        for origin in ["http://localhost", "http://localhost:5173", "https://app.example:8443"] {
            assert!(Sender::Page(Some(origin)).is_allowed(&any_port), "{origin}");
        }
        for origin in [
            "https://localhost",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:",
            "http://localhost:99999",
            "http://localhostevil",
            "https://evil.app.example",
        ] {
            assert!(!Sender::Page(Some(origin)).is_allowed(&any_port), "{origin}");
        }
    }

    #[test]
    fn local_pages_are_those_of_this_machine() {
        for origin in ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:80", "http://LOCALHOST"] {
            assert!(Sender::Page(Some(origin)).is_local_page(), "{origin}");
        }
        for origin in [
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://10.1.2.3",
            "http://evil.example:5173",
            "app://localhost",
            "http://localhost@evil.example",
            "http://user@localhost",
            "",
        ] {
            assert!(!Sender::Page(Some(origin)).is_local_page(), "{origin}");
        }
        assert!(!Sender::Page(None).is_local_page());
    }

    #[test]
    fn local_names_are_those_that_nobody_can_point_elsewhere() {
        for host in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]", "10.1.2.3", "[2001:db8::1]"] {
            assert!(is_local_name(host, None), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "gw", "1.2.3"] {
            assert!(!is_local_name(host, None), "{host}");
            assert!(!is_local_name(host, "127.0.0.1".parse().ok()), "{host}");
        }
        let own = "127.0.0.2".parse().ok();
        assert!(is_local_name("127.0.0.2", own) && is_local_name("127.0.0.1", own) && is_local_name("[::1]", own));
        assert!(!is_local_name("127.0.0.3", own) && !is_local_name("10.1.2.3", own));
    }
}
