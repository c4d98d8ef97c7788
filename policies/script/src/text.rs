//! Text functions for scripts. They are native, because a script that walks over the characters of a long prompt would
//! soon reach its limit of steps.

use crate::failure::{Fallible, failure, kind};
use regex_lite::{Regex, RegexBuilder};
use rhai::{Array, Dynamic, Engine, INT, ImmutableString, NativeCallContext};
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum compiled patterns that an instance keeps: scripts have few, unless they generate them.
const PATTERNS: usize = 32;

/// Maximum size of a compiled pattern, in bytes: `(\d{1000}){1000}` is an error and does not fill an instance's memory.
const PATTERN_BYTES: usize = 256 << 10;

pub(crate) fn register(engine: &mut Engine) {
    let patterns = Patterns::default();
    engine
        .register_fn("chars", |text: &str| text.chars().count() as INT)
        .register_fn("words", |text: &str| text.split_whitespace().count() as INT)
        .register_fn("count_of", |text: &str, part: &str| count_of(text, part))
        .register_fn("has", |text: &str, keyword: &str| !occurring(text, &[keyword.into()]).is_empty())
        .register_fn("has_any", has_any)
        .register_fn("has_word", has_word)
        .register_fn("keywords", keywords)
        .register_fn("whole_words", whole_words)
        .register_fn("matches", move |text: &str, pattern: &str| -> Fallible<bool> {
            Ok(patterns.get(pattern)?.is_match(text))
        })
        .register_fn("code_blocks", |text: &str| code_blocks(text).into_iter().map(Dynamic::from).collect::<Array>());
}

/// How often a part occurs, without overlaps; the empty part never does.
fn count_of(text: &str, part: &str) -> INT {
    if part.is_empty() { 0 } else { text.matches(part).count() as INT }
}

/// Whether one of `characters` occurs.
fn has_any(text: &str, characters: &str) -> bool {
    if characters.is_ascii() {
        let mut wanted = [false; 256];
        characters.bytes().for_each(|byte| wanted[usize::from(byte)] = true);
        text.bytes().any(|byte| wanted[usize::from(byte)])
    } else {
        text.contains(|character| characters.contains(character))
    }
}

/// Whether a word stands alone: no letter, digit or other number of any script and no `_` is next to it.
fn has_word(text: &str, word: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut from = 0;
    if word.is_empty() {
        return false;
    }
    while let Some(found) = text[from..].find(word) {
        let (begin, end) = (from + found, from + found + word.len());
        if !text[..begin].ends_with(is_word) && !text[end..].starts_with(is_word) {
            return true;
        }
        from = begin + text[begin..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// The keywords of a list whose lower case is part of the text's lower case: in lower case, each once, in the list's
/// order. The empty text is never one.
fn keywords(context: NativeCallContext<'_>, text: &str, list: Array) -> Fallible<Array> {
    let list = texts(&context, list)?;
    Ok(occurring(text, &list).into_iter().map(Dynamic::from).collect())
}

/// Finds all keywords in one pass: a table lists those that begin with a byte, mostly none.
fn occurring(text: &str, list: &[String]) -> Vec<String> {
    let mut keywords: Vec<(String, bool)> = Vec::with_capacity(list.len());
    for keyword in list.iter().map(|keyword| keyword.to_lowercase()) {
        if !keyword.is_empty() && !keywords.iter().any(|(known, _)| *known == keyword) {
            keywords.push((keyword, false));
        }
    }
    let mut by_start = vec![Vec::new(); 256];
    for (at, (keyword, _)) in keywords.iter().enumerate() {
        by_start[usize::from(keyword.as_bytes()[0])].push(at);
    }
    let begins = by_start.iter().map(|starting| !starting.is_empty()).collect::<Vec<_>>();
    let text = lower(text, keywords.iter().all(|(keyword, _)| keyword.is_ascii()));
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        if !begins[usize::from(byte)] {
            continue;
        }
        for &place in &by_start[usize::from(byte)] {
            let (keyword, found) = &mut keywords[place];
            *found = *found || text.as_bytes()[at..].starts_with(keyword.as_bytes());
        }
    }
    keywords.into_iter().filter_map(|(keyword, found)| found.then_some(keyword)).collect()
}

/// The lower case of a text. For ASCII keywords, other letters need no conversion, except the two whose lower case
/// begins with an ASCII letter: this avoids the conversion tables, which are slow, for any text.
fn lower(text: &str, for_ascii: bool) -> String {
    if !for_ascii {
        return text.to_lowercase();
    }
    let lower = text.to_ascii_lowercase();
    let letters =
        [("\u{130}", "i\u{307}"), ("\u{212A}", "k")].map(|(upper, folded)| (upper.as_bytes()[0], upper, folded));
    let mut folded = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(&byte) = lower.as_bytes().get(at) {
        let letter = letters.iter().find(|(begin, upper, _)| byte == *begin && lower[at..].starts_with(upper));
        match letter {
            Some((_, upper, lowered)) => {
                folded.push_str(&lower[from..at]);
                folded.push_str(lowered);
                at += upper.len();
                from = at;
            }
            None => at += 1,
        }
    }
    if from == 0 {
        return lower;
    }
    folded.push_str(&lower[from..]);
    folded
}

/// The words of a list that `has_word` finds, in the list's order.
fn whole_words(context: NativeCallContext<'_>, text: &str, list: Array) -> Fallible<Array> {
    let words = texts(&context, list)?.into_iter();
    Ok(words.filter(|word| has_word(text, word)).map(Dynamic::from).collect())
}

/// The texts of a list that a script passed to a function, which may hold nothing but texts.
pub(crate) fn texts(context: &NativeCallContext<'_>, list: Array) -> Fallible<Vec<String>> {
    let wrong = |other: Dynamic| {
        let (function, kind) = (context.fn_name(), kind(context.engine(), &other));
        failure(format!("{function}: the list should hold texts, but has {kind} in it"))
    };
    let texts = list.into_iter().map(Dynamic::try_cast_result::<ImmutableString>);
    texts.map(|text| text.map(ImmutableString::into_owned).map_err(wrong)).collect()
}

/// The languages named after the fences (of three backticks or more) that open code blocks; the empty text if none is
/// named. An unclosed block counts too.
fn code_blocks(text: &str) -> Vec<String> {
    let mut languages = Vec::new();
    let mut open = None;
    for line in text.lines() {
        let rest = line.trim_start().trim_start_matches('`');
        let ticks = line.trim_start().len() - rest.len();
        match open {
            None if ticks >= 3 && !rest.contains('`') => {
                open = Some(ticks);
                languages.push(rest.split_whitespace().next().unwrap_or_default().to_lowercase());
            }
            Some(opened) if ticks >= opened && rest.trim().is_empty() => open = None,
            _ => {}
        }
    }
    languages
}

/// Compiled patterns, the most recently used last. The lock is there because an engine must be `Sync`; nothing ever
/// waits for it.
#[derive(Default)]
struct Patterns(Mutex<Vec<(String, Arc<Regex>)>>);

impl Patterns {
    fn get(&self, pattern: &str) -> Fallible<Arc<Regex>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(known, _)| known == pattern) {
            kept[at..].rotate_left(1);
        } else {
            let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
            let compiled = compiled.map_err(|error| failure(format!("matches: not a regular expression: {error}")))?;
            if kept.len() == PATTERNS {
                kept.remove(0);
            }
            kept.push((pattern.into(), Arc::new(compiled)));
        }
        Ok(kept[kept.len() - 1].1.clone())
    }
}
