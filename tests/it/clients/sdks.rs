//! Clients that are libraries: LangChain, the Vercel AI SDK and Ollama's in JavaScript, each with a script of cases in
//! `tests/real/clients`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wasmgate_tests::model::{Model, obey};
use wasmgate_tests::real;

use super::{Backend, Place, the_same, told};

/// A model that the SDKs take for one that reasons, as they do by its name.
const MODEL: &str = "gpt-5.5";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("real/clients")
}

/// Runs all cases at each backend, of which there must be `least` that all end well.
#[track_caller]
fn all_cases(least: usize, backends: &[Backend], command: impl Fn(&Place) -> Command) {
    let place = Place::new();
    let run = |url: &str, _| {
        place.empty();
        let mut client = command(&place);
        client.args([url, MODEL]);
        json!(told(client).0)
    };
    let told = the_same(MODEL, backends, || Model::start(obey), run);
    let cases = told.as_array().unwrap();
    let failed: Vec<&Value> = cases.iter().filter(|case| case["result"].is_null()).collect();
    assert!(failed.is_empty(), "these fail without a gateway: {failed:#?}");
    assert!(cases.len() >= least, "{} cases, expected {least} or more", cases.len());
}

fn langchain(api: &'static str) -> impl Fn(&Place) -> Command {
    move |place| {
        let mut client = place.client(&real::langchain());
        client.arg(scripts().join("langchain.py")).arg(api);
        client.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1").env("LANGSMITH_TRACING", "false");
        client
    }
}

/// A script, where Node.js finds the packages: beside it.
fn node(script: &'static str) -> impl Fn(&Place) -> Command {
    move |place| {
        for name in ["cases.mjs", script] {
            fs::copy(scripts().join(name), place.work().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(real::node_modules(), place.work().join("node_modules")).unwrap();
        let mut client = place.client(&real::node());
        client.arg(script);
        client
    }
}

#[test]
fn langchain_works_with_the_api_of_openai() {
    all_cases(20, &[Backend::OpenAi], langchain("openai"));
}

#[test]
fn langchain_works_with_the_api_of_anthropic() {
    all_cases(12, &[Backend::Anthropic], langchain("anthropic"));
}

#[test]
fn langchain_works_with_the_api_of_ollama() {
    all_cases(12, &[Backend::Ollama], langchain("ollama"));
}

#[test]
fn the_client_of_ollama_in_javascript_works() {
    all_cases(13, &[Backend::Ollama], node("ollama.mjs"));
}

#[test]
fn the_ai_sdk_works_with_its_default() {
    all_cases(11, &[Backend::Responses, Backend::OpenAi], node("vercel.mjs"));
}
