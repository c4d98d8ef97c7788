//! `wasmgate policy run`: calls a policy once, with a request from the command line.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::{Value as Json, json};
use wasmgate_policy_host::fixtures::Question;

use super::target::{Subject, text};
use super::{Failed, format};

/// The default prompt: some 300 bytes, like prompts that go to small models.
const USUAL: &str = "What is the difference between a process and a thread? Explain it in a few sentences for someone who \
                     has written some Python and never looked below it, say when one would choose the one over the other, \
                     and give an example of each that such a person has used already without knowing that it was one.";

/// The request, from the command line.
#[derive(Args)]
pub(super) struct Asked {
    /// The prompt (default without --request: one of some 300 bytes).
    #[arg(long, value_name = "TEXT", conflicts_with = "request")]
    prompt: Option<String>,
    /// File with a request and its candidates, JSON or TOML: a fixture without `name` and `expect`.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

impl Asked {
    pub(super) fn question(&self) -> Result<Question, Failed> {
        let question = match &self.request {
            Some(file) => Question::parse(&file.display().to_string(), &text(file)?),
            None => {
                let prompt = self.prompt.as_deref().unwrap_or(USUAL);
                Question::parse("--prompt", &json!({"prompt": prompt}).to_string())
            }
        };
        question.map_err(Failed::Refused)
    }
}

/// See the module.
pub(super) async fn run(subject: &Subject, asked: &Asked, json: bool) -> Result<String, Failed> {
    let question = asked.question()?;
    let loaded = subject.read()?;
    let mut answers = serde_json::Map::new();
    let mut text = String::new();
    for policy in loaded.policies().await? {
        let hook = policy.hook();
        let began = Instant::now();
        let decided = question.ask(&policy).await;
        let took = began.elapsed();
        let decided = decided.map_err(|failure| Failed::Refused(format!("{} failed: {failure}", loaded.name)))?;
        let manifest = policy.manifest();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<14}{}@{}, {}", hook.as_str(), manifest.name, manifest.version, format::time(took));
        tell(&mut text, &decided);
        answers.insert(hook.as_str().to_owned(), decided);
    }
    Ok(if json { format!("{:#}\n", Json::Object(answers)) } else { text })
}

fn tell(text: &mut String, decided: &Json) {
    let plain = |json: &Json| match json {
        Json::String(text) => text.clone(),
        Json::Null => "none".to_owned(),
        Json::Array(items) => items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    for (key, value) in decided.as_object().into_iter().flatten() {
        if key != "costs" {
            let _ = writeln!(text, "  {key:<10}  {}", plain(value));
            continue;
        }
        for (model, cost) in value.as_object().into_iter().flatten() {
            let usd = match cost["cost_usd"].as_f64() {
                Some(usd) => format!("{usd} US dollars"),
                None => "no price".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {model:<10}  {} tokens in, {} out, {usd}",
                cost["input_tokens"], cost["output_tokens"]
            );
        }
    }
}
