//! Request bodies in all dialects: nothing panics, and what one dialect takes can be written for a backend of each
//! dialect that has no obstacle, as a body that this dialect takes too.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wasmgate_base::tokens::TokenEstimator;
use wasmgate_dialect::chat::Part;
use wasmgate_dialect::{Bounds, Dialect, Quirks, Target};

static TOKENS: LazyLock<TokenEstimator> = LazyLock::new(TokenEstimator::new);

const TARGET: Target<'_> = Target { model: "model", max_tokens: 4096, quirks: Quirks::NONE };

fuzz_target!(|body: &[u8]| {
    let chats = [Dialect::Native, Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Responses];
    for client in chats.into_iter().chain([Dialect::Completions, Dialect::Generate]) {
        let Ok(chat) = client.decode(body, &Bounds::default()) else { continue };
        let parts = chat.messages.iter().flat_map(|message| &message.parts);
        let texts = parts.filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
        let _ = TOKENS.estimate(texts);
        for backend in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama] {
            // One without a prompt is sent to no other dialect.
            if !chat.load && backend.obstacle(client, &chat).is_none() {
                let written = backend.encode(client, &chat, &TARGET);
                assert!(
                    backend.decode(&written, &Bounds::default()).is_ok(),
                    "{client:?} to {backend:?}: {:?}\n{}",
                    backend.decode(&written, &Bounds::default()).err(),
                    String::from_utf8_lossy(&written)
                );
            }
        }
    }
});
