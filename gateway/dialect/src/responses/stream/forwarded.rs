//! A stream that a backend of the Responses dialect writes for a client of the same: forwarded byte for byte, except for
//! marks on what only that backend understands. If the backend breaks off, the stream ends within the same response.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::encoder::Encoder;
use crate::origin::{Marked, Origin, Seal};
use crate::sse;
use crate::types::{ErrorText, Facts};

/// Marks one stream.
#[derive(Debug)]
pub struct Forwarded {
    origin: Origin,
    seal: Option<Seal>,
    /// Ends the stream if the backend does not.
    encoder: Encoder,
}

impl Forwarded {
    /// For the stream of the backend that `facts` names.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self { origin: Origin::of(&facts.backend), seal: facts.seal.clone(), encoder: Encoder::new(facts) }
    }

    /// The frame for the client.
    #[must_use]
    pub fn frame(&mut self, frame: Bytes) -> Bytes {
        // Most frames are pieces of text, which hold neither.
        let holds = |what: &[u8]| memchr::memmem::find(&frame, what).is_some();
        let has_response = holds(b"\"response\"");
        if !has_response && !holds(b"\"encrypted_content\"") {
            if holds(b"data") {
                self.encoder.skip_event();
            }
            return frame;
        }
        let event = sse::event(&frame);
        let marked = match event.data {
            None => return frame,
            Some(Cow::Borrowed(data)) => self.origin.mark(&frame, data, Marked::Event, self.seal.as_ref()),
            // Lines of data that were joined: a JSON text may go on in the next line.
            Some(Cow::Owned(data)) => self.origin.mark(&data, &data, Marked::Event, self.seal.as_ref()).map(|data| {
                let name = event.name.map(String::from_utf8_lossy).unwrap_or_default();
                let mut out = Vec::with_capacity(data.len() + name.len() + 32);
                if !name.is_empty() {
                    out.extend_from_slice(format!("event: {name}\n").as_bytes());
                }
                for line in data.split(|&byte| byte == b'\n') {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(line);
                    out.push(b'\n');
                }
                out.push(b'\n');
                out
            }),
        };
        let frame = marked.map_or(frame, Bytes::from);
        self.encoder.skip_event();
        if has_response {
            self.note(&frame);
        }
        frame
    }

    /// Writes the end of a stream that broke off.
    pub fn fail(&mut self, error: &ErrorText, out: &mut Vec<u8>) {
        self.encoder.fail(error, out);
    }

    /// Notes the marked id of the response.
    fn note(&mut self, frame: &[u8]) {
        #[derive(Deserialize)]
        struct Event {
            response: Option<Response>,
        }
        #[derive(Deserialize)]
        struct Response {
            id: Option<String>,
        }
        let data = sse::event(frame).data;
        let event = data.and_then(|data| serde_json::from_slice::<Event>(&data).ok());
        if let Some(id) = event.and_then(|event| event.response?.id) {
            self.encoder.continue_as(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Routing;

    fn forwarded() -> Forwarded {
        Forwarded::new(Facts {
            request_id: "r1".into(),
            model: "m".into(),
            backend: "openai".into(),
            created: 1,
            include_usage: true,
            estimated_input_tokens: 1,
            routing: Routing::default(),
            tool_names: None,
            echo: None,
            seal: None,
        })
    }

    #[test]
    fn frames_pass_as_they_are_whatever_ends_their_lines() {
        let frames = [
            ": ping\n\n",
            "event: x\r\ndata:{\"type\":\"response.output_text.delta\",\"delta\":\"\\\"response\\\"\"}\r\n\r\n",
            "data: {\"response\": 5}\n\n",
            "data: not JSON \"response\"\n\n",
            "data: {\"item\":{\"encrypted_content\":null}}\n\n",
            "data: [DONE]\n\n",
        ];
        let mut forwarded = forwarded();
        for frame in frames {
            assert_eq!(forwarded.frame(Bytes::from_static(frame.as_bytes())), frame.as_bytes());
        }
    }

    #[test]
    fn marks_are_the_only_difference() {
        let created = "data: {\"type\":\"response.created\",\"response\": {\"id\" : \"resp_1\"}}\r\n\r\n";
        let joined = "event: response.created\ndata: {\"type\":\"response.created\",\ndata: \"response\":{\"id\":\"resp_1\"}}\n\n";
        for frame in [created, joined] {
            let mut forwarded = forwarded();
            let marked =
                String::from_utf8(forwarded.frame(Bytes::from_static(frame.as_bytes())).to_vec()).expect("text");
            let id = marked.split("\"wg1.").nth(1).and_then(|rest| rest.split('"').next()).expect("a mark");
            assert_eq!(marked.replace(&format!("wg1.{id}"), "resp_1"), frame);
            let error = ErrorText {
                status: 502,
                code: "stream_cut".into(),
                message: "it broke".into(),
                request_id: "r1".into(),
                ..ErrorText::default()
            };
            let mut out = Vec::new();
            forwarded.fail(&error, &mut out);
            let out = String::from_utf8(out).expect("text");
            assert!(
                out.starts_with("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":1,"),
                "{out}"
            );
            assert!(out.contains(&format!("\"id\":\"wg1.{id}\"")), "{out}");
        }
    }
}
