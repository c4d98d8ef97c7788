//! From a text to the file as written, with all mistakes on the way: syntax, then numbers and their ranges, then keys and
//! types. What is wrong is reported and left out, and the rest is read once more.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wasmgate_base::range::Range;

use super::elsewhere;
use super::encoding::other_format;
use super::problem::{Code, Problems, wrong};
use super::ranges;
use super::suggest;
use super::tree::{SyntaxError, Tree, in_words};

/// Most mistakes that are reported at once.
const MOST: usize = 100;

/// Keys at the top of the file. In a table, they are there by mistake.
const TOP: [&str; 3] = ["listen", "state_dir", "cache_dir"];

/// The file as written, as far as it can be read; `None` if it is not TOML.
pub(super) fn read<'a, T: DeserializeOwned>(text: &'a str, problems: &mut Problems) -> (Option<T>, Tree<'a>) {
    let (mut tree, errors) = Tree::parse(text);
    if !report_syntax(&tree, text, errors, problems) {
        return (None, tree);
    }
    numbers(&mut tree, problems);
    loop {
        let error = match T::deserialize(toml::Deserializer::from(tree.root.clone())) {
            Ok(file) => return (Some(file), tree),
            Err(error) => error,
        };
        let offset = error.span().map_or(0, |span| span.start);
        let path = tree.path_at(offset);
        if path.is_empty() || problems.len() >= MOST {
            problems.add_at(None, wrong(&[], Code::Syntax, error.message(), ""));
            return (None, tree);
        }
        mistake(&mut tree, problems, &path, offset, error.message());
    }
}

/// Reports syntax errors. Returns whether the rest can be read: keys that are there twice do not prevent it.
fn report_syntax(tree: &Tree<'_>, text: &str, mut errors: Vec<SyntaxError>, problems: &mut Problems) -> bool {
    if errors.is_empty() {
        return true;
    }
    if let Some(format) = other_format(text) {
        let expected = "TOML, as in [models.phi2] and backend = \"local\"";
        problems.add_at(Some(1), wrong(&[], Code::OtherFormat, format!("this looks like {format}"), expected));
        return false;
    }
    // One mistake often leads to several errors in its line; the first is the cause.
    errors.sort_by_key(|error| error.span.start);
    let mut last = None;
    for error in &errors {
        let line = tree.line_at(error.span.start);
        if last == Some(line) {
            continue;
        }
        last = Some(line);
        let (code, found, expected) = syntax(text, error);
        problems.add_at(Some(line), wrong(&[], code, found, expected));
        // All that follows a list without an end is taken for its elements.
        if error.message.starts_with(NO_COMMA) {
            break;
        }
    }
    errors.iter().all(|error| error.message == "duplicate key")
}

/// Syntax errors in the parser's words, and in ours: what was found and what was expected.
const SYNTAX: &[(&str, &str, &str)] = &[
    ("invalid basic string", "a text that does not end in its line", "`\"` at its end"),
    ("missing escaped value", "`\\` in a text", "`\\\\`, or the text in single quotes"),
    ("too few unicode value digits", "`\\u` in a text", "`\\\\u`, or the text in single quotes"),
    ("unexpected key or value", "something behind the value or the table", "it in a new line"),
    ("key with no value", "a key without a value", "KEY = VALUE"),
    ("extra `=`", "`=` twice", "KEY = VALUE"),
    (NO_COMMA, "a list that does not end, or lacks a comma", "`,` or `]`"),
];

const NO_COMMA: &str = "missing comma between array elements";

/// A syntax error in words: its code, what was found and what was expected.
fn syntax(text: &str, error: &SyntaxError) -> (Code, String, String) {
    let found = text.get(error.span.clone()).unwrap_or_default().trim();
    let (what, expected) = error.message.split_once(", expected ").unwrap_or((&error.message, ""));
    if let Some((_, found, expected)) = SYNTAX.iter().find(|(known, ..)| *known == what) {
        return (Code::Syntax, (*found).to_owned(), (*expected).to_owned());
    }
    match what {
        "duplicate key" => {
            (Code::DuplicateKey, format!("`{found}` is there twice"), "each key and each table once".into())
        }
        "invalid boolean" => (Code::Syntax, format!("`{found}`"), "true or false, in small letters".into()),
        "string values must be quoted" | "invalid float" | "invalid integer" | "invalid datetime" => {
            if found.is_empty() {
                return (Code::Syntax, "a key without a value".into(), "KEY = VALUE".into());
            }
            let line = line_around(text, error.span.start);
            if is_secret(line) {
                return (
                    Code::Syntax,
                    "a value without quotes, or with a quote too few".into(),
                    "a text in quotes".into(),
                );
            }
            let plain = found.trim_matches(['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']);
            let expected = match plain.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit()) {
                true if plain == found => "a number without a unit, or a text in quotes".to_owned(),
                _ => format!("a text in quotes, as in {plain:?}"),
            };
            (Code::Syntax, format!("`{found}`"), expected)
        }
        _ => (Code::Syntax, format!("this is not TOML: {what}"), expected.into()),
    }
}

/// The line around a byte offset.
fn line_around(text: &str, offset: usize) -> &str {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let end = after.find('\n').map_or(text.len(), |at| before.len() + at);
    &text[begin..end]
}

/// Whether a key, or a line that has one, may hold a secret, which no message repeats.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.trim_start().starts_with("headers")
        || ["key", "token", "secret", "password", "authorization", "bearer"].iter().any(|word| key.contains(word))
}

/// Reports numbers that are out of range, and other values where numbers belong, and takes them out.
fn numbers(tree: &mut Tree<'_>, problems: &mut Problems) {
    let mut wrong_numbers = Vec::new();
    visit(tree.root.get_ref(), &mut Vec::new(), &mut wrong_numbers);
    for (path, found, range, code) in wrong_numbers {
        let unit = ranges::unit(path.last().map_or("", String::as_str));
        let expected = match code {
            Code::OutOfRange if matches!(range, Range::Above0(_)) => range.to_string(),
            Code::OutOfRange => format!("{range}{unit}"),
            _ => {
                let number = if range.is_whole() { "a whole number" } else { "a number" };
                let quotes = if found.starts_with("the text") { " without quotes and unit" } else { "" };
                let range = range.to_string();
                format!("{number}{quotes}, {}{unit}", range.strip_prefix("a number ").unwrap_or(&range))
            }
        };
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let line = tree.line_of(&path);
        problems.add_at(line, wrong(&names, code, found, expected));
        problems.leave_out(&names);
        tree.remove(&path);
    }
}

type WrongNumber = (Vec<String>, String, Range, Code);

fn visit(table: &DeTable<'_>, path: &mut Vec<String>, found: &mut Vec<WrongNumber>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        match (ranges::of(path), value.get_ref()) {
            (Some(range), value) => {
                if let Some((code, words)) = out_of_range(value, range) {
                    found.push((path.clone(), words, range, code));
                }
            }
            (None, DeValue::Table(inner)) => visit(inner, path, found),
            (None, _) => {}
        }
        path.pop();
    }
}

fn out_of_range(value: &DeValue<'_>, range: Range) -> Option<(Code, String)> {
    match value {
        DeValue::Integer(number) => {
            let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
            (!read.is_some_and(|number| range.has_whole(number))).then(|| (Code::OutOfRange, number.to_string()))
        }
        DeValue::Float(number) if !range.is_whole() => {
            let read = number.as_str().parse::<f64>().ok();
            (!read.is_some_and(|number| range.has(number))).then(|| (Code::OutOfRange, number.to_string()))
        }
        DeValue::Float(number) => Some((Code::WrongType, number.to_string())),
        other => Some((Code::WrongType, in_words(other, false))),
    }
}

/// Reports what the reader of the file refused at this path, and takes it out.
fn mistake(tree: &mut Tree<'_>, problems: &mut Problems, path: &[String], offset: usize, message: &str) {
    let line = Some(tree.line_at(offset));
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let listed: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    if what.starts_with("unknown field") {
        return unknown_key(tree, problems, path, &listed);
    }
    if what.starts_with("unknown variant") {
        let word = what.split('`').nth(1).unwrap_or_default();
        let near = wasmgate_base::nearest::close(word, listed.iter().copied());
        problems.add_at(line, wrong(&names, Code::UnknownValue, format!("{word:?}"), one_of(&listed)).near(near));
    } else if let Some(field) = what.strip_prefix("missing field ") {
        let path = [&names[..], &[field.trim_matches('`')]].concat();
        if !problems.is_left_out(&path) {
            problems.add_at(line, wrong(&path, Code::Missing, "missing", "it with the other keys of this table"));
        }
    } else {
        // What a header or a key might be is not repeated.
        let is_secret = names.iter().any(|name| is_secret(name));
        let found = tree.get(path).map_or_else(|| what.to_owned(), |value| in_words(value.get_ref(), is_secret));
        let within = tree.get(path).is_some_and(|value| value.get_ref().is_array() && value.span().start != offset);
        let expected = match expected {
            _ if within => "a list of texts in quotes".to_owned(),
            "a string" | "path string" | "" => "a text in quotes".to_owned(),
            "a boolean" => "true or false, without quotes".to_owned(),
            "a sequence" => "a list, as in [\"a\", \"b\"]".to_owned(),
            "a map" if names.len() == 1 => format!("tables, as in [{}.NAME]", names[0]),
            "any valid JSON value" => "a text, a number, true, false or a list".to_owned(),
            text if text == "a map" || text.starts_with("struct ") => format!("a table, as in [{}]", names.join(".")),
            text if text.starts_with("a text") => text.to_owned(),
            _ => "a number".to_owned(),
        };
        problems.add_at(line, wrong(&names, Code::WrongType, found, expected));
    }
    problems.leave_out(&names);
    tree.remove(path);
}

/// Reports an unknown key. Its entries are read under the name that it probably means.
fn unknown_key(tree: &mut Tree<'_>, problems: &mut Problems, path: &[String], known: &[&str]) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some((key, parents)) = names.split_last() else { return };
    let is_table = tree.get(path).is_some_and(|value| value.get_ref().is_table());
    let line = tree.line_of(path);
    let near = suggest::key(key, known);
    let mut about = wrong(&names, Code::UnknownKey, format!("unknown key `{key}`"), "");
    if *key == "api_key" && near.is_some() {
        let expected = "`api_key_env`, the name of the environment variable that holds the key, or `api_key_file`";
        about = wrong(&names, Code::UnknownKey, "the file never holds a key itself", expected);
    } else if near.is_some() {
        about = about.near(near);
    } else if is_table
        && parents.len() == 2
        && ["models", "backends"].contains(&parents[0])
        && !elsewhere::is_known(key)
    {
        return unquoted(tree, problems, path, line);
    } else if TOP.contains(key) {
        about = wrong(&names, Code::UnknownKey, format!("`{key}` belongs to no table"), "it above the first [table]");
    } else if !known.is_empty() {
        about =
            wrong(&names, Code::UnknownKey, format!("unknown key `{key}`"), place_of(key, is_table, parents, known));
    }
    problems.add_at(line, about);
    problems.leave_out(&names);
    let taken = tree.remove(path);
    if let (Some(near), Some((key, value))) = (near, taken) {
        let renamed = Spanned::new(key.span(), near.to_owned().into());
        let parents: Vec<String> = parents.iter().map(|&part| part.to_owned()).collect();
        match tree.table(&parents) {
            Some(table) if is_table && !table.contains_key(near) => {
                table.insert(renamed, value);
            }
            _ => problems.leave_out(&[&names[..parents.len()], &[near]].concat()),
        }
    }
}

/// Where an unknown key belongs; else the keys that its table has.
fn place_of(key: &str, is_table: bool, parents: &[&str], known: &[&str]) -> String {
    let tables = elsewhere::tables(key, parents);
    if !tables.is_empty() {
        let (word, end) = if is_table { ("as", format!(".{key}")) } else { ("in", String::new()) };
        return format!("it {word} {}", listed(tables.iter().map(|table| format!("[{table}{end}]")).collect()));
    }
    let slot = match parents {
        ["policies", _, "canary"] | ["policies", _, "shadows", _] | ["policies", _] => parents,
        _ => return one_of_keys(known),
    };
    // One type reads the tables of all roles.
    let of_others: &[&str] = match slot {
        ["policies", _] => &["percent", "sticky_header", "abort"],
        [.., "canary"] => &["on_failure", "breaker", "canary", "shadows"],
        _ => &["on_failure", "breaker", "canary", "shadows", "percent", "sticky_header", "abort"],
    };
    let own: Vec<&str> = known.iter().copied().filter(|key| !of_others.contains(key)).collect();
    format!("{}; the policy's own settings belong in [{}.settings]", one_of_keys(&own), slot.join("."))
}

/// Reports a name with a dot that has no quotes, and reads its table under the whole name.
fn unquoted(tree: &mut Tree<'_>, problems: &mut Problems, path: &[String], line: Option<usize>) {
    let [section, name, rest] = path else { return };
    let whole = format!("{name}.{rest}");
    // A name with two dots is found in two steps.
    problems.replace(Code::UnquotedName, &[section.clone(), name.clone()]);
    let found = format!("the name in [{section}.{whole}] has a dot, which begins another table");
    let expected = format!("quotes, as in [{section}.\"{whole}\"]");
    problems.add_at(line, wrong(&[section, &whole], Code::UnquotedName, found, expected));
    let Some((key, value)) = tree.remove(path) else { return };
    let parents = std::slice::from_ref(section);
    if let Some(table) = tree.table(parents) {
        if table.get(name.as_str()).and_then(|value| value.get_ref().as_table()).is_some_and(DeTable::is_empty) {
            table.remove(name.as_str());
        }
        table.insert(Spanned::new(key.span(), whole.into()), value);
    }
}

/// As in `"a", "b" or "c"`.
pub(super) fn one_of(words: &[&str]) -> String {
    listed(words.iter().map(|word| format!("{word:?}")).collect())
}

fn one_of_keys(words: &[&str]) -> String {
    listed(words.iter().map(|word| format!("`{word}`")).collect())
}

fn listed(mut words: Vec<String>) -> String {
    let Some(last) = words.pop() else { return String::new() };
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}
