//! Clients that go on asking, whatever they are answered.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::request;
use crate::wait::{LIMIT, until};

/// A client at work. It leaves when dropped, whether it has its answer or not.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    // The connection of the request that is under way.
    connection: Arc<Mutex<Option<TcpStream>>>,
    client: Option<JoinHandle<()>>,
}

impl Load {
    /// Sends the requests one after the other and again from the first, each so long after the answer to the last.
    #[must_use]
    pub fn start(address: SocketAddr, pause: Duration, requests: Vec<Vec<u8>>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopping, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let connection = Arc::new(Mutex::default());
        let under_way = Arc::clone(&connection);
        let client = std::thread::spawn(move || {
            for request in requests.iter().cycle() {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                // A gateway that is down is what some tests are about.
                if ask(address, request, &under_way).is_ok_and(|answer| !answer.is_empty()) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(pause);
            }
        });
        Self { stop, answered, connection, client: Some(client) }
    }

    /// Waits until it has had so many answers.
    pub fn wait_answered(&self, count: u64) {
        until(&format!("{count} answers"), || (self.answered.load(Ordering::Relaxed) >= count).then_some(()));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(connection) = &*self.connection.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        if let Some(client) = self.client.take() {
            let _ = client.join();
        }
    }
}

/// A prompt in the native dialect, for this model or `auto`.
#[must_use]
pub fn prompt(model: &str, prompt: &str) -> Vec<u8> {
    post("/api/v1/chat", &json!({"model": model, "prompt": prompt}))
}

/// The same, of a client with a key.
#[must_use]
pub fn prompt_with_key(model: &str, prompt: &str, key: &str) -> Vec<u8> {
    let headers = [("content-type", "application/json"), ("connection", "close"), ("x-api-key", key)];
    request("POST", "/api/v1/chat", &headers, json!({"model": model, "prompt": prompt}).to_string().as_bytes())
}

/// The same in `OpenAI`'s dialect, streamed.
#[must_use]
pub fn streamed(model: &str, prompt: &str) -> Vec<u8> {
    post(
        "/v1/chat/completions",
        &json!({"model": model, "stream": true, "messages": [{"role": "user", "content": prompt}]}),
    )
}

fn post(path: &str, body: &Value) -> Vec<u8> {
    let headers = [("content-type", "application/json"), ("connection", "close")];
    request("POST", path, &headers, body.to_string().as_bytes())
}

fn ask(address: SocketAddr, request: &[u8], under_way: &Mutex<Option<TcpStream>>) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    *under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.try_clone()?);
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
