//! One connection to the server, and what is said on it. All commands share it; each has a deadline.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, Value};
use wasmgate_accounts::{Claim, Measure};
use wasmgate_base::time::UnixSeconds;

use crate::address::Address;

const EXCHANGE: &str = include_str!("exchange.lua");
const GATEWAYS: &str = include_str!("gateways.lua");

/// Commands that wait for an answer at a time; more wait to be sent, until their deadline.
const IN_FLIGHT: usize = 1024;
/// Limits that one message reports.
const TOGETHER: usize = 512;
/// How long a bucket stays after its window has ended and its leases are over.
const KEPT: Duration = Duration::from_secs(60);

/// Why something could not be told.
#[derive(Debug)]
pub struct Fault(String);

impl Fault {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<redis::RedisError> for Fault {
    fn from(error: redis::RedisError) -> Self {
        Self(error.to_string())
    }
}

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name of its run: another one after a restart, or if another server took over.
    pub run: Option<String>,
    /// For how long it runs.
    pub uptime: Duration,
}

/// Which gateway speaks, and how.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The gateway, different for each start.
    pub id: String,
    /// The beginning of all keys.
    pub prefix: String,
    /// How long what is borrowed stays reserved if the gateway is not heard of.
    pub lease: Duration,
}

/// What the server says of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// What it lent now.
    pub granted: u64,
    /// All that the gateway has borrowed in the window.
    pub borrowed: u64,
    /// What of that it has returned.
    pub returned: u64,
    /// What all gateways have taken.
    pub taken: u64,
    /// What of that is spent.
    pub spent: u64,
    /// The server's time, in milliseconds.
    pub now_ms: i64,
}

/// See the module.
#[derive(Clone)]
pub struct Link {
    connection: MultiplexedConnection,
    exchange: String,
    gateways: String,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and makes the scripts known. Each step may take as long as `deadline`.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn open(address: &Address, deadline: Duration) -> Result<(Self, Server), Fault> {
        let mut connection = connect(address, deadline).await?;
        let (exchange, gateways) = (load(&mut connection, EXCHANGE).await?, load(&mut connection, GATEWAYS).await?);
        let server = Server::of(&mut connection).await;
        Ok((Self { connection, exchange, gateways }, server))
    }

    /// Says that the gateway lives, or that it stops; how many live, and the server's time in milliseconds.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn beat(&self, speaker: &Speaker, stops: bool) -> Result<(u32, i64), Fault> {
        let lease = if stops { 0 } else { speaker.lease.as_millis() };
        let mut command = Cmd::new();
        command.arg("EVALSHA").arg(&self.gateways).arg(1).arg(format!("{}:gateways", speaker.prefix));
        command.arg(&speaker.id).arg(lease.to_string());
        let value = self.connection.clone().req_packed_command(&command).await?;
        let [alive, now] = numbers(&value)?;
        Ok((u32::try_from(alive).unwrap_or(u32::MAX), now))
    }

    /// Tells and asks what the claims say; the answers, in their order. `now`: the server's time, in seconds.
    ///
    /// # Errors
    /// If there is no answer in time. Nothing is lost: totals are reported again.
    pub async fn exchange(&self, speaker: &Speaker, claims: &[Claim], now: UnixSeconds) -> Result<Vec<Said>, Fault> {
        let mut said = Vec::with_capacity(claims.len());
        for claims in claims.chunks(TOGETHER) {
            let mut pipeline = Pipeline::with_capacity(claims.len());
            claims.iter().for_each(|claim| self.add(&mut pipeline, speaker, claim, now));
            let values = self.connection.clone().req_packed_commands(&pipeline, 0, claims.len()).await?;
            if values.len() != claims.len() {
                return Err(Fault(format!("{} answers to {} commands", values.len(), claims.len())));
            }
            for value in &values {
                let [granted, borrowed, returned, taken, spent, now_ms] = numbers(value)?;
                let [granted, borrowed, returned, taken, spent] =
                    [granted, borrowed, returned, taken, spent].map(|number| u64::try_from(number).unwrap_or_default());
                said.push(Said { granted, borrowed, returned, taken, spent, now_ms });
            }
        }
        Ok(said)
    }

    fn add(&self, pipeline: &mut Pipeline, speaker: &Speaker, claim: &Claim, now: UnixSeconds) {
        let (limit, terms) = (&claim.limit, &claim.terms);
        let holds = limit.measure == Measure::Concurrent;
        let lease = speaker.lease;
        let keep = match claim.ends {
            Some(ends) => Duration::from_secs(ends.saturating_sub(now)) + 2 * lease + KEPT,
            None if holds => 2 * lease + KEPT,
            None => Duration::ZERO,
        };
        let command = pipeline.cmd("EVALSHA").arg(&self.exchange).arg(1).arg(bucket(&speaker.prefix, claim));
        command.arg(&speaker.id).arg(limit.most).arg(u8::from(holds));
        command.arg(terms.borrowed).arg(terms.returned).arg(terms.used);
        command.arg(terms.min).arg(terms.want).arg(terms.floor);
        command.arg(lease.as_millis().to_string()).arg(keep.as_millis().to_string()).arg(u8::from(terms.last));
    }
}

/// Connects. The connection and each command may take as long as `deadline`.
pub(crate) async fn connect(address: &Address, deadline: Duration) -> Result<MultiplexedConnection, Fault> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(deadline))
        .set_response_timeout(Some(deadline))
        .set_concurrency_limit(IN_FLIGHT)
        .set_pipeline_buffer_size(IN_FLIGHT);
    let client = Client::open(address.info())?;
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Makes a script known; the name by which the server calls it.
pub(crate) async fn load(connection: &mut MultiplexedConnection, script: &str) -> Result<String, Fault> {
    let mut command = Cmd::new();
    command.arg("SCRIPT").arg("LOAD").arg(script);
    Ok(command.query_async(connection).await?)
}

impl Server {
    /// What the server says of itself. It may forbid the question; then each connection may be to another server.
    pub(crate) async fn of(connection: &mut MultiplexedConnection) -> Self {
        let mut command = Cmd::new();
        command.arg("INFO").arg("server");
        let info: String = command.query_async(connection).await.unwrap_or_default();
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let uptime = field("uptime_in_seconds").and_then(|seconds| seconds.trim().parse().ok()).unwrap_or_default();
        Self { run: field("run_id").map(|run| run.trim().to_owned()), uptime: Duration::from_secs(uptime) }
    }
}

/// The key of a limit in a window. The part in braces decides which server of a cluster has it.
fn bucket(prefix: &str, claim: &Claim) -> String {
    let limit = &claim.limit;
    let (measure, period) = (limit.measure.as_str(), limit.period.as_str());
    let zone = limit.zone.iana_name().unwrap_or("UTC");
    format!("{prefix}:{{{}:{measure}:{period}:{zone}}}:{}", claim.group(), claim.since)
}

fn numbers<const N: usize>(value: &Value) -> Result<[i64; N], Fault> {
    let numbers = match value {
        Value::Array(values) => {
            values.iter().map(|value| if let Value::Int(number) = value { *number } else { -1 }).collect()
        }
        Value::ServerError(error) => return Err(Fault(format!("{error:?}"))),
        _ => Vec::new(),
    };
    <[i64; N]>::try_from(numbers).map_err(|found| Fault(format!("{} numbers in an answer, expected {N}", found.len())))
}
