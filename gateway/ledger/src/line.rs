//! A line of a segment: the length of the JSON text and its CRC-32, each as eight hexadecimal digits, then the text.

use crate::entry::Entry;

/// Length of what is in front of the text: two numbers, each with a space behind it.
const HEAD: usize = 18;

/// Appends the line of an entry.
pub(crate) fn write(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[b' '; HEAD]);
    // It has only texts and numbers, so that it can be written.
    if serde_json::to_writer(&mut *out, entry).is_err() {
        out.truncate(start);
        return;
    }
    let text = &out[start + HEAD..];
    let head = format!("{:08x} {:08x} ", text.len(), crc32fast::hash(text));
    out[start..start + HEAD].copy_from_slice(head.as_bytes());
    out.push(b'\n');
}

/// The entry of a line without its line break; `None` if it is not complete and intact.
pub(crate) fn read(line: &[u8]) -> Option<Entry> {
    let (head, text) = line.split_at_checked(HEAD)?;
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let (length, checksum) = (number(&head[..8])?, number(&head[9..17])?);
    let is_intact = length as usize == text.len() && checksum == crc32fast::hash(text);
    is_intact.then(|| serde_json::from_slice(text).ok()).flatten()
}
