//! Clients that ask one after the other on connections they keep, and what each of them saw: who decided, which model
//! answered, whether both agree in each part of the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::{Client, Response, post_json};
use crate::wait::Shared;

/// Clients at work.
#[derive(Debug)]
pub struct Traffic {
    clients: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    seen: Arc<Vec<Shared<Seen>>>,
}

/// What one client saw.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Its whole answers.
    pub answers: u64,
    /// Who decided and which model answered, once for each time that this became another than for the answer before.
    pub turns: Vec<(String, String)>,
    /// How long each answer took, to its last byte.
    pub took: Vec<Duration>,
    /// What was wrong with an answer. The client stopped there.
    pub wrong: Option<String>,
}

impl Traffic {
    /// So many clients of whole answers and so many of streams.
    #[must_use]
    pub fn start(gateway: &Gateway, whole: usize, streaming: usize) -> Self {
        Self::paced(gateway, whole, streaming, Duration::ZERO)
    }

    /// As `start`, each client waiting so long after each answer, to leave the machine some time for other work.
    #[must_use]
    pub fn paced(gateway: &Gateway, whole: usize, streaming: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen: Arc<Vec<Shared<Seen>>> = Arc::new((0..whole + streaming).map(|_| Shared::default()).collect());
        let clients = (0..whole + streaming).map(|number| {
            let (address, stop, seen) = (gateway.address, Arc::clone(&stop), Arc::clone(&seen));
            std::thread::spawn(move || ask(address, number >= whole, pause, &stop, &seen[number]))
        });
        Self { clients: clients.collect(), stop, seen }
    }

    /// Waits until each client's newest answer was decided by this version.
    ///
    /// # Panics
    /// Where one does not get there.
    pub fn wait_decided_by(&self, policy: &str) {
        for seen in self.seen.iter() {
            let decided = seen.wait(|seen| {
                let newest = seen.turns.last().is_some_and(|(newest, _)| newest == policy);
                (newest || seen.wrong.is_some()).then(|| seen.wrong.clone())
            });
            match decided {
                Some(None) => {}
                Some(Some(wrong)) => panic!("{wrong}"),
                None => panic!("{policy} does not decide: {:?}", seen.with(|seen| seen.turns.last().cloned())),
            }
        }
    }

    /// Ends it; what each client saw.
    ///
    /// # Panics
    /// Where an answer was wrong.
    #[must_use]
    pub fn end(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client that ended well");
        }
        self.seen.iter().map(|seen| seen.with(std::mem::take)).inspect(|seen| assert_eq!(seen.wrong, None)).collect()
    }
}

fn ask(address: SocketAddr, streaming: bool, pause: Duration, stop: &AtomicBool, seen: &Shared<Seen>) {
    let request = match streaming {
        false => post_json("/api/v1/chat", &json!({"prompt": "hello"})),
        true => post_json(
            "/v1/chat/completions",
            &json!({"model": "auto", "messages": [{"role": "user", "content": "hello"}], "stream": true}),
        ),
    };
    let mut client = Client::connect(address);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let response = client.send(&request).response();
        let took = began.elapsed();
        let answer = if streaming { stream(&response) } else { whole(&response) };
        let going_on = seen.with(|seen| match answer {
            Ok(turn) => {
                seen.answers += 1;
                seen.took.push(took);
                if seen.turns.last() != Some(&turn) {
                    seen.turns.push(turn);
                }
                true
            }
            Err(wrong) => {
                seen.wrong = Some(format!("{wrong}: {:?} {}", response.head, response.text()));
                false
            }
        });
        if !going_on {
            return;
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// Who decided and which model answered, where the head says so.
fn head(response: &Response) -> Result<(String, String), String> {
    match response.status() {
        200 => Ok((response.header("x-wasmgate-policy").to_owned(), response.header("x-wasmgate-model").to_owned())),
        status => Err(format!("status {status}")),
    }
}

fn whole(response: &Response) -> Result<(String, String), String> {
    let (policy, model) = head(response)?;
    let body: Value = serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
    let routing = &body["routing"];
    let said = format!("{}@{}", routing["policy"].as_str().unwrap_or(""), routing["version"].as_str().unwrap_or(""));
    match said == policy && body["model"] == *model {
        true => Ok((policy, model)),
        false => Err("head and body do not agree".into()),
    }
}

fn stream(response: &Response) -> Result<(String, String), String> {
    let (policy, model) = head(response)?;
    let text = response.text();
    let mut events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    if events.pop() != Some("[DONE]") {
        return Err("the stream does not end as it should".into());
    }
    for event in events {
        let event: Value = serde_json::from_str(event).map_err(|error| error.to_string())?;
        if event["model"] != *model {
            return Err("head and event do not agree".into());
        }
    }
    Ok((policy, model))
}
