//! What becomes of closed segments: a thread compresses them, and deletes those that are too old or too many. It is not the thread
//! that writes, whose queue would fill in the meantime.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::segment::{self, Segment, Stream, UNFINISHED, with_ending};
use crate::time::Moment;
use crate::write::Options;

/// The longest time between two looks at what is too old.
const LOOK: Duration = Duration::from_secs(60);
/// The kernel's lowest priority: compressing must not compete with requests.
const NICE: i32 = 19;

/// Keeps the closed segments of a folder.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
    /// Whether the log is closed: what is left to do waits for the next process.
    pub(crate) stop: Arc<AtomicBool>,
    /// Nobody else writes to the folder while the thread works.
    pub(crate) _lock: Arc<File>,
}

/// What the thread gets: a segment was closed.
#[derive(Debug)]
pub(crate) struct Closed;

impl Archive {
    /// Works until nobody can send any more.
    pub(crate) fn run(&self, closed: &Receiver<Closed>, active: impl Fn(Stream) -> Option<Moment>) {
        // On Linux, priority is per thread. Without it the thread competes with traffic.
        let _ = rustix::process::nice(NICE);
        loop {
            match closed.recv_timeout(LOOK.min(self.options.segment_age)) {
                Ok(Closed) | Err(RecvTimeoutError::Timeout) => self.tidy(Moment::now(), &active),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Compresses what is closed and deletes what is too old or too much. `active` gives the segment that is written to.
    pub(crate) fn tidy(&self, now: Moment, active: impl Fn(Stream) -> Option<Moment>) {
        for stream in Stream::ALL {
            if let Err(error) = self.tidy_stream(stream, now, || active(stream)) {
                (self.options.report)(&error);
            }
        }
    }

    fn tidy_stream(&self, stream: Stream, now: Moment, active: impl Fn() -> Option<Moment>) -> io::Result<()> {
        let retention = self.options.retention(stream);
        let mut failed = None;
        let closed = self.closed(stream, &active)?;
        let largest = closed.iter().map(|segment| segment.bytes).max().unwrap_or_default();
        for segment in closed {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            // Compressing may be slower than writing. Two segments may wait for it: they may fit then.
            let most = retention.max_bytes.saturating_add(largest.saturating_mul(2));
            self.shrink(stream, most, &active, |_| true)?;
            match segment.begun.age(now) >= retention.max_age {
                true => remove(&segment)?,
                false if segment.compressed => {}
                // A full disk must not keep the oldest from being deleted.
                false => failed = compress(&segment).err().or(failed),
            }
        }
        // One that was closed since is not deleted before it is compressed: it may fit then.
        self.shrink(stream, retention.max_bytes, &active, |segment| segment.compressed || failed.is_some())?;
        failed.map_or(Ok(()), Err)
    }

    /// Deletes the oldest closed segments while all have more bytes than this together. The one that is written to counts too.
    fn shrink(
        &self,
        stream: Stream,
        most: u64,
        active: impl Fn() -> Option<Moment>,
        may_go: impl Fn(&Segment) -> bool,
    ) -> io::Result<()> {
        let mut total: u64 = segment::list(&self.folder, stream)?.iter().map(|segment| segment.bytes).sum();
        for segment in self.closed(stream, active)?.iter().filter(|segment| may_go(segment)) {
            if total <= most {
                break;
            }
            remove(segment)?;
            total = total.saturating_sub(segment.bytes);
        }
        Ok(())
    }

    /// The segments that nobody writes to, oldest first.
    fn closed(&self, stream: Stream, active: impl Fn() -> Option<Moment>) -> io::Result<Vec<Segment>> {
        let mut segments = segment::list(&self.folder, stream)?;
        // Asked behind: a segment is announced before its file is there.
        let active = active();
        segments.retain(|segment| active != Some(segment.begun));
        Ok(segments)
    }
}

/// Deletes a segment in both forms, so that none is left of one that was being compressed.
fn remove(segment: &Segment) -> io::Result<()> {
    for path in [segment.path.clone(), segment.compressed_path()] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Writes the compressed segment, whole, before the other is deleted. One that is gone needs nothing.
fn compress(segment: &Segment) -> io::Result<()> {
    let bytes = match fs::read(&segment.path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // Behind the last line break lies what a process was writing when it was ended.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole > 0 {
        let target = segment.compressed_path();
        let unfinished = with_ending(&target, UNFINISHED);
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(&compress_to_vec(&bytes[..whole], CompressionLevel::Fastest))?;
        file.sync_all()?;
        fs::rename(&unfinished, &target)?;
        sync_folder(&target)?;
    }
    fs::remove_file(&segment.path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
