//! Which file of a crate imports which other, read from the text of its `use` items and of its paths.
//!
//! Tests, comments and strings do not count: only what the program itself needs is architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of one crate, by path below its `src`, each with the files that it imports.
pub(super) struct Imports(pub(super) BTreeMap<String, BTreeSet<String>>);

impl Imports {
    /// Reads a crate. `name` is the name under which its own binary imports the library, if it has both.
    pub(super) fn read(source: &Path, name: &str) -> Self {
        let mut files = Vec::new();
        super::files(source, ".rs", &mut files);
        let modules: BTreeMap<Vec<String>, String> = files
            .iter()
            .map(|file| file.strip_prefix(source).unwrap())
            .filter(|file| !is_test(file))
            .map(|file| (module_of(file), file.to_str().unwrap().to_owned()))
            .collect();
        let imports = modules.iter().map(|(module, file)| {
            // The binary's root, as `lib.rs` is the library's.
            let module = if module == &["main"] { &Vec::new() } else { module };
            let text = code_of(&std::fs::read_to_string(source.join(file)).unwrap());
            let targets = paths_of(&text)
                .into_iter()
                .filter_map(|path| resolve(&path, module, &modules, name))
                .filter(|target| target != file)
                .collect();
            (file.clone(), targets)
        });
        Self(imports.collect())
    }

    /// Groups of files that import each other, directly or through others.
    pub(super) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reachable: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|file| (file.as_str(), self.reachable(file))).collect();
        let mut circles: Vec<BTreeSet<&str>> = Vec::new();
        for (file, targets) in &reachable {
            if targets.contains(file) && !circles.iter().any(|circle| circle.contains(file)) {
                circles.push(targets.iter().copied().filter(|target| reachable[target].contains(file)).collect());
            }
        }
        circles
    }

    fn reachable(&self, from: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for target in &self.0[file] {
                if found.insert(target.as_str()) {
                    open.push(target);
                }
            }
        }
        found
    }
}

/// The folder of a file, or the file itself if it stands at the top.
pub(super) fn room(file: &str) -> &str {
    file.split_once('/').map_or_else(|| file.strip_suffix(".rs").unwrap_or(file), |(folder, _)| folder)
}

/// The directory of a file.
pub(super) fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "testing.rs")))
}

/// The path of a file's module: `a/b/mod.rs` and `a/b.rs` are both `a::b`.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if module == ["lib"] {
        module.pop();
    }
    module
}

/// The code of a file: without comments, strings and what is compiled for tests only.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("#[cfg(test)]") {
            end_of_item(rest)
        } else if let Some(length) = length_of_text(rest) {
            length
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// The length of the comment, string or character that a code begins with.
fn length_of_text(code: &str) -> Option<usize> {
    if code.starts_with("//") {
        Some(code.find('\n').unwrap_or(code.len()))
    } else if code.starts_with('"') {
        Some(end_of_string(code))
    } else if code.starts_with("r#\"") {
        Some(code.find("\"#").map_or(code.len(), |end| end + 2))
    } else {
        ["'\"'", "'\\\"'", "'{'", "'}'", "';'"].into_iter().find(|c| code.starts_with(c)).map(str::len)
    }
}

/// Where the item ends that a code begins with: at its semicolon, or at the brace that closes its first.
fn end_of_item(code: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(next) = code[at..].chars().next() {
        if let Some(length) = length_of_text(&code[at..]) {
            at += length;
            continue;
        }
        at += next.len_utf8();
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(next, '}' | ';') {
            return at;
        }
    }
    at
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// All paths in a code: those of its `use` trees, spelt out, and all others of two names or more.
fn paths_of(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    // Who may see an item is no import.
    let code =
        code.replace("pub(in super::super)", "pub").replace("pub(in super)", "pub").replace("pub(in crate", "pub(");
    let mut rest = &*code;
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_name(c) && c != ':').unwrap_or(rest.len());
        let word = &rest[..end];
        if word == "use" && rest[end..].starts_with([' ', '\n']) {
            let tree = rest[end..].split(';').next().unwrap_or_default();
            leaves(&[], tree, &mut paths);
            rest = &rest[end + tree.len()..];
            continue;
        }
        if word.contains("::") {
            paths.push(word.split("::").map(|name| name.trim_matches(':').to_owned()).collect());
        }
        rest = &rest[end..];
    }
    paths
}

/// The leaves of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn leaves(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, branches) = match tree.split_once('{') {
        Some((head, rest)) => (head, rest.rsplit_once('}').map(|(inner, _)| inner)),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty() && *name != "*");
    let path: Vec<String> = before.iter().cloned().chain(names.map(str::to_owned)).collect();
    let Some(branches) = branches else {
        found.push(path);
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in branches.char_indices().chain([(branches.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !branches[start..at].trim().is_empty() {
                    leaves(&path, &branches[start..at], found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The file in which a path of `module` ends; `None` if that is another crate's, or no module.
fn resolve(path: &[String], module: &[String], modules: &BTreeMap<Vec<String>, String>, name: &str) -> Option<String> {
    let mut at: Vec<String> = module.to_vec();
    let mut names = path.iter().map(String::as_str).peekable();
    let first = *names.peek()?;
    match first {
        "crate" => at.clear(),
        _ if first == name => at.clear(),
        "self" => {}
        "super" => {
            while names.next_if(|name| *name == "super").is_some() {
                at.pop()?;
            }
        }
        // A module of this one's own, or one that a `use` brought here.
        _ => at.push(first.to_owned()),
    }
    if matches!(first, "crate" | "self") || first == name {
        names.next();
    } else if first != "super" {
        modules.get(&at)?;
        names.next();
    }
    let mut target = modules.get(&at);
    for name in names {
        at.push(name.to_owned());
        match modules.get(&at) {
            None => break,
            found => target = found,
        }
    }
    // The library's face names its parts; that a binary imports the library is no part of this picture.
    target.or_else(|| modules.get(&Vec::new())).cloned()
}

/// The sources of the crates that make up the program, each with the name of its library.
pub(super) fn crates() -> Vec<(PathBuf, &'static str)> {
    [
        ("gateway/src", "wasmgate"),
        ("gateway/base/src", "wasmgate_base"),
        ("gateway/decisions/src", "wasmgate_decisions"),
        ("gateway/dialect/src", "wasmgate_dialect"),
        ("gateway/policy-host/src", "wasmgate_policy_host"),
        ("gateway/prices/src", "wasmgate_prices"),
        ("policies/script/src", "policy_script"),
    ]
    .map(|(folder, name)| (super::root().join(folder), name))
    .into()
}
