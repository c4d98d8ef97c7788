//! Web pages of other origins (CORS): which may send requests, and what their browsers are told.

use std::time::Duration;

use serde::Deserialize;

use super::checks::is_header_name;
use super::problem::{Code, Problems, wrong};
use wasmgate_base::range::Range;

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

/// The numbers that each setting may have.
pub(super) const RANGES: &[(&str, Range)] = &[("max_age_seconds", Range::Whole(0, LONGEST_AGE))];

impl CorsFile {
    /// The checked form; `older`: the origins under their older name, `server.allowed_origins`.
    pub(super) fn meant(self, older: Option<Vec<String>>, problems: &mut Problems) -> Cors {
        if self.origins.is_some() && older.is_some() {
            let found = "it is the older name of server.cors.origins";
            problems.add(wrong(&["server", "allowed_origins"], Code::Conflict, found, "one of the two"));
        }
        let (key, origins): (&[&str], _) = match older {
            Some(older) => (&["server", "allowed_origins"], Some(older)),
            None => (&["server", "cors", "origins"], self.origins),
        };
        for origin in origins.iter().flatten().filter(|origin| !is_origin(origin)) {
            let expected = "one like \"https://app.example\", \"http://localhost:*\" or \"*\"";
            problems.add(wrong(key, Code::InvalidValue, format!("{origin:?} is not an origin"), expected));
        }
        for header in self.headers.iter().filter(|header| *header != "*" && !is_header_name(header)) {
            let found = format!("{header:?} is not a header name");
            let expected = "lower-case letters, digits and `-`, or \"*\"";
            problems.add(wrong(&["server", "cors", "headers"], Code::InvalidValue, found, expected));
        }
        Cors { origins, headers: self.headers, max_age: Duration::from_secs(self.max_age_seconds) }
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
