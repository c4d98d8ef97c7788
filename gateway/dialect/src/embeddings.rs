//! Embeddings: OpenAI's form (`POST /v1/embeddings`), Ollama's (`POST /api/embed`) and Ollama's older one for a single text
//! (`POST /api/embeddings`). A request is forwarded as it is if the backend has the client's form, else translated.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{self, BadRequest, Path};
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
                wire.data.sort_by_key(|vector| vector.index);
                (wire.data.into_iter().map(|vector| vector.embedding).collect(), reported(body).map_err(malformed)?)
            }
            Form::Ollama | Form::OllamaSingle => {
                let wire: OllamaWire<'_> = serde_json::from_slice(body).map_err(malformed)?;
                (wire.embeddings, reported(body).map_err(malformed)?)
            }
        };
        let body = match self.form {
            Form::OpenAi => self.openai(&vectors, tokens, model)?,
            Form::Ollama => write::to_vec(&OllamaWritten { model, embeddings: &vectors, prompt_eval_count: tokens }),
            Form::OllamaSingle => write::to_vec(&SingleWritten { embedding: vectors.first().copied() }),
        };
        Ok((Some(body), tokens))
    }

    fn openai(&self, vectors: &[&RawValue], tokens: Option<u64>, model: &str) -> Result<Vec<u8>, Malformed> {
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
    index: u64,
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
    embeddings: &'a [&'a RawValue],
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
}

#[derive(Serialize)]
struct SingleWritten<'a> {
    embedding: Option<&'a RawValue>,
}

/// A vector's numbers as little-endian floats of 32 bits, in base64.
fn base64_of(vector: &RawValue) -> Result<String, Malformed> {
    let numbers: Vec<f32> = serde_json::from_str(vector.get()).map_err(|error| write::malformed("a vector", &error))?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(base64(&bytes))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
