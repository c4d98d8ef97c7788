//! Embeddings: OpenAI's form (`POST /v1/embeddings`), Ollama's (`POST /api/embed`) and Ollama's older one for a single text
//! (`POST /api/embeddings`). A request is forwarded as it is if the backend has the client's form, else translated.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::backend_error::BackendError;
use crate::json::{self, BadRequest, Path};
use crate::lenient::{Count, object, says_something};
use crate::types::Malformed;
use crate::write;

/// A form of the request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `POST /v1/embeddings`.
    OpenAi,
    /// `POST /api/embed`.
    Ollama,
    /// `POST /api/embeddings`. No backend is asked in this form.
    OllamaSingle,
}

/// A request.
#[derive(Debug)]
pub struct Asked {
    /// The model's name.
    pub model: String,
    /// How many inputs it has.
    pub inputs: usize,
    form: Form,
    /// A text, a list of texts, or tokens.
    input: Box<RawValue>,
    tokens: bool,
    /// Whether the client wants vectors as base64.
    base64: bool,
    raw: Vec<(String, Box<RawValue>)>,
}

impl Asked {
    /// Reads a request body.
    ///
    /// # Errors
    /// If the body is not valid in its form: `BadRequest`.
    pub fn read(form: Form, body: &[u8]) -> Result<Self, BadRequest> {
        let fields = json::body(body)?;
        let model = json::required_string(&Path::Body, &fields, "model")?;
        let name = if form == Form::OllamaSingle { "prompt" } else { "input" };
        let path = &Path::top(name);
        let input = fields.get(name).ok_or_else(|| BadRequest::missing(path, "a text or a list of texts"))?;
        let (inputs, tokens) = inputs(form, path, input)?;
        let format = match fields.get("encoding_format") {
            Some(raw) if form == Form::OpenAi => json::string(&Path::top("encoding_format"), raw)?,
            _ => "float".into(),
        };
        let raw = fields.iter().map(|(key, raw)| (key.to_owned(), raw.to_owned())).collect();
        Ok(Self { model, inputs, form, input: input.to_owned(), tokens, base64: format == "base64", raw })
    }

    /// The body for a backend of this form that knows the model as `model`.
    ///
    /// # Errors
    /// The name of a field that the form cannot express.
    pub fn body(&self, to: Form, model: &str) -> Result<Vec<u8>, &'static str> {
        if to == self.form {
            return Ok(write::forward(&self.raw, model, None));
        }
        if self.tokens && to != Form::OpenAi {
            return Err("input");
        }
        // Ollama's options say how its server works, and OpenAI's servers have none of them.
        let hint = |key: &str| matches!(key, "keep_alive" | "options" | "truncate") && to == Form::Ollama;
        let kept = self.raw.iter().filter(|(key, _)| key == "dimensions" || hint(key));
        let mut fields: Vec<(String, Box<RawValue>)> = kept.cloned().collect();
        fields.push(("input".to_owned(), self.input.clone()));
        Ok(write::forward(&fields, model, None))
    }

    /// The answer for the client, from the body of a backend of form `from`, and the tokens that it reports. `None`: the body
    /// is the answer. `model`: the model's name for the client.
    ///
    /// # Errors
    /// If the body is not valid in its form: `Malformed`.
    pub fn answer(&self, from: Form, body: &[u8], model: &str) -> Result<(Option<Vec<u8>>, Option<u64>), Malformed> {
        let malformed = |error: serde_json::Error| write::malformed("the embeddings", &error);
        if self.form == from {
            return Ok((None, reported(body).map_err(malformed)?));
        }
        let (vectors, tokens) = match from {
            Form::OpenAi => {
                let mut wire: OpenAiWire<'_> = serde_json::from_slice(body).map_err(malformed)?;
                // Vectors without an index keep their order.
                wire.data.sort_by_key(|vector| vector.index.0.unwrap_or(0));
                let vectors = wire.data.into_iter().map(|vector| numbers(vector.embedding));
                (vectors.collect::<Result<Vec<_>, _>>()?, reported(body).map_err(malformed)?)
            }
            Form::Ollama | Form::OllamaSingle => {
                let wire: OllamaWire<'_> = serde_json::from_slice(body).map_err(malformed)?;
                (wire.embeddings.into_iter().map(Cow::Borrowed).collect(), reported(body).map_err(malformed)?)
            }
        };
        let body = match self.form {
            Form::OpenAi => self.openai(&vectors, tokens, model)?,
            Form::Ollama => write::to_vec(&OllamaWritten { model, embeddings: &vectors, prompt_eval_count: tokens }),
            Form::OllamaSingle => write::to_vec(&SingleWritten { embedding: vectors.first().map(AsRef::as_ref) }),
        };
        Ok((Some(body), tokens))
    }

    fn openai(&self, vectors: &[Cow<'_, RawValue>], tokens: Option<u64>, model: &str) -> Result<Vec<u8>, Malformed> {
        let mut data = Vec::with_capacity(vectors.len());
        for (index, vector) in vectors.iter().enumerate() {
            let embedding = if self.base64 { Vector::Base64(base64_of(vector)?) } else { Vector::Numbers(vector) };
            data.push(Written { object: "embedding", index, embedding });
        }
        let tokens = tokens.unwrap_or_default();
        let usage = UsageWritten { prompt_tokens: tokens, total_tokens: tokens };
        Ok(write::to_vec(&OpenAiWritten { object: "list", data, model, usage }))
    }
}

/// The number of inputs, and whether they are tokens.
fn inputs(form: Form, path: &Path<'_>, input: &RawValue) -> Result<(usize, bool), BadRequest> {
    if json::kind(input) == "a string" {
        return Ok((1, false));
    }
    if form == Form::OllamaSingle {
        return Err(BadRequest::wrong(path, json::kind(input), "a text"));
    }
    if json::kind(input) != "an array" {
        return Err(BadRequest::wrong(path, json::kind(input), "a text or a list of texts"));
    }
    let (first, count) = json::length(path, input)?;
    Ok(match first.map(json::kind) {
        // A list of numbers is one input, given as tokens; in any other list, each element is an input.
        Some("a number") => (1, true),
        first => (count, first == Some("an array")),
    })
}

#[derive(Deserialize)]
struct OpenAiWire<'a> {
    #[serde(borrow)]
    data: Vec<OpenAiVector<'a>>,
}

#[derive(Deserialize)]
struct OpenAiVector<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    #[serde(default)]
    index: Count,
}

/// The error in the body of an answer with status 200, as some servers and gateways write it. `None` if it is an answer.
#[must_use]
pub fn error_in(body: &[u8]) -> Option<BackendError> {
    object! {
        struct Answer<'a> {
            "error" error: Option<&'a RawValue>,
            "data" data: Option<&'a RawValue>,
            "embeddings" embeddings: Option<&'a RawValue>,
        }
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    let is_answer = [answer.data, answer.embeddings].into_iter().flatten().any(says_something);
    (!is_answer && answer.error.is_some_and(says_something)).then(|| BackendError::read(body))
}

/// What each form reports besides the vectors.
#[derive(Deserialize)]
struct Reported<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_eval_count: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
}

/// The tokens that an answer reports. An odd count costs no answer.
fn reported(body: &[u8]) -> Result<Option<u64>, serde_json::Error> {
    let reported: Reported<'_> = serde_json::from_slice(body)?;
    let usage = reported.usage.and_then(|raw| serde_json::from_str::<Usage>(raw.get()).ok());
    let count = reported.prompt_eval_count.and_then(|raw| serde_json::from_str(raw.get()).ok());
    Ok(usage.and_then(|usage| usage.prompt_tokens).or(count))
}

#[derive(Deserialize)]
struct OllamaWire<'a> {
    #[serde(borrow)]
    embeddings: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct OpenAiWritten<'a> {
    object: &'static str,
    data: Vec<Written<'a>>,
    model: &'a str,
    usage: UsageWritten,
}

#[derive(Serialize)]
struct Written<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a RawValue),
    Base64(String),
}

#[derive(Serialize)]
struct UsageWritten {
    prompt_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize)]
struct OllamaWritten<'a> {
    model: &'a str,
    embeddings: &'a [Cow<'a, RawValue>],
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
}

#[derive(Serialize)]
struct SingleWritten<'a> {
    embedding: Option<&'a RawValue>,
}

/// A vector as numbers. Some servers write base64 although nobody asked for it.
fn numbers(vector: &RawValue) -> Result<Cow<'_, RawValue>, Malformed> {
    if !vector.get().starts_with('"') {
        return Ok(Cow::Borrowed(vector));
    }
    let text: Cow<'_, str> =
        serde_json::from_str(vector.get()).map_err(|error| write::malformed("a vector", &error))?;
    let bytes = bytes_of(&text).filter(|bytes| bytes.len() % 4 == 0);
    let bytes = bytes.ok_or_else(|| Malformed::new("a vector is neither a list of numbers nor base64 of them"))?;
    let numbers =
        bytes.chunks_exact(4).map(|four| four.iter().rev().fold(0, |bits, &byte| bits << 8 | u32::from(byte)));
    let numbers: Vec<f32> = numbers.map(f32::from_bits).collect();
    to_raw_value(&numbers).map(Cow::Owned).map_err(|error| write::malformed("a vector", &error))
}

/// The bytes of a text in base64, with or without padding; `None` if it is none.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for four in digits.chunks(4) {
        let mut number = 0_u32;
        for at in 0..4 {
            let digit = four.get(at).map_or(Some(0), |byte| DIGITS.iter().position(|digit| digit == byte))?;
            number = number << 6 | u32::try_from(digit).ok()?;
        }
        let whole = four.len() * 6 / 8;
        bytes.extend(number.to_be_bytes().into_iter().skip(1).take(whole));
    }
    Some(bytes)
}

/// A vector's numbers as little-endian floats of 32 bits, in base64.
fn base64_of(vector: &RawValue) -> Result<String, Malformed> {
    let numbers: Vec<f32> = serde_json::from_str(vector.get()).map_err(|error| write::malformed("a vector", &error))?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(base64(&bytes))
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = three.iter().enumerate().fold(0_u32, |sum, (at, byte)| sum | u32::from(*byte) << (16 - 8 * at));
        for digit in 0..4 {
            let is_padding = digit > three.len();
            let at = (number >> (18 - 6 * digit) & 63) as usize;
            text.push(if is_padding { '=' } else { char::from(DIGITS[at]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfd\xfc", "//79/A==")]
        {
            assert_eq!(base64(bytes), text);
            assert_eq!(bytes_of(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn vectors_are_read_without_an_index_and_as_base64() {
        let asked = Asked::read(Form::Ollama, br#"{"model": "m", "input": ["a", "b"]}"#).expect("a right request");
        for (data, expected) in [
            (r#"[{"embedding": [0.5], "index": 1}, {"embedding": [2], "index": 0}]"#, "[[2],[0.5]]"),
            (r#"[{"embedding": [0.5], "index": null}, {"embedding": [2], "index": null}]"#, "[[0.5],[2]]"),
            (r#"[{"embedding": [0.5]}, {"embedding": [2]}]"#, "[[0.5],[2]]"),
            (r#"[{"embedding": "AAAAPwAAgL8=", "index": "0"}]"#, "[[0.5,-1.0]]"),
        ] {
            let body = format!(r#"{{"data": {data}}}"#);
            let (written, _) = asked.answer(Form::OpenAi, body.as_bytes(), "m").expect("an answer");
            let written = String::from_utf8(written.expect("translated")).expect("text");
            assert_eq!(written, format!(r#"{{"model":"m","embeddings":{expected}}}"#), "{data}");
        }
        for odd in [r#""AA""#, r#""?""#] {
            let body = format!(r#"{{"data": [{{"embedding": {odd}}}]}}"#);
            assert!(asked.answer(Form::OpenAi, body.as_bytes(), "m").is_err(), "{odd}");
        }
    }

    #[test]
    fn an_error_is_no_answer() {
        for (body, status) in [
            (r#"{"error": {"message": "slow down", "code": 429}}"#, Some(Some(429))),
            (r#"{"error": "out of memory", "embeddings": []}"#, Some(None)),
            (r#"{"error": null, "data": [{"embedding": [1]}]}"#, None),
            (r#"{"error": {"code": 429}, "data": [{"embedding": [1]}]}"#, None),
            ("not JSON", None),
        ] {
            assert_eq!(error_in(body.as_bytes()).map(|error| error.status), status, "{body}");
        }
    }

    #[test]
    fn inputs_are_counted_in_all_forms() {
        for (input, expected) in [
            (r#""a text""#, (1, false)),
            (r#"["a", "b"]"#, (2, false)),
            ("[1, 2, 3]", (1, true)),
            ("[[1, 2], [3]]", (2, true)),
            ("[]", (0, false)),
        ] {
            let body = format!(r#"{{"model": "m", "input": {input}}}"#);
            let asked = Asked::read(Form::OpenAi, body.as_bytes()).expect("a right request");
            assert_eq!((asked.inputs, asked.tokens), expected, "{input}");
            assert_eq!(asked.body(Form::Ollama, "up").is_err(), expected.1, "{input}");
        }
        assert!(Asked::read(Form::OllamaSingle, br#"{"model": "m", "prompt": ["a"]}"#).is_err());
        assert!(Asked::read(Form::OpenAi, br#"{"model": "m", "input": 5}"#).is_err());
    }
}
