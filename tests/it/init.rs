//! `wasmgate init`: a configuration for what is on the machine, which a check accepts without a warning.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::{Exit, Gateway};
use wasmgate_tests::process::run_in;

/// Ollama with these models: name, parameters, and whether it writes text.
fn ollama(models: &'static [(&'static str, &'static str, bool)]) -> Backend {
    let tag =
        |(name, size, _): &(&str, &str, bool)| json!({"name": name, "size": 1, "details": {"parameter_size": size}});
    let tags = json!({"models": models.iter().map(tag).collect::<Vec<_>>()});
    let show = |request: &Request| {
        let asked = request.json()["model"].clone();
        let writes = models.iter().any(|(name, _, writes)| asked == *name && *writes);
        let capabilities = if writes { json!(["completion", "tools"]) } else { json!(["embedding"]) };
        Reply::json(200, &json!({"capabilities": capabilities, "model_info": {"llama.context_length": 8192}}))
    };
    Backend::with_pages(show, move |path| match path {
        "/api/tags" => Reply::json(200, &tags),
        _ => Reply::json(404, &json!({"error": "not found"})),
    })
}

fn nowhere() -> (&'static str, &'static str) {
    // A port on which nothing listens.
    ("OLLAMA_HOST", "http://127.0.0.1:1")
}

fn init(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Exit {
    run_in(folder.path(), &[&["init"], arguments].concat(), variables)
}

/// Checks a configuration, and expects neither an error nor a warning.
fn check_accepts(folder: &TempDir, text: &str, variables: &[(&str, &str)]) {
    fs::write(folder.path().join("checked.toml"), text).expect("a file");
    let check = run_in(folder.path(), &["check", "--config", "checked.toml", "--json"], variables);
    let result: Value = serde_json::from_str(&check.stdout).expect("JSON");
    assert_eq!((check.code(), &result["problems"]), (Some(0), &json!([])), "{}\n{text}", check.stdout);
}

#[test]
fn models_of_ollama_become_tiers_and_keys_commented_backends_that_check_accepts() {
    const KEY: &str = "sk-very-secret-0123456789";
    let ollama = ollama(&[
        ("qwen3:32b", "32.8B", true),
        ("llama3.2:latest", "3.2B", true),
        ("nomic-embed-text:latest", "137M", false),
        ("gemma3:270m", "270M", true),
    ]);
    let folder = TempDir::new().expect("a temporary folder");
    let url = ollama.url();
    let variables = [("OLLAMA_HOST", &*url)];
    let found = format!("Ollama at {url}: gemma3:270m, llama3.2:latest, qwen3:32b");
    init(&folder, &[], &variables).expect(0, &[&found, "wrote wasmgate.toml", "next: wasmgate check"]);
    let text = fs::read_to_string(folder.path().join("wasmgate.toml")).expect("the file");
    for part in [
        "low-models = [\"gemma3:270m\"]",
        "medium-models = [\"llama3.2:latest\"]",
        "high-models = [\"qwen3:32b\"]",
        "context_window = 8192",
        "capabilities = [\"tools\"]",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("nomic-embed-text"), "{text}");

    // It exists now, and `init` leaves it alone.
    let keys = [variables[0], ("OPENAI_API_KEY", KEY), ("ANTHROPIC_API_KEY", KEY)];
    init(&folder, &[], &keys).expect(2, &["wasmgate.toml exists already", "--force"]);
    assert_eq!(fs::read_to_string(folder.path().join("wasmgate.toml")).expect("the file"), text);

    init(&folder, &["--force"], &keys).expect(0, &["openai: a key in OPENAI_API_KEY"]);
    let text = fs::read_to_string(folder.path().join("wasmgate.toml")).expect("the file");
    assert!(!text.contains("very-secret"), "{text}");
    check_accepts(&folder, &text, &keys);

    // A provider's lines, as an operator uncomments them.
    let begin = text.find("# [backends.anthropic]").expect("lines for Anthropic");
    let end = begin + text[begin..].find("\n\n").expect("an end of them");
    let uncommented: String = text[begin..end].lines().map(|line| format!("{}\n", line[1..].trim_start())).collect();
    assert!(uncommented.contains("api_key_env = \"ANTHROPIC_API_KEY\""), "{text}");
    let edited = format!("{}{uncommented}{}", &text[..begin], &text[end..])
        .replace("high-models = [", "high-models = [\"MODEL\", ")
        .replace("\"MODEL\"", "\"claude\"");
    check_accepts(&folder, &edited, &keys);
}

#[test]
fn if_nothing_is_found_the_models_are_simulated_and_say_so() {
    let folder = TempDir::new().expect("a temporary folder");
    init(&folder, &["--config", "my.toml"], &[nowhere()])
        .expect(0, &["none (", "the models in the file are simulated"]);
    let text = fs::read_to_string(folder.path().join("my.toml")).expect("the file");
    assert!(text.contains("these models are simulated"), "{text}");
    check_accepts(&folder, &text, &[]);
    let gateway = Gateway::setup().whole(&text).start();
    let answer = gateway.chat("hello").expect(200);
    assert_eq!(answer.header("x-wasmgate-model"), "simulated-small");
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let folder = TempDir::new().expect("a temporary folder");
    init(&folder, &["--config", "no/such/folder.toml"], &[nowhere()]).expect(1, &["cannot be written"]);
}
