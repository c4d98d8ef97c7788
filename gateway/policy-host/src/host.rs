//! The host's side of a guest: its settings, a log, memory up to its limit, and a WASI that is present (compilers'
//! standard libraries import it) but empty.
//!
//! This module must not know: what policies decide, HTTP, metrics.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::contract::call::Question;
use super::contract::{self, imports_v1, log, request_facts, settings, types_v2};
use super::settings::Settings;
use crate::contract::types::{Limit, Value};

/// Maximum length of a line that a guest logs, in bytes; the rest is cut.
const MAX_LINE_BYTES: usize = 1024;
/// Maximum lines that a guest may log in one call.
const MAX_LINES_PER_CALL: u32 = 16;
/// Lines per second that one policy may log in the long run, and how many it may log in a burst.
const LINES_PER_SECOND: f64 = 20.0;
const LINES_SAVED: f64 = 200.0;

/// Maximum random bytes of one call, in bytes. The runtime fills them byte by byte, in a synchronous host call that no
/// tick interrupts.
///
/// No synchronous host call may take a millisecond, so each argument whose size a guest chooses has a bound:
/// - What a guest passes in (log lines, names of settings, lists of pollables, written bytes) is bounded by
///   `hostcall_bytes`, 128 KiB by default, before the host copies it.
/// - What a guest only asks for by a number is bounded here (random bytes) or by the budget of its streams, 8 KiB
///   (`check-write`, `write-zeroes`, `splice`). Standard input is closed: reading and skipping return at once.
/// - Files, sockets and name look-ups have no handle to start from. The table of resources is bounded below.
/// - `poll` and the blocking calls wait asynchronously, within the wall-clock limit of the call.
const MAX_RANDOM_BYTES: u64 = 4096;

/// The store's data: one guest instance as the host sees it.
pub(super) struct Guest {
    pub(super) memory: Memory,
    /// Ticks that the current call has left.
    pub(super) ticks: u64,
    settings: Arc<Settings>,
    log: GuestLog,
    /// Of the request that is being decided; boxed, because most policies ask for none.
    facts: Option<Box<Facts>>,
    // Created at the first WASI call: most policies make none, and seeding random numbers and building tables would
    // cost more than a small policy's whole call.
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Guest {
    pub(super) fn new(memory_limit: usize, settings: Arc<Settings>, log: Arc<Log>, ticks: u64) -> Self {
        Self {
            memory: Memory { used: 0, limit: memory_limit },
            ticks,
            settings,
            log: GuestLog { log, lines: Arc::new(AtomicU64::new(0)) },
            facts: None,
            wasi: None,
        }
    }

    /// Starts a new call: sets its ticks and resets its log quota.
    pub(super) fn begin_call(&mut self, ticks: u64) {
        self.ticks = ticks;
        self.log.lines.store(0, Ordering::Relaxed);
    }

    /// Ends a call: what an idle instance holds is of no request.
    pub(super) fn end_call(&mut self) {
        self.facts = None;
    }
}

/// Rarely needed facts of a request, as far as the policy reads them.
#[derive(Debug, Default)]
struct Facts {
    id: String,
    dialect: String,
    tenant: Option<String>,
    limits: Vec<Limit>,
    labels: Vec<(String, String)>,
    hints: Vec<(String, String)>,
}

/// All linear memories and tables of one instance together, in bytes.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) used: usize,
    limit: usize,
}

/// A guest asked for more memory than its limit.
#[derive(Debug, thiserror::Error)]
#[error("asked for {asked} bytes of memory and tables together; the limit is {limit}")]
pub(super) struct OutOfMemory {
    asked: usize,
    limit: usize,
}

impl Memory {
    /// Refuses with an error and not with `Ok(false)`, which ends the guest here: most allocators turn a refused growth
    /// into an abort, which looks like any other trap.
    fn grow(&mut self, by: usize) -> wasmtime::Result<bool> {
        let asked = self.used.saturating_add(by);
        if asked > self.limit {
            return Err(OutOfMemory { asked, limit: self.limit }.into());
        }
        self.used = asked;
        Ok(true)
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(wanted.saturating_sub(now))
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(wanted.saturating_sub(now).saturating_mul(size_of::<usize>()))
    }
}

impl contract::Host for Guest {}

impl contract::HostV2 for Guest {
    fn hold_facts(&mut self, question: &Question<'_>) {
        let (request, shown) = (question.request, question.shown);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.facts = Some(Box::new(Facts {
            id: request.id.to_owned(),
            dialect: request.dialect.to_owned(),
            tenant: request.tenant.filter(|_| shown.reads_tenant()).map(str::to_owned),
            limits: if shown.reads_tenant() { request.limits.to_vec() } else { Vec::new() },
            labels: shown.labels().iter().map(owned).collect(),
            hints: request.hints.iter().map(owned).collect(),
        }));
    }
}

impl types_v2::Host for Guest {}

impl settings::Host for Guest {
    fn get(&mut self, name: String) -> Option<Value> {
        self.settings.get(&name).cloned()
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, line: String) {
        self.log.write(level, &line);
    }
}

impl request_facts::Host for Guest {
    fn id(&mut self) -> String {
        self.facts.as_ref().map(|facts| facts.id.clone()).unwrap_or_default()
    }

    fn dialect(&mut self) -> String {
        self.facts.as_ref().map(|facts| facts.dialect.clone()).unwrap_or_default()
    }

    fn tenant(&mut self) -> Option<String> {
        self.facts.as_ref()?.tenant.clone()
    }

    fn limits(&mut self) -> Vec<Limit> {
        self.facts.as_ref().map(|facts| facts.limits.clone()).unwrap_or_default()
    }

    fn label(&mut self, name: String) -> Option<String> {
        let labels = &self.facts.as_ref()?.labels;
        labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn labels(&mut self) -> Vec<(String, String)> {
        self.facts.as_ref().map(|facts| facts.labels.clone()).unwrap_or_default()
    }

    fn hints(&mut self) -> Vec<(String, String)> {
        self.facts.as_ref().map(|facts| facts.hints.clone()).unwrap_or_default()
    }
}

impl imports_v1::Host for Guest {}

impl imports_v1::types::Host for Guest {}

impl imports_v1::settings::Host for Guest {
    fn get(&mut self, name: String) -> Option<imports_v1::types::Value> {
        self.settings.get(&name).cloned().map(imports_v1::value)
    }
}

impl imports_v1::log::Host for Guest {
    fn write(&mut self, level: imports_v1::log::Level, line: String) {
        let level = match level {
            imports_v1::log::Level::Debug => log::Level::Debug,
            imports_v1::log::Level::Info => log::Level::Info,
            imports_v1::log::Level::Warn => log::Level::Warn,
            imports_v1::log::Level::Error => log::Level::Error,
        };
        self.log.write(level, &line);
    }
}

/// One policy's access to the operator's log, with its rate limit.
#[derive(Debug)]
pub(super) struct Log {
    policy: String,
    bucket: Mutex<(f64, Instant)>,
    dropped: AtomicU64,
}

impl Log {
    pub(super) fn new(policy: String) -> Self {
        Self { policy, bucket: Mutex::new((LINES_SAVED, Instant::now())), dropped: AtomicU64::new(0) }
    }

    fn admit(&self) -> bool {
        let Ok(mut bucket) = self.bucket.lock() else { return false };
        let now = Instant::now();
        let saved = bucket.0 + now.duration_since(bucket.1).as_secs_f64() * LINES_PER_SECOND;
        *bucket = (saved.min(LINES_SAVED), now);
        if bucket.0 < 1.0 {
            return false;
        }
        bucket.0 -= 1.0;
        true
    }
}

/// One instance's access to its policy's log.
#[derive(Debug, Clone)]
struct GuestLog {
    log: Arc<Log>,
    lines: Arc<AtomicU64>,
}

impl GuestLog {
    fn write(&self, level: log::Level, line: &str) {
        let lines = self.lines.fetch_add(1, Ordering::Relaxed);
        if lines >= u64::from(MAX_LINES_PER_CALL) || !self.log.admit() {
            self.log.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let line = &line[..line.floor_char_boundary(MAX_LINE_BYTES)];
        let (policy, dropped) = (&*self.log.policy, self.log.dropped.swap(0, Ordering::Relaxed));
        // One macro call for each level, because the macro needs a constant level.
        match level {
            log::Level::Debug => tracing::debug!(target: "policy", policy, dropped, "{line}"),
            log::Level::Info => tracing::info!(target: "policy", policy, dropped, "{line}"),
            log::Level::Warn => tracing::warn!(target: "policy", policy, dropped, "{line}"),
            log::Level::Error => tracing::error!(target: "policy", policy, dropped, "{line}"),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let log = &self.log;
        let (ctx, table) = &mut **self.wasi.get_or_insert_with(|| Box::new(empty_wasi(log)));
        WasiCtxView { ctx, table }
    }
}

/// No files, environment, arguments, sockets or stdin; clocks that stand still and random numbers that repeat, so that
/// a decision depends only on the policy's input. Printed lines become log lines.
fn empty_wasi(log: &GuestLog) -> (WasiCtx, ResourceTable) {
    let ctx = WasiCtx::builder()
        .stdout(Printed(log.clone()))
        .stderr(Printed(log.clone()))
        .secure_random(Deterministic::new(vec![0x57, 0x61, 0x73, 0x6d, 0x67, 0x61, 0x74, 0x65]))
        .insecure_random(Deterministic::new(vec![0x67, 0x61, 0x74, 0x65]))
        .insecure_random_seed(0)
        .max_random_size(MAX_RANDOM_BYTES)
        .wall_clock(Still)
        .monotonic_clock(Still)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(1000);
    (ctx, table)
}

/// A clock that always reads zero.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

/// A guest's stdout or stderr.
struct Printed(GuestLog);

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(Lines { log: self.0.clone(), line: Vec::new() })
    }
}

/// Turns what a guest prints into log lines. A line without its end is buffered, up to the maximum length of a line,
/// and written when the stream is dropped.
struct Lines {
    log: GuestLog,
    line: Vec<u8>,
}

impl Lines {
    fn flush_line(&mut self) {
        if !self.line.is_empty() {
            self.log.write(log::Level::Info, &String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

impl tokio::io::AsyncWrite for Lines {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        for &byte in bytes {
            if byte == b'\n' {
                self.flush_line();
            } else if self.line.len() < MAX_LINE_BYTES {
                self.line.push(byte);
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush_line();
    }
}
