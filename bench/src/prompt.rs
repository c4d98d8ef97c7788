//! Requests as they are sent, byte for byte.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

const SENTENCE: &str = "You are the assistant of a small shop. A customer asks where the parcel is that was sent on \
                        Monday. Answer in one friendly sentence and ask for the number of the order. ";

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt {
    /// Of its text.
    pub(crate) bytes: usize,
    /// Whether the answer comes as a stream, and how long the model pauses between two events.
    pub(crate) stream: Option<Duration>,
    /// The client that it says it is from.
    pub(crate) client: usize,
}

impl Prompt {
    /// One of so many bytes for a whole answer.
    pub(crate) fn whole(bytes: usize) -> Self {
        Self { bytes, stream: None, client: 0 }
    }

    /// One of 300 bytes for a stream with that pause between its events.
    pub(crate) fn stream(pace: Duration) -> Self {
        Self { bytes: 300, stream: Some(pace), client: 0 }
    }

    /// The request, for a connection that is kept.
    pub(crate) fn request(self, to: SocketAddr) -> Vec<u8> {
        let pace = self.stream.filter(|pace| !pace.is_zero());
        let mark = pace.map_or(String::new(), |pace| format!("PACE={} ", pace.as_micros()));
        let text: String = mark.chars().chain(SENTENCE.chars().cycle()).take(self.bytes).collect();
        let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 64});
        if self.stream.is_some() {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        let body = body.to_string();
        let (length, client) = (body.len(), self.client);
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\nx-client: {client}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}
