//! A line of the log, written by hand in the form in which `tracing-subscriber` writes its lines.

#[cfg(test)]
mod tests;

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::Level;

use super::timestamp;

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object of JSON a line.
    Json,
    /// For people.
    Text {
        /// Whether a terminal shows it, which knows escape sequences.
        colors: bool,
    },
}

/// A line to which fields are added in order. A field whose value is `None` is left out. Names need no escape.
#[derive(Debug)]
pub struct Line<'a> {
    bytes: &'a mut Vec<u8>,
    format: Format,
}

impl Line<'_> {
    /// Writes a whole line, its newline included: the time, the level, the target and the message, and the fields that
    /// `fields` adds.
    pub fn write(
        bytes: &mut Vec<u8>,
        format: Format,
        level: Level,
        target: &str,
        message: &str,
        fields: impl FnOnce(&mut Line<'_>),
    ) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = Line { bytes, format };
        line.head(now, level, target, message);
        fields(&mut line);
        if format == Format::Json {
            line.text("target", target);
            line.raw(b"}");
        }
        line.raw(b"\n");
    }

    /// A text, of any characters.
    pub fn text<'t>(&mut self, name: &str, value: impl Into<Option<&'t str>>) {
        if let Some(value) = value.into() {
            self.joined(name, [value]);
        }
    }

    /// A text in parts, of any characters; without parts there is no field.
    pub fn joined<'t>(&mut self, name: &str, parts: impl IntoIterator<Item = &'t str>) {
        let mut parts = parts.into_iter().peekable();
        if parts.peek().is_none() {
            return;
        }
        self.name(name);
        self.raw(b"\"");
        for part in parts {
            match self.format {
                Format::Json => escape_json(part, self.bytes),
                Format::Text { .. } => {
                    // With quotes, which are only wanted around all parts. Writing to memory does not fail.
                    let start = self.bytes.len();
                    let _ = write!(self.bytes, "{part:?}");
                    self.bytes.remove(start);
                    self.bytes.pop();
                }
            }
        }
        self.raw(b"\"");
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: impl Into<Option<u64>>) {
        if let Some(value) = value.into() {
            self.name(name);
            self.decimal(value);
        }
    }

    /// A truth value.
    pub fn flag(&mut self, name: &str, value: impl Into<Option<bool>>) {
        if let Some(value) = value.into() {
            self.name(name);
            self.raw(if value { b"true" } else { b"false" });
        }
    }

    /// A number with a fraction; JSON has none that is not finite, and says `null`.
    pub fn float(&mut self, name: &str, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.name(name);
            match self.format {
                Format::Json if !value.is_finite() => self.raw(b"null"),
                _ => drop(write!(self.bytes, "{value:?}")),
            }
        }
    }

    /// A time span, in seconds.
    pub fn seconds(&mut self, name: &str, value: impl Into<Option<Duration>>) {
        let nanoseconds = |value: Duration| u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.billionths(name, value.into().map(nanoseconds));
    }

    /// A number with a fraction, in billionths: nano-dollars are dollars with a fraction.
    pub fn billionths(&mut self, name: &str, value: impl Into<Option<u64>>) {
        let Some(value) = value.into() else { return };
        self.name(name);
        self.decimal(value / 1_000_000_000);
        let fraction = timestamp::digits::<9>((value % 1_000_000_000) as u32);
        let length = fraction.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        self.raw(b".");
        self.raw(&fraction[..length]);
    }

    fn head(&mut self, now: Duration, level: Level, target: &str, message: &str) {
        match self.format {
            Format::Json => {
                self.raw(b"{\"timestamp\":\"");
                timestamp::write(now, self.bytes);
                self.raw(b"\"");
                self.text("level", level.as_str());
                self.text("message", message);
            }
            Format::Text { colors } => {
                self.painted(colors, b"2", |line| timestamp::write(now, line.bytes));
                self.raw(b" ");
                self.painted(colors, color(level), |line| drop(write!(line.bytes, "{:>5}", level.as_str())));
                self.raw(b" ");
                self.painted(colors, b"2", |line| line.raw(target.as_bytes()));
                self.painted(colors, b"2", |line| line.raw(b":"));
                // Without quotes, so it is the gateway's own words.
                let _ = write!(self.bytes, " {message}");
            }
        }
    }

    fn name(&mut self, name: &str) {
        match self.format {
            Format::Json => {
                self.raw(b",\"");
                self.raw(name.as_bytes());
                self.raw(b"\":");
            }
            Format::Text { colors } => {
                self.raw(b" ");
                self.painted(colors, b"3", |line| line.raw(name.as_bytes()));
                self.painted(colors, b"2", |line| line.raw(b"="));
            }
        }
    }

    fn painted(&mut self, colors: bool, code: &[u8], write: impl FnOnce(&mut Self)) {
        if colors {
            for part in [b"\x1b[", code, b"m"] {
                self.raw(part);
            }
        }
        write(self);
        if colors {
            self.raw(b"\x1b[0m");
        }
    }

    fn decimal(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.raw(&digits[first..]);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// The colour of a level, as the code of an escape sequence.
fn color(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"31",
        Level::WARN => b"33",
        Level::INFO => b"32",
        Level::DEBUG => b"34",
        Level::TRACE => b"35",
    }
}

/// Writes the inside of a string of JSON.
fn escape_json(text: &str, bytes: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        bytes.extend_from_slice(&text.as_bytes()[plain..at]);
        plain = at + 1;
        match byte {
            b'"' | b'\\' => bytes.extend_from_slice(&[b'\\', byte]),
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\r' => bytes.extend_from_slice(b"\\r"),
            b'\t' => bytes.extend_from_slice(b"\\t"),
            _ => drop(write!(bytes, "\\u{byte:04x}")),
        }
    }
    bytes.extend_from_slice(&text.as_bytes()[plain..]);
}
