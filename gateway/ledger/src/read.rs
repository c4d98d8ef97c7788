//! Reads a ledger, also while another process writes to it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::entry::Entry;
use crate::line::Line;
use crate::{line, segment};

/// What was found in a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Its files.
    pub segments: usize,
    /// Entries that are intact.
    pub entries: u64,
    /// Intact lines that only a later version of the gateway can read.
    pub unknown: u64,
    /// Lines that are not, with intact ones behind them: somebody changed the file.
    pub damaged: u64,
    /// The end of the last file, if it is not complete: the process was ended while it wrote.
    pub torn: Option<Torn>,
}

/// The end of a file that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// How many bytes of it are intact.
    pub intact: u64,
    /// How many are behind them.
    pub bytes: u64,
}

/// Reads all entries in order.
///
/// # Errors
/// If a file cannot be read.
pub fn read(folder: &Path, mut each: impl FnMut(Entry)) -> io::Result<Report> {
    let numbers = segment::numbers(folder)?;
    let mut report = Report { segments: numbers.len(), ..Report::default() };
    for (position, number) in numbers.iter().enumerate() {
        let path = segment::path(folder, *number);
        let mut file = BufReader::new(File::open(&path)?);
        // Where the last intact line ends, how far was read, and the damaged lines since.
        let (mut intact, mut at, mut damaged) = (0_u64, 0_u64, 0_u64);
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = file.read_until(b'\n', &mut text)?;
            if length == 0 {
                break;
            }
            at += length as u64;
            match text.strip_suffix(b"\n").and_then(line::read) {
                Some(content) => {
                    report.damaged += damaged;
                    (intact, damaged) = (at, 0);
                    match content {
                        Line::Entry(entry) => {
                            report.entries += 1;
                            each(entry);
                        }
                        Line::Unknown => report.unknown += 1,
                    }
                }
                None => damaged += 1,
            }
        }
        if at > intact {
            match position + 1 == numbers.len() {
                true => report.torn = Some(Torn { path, intact, bytes: at - intact }),
                // Only the last file is written to.
                false => report.damaged += damaged,
            }
        }
    }
    Ok(report)
}
