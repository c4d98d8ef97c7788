//! Recognises that a prompt exceeds a context window, in the words of the providers and servers that say so.

use serde_json::Value;

use super::BackendError;
use super::numbers::{after, before};
use wasmgate_base::overflow::{Overflow, Unit};

/// Codes and types of such errors.
const WORDS: [&str; 5] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "model_context_window_exceeded",
    "context_window_exceeded",
    "contextwindowexceedederror",
];

/// What such errors say, in lower case. The comments name who says it.
const SENTENCES: [&str; 37] = [
    "prompt is too long",           // Anthropic
    "exceed context limit",         // Anthropic
    "exceeds model context window", // Anthropic
    "exceeds the context",          // OpenAI's newer models
    "exceed the context",
    "maximum context length", // OpenAI, DeepSeek, vLLM, OpenRouter, Mistral, SGLang
    "max context length",     // Ollama
    "prompt too long",        // Ollama
    "exceeds the maximum number of tokens", // Gemini
    "input token count",      // Gemini
    "maximum prompt length",  // xAI
    "reduce the length of the messages", // Groq
    "reduce the length of the prompt",
    "maximum model length",            // vLLM
    "longer than the model's context", // SGLang, Together
    "context size",                    // llama.cpp
    "context window",                  // OpenAI, MiniMax, LiteLLM
    "greater than the context length", // LM Studio
    "exceeds context length",
    "exceeds the context length", // Ollama
    "context length exceeded",
    "context_length_exceeded",
    "context length is only",
    "context length of only",
    "exceeded model token limit",   // Moonshot
    "too large for model with",     // Mistral
    "maximum allowed input length", // Poolside
    "maximum input length",
    "input is too long",         // Bedrock
    "prompt token count of",     // GitHub Copilot
    "prompt exceeds max length", // Zhipu
    "too many input tokens",
    "too many tokens: size limit exceeded",       // Cohere
    "range of input length should be",            // DashScope
    "`inputs` must have less than",               // TGI
    "`inputs` tokens + `max_new_tokens` must be", // TGI
    "token limit exceeded",
];

/// Words of rate limits, which count tokens too.
const OF_RATE_LIMITS: [&str; 6] =
    ["rate limit", "rate_limit", "per minute", "per day", "too many requests", "please wait"];

/// The overflow of which an error speaks.
pub(super) fn overflow(error: &BackendError, json: Option<&Value>) -> Option<Overflow> {
    let named = [&error.code, &error.kind].into_iter().flatten();
    let is_named = named.map(|word| word.to_ascii_lowercase()).any(|word| WORDS.contains(&&*word));
    let text = error.message.to_ascii_lowercase();
    let says = |sentences: &[&str]| sentences.iter().any(|sentence| text.contains(sentence));
    if !is_named && (!says(&SENTENCES) || says(&OF_RATE_LIMITS)) {
        return None;
    }
    let mut overflow = counted(&text);
    // llama.cpp has the numbers beside its sentence.
    let member = |name: &str| json.and_then(|json| json["error"][name].as_u64().or_else(|| json[name].as_u64()));
    overflow.prompt = member("n_prompt_tokens").or(overflow.prompt);
    overflow.limit = member("n_ctx").or(overflow.limit);
    Some(overflow)
}

/// The numbers of a sentence in lower case.
fn counted(text: &str) -> Overflow {
    let sum = sum(text);
    let limit = after(
        text,
        &[
            "tokens > ",
            "number of tokens allowed (",
            "maximum context length is",
            "maximum context length of",
            "maximum context length (",
            "maximum prompt length is",
            "maximum allowed input length of",
            "maximum model length of",
            "maximum input length of",
            "model token limit",
            "model's context length (",
            "configured context size is",
            "available context size (",
            "context size (",
            "context length is only",
            "context window of",
            "context window is",
            "exceeds the limit of",
            "must be <=",
            "must have less than",
            "range of input length should be [1, ",
        ],
    );
    let limit = limit.or_else(|| before(text, &[" maximum context length"]));
    let part = |phrases: &[&str]| before(text, phrases);
    let parts = [" of text input", " of tool input", " of image input"].map(|phrase| part(&[phrase]));
    let prompt = parts
        .into_iter()
        .flatten()
        .reduce(u64::saturating_add)
        .or_else(|| part(&[" in the messages", " tokens from the input", " input tokens", " in your prompt"]))
        .or_else(|| {
            after(
                text,
                &[
                    "prompt is too long",
                    "messages resulted in",
                    "input token count",
                    "you requested about",
                    "you requested a total of",
                    "you requested",
                    "(requested",
                    "request contains",
                    "prompt contains",
                    "prompt has",
                    "prompt (length",
                    "prompt token count of",
                    "the input",
                    "input length",
                    "request (",
                    "given",
                ],
            )
        });
    let output = part(&[" in the completion", " in the output", " tokens for the completion", " for the completion"])
        .or_else(|| after(text, &["' is too large", "` is too large", "max_tokens is too large"]));
    sum.unwrap_or(Overflow { prompt, output, limit, unit: Unit::Tokens })
}

/// Anthropic's: `exceed context limit: 180000 + 32000 > 200000`.
fn sum(text: &str) -> Option<Overflow> {
    let numbers = text.split_once("exceed context limit")?.1;
    let (parts, limit) = numbers.split_once('>')?;
    let (prompt, output) = parts.split_once('+')?;
    let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
    let limit = limit.trim_start();
    let end = limit.find(|c: char| !c.is_ascii_digit()).unwrap_or(limit.len());
    Some(Overflow {
        prompt: number(prompt),
        output: number(output),
        limit: limit[..end].parse().ok(),
        unit: Unit::Tokens,
    })
}
