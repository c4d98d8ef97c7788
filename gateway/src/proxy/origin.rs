//! Web pages as clients: which of them may send requests, and what their browsers must be told (CORS). A page of another
//! origin can neither spend the operator's money nor read an answer, unless the operator allows its origin.
//!
//! This module must not know: what a request asks.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};

use super::body::ResponseBody;
use crate::browsers::{Sender, is_local_name, knows_host};
use crate::config::{Cors, Server};
use crate::error::{Failure, Kind};

/// What a request's browser must be told.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The page's origin, if the operator allows it.
    origin: Option<HeaderValue>,
    /// Whether the request only asks whether the page may send another one.
    pub(super) is_preflight: bool,
}

impl Page {
    /// Checks the host that a request names, and the page that sent it, if one did. `is_loopback`: only clients of this
    /// machine reach the listener.
    ///
    /// # Errors
    /// If a page must not send it.
    pub(super) fn of(
        is_loopback: bool,
        limits: &Server,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, Failure> {
        if is_loopback {
            let is_known = |host: &str| {
                let mut allowed = limits.allowed_hosts.iter();
                is_local_name(host, None) || allowed.any(|allowed| allowed.eq_ignore_ascii_case(host))
            };
            // A request without a host comes from no browser.
            if knows_host(headers, uri, is_known) == Some(false) {
                let message = "the gateway listens on a loopback address, so it accepts only requests whose Host is \
                               localhost, an IP address, or a name in server.allowed_hosts";
                return Err(Failure::new(Kind::HostRefused, message));
            }
        }
        let sender = Sender::of(headers, uri);
        if sender == Sender::Own {
            return Ok(Self::default());
        }
        let allowed = match &limits.cors.origins {
            Some(origins) => sender.is_allowed(origins),
            None => is_loopback && sender.is_local_page(),
        };
        // A page cannot read what it gets unless a header allows it, and what is only read costs nothing.
        if !allowed && !matches!(*method, Method::GET | Method::HEAD) {
            let message = "a web page of another origin must not send requests to the gateway; the operator can allow \
                           its origin in server.cors.origins";
            return Err(Failure::new(Kind::OriginRefused, message));
        }
        let origin = headers.get(ORIGIN).filter(|_| allowed).cloned();
        let asks_first = *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Ok(Self { is_preflight: origin.is_some() && asks_first, origin })
    }

    /// The answer to a preflight request.
    pub(super) fn preflight(&self, methods: &'static str, asked: &HeaderMap, cors: &Cors) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::plain(""));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        let any = cors.headers.iter().any(|name| name == "*");
        // Browsers do not take `*` for `authorization`, so that what was asked for is repeated.
        let names = if any { asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned() } else { list(&cors.headers) };
        if let Some(names) = names {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        if asked.contains_key("access-control-request-private-network") {
            let allow = HeaderName::from_static("access-control-allow-private-network");
            headers.insert(allow, HeaderValue::from_static("true"));
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
        response
    }

    /// Tells the browser that the page may read the answer.
    pub(super) fn let_read(&self, headers: &mut HeaderMap) {
        if let Some(origin) = &self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

fn list(names: &[String]) -> Option<HeaderValue> {
    HeaderValue::from_str(&names.join(", ")).ok().filter(|_| !names.is_empty())
}
