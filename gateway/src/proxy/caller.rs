//! Who sends a request: its key, and the snapshot that knows its group. A key is of the configuration, or one that the gateway
//! keeps itself (`accounts`); a group is of the snapshot in either case.
//!
//! A key is read here and nowhere else. It never reaches a log line, an error, a metric or a backend.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::gateway::Gateway;
use crate::config::Auth;
use crate::error::{Failure, Kind};
use crate::metrics::KeyRefusal;
use crate::state::Snapshot;
use wasmgate_accounts::{Group, Key, KeyHash, PREFIX, Refused};
use wasmgate_base::time::{UnixSeconds, now};

/// Where Anthropic's SDKs put a key.
const API_KEY: &str = "x-api-key";

/// See the module.
#[derive(Debug)]
pub(super) struct Caller {
    /// The snapshot that serves the request from its beginning to its end.
    pub(super) snapshot: Arc<Snapshot>,
    /// The key.
    pub(super) key: Option<Arc<Key>>,
    /// Its group, by position in the snapshot's accounts.
    pub(super) group: Option<usize>,
}

impl Caller {
    /// A client that needs no key.
    pub(super) fn anyone(snapshot: &Arc<Snapshot>) -> Self {
        Self { snapshot: Arc::clone(snapshot), key: None, group: None }
    }

    /// The client that sent these headers.
    ///
    /// # Errors
    /// If it needs a key and has none that is valid; that is counted.
    pub(super) fn of(gateway: &Gateway, snapshot: &Arc<Snapshot>, headers: &HeaderMap) -> Result<Self, Failure> {
        let access = &snapshot.access;
        let is_optional = match access.auth {
            Auth::Off => return Ok(Self::anyone(snapshot)),
            // A flag may give another address than the configuration, which a reload does not see.
            Auth::Unset => gateway.is_loopback,
            Auth::Required => false,
            Auth::Optional => true,
        };
        let shown = shown(headers);
        // SDKs send some key in any case.
        if is_optional && !shown.is_some_and(is_ours) {
            return Ok(Self::anyone(snapshot));
        }
        let Some(shown) = shown else {
            let message = "no API key; send one as `authorization: Bearer KEY` or as `x-api-key: KEY`";
            return Err(refused(gateway, KeyRefusal::Missing, message));
        };
        let key = find(snapshot, shown, now()).map_err(|why| {
            let (why, message) = match why {
                Refused::Unknown => (KeyRefusal::Unknown, "the API key is not valid"),
                Refused::Blocked => (KeyRefusal::Blocked, "the API key is blocked"),
                Refused::Expired => (KeyRefusal::Expired, "the API key has expired"),
                Refused::Rotated => (KeyRefusal::Replaced, "the API key was replaced by a newer one"),
            };
            refused(gateway, why, message)
        })?;
        let Some(group) = access.accounts.position(&key.group) else {
            let message =
                format!("the API key is suspended: its group {:?} cannot be used; ask the operator", &*key.group);
            return Err(refused(gateway, KeyRefusal::Suspended, &message));
        };
        Ok(Self { snapshot: Arc::clone(snapshot), key: Some(key), group: Some(group) })
    }

    /// The group that the key belongs to.
    pub(super) fn group(&self) -> Option<&Group> {
        self.snapshot.group(self.group)
    }
}

/// The key of a text, if it is valid. What is done does not depend on whether there is a key and why it is not valid: the hash of
/// the whole text is looked up in both places.
fn find(snapshot: &Snapshot, shown: &[u8], now: UnixSeconds) -> Result<Arc<Key>, Refused> {
    let hash = KeyHash::of(shown);
    let (configured, managed) = (snapshot.access.accounts.find(&hash).cloned(), snapshot.registry.find(&hash));
    let key = configured.or(managed).ok_or(Refused::Unknown)?;
    key.admits(&hash, now).map(|()| key)
}

fn refused(gateway: &Gateway, why: KeyRefusal, message: &str) -> Failure {
    gateway.metrics.key_refused(why);
    Failure::new(Kind::Unauthorized, message)
}

/// The key that a client sent: as OpenAI's and Ollama's SDKs do, or as Anthropic's. Some programs send both; then one that
/// looks like the gateway's counts.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    let api_key = headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii());
    let sent = || [bearer, api_key].into_iter().flatten().filter(|key| !key.is_empty());
    sent().find(|key| is_ours(key)).or_else(|| sent().next())
}

/// Whether a key has the form of the gateway's own.
fn is_ours(key: &[u8]) -> bool {
    key.starts_with(PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_own_key_is_found_where_sdks_put_it() {
        for (sent, expected) in [
            (&[][..], None),
            (&[("authorization", "Bearer wg-1")][..], Some("wg-1")),
            (&[("authorization", "bearer  wg-1 ")], Some("wg-1")),
            (&[("x-api-key", "wg-1")], Some("wg-1")),
            (&[("authorization", "Bearer sk-1"), ("x-api-key", "wg-2")], Some("wg-2")),
            (&[("authorization", "Bearer wg-1"), ("x-api-key", "wg-2")], Some("wg-1")),
            (&[("authorization", "Bearer sk-1")], Some("sk-1")),
            (&[("authorization", "Basic d2c6")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("authorization", "é")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.insert(*name, value.parse().expect("a header"));
            }
            assert_eq!(shown(&headers), expected.map(str::as_bytes), "{sent:?}");
        }
    }
}
