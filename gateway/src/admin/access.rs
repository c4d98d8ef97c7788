//! Access control: a request must carry the token. Without a configured token, every client on this machine has access,
//! except browsers.
//!
//! A web page can make its visitor's browser send requests to a loopback address, and if it points a name of its own
//! there (DNS rebinding), it can even read the answers. Such requests carry an `Origin`, or that name as their `Host`.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};

use super::reply::{Kind, Problem};
use crate::browsers::{is_local_name, knows_host};
use crate::config::Token;
use wasmgate_base::log_limit::LogLimit;

/// See the module.
pub(super) struct Access {
    token: Option<Token>,
    // The listener's address.
    own: Option<IpAddr>,
    failure_lines: LogLimit,
}

impl Access {
    pub(super) fn new(token: Option<Token>, own: Option<IpAddr>) -> Self {
        Self { token, own, failure_lines: LogLimit::default() }
    }

    /// Checks the request's host, and its token or, without a configured token, that no browser sent it.
    pub(super) fn check(&self, head: &Parts, remote: SocketAddr) -> Result<(), Problem> {
        if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
            return Err(Problem::new(Kind::BadRequest, "an HTTP/1.1 request must have exactly one Host header"));
        }
        match &self.token {
            Some(token) => self.authenticate(token, &head.headers, remote),
            None => self.keep_browsers_out(head),
        }
    }

    fn authenticate(&self, token: &Token, headers: &HeaderMap, remote: SocketAddr) -> Result<(), Problem> {
        let shown = bearer(headers);
        // Compared even if the request has no token, so that both cases take the same time.
        if token.is(shown.unwrap_or_default()) {
            return Ok(());
        }
        if let Some(suppressed) = self.failure_lines.admit() {
            tracing::warn!(%remote, shown = shown.is_some(), suppressed, "an operator's authentication failed");
        }
        let message = match shown {
            Some(_) => "the token is not that of the admin listener",
            None => "the admin listener requires its token, as in `authorization: Bearer TOKEN`",
        };
        Err(Problem::new(Kind::Unauthorized, message))
    }

    fn keep_browsers_out(&self, head: &Parts) -> Result<(), Problem> {
        if head.headers.contains_key(ORIGIN) {
            let message =
                "a request with an Origin comes from a browser: without a token, the admin listener refuses it";
            return Err(Problem::new(Kind::Forbidden, message));
        }
        if knows_host(&head.headers, &head.uri, |host| is_local_name(host, self.own)) == Some(true) {
            return Ok(());
        }
        let message = "without a token, the admin listener accepts only requests whose Host is localhost, 127.0.0.1 \
                       or [::1]: set a token to use another name";
        Err(Problem::new(Kind::Forbidden, message))
    }
}

/// The request's bearer token. Two headers count as none, because a proxy in front may have read the other one.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}
