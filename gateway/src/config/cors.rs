//! Web pages of other origins (CORS): which may send requests, and what their browsers are told.

use std::time::Duration;

use serde::Deserialize;

use super::error::{Wrong, wrong};
use super::policies::is_header_name;

/// Longest time that a browser may remember an answer, in seconds: a day, as browsers themselves bound it.
const LONGEST_AGE: u64 = 86_400;

/// See the module.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Origins whose pages may send requests, besides the gateway's own; `*` stands for all, and `:*` at the end for any
    /// port. `None`: the pages of this machine, if only this machine reaches the listener.
    pub origins: Option<Vec<String>>,
    /// Request headers that pages may send, in lower case; `*` stands for all.
    pub headers: Vec<String>,
    /// How long a browser may remember that a page may send requests.
    pub max_age: Duration,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CorsFile {
    origins: Option<Vec<String>>,
    headers: Vec<String>,
    max_age_seconds: u64,
}

impl Default for CorsFile {
    fn default() -> Self {
        Self { origins: None, headers: vec!["*".into()], max_age_seconds: 600 }
    }
}

impl CorsFile {
    /// The checked form; `older`: the origins under their older name, `server.allowed_origins`.
    pub(super) fn meant(self, older: Option<Vec<String>>) -> Result<Cors, Wrong> {
        let (key, origins): (&[&str], _) = match (self.origins, older) {
            (Some(_), Some(_)) => {
                let message = "it is the older name of server.cors.origins, expected one of the two";
                return Err(wrong(&["server", "allowed_origins"], message));
            }
            (None, Some(older)) => (&["server", "allowed_origins"], Some(older)),
            (origins, None) => (&["server", "cors", "origins"], origins),
        };
        if let Some(origin) = origins.iter().flatten().find(|origin| !is_origin(origin)) {
            let message = format!(
                "{origin:?} is not an origin, expected one like \"https://app.example\", \"http://localhost:*\" or \"*\""
            );
            return Err(wrong(key, message));
        }
        for header in &self.headers {
            if header != "*" && !is_header_name(header) {
                let message = format!("{header:?} is not a header name in lower case, nor \"*\"");
                return Err(wrong(&["server", "cors", "headers"], message));
            }
        }
        if self.max_age_seconds > LONGEST_AGE {
            let message = format!("{}, expected 0 to {LONGEST_AGE}", self.max_age_seconds);
            return Err(wrong(&["server", "cors", "max_age_seconds"], message));
        }
        Ok(Cors { origins, headers: self.headers, max_age: Duration::from_secs(self.max_age_seconds) })
    }
}

/// Whether a text is an origin as browsers send it: a scheme and a host, perhaps a port (`*` for any), and no path. `*`
/// stands for all.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "*" };
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    plain(scheme, b"+-.") && plain(host.strip_suffix(":*").unwrap_or(host), b"-._:[]")
}
