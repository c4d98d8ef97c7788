//! `wasmgate policy new`: creates a small project in the author's language from the templates in `policies/templates`.
//!
//! Templates are text files with a few rules. `{{name}}`, `{{world}}` and `{{hooks}}` are replaced. A line that begins
//! with `%routing `, `%cost `, `%both ` or `%one ` is for those hooks only; so is a file called `routing` or `cost`.
//! `dot-gitignore` becomes `.gitignore`. Files in `common` are for every language.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Failed, WASI, WIT};

/// Path and text of each file: `LANGUAGE/…` and `common/…` for templates, `sdk/…` for the Rust crate,
/// `bindings/c/WORLD/…` for C.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The world of a policy with both hooks. The contract has only one world per hook.
const WORLD: &str = "package local:policy;

/// A policy with both hooks.
world policy {
    include wasmgate:policy/routing-policy@2.0.0;
    include wasmgate:policy/cost-policy@2.0.0;
}
";

/// See the module.
#[derive(Args)]
pub(super) struct New {
    /// Name of the project and the policy: lower-case letters, digits and `-`.
    #[arg(value_parser = name)]
    name: String,
    /// Programming language.
    #[arg(long, ignore_case = true, value_name = LANGUAGES)]
    lang: Language,
    /// Hooks of the policy: routing (which model answers), cost (what a request costs), or both.
    #[arg(long, default_value = "routing")]
    hook: Hooks,
    /// Folder to create (default: ./NAME).
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

/// The languages, so that who forgot to name one sees them.
const LANGUAGES: &str = "rust|go|js|ts|python|c|cpp|zig|script";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    #[value(alias = "rs")]
    Rust,
    #[value(alias = "golang")]
    Go,
    #[value(alias = "javascript")]
    Js,
    #[value(alias = "typescript")]
    Ts,
    #[value(alias = "py")]
    Python,
    C,
    #[value(alias = "c++")]
    Cpp,
    Zig,
    /// A script for the built-in policy `script`: no compiler needed.
    #[value(alias = "rhai")]
    Script,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Hooks {
    Routing,
    Cost,
    Both,
}

fn name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-') && !name.contains("--");
    match begins_well && name.len() <= 64 && name.chars().all(allowed) {
        true => Ok(name.to_owned()),
        false => Err("expected 1 to 64 lower-case letters, digits and single `-`, a letter first".into()),
    }
}

/// See the module.
pub(super) fn write(new: &New) -> Result<String, Failed> {
    let folder = new.path.clone().unwrap_or_else(|| PathBuf::from(&new.name));
    let shown = folder.display();
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Failed::Refused(format!("{shown} already exists; name another folder with --path")));
    }
    if new.name == "wasmgate-policy" {
        return Err(Failed::Refused("wasmgate-policy is the name of the helper crate; choose another name".into()));
    }
    let files = files(new);
    for (path, text) in &files {
        put(&folder.join(path), text).map_err(|error| Failed::Machine(format!("{shown}/{path}: {error}")))?;
    }
    let mut told = format!("{shown}:\n");
    for (path, _) in &files {
        let _ = writeln!(told, "  {path}");
    }
    let build = if new.lang == Language::Script { "wasmgate policy test policy.rhai" } else { "./build.sh" };
    let _ = writeln!(told, "\nnext: cd {shown} && {build}    (README.md has the rest)");
    Ok(told)
}

/// All files of a project, by path.
fn files(new: &New) -> Vec<(String, String)> {
    let language = new.lang.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let mut files = Vec::new();
    let template = format!("{language}/");
    for (path, text) in FILES {
        if let Some(path) = path.strip_prefix(&template).or(path.strip_prefix("common/"))
            && new.hook.have(path)
        {
            files.push((path.replace("dot-gitignore", ".gitignore"), new.filled(text)));
        } else if let Some(path) = path.strip_prefix("js/")
            && new.lang == Language::Ts
            && !path.starts_with("src/")
            && path != "README.md"
        {
            // TypeScript shares the build with JavaScript.
            files.push((path.replace("dot-gitignore", ".gitignore"), new.filled(text)));
        } else if let Some(path) = path.strip_prefix("sdk/")
            && new.lang == Language::Rust
        {
            // Without what only the crate's own tests need.
            let text =
                if path == "Cargo.toml" { text.split("[dev-dependencies]").next().unwrap_or(text) } else { text };
            files.push((format!("sdk/wasmgate-policy/{path}"), text.to_owned()));
        } else if let Some(path) = path.strip_prefix(&format!("bindings/c/{}/", new.hook.world()))
            && new.lang == Language::C
        {
            files.push((format!("bindings/{path}"), (*text).to_owned()));
        }
    }
    if matches!(new.lang, Language::Go | Language::Cpp) {
        files.push(("wasi.wat".to_owned(), WASI.to_owned()));
    }
    files.extend(new.wit());
    files.sort();
    files
}

impl New {
    /// The contract, in the folder layout that the toolchains expect.
    fn wit(&self) -> Vec<(String, String)> {
        let contract = |path: &str| (path.to_owned(), WIT.to_owned());
        match (self.lang, self.hook) {
            // The helper crate combines the worlds itself, and the component that runs scripts has both.
            (Language::Rust | Language::Script, _) | (_, Hooks::Routing | Hooks::Cost) => {
                vec![contract("wit/policy.wit")]
            }
            (_, Hooks::Both) => {
                vec![("wit/world.wit".to_owned(), WORLD.to_owned()), contract("wit/deps/wasmgate-policy/policy.wit")]
            }
        }
    }

    /// A template's text for this project.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            match self.hook.line(line) {
                Some(line) => filled.push_str(line),
                None => continue,
            }
        }
        filled
            .replace("{{name}}", &self.name)
            .replace("{{world}}", self.hook.world())
            .replace("{{hooks}}", self.hook.in_words())
    }
}

impl Hooks {
    fn world(self) -> &'static str {
        match self {
            Self::Routing => "routing-policy",
            Self::Cost => "cost-policy",
            Self::Both => "policy",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Cost => "cost",
            Self::Both => "routing and cost",
        }
    }

    /// Whether the file at the path belongs to these hooks.
    fn have(self, path: &str) -> bool {
        match Path::new(path).file_stem().and_then(|stem| stem.to_str()) {
            Some("routing") => self != Self::Cost,
            Some("cost") => self != Self::Routing,
            _ => true,
        }
    }

    /// The line without its marks; `None` if it belongs to other hooks.
    fn line(self, line: &str) -> Option<&str> {
        let marks = [
            ("%routing ", self != Self::Cost),
            ("%cost ", self != Self::Routing),
            ("%both ", self == Self::Both),
            ("%one ", self != Self::Both),
        ];
        match marks.iter().find_map(|(mark, kept)| Some((line.strip_prefix(mark)?, *kept))) {
            Some((rest, true)) => self.line(rest),
            Some((_, false)) => None,
            None => Some(line),
        }
    }
}

/// Writes one new file. Never overwrites an existing one.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if path.extension().is_some_and(|extension| extension == "sh") { 0o777 } else { 0o666 };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}
