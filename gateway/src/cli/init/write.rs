//! The text of the configuration, with comments that say why, and a summary of what was found.

use std::fmt::Write as _;

use super::find::{Found, Local, Provider};

const HEAD: &str =
    "# Written by `wasmgate init`. Every setting, with its default: examples/wasmgate.toml of the project.
# Check this file after each change: wasmgate check --config FILE. A running gateway applies a change at once.

";

const SIMULATED: &str =
    "# Neither an Ollama with models nor an uncommented provider: these models are simulated. They answer with filler
# words and say so. Replace them.
[backends.simulated]
kind = \"sim\"

[models.simulated-small]
backend = \"simulated\"

[models.simulated-large]
backend = \"simulated\"

";

/// The names of the models in each tier, the preferred one first: low, medium, high.
type Tiers<'a> = [Vec<&'a str>; 3];

/// The configuration.
pub(super) fn configuration(found: &Found) -> String {
    let mut text = HEAD.to_owned();
    let tiers = match found.local() {
        [] => {
            text += SIMULATED;
            [vec!["simulated-small"], vec![], vec!["simulated-large"]]
        }
        local => {
            let url = &found.ollama.url;
            let _ = writeln!(text, "[backends.ollama]\nkind = \"ollama\"\nurl = {url:?}\n");
            local.iter().for_each(|model| text += &of_ollama(model));
            by_size(local)
        }
    };
    found.providers.iter().for_each(|provider| text += &commented(&of_provider(provider)));
    text + &routing(&tiers)
}

fn of_ollama(model: &Local) -> String {
    let mut text = format!("# {}. Local models are free.\n", model.shown_size);
    let _ = writeln!(text, "[models.{:?}]\nbackend = \"ollama\"", model.name);
    if let Some(window) = model.context_window {
        text += "# What the model can read. Ollama may be configured for less.\n";
        let _ = writeln!(text, "context_window = {window}");
    }
    if !model.capabilities.is_empty() {
        let _ = writeln!(text, "capabilities = {:?}", model.capabilities);
    }
    text + "\n"
}

/// A third of the models, smallest first, for each tier. Of two, the larger one is for demanding prompts.
fn by_size(models: &[Local]) -> Tiers<'_> {
    let mut tiers = Tiers::default();
    for (position, model) in models.iter().enumerate() {
        let tier = if models.len() == 2 { position * 2 } else { position * 3 / models.len() };
        tiers[tier].push(&*model.name);
    }
    tiers
}

fn of_provider(provider: &Provider) -> String {
    let Provider { name, kind, url, variable } = provider;
    let mut text = format!(
        "{variable} is set. To use it, uncomment the lines below, and replace MODEL with a model of the provider, here and\n\
         in a tier of the routing policy. The gateway reads the key from the environment; this file never holds it.\n\
         [backends.{name}]\nkind = {kind:?}\n"
    );
    if let Some(url) = url {
        let _ = writeln!(text, "url = {url:?}\nlocation = \"cloud\"");
    }
    let _ = write!(
        text,
        "api_key_env = {variable:?}\n\n[models.\"MODEL\"]\nbackend = {name:?}\n\
         capabilities = [\"tools\", \"images\", \"structured-output\"]\n\
         price = {{ input_usd_per_million_tokens = 1.0, output_usd_per_million_tokens = 4.0 }}\n"
    );
    text
}

fn commented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n");
    lines.collect::<String>() + "\n"
}

fn routing([low, medium, high]: &Tiers<'_>) -> String {
    format!(
        "# Chooses for the model `auto`: a model of the tier that the prompt needs, the first one preferred. If it cannot\n\
         # answer, the next more capable one does.\n\
         [policies.routing]\nbuiltin = \"complexity\"\n[policies.routing.settings]\n\
         low-models = {low:?}\nmedium-models = {medium:?}\nhigh-models = {high:?}\n"
    )
}

/// What was found, a line for each.
pub(super) fn summary(found: &Found) -> String {
    let mut text = format!("Ollama at {}: ", found.ollama.url);
    match &found.ollama.models {
        Ok(models) if models.is_empty() => text += "no model that writes text\n",
        Ok(models) => {
            let names: Vec<&str> = models.iter().map(|model| &*model.name).collect();
            let _ = writeln!(text, "{}", names.join(", "));
        }
        Err(reason) => {
            let _ = writeln!(text, "none ({reason})");
        }
    }
    for Provider { name, variable, .. } in &found.providers {
        let _ = writeln!(text, "{name}: a key in {variable}; uncomment its lines and name a model");
    }
    if found.local().is_empty() {
        text += "the models in the file are simulated\n";
    }
    text
}
