//! Reads and writes server-sent events.

use std::borrow::Cow;

/// One server-sent event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Its `event` field.
    pub(super) name: Option<&'a [u8]>,
    /// Its `data` lines, joined. `None` for comments and blank lines.
    pub(super) data: Option<Cow<'a, [u8]>>,
}

/// Reads a frame. A field named `error` becomes the data of an event named `error`: older llama.cpp servers write
/// `error: {…}` instead of `data: {"error": …}`.
pub(super) fn event(frame: &[u8]) -> Event<'_> {
    let mut event = Event { name: None, data: None };
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
            _ => {}
        }
    }
    event
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
