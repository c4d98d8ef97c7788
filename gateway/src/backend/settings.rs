//! A backend's configuration: kind, address, API key, timeouts, retries, breaker and queue.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::breaker::BreakerSettings;
use super::egress::Egress;
use super::http::Http2;
use super::kind::Kind;
use super::queue::QueueSettings;
use super::retry::Retries;
use super::sim::SimSettings;
use wasmgate_base::range::Range;
use wasmgate_dialect::Quirks;

/// The configuration of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name, also a metric label.
    pub name: String,
    /// Its kind, which sets the dialect.
    pub kind: &'static Kind,
    /// How it is simulated; `None` for a real one.
    pub sim: Option<SimSettings>,
    /// Its address, without a trailing slash; `None` for a simulated one.
    pub url: Option<String>,
    /// How its connections come to speak HTTP/2.
    pub http2: Http2,
    /// Where it runs.
    pub location: Location,
    /// How that is known.
    pub located_by: LocatedBy,
    /// The API key to send.
    pub api_key: Option<Secret>,
    /// How requests leave the gateway.
    pub egress: Egress,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// Interval of probes; `None`: only traffic shows its health.
    pub probe_interval: Option<Duration>,
    /// How failed calls are retried.
    pub retries: Retries,
    /// The circuit breaker of each of its models.
    pub breaker: BreakerSettings,
    /// Its limit of concurrent calls, and the queue for more.
    pub queue: QueueSettings,
    /// Whether it speaks OpenAI's Responses dialect as well, to clients that do.
    pub responses: bool,
    /// Whether a frame of a stream that is not of the dialect, or a missing end marker, is an error. If not, the gateway
    /// skips such frames, and an answer with a finish reason is complete.
    pub strict_streams: bool,
    /// How it deviates from its dialect.
    pub quirks: Quirks,
}

impl Settings {
    /// How the server deviates from what the gateway writes, by its address. OpenAI's own models all take the newer name of
    /// the output limit, and the newer ones take no other.
    pub(super) fn detected_quirks(&self) -> Quirks {
        let host = self.url.as_deref().and_then(|url| url.strip_prefix("https://")?.split('/').next());
        Quirks { max_completion_tokens: host == Some("api.openai.com"), ..Quirks::NONE }
    }

    /// Whether both are of one backend: what is known of it then holds, and its connections serve both.
    pub(super) fn is_same_server(&self, other: &Self) -> bool {
        let server = |settings: &Self| (settings.name.clone(), settings.url.clone(), settings.http2);
        server(self) == server(other)
            && self.kind == other.kind
            && self.api_key == other.api_key
            && self.egress.is_same(&other.egress)
    }
}

/// Where a backend runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// On the operator's hardware.
    Local,
    /// At a provider.
    Cloud,
}

impl Location {
    /// The word in labels and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

/// How the gateway knows where a backend runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocatedBy {
    /// The configuration says it.
    Configuration,
    /// By the backend's kind.
    Kind,
    /// By its address.
    Address,
}

impl LocatedBy {
    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "as configured",
            Self::Kind => "by its kind",
            Self::Address => "by its address",
        }
    }
}

impl Location {
    /// Where a server of this name or address runs. Local are loopback, private and link-local addresses, and names that
    /// only a local network resolves. All others may be a provider, whose models cost money.
    pub(crate) fn of_host(host: &str) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let local = match host.parse::<IpAddr>() {
            Ok(address) => is_local(address.to_canonical()),
            Err(_) => {
                let suffixes = [".localhost", ".local", ".internal", ".home.arpa"];
                !host.contains('.') || suffixes.iter().any(|suffix| host.ends_with(suffix))
            }
        };
        if local { Self::Local } else { Self::Cloud }
    }
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is shared address space (RFC 6598), which private networks over the internet use.
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// The timeouts of a backend or model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the call to the head of a stream.
    pub head: Duration,
    /// From the call to the first token of a stream.
    pub first_token: Duration,
    /// From the call to the end of an answer that is not streamed and of which nothing arrives before, while another model
    /// could answer; `None`: half of what is left of `total`.
    pub answer: Option<Duration>,
    /// Time to the first token of a stream after which the gateway hedges with the next model; `None`: never.
    pub hedge: Option<Duration>,
    /// Extra time for `head`, `first_token` and `answer` while Ollama loads the model from disk.
    pub loading: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// From the request's arrival to the answer's end, earlier attempts included.
    pub total: Duration,
}

/// Timeouts as written in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TimeoutsFile {
    pub(crate) connect_seconds: Option<f64>,
    head_seconds: Option<f64>,
    first_token_seconds: Option<f64>,
    answer_seconds: Option<f64>,
    hedge_seconds: Option<f64>,
    loading_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    total_seconds: Option<f64>,
}

impl Timeouts {
    /// The defaults for a location. A local backend may read a long prompt slowly; a provider sends its head soon or fails.
    /// The first token may take longer: some models reason before it.
    pub(crate) fn defaults(location: Location) -> Self {
        let (connect, head, first_token, idle) = match location {
            Location::Local => (2, 300, 300, 60),
            Location::Cloud => (5, 30, 60, 30),
        };
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(connect),
            head: seconds(head),
            first_token: seconds(first_token),
            answer: None,
            hedge: None,
            loading: seconds(300),
            idle: seconds(idle),
            total: seconds(600),
        }
    }
}

/// Seconds of a timeout: a shorter one than a millisecond is a mistake, and rounds to nothing; a longer one than a day is no
/// timeout.
pub(crate) const SECONDS: Range = Range::Number(0.001, 86_400.0);

/// A duration from a number of seconds that is in its range.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

impl TimeoutsFile {
    /// The numbers that each setting may have.
    pub(crate) const RANGES: &[(&str, Range)] = &[
        ("connect_seconds", SECONDS),
        ("head_seconds", SECONDS),
        ("first_token_seconds", SECONDS),
        ("answer_seconds", SECONDS),
        ("hedge_seconds", Range::ZeroOr("never", 0.001, 86_400.0)),
        ("loading_seconds", SECONDS),
        ("idle_seconds", SECONDS),
        ("total_seconds", SECONDS),
    ];

    /// The written values; `otherwise` supplies the rest.
    pub(crate) fn or(&self, otherwise: &Timeouts) -> Timeouts {
        let or = |value: Option<f64>, otherwise: Duration| value.map_or(otherwise, seconds);
        Timeouts {
            connect: or(self.connect_seconds, otherwise.connect),
            head: or(self.head_seconds, otherwise.head),
            first_token: or(self.first_token_seconds, otherwise.first_token),
            answer: self.answer_seconds.map(seconds).or(otherwise.answer),
            hedge: match self.hedge_seconds {
                None => otherwise.hedge,
                Some(0.0) => None,
                Some(after) => Some(seconds(after)),
            },
            loading: or(self.loading_seconds, otherwise.loading),
            idle: or(self.idle_seconds, otherwise.idle),
            total: or(self.total_seconds, otherwise.total),
        }
    }
}

/// A secret. Its debug output never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    pub(crate) fn new(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_where_a_server_runs() {
        let local = [
            "localhost",
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.9",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "vllm",
            "gpu.local",
            "vllm.models.svc.cluster.local",
            "llm.internal",
            "api.localhost",
            "box.home.arpa",
        ];
        let cloud = [
            "api.openai.com",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "[2001:db8::1]",
            "localhost.example.com",
            "local.ai",
            "api.notlocal.com.",
        ];
        for host in local {
            assert_eq!(Location::of_host(host), Location::Local, "{host}");
        }
        for host in cloud {
            assert_eq!(Location::of_host(host), Location::Cloud, "{host}");
        }
    }
}
