//! Clients that are libraries: LangChain, the Vercel AI SDK and Ollama's in JavaScript, each with a script of cases in
//! `tests/real/clients`.

use std::cell::RefCell;
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

/// A case that a backend's API has no words for: there the client gets an error, which names the field or the model.
struct Untranslatable {
    backend: Backend,
    case: &'static str,
    named: &'static str,
}

/// Runs all cases at each backend, of which there must be `least` that all end well, but for these.
#[track_caller]
fn all_cases(least: usize, backends: &[Backend], excepted: &[Untranslatable], command: impl Fn(&Place) -> Command) {
    let place = Place::new();
    let cases = RefCell::new(Vec::new());
    let run = |url: &str, backend: Option<Backend>| {
        place.empty();
        let mut client = command(&place);
        client.args([url, MODEL]);
        let mut told = told(client).0;
        if backend.is_none() {
            cases.replace(told.clone());
        }
        for Untranslatable { case, named, .. } in excepted.iter().filter(|except| Some(except.backend) == backend) {
            let at = told.iter().position(|told| told["case"] == *case).expect("a case of that name");
            let error = told[at]["error"].as_str().unwrap_or_default();
            assert!(error.contains(named), "{case} on {backend:?} names {named}: {}", told[at]);
            told[at] = cases.borrow()[at].clone();
        }
        json!(told)
    };
    the_same(MODEL, backends, || Model::start(obey), run);
    let cases = cases.into_inner();
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

const CHAT: [Backend; 3] = [Backend::OpenAi, Backend::Anthropic, Backend::Ollama];

/// Cases that a backend has no words for.
fn untranslatable<const N: usize>(
    backend: Backend,
    named: &'static str,
    cases: [&'static str; N],
) -> impl Iterator<Item = Untranslatable> {
    cases.into_iter().map(move |case| Untranslatable { backend, case, named })
}

#[test]
fn langchain_works_with_the_api_of_openai() {
    let choices = ["a tool that must be used", "responses: a tool that must be used"];
    let excepted = untranslatable(Backend::Ollama, "tool_choice", choices).chain(untranslatable(
        Backend::Anthropic,
        "embeddings",
        ["embeddings"],
    ));
    all_cases(20, &CHAT, &excepted.collect::<Vec<_>>(), langchain("openai"));
}

#[test]
fn langchain_works_with_the_api_of_anthropic() {
    let excepted = untranslatable(Backend::Ollama, "tool_choice", ["structured", "a tool that must be used"]);
    all_cases(12, &CHAT, &excepted.collect::<Vec<_>>(), langchain("anthropic"));
}

#[test]
fn langchain_works_with_the_api_of_ollama() {
    let excepted = untranslatable(Backend::Anthropic, "embeddings", ["embeddings"]);
    all_cases(12, &CHAT, &excepted.collect::<Vec<_>>(), langchain("ollama"));
}

#[test]
fn the_ai_sdk_works_with_its_default() {
    let backends = [Backend::Responses, Backend::OpenAi, Backend::Anthropic, Backend::Ollama];
    let excepted = untranslatable(Backend::Anthropic, "embeddings", ["embeddings"]);
    all_cases(11, &backends, &excepted.collect::<Vec<_>>(), node("vercel.mjs"));
}

#[test]
fn the_client_of_ollama_in_javascript_works() {
    all_cases(13, &CHAT, &[], node("ollama.mjs"));
}
