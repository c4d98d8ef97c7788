//! The identity of a script. One component runs all scripts, so its manifest and its digest identify none of them. A script
//! states its name, version and summary in the comments at its beginning; its digest is that of its text.
//!
//! ```text
//! // name: short-prompts-stay-here
//! // version: 1.2.0
//! // summary: Short prompts go to local models.
//! ```

use std::path::Path;

use wasmgate_base::digest::sha256;

use crate::contract::types::{Manifest, Reads, ReadsPrompt, Value};
use crate::hook::Hook;
use crate::settings::Settings;

/// The built-in policy that runs scripts; also the name of a script that has no other.
pub const COMPONENT: &str = "script";
/// Its setting that holds the script.
pub const SETTING: &str = "script";

/// The maximum length of a name in bytes, as in a manifest.
const NAME_BYTES: usize = 64;
/// Digits of the digest that stand for the version if a script states none.
const DIGITS: usize = 8;

/// What the comments at the beginning of a script state.
#[derive(Debug, Default, PartialEq, Eq)]
struct Header<'a> {
    name: Option<&'a str>,
    version: Option<&'a str>,
    summary: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// Reads the comments in front of the code.
    fn of(script: &'a str) -> Result<Self, String> {
        let mut header = Self::default();
        let lines = script.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
        for (number, line) in lines.take_while(|(_, line)| line.is_empty() || line.starts_with("//")) {
            let Some((key, value)) = line.trim_start_matches(['/', '!']).split_once(':') else { continue };
            let field = match &*key.trim().to_ascii_lowercase() {
                "name" => &mut header.name,
                "version" => &mut header.version,
                "summary" => &mut header.summary,
                _ => continue,
            };
            if field.replace(value.trim()).is_some() {
                let (line, key) = (number + 1, key.trim());
                return Err(format!("line {line}: the comment `{key}:` is there twice, expected it once"));
            }
        }
        Ok(header)
    }
}

/// Whether a file is a script, by its name.
#[must_use]
pub fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("rhai"))
}

/// Whether bytes begin like a WebAssembly component or module; if not, they may be a script.
#[must_use]
pub fn is_wasm(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

/// Whether a script defines a hook's function, by its text.
#[must_use]
pub fn defines(script: &str, hook: Hook) -> bool {
    let function = match hook {
        Hook::Routing => "route",
        Hook::Cost => "estimate",
    };
    let mut words = script.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let is_fn = |word: &str| word == "fn";
    while words.any(is_fn) {
        if words.clone().next() == Some(function) {
            return true;
        }
    }
    false
}

/// The name of a script that states none: the stem of its file's name, with `-` for what a policy's name
/// may not have. `None` if nothing is left.
#[must_use]
pub fn name_from(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy().to_ascii_lowercase();
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = stem.chars().map(allowed).take(NAME_BYTES).collect();
    Some(name.trim_matches('-').to_owned()).filter(|name| !name.is_empty())
}

/// The script that a policy with this manifest and these settings runs.
pub(super) fn of<'a>(manifest: &Manifest, settings: &'a Settings) -> Option<&'a str> {
    match settings.get(SETTING) {
        Some(Value::Text(text)) if manifest.name == COMPONENT => Some(text),
        _ => None,
    }
}

/// The manifest and the digest of a script. If the script states no name, it gets `default_name`; if it states no version, the
/// beginning of its digest.
pub(super) fn identity(of: Manifest, script: &str, default_name: Option<&str>) -> Result<(Manifest, String), String> {
    let digest = sha256(script.as_bytes());
    let header = Header::of(script).map_err(|reason| format!("script: {reason}"))?;
    let manifest = Manifest {
        name: header.name.or(default_name).unwrap_or(COMPONENT).to_owned(),
        version: header.version.unwrap_or(&digest[..DIGITS]).to_owned(),
        summary: header.summary.map_or(of.summary, str::to_owned),
        settings: of.settings,
        reads: reads(of.reads, script),
        denies: of.denies,
        reasons: of.reasons,
    };
    Ok((manifest, digest))
}

/// What a script reads: what its component reads, without the parts of requests that its text does not name.
fn reads(of: Reads, script: &str) -> Reads {
    let names = |property: &str| {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        script
            .match_indices(property)
            .any(|(at, _)| !script[..at].ends_with(is_word) && !script[at + property.len()..].starts_with(is_word))
    };
    let prompt = match () {
        () if names("messages") || names("conversation") => of.prompt,
        () if names("prompt") => ReadsPrompt::Newest,
        () => ReadsPrompt::None,
    };
    let labels = if names("labels") { of.labels } else { Vec::new() };
    Reads { prompt, labels, tenant: of.tenant && ["tenant", "budget", "limits"].into_iter().any(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_script(script: &str, default_name: Option<&str>) -> Result<(String, String), String> {
        let manifest = Manifest { version: "0.1.0".into(), summary: "s".into(), ..crate::testing::manifest(COMPONENT) };
        identity(manifest, script, default_name).map(|(manifest, _)| (manifest.name, manifest.version))
    }

    #[test]
    fn a_script_names_itself_or_goes_by_its_file_and_its_content() {
        let named = |name: &str, version: &str| Ok((name.to_owned(), version.to_owned()));
        assert_eq!(of_script("// name: mine\n// version: 1.2.0\nfn f() {}", Some("route")), named("mine", "1.2.0"));
        assert_eq!(of_script("\u{feff}//! Name : mine\n\n///Version:2", Some("route")), named("mine", "2"));
        let digest = |script: &str| sha256(script.as_bytes())[..8].to_owned();
        let later = "fn f() {}\n// name: mine";
        assert_eq!(of_script(later, Some("route")), named("route", &digest(later)), "only at the beginning");
        let prose = "// Routes by names: the first one.\n// versions: none";
        assert_eq!(of_script(prose, None), named("script", &digest(prose)));
        let twice = of_script("// name: a\n\n// name: b", None).expect_err("twice");
        assert!(twice.contains("line 3") && twice.contains("`name:`"), "{twice}");
    }

    #[test]
    fn a_script_has_the_hooks_whose_functions_it_defines() {
        let hooks = |script: &str| Hook::ALL.into_iter().filter(|hook| defines(script, *hook)).collect::<Vec<_>>();
        assert_eq!(hooks("// name: a\nfn route(request, candidates) { estimate(1) }"), [Hook::Routing]);
        assert_eq!(hooks("private fn helper() {}\nfn  estimate (r, c) {}"), [Hook::Cost]);
        assert_eq!(hooks("fn estimate(r, c) {} fn\troute(r, c) {}").len(), 2);
        assert!(hooks("fn router(r, c) {} fn").is_empty());
    }

    #[test]
    fn a_name_from_a_file_is_one_that_a_policy_may_have() {
        for (file, name) in [
            ("/etc/gateway/route.rhai", Some("route")),
            ("My Policy_2.rhai", Some("my-policy-2")),
            ("..rhai", None),
            ("---.rhai", None),
            ("", None),
        ] {
            assert_eq!(name_from(Path::new(file)).as_deref(), name, "{file}");
        }
        let long = name_from(Path::new(&"é".repeat(200))).map(|name| name.len());
        assert_eq!(long, None);
        assert_eq!(name_from(Path::new(&"x".repeat(200))).map(|name| name.len()), Some(NAME_BYTES));
    }
}
