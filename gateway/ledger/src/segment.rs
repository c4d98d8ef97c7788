//! The files of a ledger: segments `NUMBER.ledger` in ascending order, the last of which is written to. Closed ones are
//! compressed to `NUMBER.ledger.zst`, which `zstd -d` reads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::files;

const PLAIN: &str = ".ledger";
const COMPRESSED: &str = ".ledger.zst";
/// Bytes that are compressed at a time, between two syncs. Each is a frame of its own.
const CHUNK: u64 = 1 << 20;

/// How much of a ledger was read or is covered: segments before `segment`, and so many bytes of its lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// The path of a segment that is not compressed.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}{PLAIN}"))
}

/// The path of a compressed segment.
pub(crate) fn compressed_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}{COMPRESSED}"))
}

/// A segment as it is on the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Whether there is a file that is not compressed. It counts if there are both: the process ended before it deleted it.
    pub(crate) plain: bool,
}

/// All segments by number. A folder that does not exist has none.
///
/// Another process may compress one meanwhile. A listing that was before the new name and came to the old one when it was gone has
/// neither; one that begins after it has the new name, so that two listings together have every segment.
pub(crate) fn list(folder: &Path) -> io::Result<BTreeMap<u64, Found>> {
    let mut found = BTreeMap::new();
    let names = files::names(folder)?;
    for name in names.into_iter().chain(files::names(folder)?) {
        let number = |end: &str| name.strip_suffix(end).and_then(|number| number.parse::<u64>().ok());
        if let Some(number) = number(PLAIN) {
            found.insert(number, Found { plain: true });
        } else if let Some(number) = number(COMPRESSED) {
            found.entry(number).or_insert(Found { plain: false });
        }
    }
    Ok(found)
}

/// The lines of a segment; `None` if it is gone. Another process may compress it at the same moment.
pub(crate) fn open(folder: &Path, number: u64) -> io::Result<Option<Box<dyn BufRead>>> {
    let found = |path: &Path| match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    if let Some(file) = found(&path(folder, number))? {
        return Ok(Some(Box::new(file)));
    }
    let file = found(&compressed_path(folder, number))?;
    Ok(file.map(|file| Box::new(BufReader::new(Frames { source: Some(file), frame: None })) as Box<dyn BufRead>))
}

/// The content of a file of compressed frames.
struct Frames {
    /// The file between two frames.
    source: Option<BufReader<File>>,
    frame: Option<StreamingDecoder<BufReader<File>, ruzstd::decoding::FrameDecoder>>,
}

impl Read for Frames {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let length = frame.read(to)?;
                if length > 0 || to.is_empty() {
                    return Ok(length);
                }
                self.source = self.frame.take().map(StreamingDecoder::into_inner);
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(StreamingDecoder::new(source).map_err(io::Error::other)?);
        }
    }
}

/// A closed segment that is being compressed, a chunk at a time.
#[derive(Debug)]
pub(crate) struct Compression {
    number: u64,
    source: File,
    target: File,
    temporary: PathBuf,
}

impl Compression {
    pub(crate) fn begin(folder: &Path, number: u64) -> io::Result<Self> {
        let temporary = files::temporary(&compressed_path(folder, number));
        let source = File::open(path(folder, number))?;
        Ok(Self { number, source, target: files::create(&temporary)?, temporary })
    }

    /// Compresses the next chunk. Returns whether that was the last: the compressed file then has the other's place.
    pub(crate) fn step(&mut self, folder: &Path) -> io::Result<bool> {
        let mut chunk = Vec::new();
        (&mut self.source).take(CHUNK).read_to_end(&mut chunk)?;
        if !chunk.is_empty() {
            self.target.write_all(&compress_to_vec(chunk.as_slice(), CompressionLevel::Fastest))?;
            return Ok(false);
        }
        self.target.sync_all()?;
        fs::rename(&self.temporary, compressed_path(folder, self.number))?;
        files::sync_folder(folder)?;
        fs::remove_file(path(folder, self.number))?;
        Ok(true)
    }
}
