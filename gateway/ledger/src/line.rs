//! A line of a segment: the length of the JSON text and its CRC-32, each as eight hexadecimal digits, then the text.

use serde::Serialize;

use crate::entry::{Entry, Reserved};

/// Length of what is in front of the text: two numbers, each with a space behind it.
const HEAD: usize = 18;

/// Appends the line of what is given: an entry, a reservation, or a part of a snapshot.
pub(crate) fn write(content: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[b' '; HEAD]);
    // It has only texts and numbers, so that it can be written.
    if serde_json::to_writer(&mut *out, content).is_err() {
        out.truncate(start);
        return;
    }
    let text = &out[start + HEAD..];
    let head = format!("{:08x} {:08x} ", text.len(), crc32fast::hash(text));
    out[start..start + HEAD].copy_from_slice(head.as_bytes());
    out.push(b'\n');
}

/// What an intact line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// An entry.
    Entry(Entry),
    /// A request that was admitted.
    Reserved(Reserved),
    /// Something that only a later version of the gateway knows.
    Unknown,
}

/// The content of a line without its line break; `None` if it is not complete and intact.
pub(crate) fn read(line: &[u8]) -> Option<Line> {
    let text = text(line)?;
    let content = match text.starts_with(RESERVED) {
        true => serde_json::from_slice(text).map(Line::Reserved),
        false => serde_json::from_slice(text).map(Line::Entry),
    };
    Some(content.unwrap_or(Line::Unknown))
}

/// How the text of a reservation begins.
const RESERVED: &[u8] = br#"{"kind":"reserved","#;

/// The JSON text of a line without its line break; `None` if it is not complete and intact.
pub(crate) fn text(line: &[u8]) -> Option<&[u8]> {
    let (head, text) = line.split_at_checked(HEAD)?;
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let (length, checksum) = (number(&head[..8])?, number(&head[9..17])?);
    let is_intact = length as usize == text.len() && checksum == crc32fast::hash(text);
    is_intact.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Amount, Call};

    fn line(text: &str) -> Vec<u8> {
        format!("{:08x} {:08x} {text}", text.len(), crc32fast::hash(text.as_bytes())).into_bytes()
    }

    /// The lines of all releases, as they were written then. They are never changed: a change that cannot read one of them would
    /// forget what groups used.
    #[test]
    fn lines_of_each_release_are_read_and_so_are_lines_of_a_later_one() {
        let call = Call {
            model: "m".into(),
            backend: "b".into(),
            input: 1,
            cache_read: 2,
            output: 3,
            reported: true,
            price: Some([1000, 2000, 3000, 4000]),
            cost: Some(17),
            ..Call::default()
        };
        let first = r#"{"at":9,"request":"r","group":"g","key":"k","ending":"finished","calls":[{"model":"m","backend":"b","input":1,"cache_read":2,"output":3,"reported":true,"price":[1000,2000,3000,4000],"cost":17},{"model":"m","backend":"b","input":0,"output":0,"reported":false}]}"#;
        let free = Call { model: "m".into(), backend: "b".into(), ..Call::default() };
        let entry = Entry {
            at: 9,
            request: "r".into(),
            group: "g".into(),
            above: None,
            key: "k".into(),
            ending: "finished".into(),
            policy: None,
            calls: vec![call, free],
            reserved: None,
        };
        assert_eq!(read(&line(first)), Some(Line::Entry(entry.clone())));
        // A later version may add fields anywhere.
        let later = first
            .replace(r#""cost":17"#, r#""cost":17,"price_of":{"version":"x"}"#)
            .replace(r#""at":9"#, r#""at":9,"zone":[1]"#);
        assert_eq!(read(&line(&later)), Some(Line::Entry(entry)));
        let second = r#"{"kind":"reserved","at":9,"request":"r","group":"g","key":"k","tokens":5,"money":6}"#;
        let amount = Amount { tokens: 5, money: 6 };
        let reserved = Reserved { at: 9, request: "r".into(), group: "g".into(), above: None, key: "k".into(), amount };
        let mut written = Vec::new();
        write(&reserved, &mut written);
        assert_eq!(written.strip_suffix(b"\n"), Some(&*line(second)));
        assert_eq!(read(&line(second)), Some(Line::Reserved(reserved.clone())));
        let third = r#"{"at":9,"request":"r","group":"g","key":"k","ending":"interrupted","calls":[],"reserved":{"tokens":5,"money":6}}"#;
        let interrupted = reserved.clone().interrupted();
        assert_eq!((interrupted.tokens(), interrupted.cost()), (5, 6));
        assert_eq!(read(&line(third)), Some(Line::Entry(interrupted)));
        let fourth =
            r#"{"kind":"reserved","at":9,"request":"r","group":"g","above":["f","e"],"key":"k","tokens":5,"money":6}"#;
        let above = Some(vec!["f".to_owned(), "e".to_owned()]);
        let reserved = Reserved { above, ..reserved };
        assert_eq!(read(&line(fourth)), Some(Line::Reserved(reserved.clone())));
        let fifth = r#"{"at":9,"request":"r","group":"g","above":["f","e"],"key":"k","ending":"interrupted","calls":[],"reserved":{"tokens":5,"money":6}}"#;
        assert_eq!(read(&line(fifth)), Some(Line::Entry(reserved.interrupted())));
        assert_eq!(read(&line(r#"{"kind":"something","at":9}"#)), Some(Line::Unknown));
        let mut changed = line(first);
        changed[20] ^= 1;
        assert_eq!(read(&changed), None);
    }
}
