//! Why an operation on a file failed, in the words that errors show to people.

use std::io;

/// The reason without the number of the system's error, as in "No such file or directory".
#[must_use]
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}
