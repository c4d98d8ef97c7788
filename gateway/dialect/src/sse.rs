//! Reads and writes server-sent events.

use std::borrow::Cow;

use crate::types::Passed;

/// One server-sent event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Its `event` field.
    pub(super) name: Option<&'a [u8]>,
    /// Its `data` lines, joined. `None` for comments and blank lines.
    pub(super) data: Option<Cow<'a, [u8]>>,
    /// Whether it has fields besides these two. A reader may take them for an event without data.
    pub(super) has_other_fields: bool,
}

impl Event<'_> {
    /// Whether the frame is nothing but comments and blank lines.
    pub(super) fn is_comment(&self) -> bool {
        self.name.is_none() && self.data.is_none() && !self.has_other_fields
    }
}

/// Reads a frame. A field named `error` becomes the data of an event named `error`: older llama.cpp servers write
/// `error: {…}` instead of `data: {"error": …}`.
pub(super) fn event(frame: &[u8]) -> Event<'_> {
    let mut event = Event { name: None, data: None, has_other_fields: false };
    let mut rest = frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame);
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => event.name = Some(value),
            b"data" => add(&mut event.data, value),
            b"error" => {
                event.name = Some(b"error");
                add(&mut event.data, value);
            }
            b"" => {}
            _ => event.has_other_fields = true,
        }
    }
    event
}

/// Whether a frame is written as this crate writes events, so that every reader takes it: one `data` line after, maybe, an
/// `event` line, each with a space after its colon, all lines ended by `\n`.
pub(super) fn is_plain(frame: &[u8], event: &Event<'_>) -> bool {
    let Some(Cow::Borrowed(data)) = &event.data else { return false };
    let named = event.name.map_or(0, |name| name.len() + 8);
    let named = if frame.starts_with(b"event: ") { named } else { 0 };
    frame.len() == named + data.len() + 8
        && frame[named..].starts_with(b"data: ")
        && frame.ends_with(b"\n\n")
        && (named == 0 || frame[named - 1] == b'\n')
}

fn add<'a>(data: &mut Option<Cow<'a, [u8]>>, value: &'a [u8]) {
    match data {
        None => *data = Some(Cow::Borrowed(value)),
        Some(lines) => {
            let lines = lines.to_mut();
            lines.push(b'\n');
            lines.extend_from_slice(value);
        }
    }
}

/// Writes an event without a name.
pub(super) fn data(json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
}

/// What becomes of a frame of comments: its lines end as all others do that a client gets.
pub(super) fn comment(frame: &[u8]) -> Passed {
    if memchr::memchr(b'\r', frame).is_none() && !frame.starts_with(b"\xef\xbb\xbf") {
        return Passed::AsIs;
    }
    let text = String::from_utf8_lossy(frame);
    Passed::Rewritten(text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n").into_bytes())
}

/// Writes an event with or without a name. Line ends in `json` are between its values.
pub(super) fn event_of(name: Option<&[u8]>, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 32);
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name);
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend(json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.extend_from_slice(b"\n\n");
    out
}

/// An object with its type as its first member.
pub(super) fn with_type(kind: &str, object: &[u8]) -> Vec<u8> {
    let members = object.get(1..).unwrap_or_default().trim_ascii_start();
    let comma = if members.starts_with(b"}") { "" } else { "," };
    [format!("{{\"type\":\"{kind}\"{comma}").as_bytes(), members].concat()
}

/// Writes an event with a name.
pub(super) fn named(name: &str, json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(json, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_whatever_ends_the_lines() {
        for (frame, name, expected) in [
            ("data: {}\n\n", None, Some("{}")),
            ("data:{}\r\n\r\n", None, Some("{}")),
            ("event: ping\rdata: a\rdata: b\r\r", Some("ping"), Some("a\nb")),
            (": comment\n\n", None, None),
            ("data\n\n", None, Some("")),
            ("id: 1\nretry: 5\ndata:  x", None, Some(" x")),
            ("error: {\"code\":500}\n\n", Some("error"), Some("{\"code\":500}")),
            ("\u{feff}data: a\n\n", None, Some("a")),
            ("\n", None, None),
        ] {
            let event = event(frame.as_bytes());
            assert_eq!(event.name, name.map(str::as_bytes), "{frame:?}");
            assert_eq!(event.data.as_deref(), expected.map(str::as_bytes), "{frame:?}");
        }
    }
}
