//! Constants of a script that name models: those called `MODEL` or `MODELS`, or whose name ends in `_MODEL` or `_MODELS`, as in
//! `const LOW_MODELS = ["llama3"];`. Their values are read from the text, so only a text or a list of texts, each in double
//! quotes and without an escape, is seen; what a script computes is not.
//!
//! This module must not know: how a script uses the names.

use super::models::Named;

/// The names of models by constant, as in `const LOW_MODELS`.
pub(super) fn models(script: &str) -> Named {
    let mut named = Named::new();
    // At the beginning of a line, so that neither texts nor comments count.
    let declarations = script.split('\n').scan(0, |at, line| {
        let begin = *at;
        *at += line.len() + 1;
        Some((begin, line))
    });
    for (begin, line) in declarations {
        let Some(declared) = line.trim_start().strip_prefix("const ") else { continue };
        let Some((name, _)) = declared.split_once('=') else { continue };
        let name = name.trim();
        if !matches!(name.rsplit('_').next(), Some("MODEL" | "MODELS")) {
            continue;
        }
        let after = begin + line.len() - declared.len();
        let value = script[after..].split_once('=').and_then(|(_, value)| texts(value));
        if let Some(texts) = value {
            named.insert(format!("const {name}"), texts);
        }
    }
    named
}

/// The texts of a literal that ends in `;`.
fn texts(value: &str) -> Option<Vec<String>> {
    let value = after_space(value)?;
    let Some(mut rest) = value.strip_prefix('[') else {
        let (text, rest) = text(value)?;
        return after_space(rest)?.starts_with(';').then(|| vec![text]);
    };
    let mut texts = Vec::new();
    loop {
        rest = after_space(rest)?;
        if let Some(end) = rest.strip_prefix(']') {
            return after_space(end)?.starts_with(';').then_some(texts);
        }
        let (found, after) = text(rest)?;
        texts.push(found);
        rest = after_space(after)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// A text in double quotes, and what follows it.
fn text(value: &str) -> Option<(String, &str)> {
    let (text, rest) = value.strip_prefix('"')?.split_once('"')?;
    (!text.contains(['\\', '\n'])).then(|| (text.to_owned(), rest))
}

/// The rest after white space and comments.
fn after_space(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n')?.1.trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/")?.1.trim_start();
        } else {
            return Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::in_words;

    #[test]
    fn constants_that_name_models_are_read_where_they_are_literals() {
        for (script, expected) in [
            ("const LOW_MODELS = [\"a\", \"b\"];", r#"const LOW_MODELS = ["a", "b"]"#),
            ("// first\nconst MODEL = \"a\";\nfn f() {}", r#"const MODEL = ["a"]"#),
            ("const MODELS = [ // the small one\n    \"a\", /* and */ \"b\",\n];", r#"const MODELS = ["a", "b"]"#),
            ("const MODELS = [];", "const MODELS = []"),
            // Neither of these names models, or what they name cannot be seen.
            ("const KEYWORDS = [\"a\"]; const PLACE = \"MODELS\";", ""),
            ("// const MODELS = [\"a\"];\nlet MODELS = [\"a\"];", ""),
            ("const MODELS = [\"a\"] + OTHERS;", ""),
            ("const MODELS = [`${x}`];\nconst A_MODEL = \"a\\n\";", ""),
            ("const MODELS = #{ low: \"a\" };", ""),
            ("const MODELS = [\"a\"", ""),
            ("const MODELS", ""),
            ("const MODELS = [\"ü\", \"漢\"];", r#"const MODELS = ["ü", "漢"]"#),
        ] {
            assert_eq!(in_words(&models(script)), expected, "{script}");
        }
    }
}
