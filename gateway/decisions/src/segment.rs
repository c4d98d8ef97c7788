//! The files of a log: `decisions-TIME.jsonl`, `feedback-TIME.jsonl` and `content-TIME.jsonl`, with `.zst` behind if they are
//! compressed. `TIME` is when the segment was begun.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;

use crate::time::Moment;

const EXTENSION: &str = ".jsonl";
const COMPRESSED: &str = ".jsonl.zst";
/// What a file is called until it is complete.
pub(crate) const UNFINISHED: &str = ".tmp";

/// What the lines of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Decisions and tables of models.
    Decisions,
    /// Feedback.
    Feedback,
    /// Texts.
    Content,
}

impl Stream {
    pub(crate) const ALL: [Self; 3] = [Self::Decisions, Self::Feedback, Self::Content];

    fn prefix(self) -> &'static str {
        match self {
            Self::Decisions => "decisions-",
            Self::Feedback => "feedback-",
            Self::Content => "content-",
        }
    }
}

/// A file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// When it was begun: no line in it is older than the request that was in flight longest then.
    pub begun: Moment,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is compressed, and so complete.
    pub compressed: bool,
    /// Its size on the disk, in bytes.
    pub bytes: u64,
}

impl Segment {
    pub(crate) fn open(&self) -> io::Result<Box<dyn BufRead>> {
        let file = File::open(&self.path)?;
        if !self.compressed {
            return Ok(Box::new(BufReader::with_capacity(1 << 16, file)));
        }
        let decoder =
            StreamingDecoder::new(BufReader::new(file)).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Box::new(BufReader::with_capacity(1 << 16, decoder)))
    }

    /// Where it is once it is compressed.
    pub(crate) fn compressed_path(&self) -> PathBuf {
        match self.compressed {
            true => self.path.clone(),
            false => with_ending(&self.path, ".zst"),
        }
    }
}

/// A path with something behind its name.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The segments of a folder, oldest first. A folder that does not exist has none.
///
/// Another process may compress one meanwhile. A listing that was before the new name and came to the old one when it was gone has
/// neither; one that begins after it has the new name, so that two listings together have every segment.
pub(crate) fn list(folder: &Path, stream: Stream) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    add_listed(folder, stream, &mut segments)?;
    add_listed(folder, stream, &mut segments)?;
    // While a segment is compressed there may be both for a moment: the one that is not compressed is whole.
    segments.sort_by_key(|segment| (segment.begun, segment.compressed));
    segments.dedup_by_key(|segment| segment.begun);
    Ok(segments)
}

fn add_listed(folder: &Path, stream: Stream, segments: &mut Vec<Segment>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(stream.prefix())) else { continue };
        let (time, compressed) = match (rest.strip_suffix(COMPRESSED), rest.strip_suffix(EXTENSION)) {
            (Some(time), _) => (time, true),
            (None, Some(time)) => (time, false),
            (None, None) => continue,
        };
        let Some(begun) = Moment::of_name(time) else { continue };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // It was deleted since, or compressed: then the next listing has it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        segments.push(Segment { begun, path: entry.path(), compressed, bytes: metadata.len() });
    }
    Ok(())
}

/// Makes a new segment, begun at `now` or, if there is one of that moment, at the next that is free. `announce` gets that moment
/// before the file is there, so that nobody takes it for a closed one.
pub(crate) fn create(folder: &Path, stream: Stream, now: Moment, announce: impl Fn(Moment)) -> io::Result<File> {
    let mut begun = now;
    loop {
        announce(begun);
        let path = folder.join(format!("{}{}{EXTENSION}", stream.prefix(), begun.in_name()));
        let segment = Segment { begun, path, compressed: false, bytes: 0 };
        if !segment.compressed_path().exists() {
            let made = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&segment.path);
            match made {
                Ok(file) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        begun = Moment(begun.0 + 1);
    }
}
