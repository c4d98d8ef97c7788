//! Streams of backends in all dialects, cut into chunks anywhere: nothing panics, chunks make no difference, and
//! what was understood can be written for each client.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wasmgate_dialect::chat::{Delta, Deltas};
use wasmgate_dialect::frames::Frames;
use wasmgate_dialect::{Decoder, Dialect, Encoder, Facts, Routing, Total};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, stream) = input;
    let chats = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Responses];
    for backend in chats.into_iter().chain([Dialect::Completions, Dialect::Generate]) {
        let whole = read(backend, stream, stream.len().max(1));
        assert_eq!(whole, read(backend, stream, usize::from(cut).max(1)));
        let chats = [Dialect::Native, Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Responses];
        for client in chats.into_iter().chain([Dialect::Completions, Dialect::Generate]) {
            let mut encoder = Encoder::new(client, facts());
            let mut out = Vec::new();
            for delta in read(backend, stream, stream.len().max(1)) {
                encoder.delta(delta, &mut out);
            }
            encoder.end(&Total::default(), &mut out);
        }
        let _ = backend.decode_reply(stream);
    }
});

fn read(dialect: Dialect, stream: &[u8], chunk: usize) -> Vec<Delta> {
    let (mut frames, mut decoder, mut deltas) =
        (Frames::new(dialect.framing(), 1 << 16), Decoder::new(dialect), Deltas::new());
    for bytes in stream.chunks(chunk) {
        frames.push(Bytes::copy_from_slice(bytes));
        loop {
            match frames.next() {
                Ok(Some(frame)) if decoder.frame(&frame, &mut deltas).is_ok() => {}
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => return deltas.into(),
            }
        }
    }
    deltas.into()
}

fn facts() -> Facts {
    Facts {
        request_id: "fuzz".into(),
        model: "model".into(),
        backend: "backend".into(),
        created: 0,
        include_usage: true,
        estimated_input_tokens: 1,
        routing: Routing {
            complexity: None,
            tier: "unknown",
            reasoning: String::new(),
            estimated_cost: None,
            policy: "default".into(),
            version: "0".into(),
        },
        echo: None,
        tool_names: None,
        seal: None,
    }
}
