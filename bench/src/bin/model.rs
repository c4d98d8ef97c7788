//! The simulated model of the benchmark: `bench-model ADDRESS`.
//!
//! It answers at once, as cheaply as it can, on one thread: an OpenAI chat completion with its usage, or, where the request
//! says `"stream":true`, 32 events with text, a finish, a usage and `[DONE]`, one write each. Each event's text carries the
//! time of its write. `PACE=2000` in a prompt lets so many microseconds pass before each event but the first.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmgate_bench::wire::{ALL_EVENTS, ANSWER, EVENTS, Head, PACE, now, number_behind};

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
    transfer-encoding: chunked\r\n\r\n";
const EVENT: &str = r#"data: {"id":"chatcmpl-000000000000000000000001","object":"chat.completion.chunk","created":1760000000,"model":"simulated","choices":["#;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: bench-model ADDRESS")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(async move {
                // A client that goes away in the middle is no news here.
                let _ = serve(stream).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let whole = whole_answer();
    let mut input = Vec::with_capacity(8 << 10);
    let mut output = Vec::new();
    loop {
        let request = loop {
            if let Some(head) = Head::of_request(&input)? {
                let length = head.length.ok_or("a request in chunks")?;
                if input.len() >= head.bytes + length {
                    break head.bytes + length;
                }
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        if memmem::find(&input[..request], b"\"stream\":true").is_some() {
            let pace = number_behind(PACE, &input[..request]).map(|(micros, _)| Duration::from_micros(micros));
            answer_in_events(&mut stream, pace, &mut output).await?;
        } else {
            stream.write_all(&whole).await?;
        }
        input.drain(..request);
    }
}

fn whole_answer() -> Vec<u8> {
    let body = format!(
        r#"{{"id":"chatcmpl-000000000000000000000001","object":"chat.completion","created":1760000000,"model":"simulated","choices":[{{"index":0,"message":{{"role":"assistant","content":"{ANSWER}"}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":64,"completion_tokens":36,"total_tokens":100}}}}"#
    );
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}

async fn answer_in_events(stream: &mut TcpStream, pace: Option<Duration>, out: &mut Vec<u8>) -> std::io::Result<()> {
    stream.write_all(STREAM_HEAD).await?;
    for number in 0..ALL_EVENTS {
        if let Some(pace) = pace.filter(|_| number > 0) {
            tokio::time::sleep(pace).await;
        }
        let event = match number {
            0..EVENTS => {
                let role = if number == 0 { r#""role":"assistant","# } else { "" };
                let sent = now();
                format!(
                    "{EVENT}{{\"index\":0,\"delta\":{{{role}\"content\":\"sent={sent}; \"}},\"finish_reason\":null}}]}}\n\n"
                )
            }
            EVENTS => format!("{EVENT}{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n"),
            _ if number + 1 < ALL_EVENTS => format!(
                "{EVENT}],\"usage\":{{\"prompt_tokens\":64,\"completion_tokens\":32,\"total_tokens\":96}}}}\n\n"
            ),
            _ => "data: [DONE]\n\n".to_owned(),
        };
        let end = if number + 1 == ALL_EVENTS { "0\r\n\r\n" } else { "" };
        out.clear();
        write!(out, "{:x}\r\n{event}\r\n{end}", event.len())?;
        stream.write_all(out).await?;
    }
    Ok(())
}
