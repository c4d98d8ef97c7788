//! Reads the native request: `{"prompt", "model"?, "max_tokens"?, "stream"?}`.

use crate::chat::{Chat, Message, Part, Role};
use crate::json::{self, BadRequest, Path};

const KNOWN: [&str; 4] = ["prompt", "model", "max_tokens", "stream"];

/// Reads a request body. No backend gets the native body, so its raw fields are not kept and an unknown field would be
/// lost. `decode` therefore refuses unknown fields.
pub(crate) fn decode(body: &[u8]) -> Result<Chat, BadRequest> {
    let mut chat = Chat { model: "auto".to_owned(), ..Chat::default() };
    let mut prompt = None;
    for (key, raw) in json::body(body)?.iter() {
        let path = &Path::top(key);
        match key {
            "prompt" => prompt = Some(json::string(path, raw)?),
            _ if !KNOWN.contains(&key) => return Err(unknown(path, key)),
            _ if json::is_null(raw) => {}
            "model" => chat.model = json::string(path, raw)?.into_owned(),
            "max_tokens" => chat.max_tokens = Some(json::count(path, raw, 1)?),
            _ => chat.stream = json::boolean(path, raw)?,
        }
    }
    let path = &Path::top("prompt");
    let prompt = prompt.ok_or_else(|| BadRequest::missing(path, "a string"))?;
    if prompt.trim().is_empty() {
        let found = if prompt.is_empty() { "empty" } else { "blank" };
        return Err(BadRequest::wrong(path, found, "text"));
    }
    chat.messages.push(Message { role: Role::User, parts: vec![Part::Text(prompt.into_owned())] });
    chat.include_usage = chat.stream;
    Ok(chat)
}

fn unknown(path: &Path<'_>, key: &str) -> BadRequest {
    // A long key is not a misspelling, and a comparison costs its length.
    const LONGEST: usize = 32;
    const ALIKE: f64 = 0.7;
    let nearest = (key.len() <= LONGEST)
        .then(|| KNOWN.map(|known| (strsim::jaro_winkler(key, known), known)))
        .and_then(|scores| scores.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)))
        .filter(|(score, _)| *score >= ALIKE);
    let known = KNOWN.join("`, `");
    BadRequest::new(match nearest {
        Some((_, name)) => format!("{path} is not a known field; did you mean `{name}`?"),
        None => format!("{path} is not a known field; the known fields are `{known}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_a_message_of_the_user() {
        let chat = decode(br#"{"prompt":"hi","max_tokens":5,"stream":true}"#).expect("valid");
        assert_eq!(
            (chat.model.as_str(), chat.max_tokens, chat.stream, chat.include_usage),
            ("auto", Some(5), true, true)
        );
        assert_eq!(chat.messages.len(), 1);
        assert_eq!(chat.messages[0].parts, [Part::Text("hi".to_owned())]);
        assert_eq!(chat.unportable, None);
        let chat = decode(br#"{"model":"phi2","prompt":" x ","stream":null}"#).expect("valid");
        assert_eq!((chat.model.as_str(), chat.stream), ("phi2", false));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, sentence) in [
            ("{}", "prompt is missing; a string is expected"),
            (r#"{"prompt":null}"#, "prompt is null; a string is expected"),
            (r#"{"prompt":["a"]}"#, "prompt is an array; a string is expected"),
            (r#"{"prompt":""}"#, "prompt is empty; text is expected"),
            (r#"{"prompt":" \n\t"}"#, "prompt is blank; text is expected"),
            (r#"{"prompt":"a","max_tokens":0}"#, "max_tokens is 0; a whole number of at least 1 is expected"),
            (r#"{"prompt":"a","max_tokens":"5"}"#, "max_tokens is a string; a whole number of at least 1 is expected"),
            (r#"{"prompt":"a","stream":1}"#, "stream is a number; a boolean is expected"),
            (r#"{"prompt":"a","model":1}"#, "model is a number; a string is expected"),
            (r#"{"prompt":"a","max_token":5}"#, "max_token is not a known field; did you mean `max_tokens`?"),
            (r#"{"promt":"a"}"#, "promt is not a known field; did you mean `prompt`?"),
            (
                r#"{"prompt":"a","Model":"x"}"#,
                "Model is another spelling of model; backends that ignore case disagree on which of two spellings counts, \
                 so model is expected",
            ),
            (
                r#"{"zzz":"a"}"#,
                "zzz is not a known field; the known fields are `prompt`, `model`, `max_tokens`, `stream`",
            ),
        ] {
            assert_eq!(decode(body.as_bytes()).expect_err(body).to_string(), sentence);
        }
    }
}
