//! The file as a tree of keys and values, each with its place in the text. What is wrong is taken out of it, so that the rest
//! can still be read and every mistake is found at once.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// See the module.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    text: &'a str,
    pub(super) root: Spanned<DeTable<'a>>,
}

/// A syntax error: where it is, and what is wrong.
pub(super) struct SyntaxError {
    /// The offset in bytes and the length of the wrong text.
    pub(super) span: std::ops::Range<usize>,
    pub(super) message: String,
}

impl<'a> Tree<'a> {
    /// Reads a text as far as it is TOML.
    pub(super) fn parse(text: &'a str) -> (Self, Vec<SyntaxError>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let errors = errors
            .iter()
            .map(|error| SyntaxError { span: error.span().unwrap_or(0..0), message: error.message().to_owned() });
        (Self { text, root }, errors.collect())
    }

    /// The line, from 1, of a byte offset.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        line_at(self.text, offset)
    }

    /// The line of the key at the path, or of its nearest parent in the text.
    pub(super) fn line_of(&self, path: &[String]) -> Option<usize> {
        let mut table = self.root.get_ref();
        let mut line = None;
        for name in path {
            let Some((key, value)) = table.get_key_value(name.as_str()) else { return line };
            line = Some(self.line_at(key.span().start));
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => return line,
            }
        }
        line
    }

    /// The path of the key or the value that spans a byte offset; empty if there is none.
    pub(super) fn path_at(&self, offset: usize) -> Vec<String> {
        let mut path = Vec::new();
        walk(self.root.get_ref(), offset, &mut path);
        path
    }

    /// The value at the path.
    pub(super) fn get(&self, path: &[String]) -> Option<&Spanned<DeValue<'a>>> {
        let (last, parents) = path.split_last()?;
        let mut table = self.root.get_ref();
        for name in parents {
            table = table.get(name.as_str())?.get_ref().as_table()?;
        }
        table.get(last.as_str())
    }

    /// The table at the path.
    pub(super) fn table(&mut self, path: &[String]) -> Option<&mut DeTable<'a>> {
        let mut table = self.root.get_mut();
        for name in path {
            match table.get_mut(name.as_str())?.get_mut() {
                DeValue::Table(inner) => table = inner,
                _ => return None,
            }
        }
        Some(table)
    }

    /// Takes the entry at the path out: its key and its value.
    pub(super) fn remove(
        &mut self,
        path: &[String],
    ) -> Option<(Spanned<std::borrow::Cow<'a, str>>, Spanned<DeValue<'a>>)> {
        let (last, parents) = path.split_last()?;
        self.table(parents)?.remove_entry(last.as_str())
    }
}

/// The line, from 1, of a byte offset.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

fn walk(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    let within = |span: std::ops::Range<usize>| span.start <= offset && offset < span.end.max(span.start + 1);
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if within(key.span()) {
            return true;
        }
        let inside = match value.get_ref() {
            DeValue::Table(inner) => walk(inner, offset, path),
            _ => false,
        };
        // A table's own span, for what concerns it as a whole.
        if inside || within(value.span()) {
            return true;
        }
        path.pop();
    }
    false
}

/// A value in words, as in `the text "many"`. `is_secret`: the words do not repeat it.
pub(super) fn in_words(value: &DeValue<'_>, is_secret: bool) -> String {
    match value {
        DeValue::String(_) if is_secret => "a text".into(),
        DeValue::String(text) if text.chars().count() > 60 => "a long text".into(),
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(list) if !list.is_empty() && list.iter().all(|item| item.get_ref().is_table()) => {
            "a list of tables".into()
        }
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}
