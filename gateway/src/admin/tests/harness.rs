//! An admin listener on a free port, with a scripted control task and a captured log.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{Pages, serve};
use super::described;
use crate::accounts::ManagedAccounts;
use crate::config::{Config, Token};
use crate::rollout::analysis::AbortRules;
use crate::rollout::api::{
    Agreement, Checking, ConfigStatus, Event, NotDone, Operation, Operator, PolicyStatus, PricesStatus, Question,
    ReadsStatus, Refusal, Status, VersionStatus,
};
use crate::rollout::comparison::Comparison;
use crate::rollout::slot::{Role, Slot};
use crate::rollout::stats::Counts;

/// The token of listeners with a token.
pub(super) const TOKEN: &str = "correct-horse-battery-staple";

/// Time limit for an expected event.
const LIMIT: Duration = Duration::from_secs(30);

/// A listener with its captured log. Tests run it on their own thread, because the log is bound to the thread.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    http: reqwest::Client,
    asked: Arc<Mutex<Vec<String>>>,
    gate: Arc<Notify>,
    log: Log,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _subscriber: tracing::subscriber::DefaultGuard,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Its JSON. Fails unless it has this status.
    #[track_caller]
    pub(super) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// Fails unless it is this refusal.
    #[track_caller]
    pub(super) fn refused(&self, status: u16, code: &str, said: &str) {
        let error = &self.expect(status)["error"];
        assert_eq!(error["code"], code);
        assert!(error["message"].as_str().expect("a message").contains(said), "{said:?} is not in {error}");
    }
}

impl Listener {
    pub(super) async fn start(token: Option<&str>) -> Self {
        let (questions, script) = mpsc::channel(4);
        let (asked, gate) = (Arc::default(), Arc::new(Notify::new()));
        tokio::spawn(answer_questions(script, Arc::clone(&asked), Arc::clone(&gate)));
        Self::with(Operator(questions), token, asked, gate).await
    }

    /// A listener whose control task has ended.
    pub(super) async fn without_lifecycle() -> Self {
        Self::with(Operator(mpsc::channel(1).0), None, Arc::default(), Arc::default()).await
    }

    async fn with(operator: Operator, token: Option<&str>, asked: Arc<Mutex<Vec<String>>>, gate: Arc<Notify>) -> Self {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
        let subscriber = tracing::subscriber::set_default(subscriber.finish());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let token = token.map(|token| Token::new(token).unwrap());
        let text = |text: &'static [u8]| Box::new(move || text.to_vec());
        let pages = Pages {
            metrics: text(b"up 1\n"),
            stats: text(b"{}"),
            health: text(b"{}"),
            decisions: None,
            readers: Arc::default(),
        };
        let config = Config::read(None).expect("the embedded configuration");
        let accounts = ManagedAccounts::open(None, Arc::new(config)).expect("nothing to read");
        let serving = tokio::spawn(serve(listener, operator, accounts, token, pages, stop.clone()));
        let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        Self { address, http, asked, gate, log, stop, serving, _subscriber: subscriber }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(&Method::GET, path, &[], "").await
    }

    /// As `send`, with the body as JSON.
    pub(super) async fn json(&self, method: &Method, path: &str, body: &str) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], body).await
    }

    /// The answer, checked against the API's description.
    pub(super) async fn send(&self, method: &Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self.http.request(method.clone(), format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, text: response.text().await.unwrap() };
        if method != Method::HEAD {
            described::check(method, path.split('?').next().unwrap_or_default(), status, &answer.text);
        }
        answer
    }

    /// The answer to these bytes, until the connection is closed.
    pub(super) async fn raw(&self, request: &str) -> String {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer also ends it.
        let _ = tokio::time::timeout(LIMIT, client.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The operations that the control task received.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Lets the waiting operation continue.
    pub(super) fn let_go(&self) {
        self.gate.notify_one();
    }

    pub(super) async fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let found = async {
            loop {
                match look() {
                    Some(found) => return found,
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("{what} does not come"))
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.serving).await.expect("it stops").expect("it does not panic");
    }

    pub(super) fn log_text(&self) -> String {
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }

    pub(super) fn log_lines(&self) -> Vec<Value> {
        self.log_text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The lines of the audit log.
    pub(super) fn audit(&self) -> Vec<Value> {
        self.log_lines().into_iter().filter(|line| line["target"] == "audit").collect()
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The script: a shadow's name sets the outcome of its operation.
async fn answer_questions(mut questions: mpsc::Receiver<Question>, asked: Arc<Mutex<Vec<String>>>, gate: Arc<Notify>) {
    while let Some(question) = questions.recv().await {
        match question {
            Question::Status(answer) => {
                let _ = answer.send(status());
            }
            Question::Load(_, answer) => {
                let _ = answer.send(Err(NotDone::Refused("not parsed: it is no policy".into())));
            }
            Question::Operation(operation, answer) => {
                let slot = operation.slot().clone();
                asked.lock().unwrap().push(words(&operation));
                let shadow = match &slot.role {
                    Role::Shadow(name) => name.as_str(),
                    _ => "",
                };
                let outcome = match shadow {
                    "gone" => Err(NotDone::NoSuchSlot(format!("there is no {slot}"))),
                    "conflicts" => Err(NotDone::Conflict("there is no earlier version".into())),
                    "refuses" => Err(NotDone::Refused("not probed: low-below is 0.77".into())),
                    "stops" => Err(NotDone::Stopping),
                    "waits" => {
                        gate.notified().await;
                        Ok(policy(slot))
                    }
                    _ => Ok(policy(slot)),
                };
                let _ = answer.send(outcome);
            }
        }
    }
}

fn words(operation: &Operation) -> String {
    match operation {
        Operation::Upload { slot, component, name: _, settings, percent } => {
            let settings = settings.clone().map(Value::from);
            let settings = settings.map_or("None".into(), |settings| format!("Some({settings})"));
            format!("Upload {slot} {} {settings} {percent:?}", component.len())
        }
        Operation::Promote(slot) => format!("Promote {slot}"),
        Operation::Rollback(slot, to) => format!("Rollback {slot} {to:?}"),
        Operation::Share(slot, percent) => format!("Share {slot} {percent}"),
        Operation::Retry(slot) => format!("Retry {slot}"),
        Operation::Enable(slot) => format!("Enable {slot}"),
        Operation::Disable(slot) => format!("Disable {slot}"),
    }
}

fn version(digit: char) -> VersionStatus {
    let digest = digit.to_string().repeat(64);
    VersionStatus {
        policy: "complexity".into(),
        version: "1.2.0".into(),
        revision: digest.clone(),
        digest,
        since: 1_750_000_000,
        rolled_back_from: digit == 'd',
    }
}

/// A slot with few fields set.
fn policy(slot: Slot) -> PolicyStatus {
    PolicyStatus {
        slot,
        mode: "active".into(),
        state: "serving".into(),
        source: "uploaded".into(),
        serving: None,
        kept: None,
        checking: None,
        settings: serde_json::Map::new(),
        limits: serde_json::Map::new(),
        progress: None,
        comparison: None,
        agreement: None,
        share_percent: None,
        can_deny: None,
        reads: None,
        default_models: None,
        unknown_models: BTreeMap::new(),
        refused: None,
        source_missing: false,
        previous: Vec::new(),
    }
}

/// A status in which each field is set somewhere, and each optional field is also missing somewhere.
fn status() -> Status {
    let canary: Slot = "routing.canary".parse().unwrap();
    let refusal = |digest: Option<String>| Refusal {
        policy: digest.as_ref().map(|_| "complexity@1.2.0".into()),
        revision: digest.clone(),
        digest,
        stage: "probed".into(),
        reason: "it trapped".into(),
        since: 1_750_000_000,
    };
    let event = |slot, event: &str, policy: Option<&str>| Event {
        at: 1_750_000_000,
        slot,
        event: event.into(),
        by: "operator".into(),
        policy: policy.map(str::to_owned),
        digest: policy.map(|_| "a".repeat(64)),
        revision: policy.map(|_| "f".repeat(64)),
        detail: String::new(),
    };
    Status {
        generation: 7,
        since: 1_750_000_000,
        live_generations: 2,
        oldest_draining_seconds: 1.5,
        config: ConfigStatus {
            file: None,
            digest: "c".repeat(64),
            since: 1_750_000_000,
            refused: Some("no".into()),
            needs_restart: vec!["listen".into()],
        },
        prices: PricesStatus {
            origin: "file".into(),
            file: Some("prices.json".into()),
            version: Some("2026-11-29".into()),
            date: Some("2026-11-29".into()),
            since: 1_750_000_000,
            models: vec!["gpt".into()],
            refused: None,
        },
        policies: vec![
            PolicyStatus { refused: Some(refusal(None)), ..policy("routing".parse().unwrap()) },
            PolicyStatus {
                mode: "canary".into(),
                serving: Some(version('a')),
                settings: serde_json::Map::from_iter([("low-below".to_owned(), 0.3.into())]),
                limits: serde_json::Map::from_iter([("call_time_ms".to_owned(), 10.into())]),
                progress: Some(AbortRules::default().progress(&Counts::default(), &Counts::default())),
                comparison: Comparison::begin(50.0).map(|comparison| comparison.compared()),
                share_percent: Some(5.0),
                can_deny: Some("unknown".into()),
                reads: Some(ReadsStatus { prompt: "newest".into(), labels: vec!["x-team".into()], tenant: true }),
                default_models: None,
                unknown_models: BTreeMap::new(),
                refused: Some(refusal(Some("b".repeat(64)))),
                previous: vec![version('d')],
                ..policy(canary.clone())
            },
            PolicyStatus {
                kept: Some(version('a')),
                checking: Some(Checking { source: "a.wasm".into(), revision: "b".repeat(64), since: 1_750_000_000 }),
                agreement: Some(Agreement { agree: 3, disagree: 2, failed: 1, skipped: 0 }),
                ..policy("cost.shadows.next".parse().unwrap())
            },
        ],
        history: vec![event(Some(canary), "placed", Some("complexity@1.2.0")), event(None, "config_refused", None)],
    }
}
