//! The clients of a run: what each of them sends, and what it saw of the answer.

use std::ops::Range;

use serde_json::{Value, json};

use super::check::OVERFLOW;
use super::plan::{Asked, CLIENTS, Id, Junk, MODELS, Manner, Plan};
use super::scene::{MAX_PROMPT, Scene};
use crate::faults::values_of;
use crate::http::{Client, Head, post_json, request};
use crate::wait::Shared;
use crate::wire::{ask, ends_well, error_code, text_of};

/// What a client saw of one request.
#[derive(Debug)]
pub(super) struct Seen {
    /// Which.
    pub id: Id,
    /// What was asked.
    pub asked: Asked,
    /// How it ended.
    pub end: End,
    /// The head of the answer, where the client waited for it.
    pub head: Option<Head>,
    /// What is wrong with what it was answered.
    pub wrong: Option<String>,
}

/// How a request ended, for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// In a whole answer.
    Answered,
    /// In an error of that code.
    Told(String),
    /// The client did not wait for it.
    Left,
}

impl Seen {
    /// A header of the answer; empty where there is none.
    #[must_use]
    pub(super) fn header(&self, name: &str) -> &str {
        self.head.as_ref().and_then(|head| head.header(name)).unwrap_or_default()
    }

    /// The attempts that failed before the answer: models, and why.
    #[must_use]
    pub(super) fn failed_attempts(&self) -> Vec<(&str, &str)> {
        self.header("x-wasmgate-failed-attempts").split(", ").filter_map(|attempt| attempt.split_once(' ')).collect()
    }

    /// The model whose answer began.
    #[must_use]
    pub(super) fn answering(&self) -> Option<&str> {
        let head = self.head.as_ref().filter(|head| head.status == 200)?;
        head.header("x-wasmgate-model")
    }
}

/// What clients know of each other: slow ones wait for the others, not for time to pass.
#[derive(Default)]
struct Progress {
    ended: usize,
    fast: usize,
}

/// One client that is not slow, until it ends, also where it panics.
struct Fast<'a>(&'a Shared<Progress>);

impl Drop for Fast<'_> {
    fn drop(&mut self) {
        self.0.with(|progress| progress.fast -= 1);
    }
}

/// Says what it was about where a test fails in it.
pub(super) struct While(pub String);

impl Drop for While {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("chaos: {}", self.0);
        }
    }
}

/// Lets all clients ask the requests of these numbers, and changes the gateway each time that so many have ended.
///
/// # Panics
/// Where a request does not end.
#[must_use]
pub(super) fn run(scene: &Scene, plan: Plan, numbers: &Range<usize>, change_every: usize) -> Vec<Seen> {
    let progress = Shared::new(Progress { ended: 0, fast: CLIENTS - 1 });
    let each = |client: usize| {
        let slow = client + 1 == CLIENTS;
        let _fast = (!slow).then(|| Fast(&progress));
        let mut at_work = Worker { scene, plan, progress: slow.then_some(&progress), kept: None };
        let mut seen = Vec::new();
        for number in numbers.clone() {
            seen.push(at_work.request(Id { client, number }));
            let ended = progress.with(|progress| {
                progress.ended += 1;
                progress.ended
            });
            if ended.is_multiple_of(change_every) {
                scene.change();
            }
        }
        seen
    };
    let each = &each;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || each(client))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client whose requests end")).collect()
    })
}

struct Worker<'a> {
    scene: &'a Scene,
    plan: Plan,
    /// Of the others, where this one is slow.
    progress: Option<&'a Shared<Progress>>,
    kept: Option<Client>,
}

impl Worker<'_> {
    fn request(&mut self, id: Id) -> Seen {
        let asked = self.plan.asked(id);
        let _while = While(format!("seed {}, {id:?}, {asked:?}", self.plan.seed));
        let seen = |end, head, wrong| Seen { id, asked, end, head, wrong };
        if let Manner::Junk(junk) = asked.manner {
            let (end, head, wrong) = self.junk(junk, id, &asked);
            return seen(end, head, wrong);
        }
        let body = ask(asked.path, asked.model, &id.marker(), asked.stream).to_string();
        let guarded = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
        let headers = if asked.guarded { &guarded[..] } else { &guarded[..1] };
        let mut client = self.kept.take().unwrap_or_else(|| Client::connect(self.scene.gateway.address));
        client.send(request("POST", asked.path, headers, body.as_bytes()));
        if asked.manner == Manner::LeavesAtOnce {
            client.abandon();
            return seen(End::Left, None, None);
        }
        let head = client.head();
        let chunked = head.header("transfer-encoding").is_some();
        if let Manner::LeavesWithin(pieces) = asked.manner {
            // What comes whole comes at once.
            let _ = (0..pieces).take_while(|_| chunked && client.chunk().is_some()).count();
            client.abandon();
            return seen(End::Left, Some(head), None);
        }
        let body = if chunked { self.body(&mut client) } else { client.body_of(head.clone()).body };
        if head.header("connection") != Some("close") {
            self.kept = Some(client);
        }
        let (end, wrong) = self.judge(id, &asked, &head, &String::from_utf8_lossy(&body));
        seen(end, Some(head), wrong)
    }

    /// Reads pieces to their end; a slow client lets others come first at some of them.
    fn body(&self, client: &mut Client) -> Vec<u8> {
        let mut body = Vec::new();
        let mut pieces = 0;
        while let Some(piece) = client.chunk() {
            body.extend(piece);
            pieces += 1;
            if let (Some(progress), 1) = (self.progress, pieces % 16) {
                let before = progress.with(|progress| progress.ended);
                let others = progress.wait(|now| (now.fast == 0 || now.ended >= before + CLIENTS).then_some(()));
                others.expect("other clients' requests end");
            }
        }
        body
    }

    /// What became of a request that its client stayed for, and what is wrong with that.
    fn judge(&self, id: Id, asked: &Asked, head: &Head, body: &str) -> (End, Option<String>) {
        let streamed = asked.stream && head.status == 200;
        let data = values_of(body, streamed);
        let wrong = |what: &str| Some(format!("{what}: {} {body:.2000}", head.status));
        let Some(last) = data.last() else { return (End::Told("nothing".into()), wrong("an answer of nothing")) };
        let whole = head.status == 200 && if streamed { ends_well(asked.path, &data) } else { last["error"].is_null() };
        let said = text_of(asked.path, &data);
        let model = head.header("x-wasmgate-model").unwrap_or_default();
        let text = self.plan.texts(id, model).concat();
        if whole {
            let wrong = if said == text { None } else { wrong("a good end of what is not the model's whole text") };
            return (End::Answered, wrong);
        }
        let code = error_code(asked.path, last);
        let wrong = match head.status {
            200 if !text.starts_with(&said) => wrong("text that is not the model's"),
            200 if head.header("x-wasmgate-whole").is_some() => {
                wrong("a stream that is said to be whole, and breaks off")
            }
            200 if !streamed => wrong("an error as an answer"),
            _ if body.contains("words of the backend") => wrong("the backend's words"),
            _ if !self.is_explained(id, asked, &code) => wrong("an error that nothing explains"),
            _ => None,
        };
        (End::Told(code), wrong)
    }

    /// Whether what the backends were to answer, or how they fared, may come to this.
    fn is_explained(&self, id: Id, asked: &Asked, code: &str) -> bool {
        let models = MODELS.iter().map(|(name, _)| *name).filter(|_| asked.model == "auto");
        let models = models.chain((asked.model != "auto").then_some(asked.model));
        // A machine that is busy may be late.
        ["backend_timeout", "breaker_open", "backend_full"].contains(&code)
            || models
                .into_iter()
                .any(|model| self.plan.fault(id, model).outcomes[usize::from(asked.stream)].may_tell(code))
    }

    /// Sends what cannot be answered, on a connection of its own.
    fn junk(&self, junk: Junk, id: Id, asked: &Asked) -> (End, Option<Head>, Option<String>) {
        let mut client = Client::connect(self.scene.gateway.address);
        let path = asked.path;
        let chat = |model: &str, text: &str| ask(path, model, text, asked.stream);
        let post = |kind: &str, body: &str| request("POST", path, &[("content-type", kind)], body.as_bytes());
        let good: Value = chat("auto", &id.marker());
        let (bytes, status, code) = match junk {
            Junk::NoJson => (post("application/json", "{\"model\""), 400, "bad_request"),
            Junk::NoModel => (post_json(path, &chat("yew", "hello")), 404, "unknown_model"),
            Junk::NoRoute => (post_json(&format!("{path}s"), &json!({})), 404, "unknown_route"),
            Junk::NoMethod => (request("PUT", path, &[], b""), 405, "wrong_method"),
            // Ollama's route reads a body of any type.
            Junk::NoType if path == "/api/chat" => {
                let headers = [("content-encoding", "br")];
                (request("POST", path, &headers, good.to_string().as_bytes()), 415, "unknown_content_encoding")
            }
            Junk::NoType => (post("text/plain", &good.to_string()), 415, "wrong_content_type"),
            Junk::TooLong => {
                let (status, code) = if path == "/api/v1/chat" { (413, "too_large") } else { (400, OVERFLOW) };
                (post_json(path, &chat("auto", &"x".repeat(MAX_PROMPT + 1))), status, code)
            }
            Junk::NoHttp => (b"NONSENSE\r\n\r\n".to_vec(), 400, ""),
            Junk::HalfABody => {
                let bytes = post_json(path, &good);
                client.send(&bytes[..bytes.len() - 1]);
                client.abandon();
                return (End::Left, None, None);
            }
        };
        let response = client.send(bytes).response();
        let said = if code.is_empty() { String::new() } else { error_code(path, &response.json()) };
        let as_expected = response.status() == status && said == code;
        let wrong = (!as_expected).then(|| format!("{status} {code} expected: {} {said}", response.status()));
        (End::Told(if code.is_empty() { "bad_request".into() } else { said }), Some(response.head), wrong)
    }
}
