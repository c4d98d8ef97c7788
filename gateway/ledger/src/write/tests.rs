use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;
use wasmgate_base::history::Used;

use super::house::House;
use super::writer::Segment;
use super::*;
use crate::book::{Book, snapshots};
use crate::entry::{Amount, Call};
use crate::read::{read, verify};
use crate::segment;

const LONG: Duration = Duration::from_secs(60);

fn entry(number: u64) -> Entry {
    let call = Call { model: "m\n\"é".into(), input: number, output: 2, cost: Some(number), ..Call::default() };
    let text = |name: &str| format!("{name}-{number}");
    let (ending, policy) = ("finished".to_owned(), Some("complexity@1.0.0".to_owned()));
    let (request, group, key) = (text("request"), "group".to_owned(), text("key"));
    // Half of them are as lines were before they had this.
    let above = number.is_multiple_of(2).then(|| vec!["team".to_owned(), "acme".to_owned()]);
    Entry { at: 5_000_000, request, group, above, key, ending, policy, calls: vec![call], reserved: None }
}

fn reserved(number: u64) -> Reserved {
    let Entry { at, request, group, above, key, .. } = entry(number);
    Reserved { at, request, group, above, key, amount: Amount { tokens: 7, money: 1_000_000 + number } }
}

/// What a process learns of a ledger: the sums by group, and the entries behind the snapshot.
#[derive(Debug, Default)]
struct Learned {
    sums: HashMap<String, Used>,
    entries: Vec<Entry>,
}

fn open(folder: &Path, options: Options) -> (Ledger, Report, Arc<Mutex<Learned>>) {
    let learned = Arc::new(Mutex::new(Learned::default()));
    let all = Arc::clone(&learned);
    let (ledger, report) = Ledger::open(folder, options, move |event| {
        let mut all = all.lock().expect("no panic");
        match event {
            Event::Past(group, history) | Event::Counted(group, history) => {
                all.sums.entry(group.to_owned()).or_default().add(history.within(0, u64::MAX));
            }
            Event::Entry(entry) => {
                let own = entry.groups().is_none().then_some(&*entry.group);
                for group in entry.groups().into_iter().flatten().chain(own) {
                    all.sums.entry(group.to_owned()).or_default().add(entry.used());
                }
                all.entries.push(entry.clone());
            }
        }
    })
    .expect("a ledger");
    (ledger, report, learned)
}

fn write_all(folder: &Path, options: Options, numbers: std::ops::Range<u64>) -> Report {
    let (ledger, report, _) = open(folder, options);
    for number in numbers {
        ledger.reserve(reserved(number), None);
        ledger.append(entry(number));
        // A batch goes to one segment.
        if options.segment_bytes < 10_000 && number % 4 == 0 {
            assert!(ledger.flush(LONG));
        }
    }
    let status = Arc::clone(ledger.status());
    drop(ledger);
    assert_eq!((status.lost(), status.waiting()), (0, 0));
    report
}

fn all(folder: &Path) -> (Vec<Entry>, Report) {
    let mut entries = Vec::new();
    let report = read(folder, |entry| entries.push(entry)).expect("a ledger");
    (entries, report)
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Entry> {
    range.map(entry).collect()
}

fn forget_snapshots(folder: &Path) {
    snapshots(folder).expect("a folder").iter().for_each(|known| fs::remove_file(&known.path).expect("a snapshot"));
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn small() -> Options {
    Options { segment_bytes: 1000, ..Options::default() }
}

fn compressed(folder: &Path) -> usize {
    segment::list(folder).expect("a folder").values().filter(|found| !found.plain).count()
}

#[test]
fn what_is_appended_is_there_at_the_next_start_in_order_and_over_segments() {
    let folder = TempDir::new().expect("a folder");
    for begin in [0, 40, 80] {
        let report = write_all(folder.path(), small(), begin..begin + 40);
        assert_eq!((report.damaged, report.missing, report.open, report.torn), (0, 0, 0, None));
    }
    let (entries, report) = all(folder.path());
    assert_eq!(entries, numbers(0..120));
    assert!(report.segments >= 3, "{report:?}");
    assert_eq!((entries[5].tokens(), entries[5].cost()), (7, 5));
    assert_eq!(verify(folder.path()).expect("a ledger").1, Vec::<String>::new());
}

#[test]
fn a_flush_returns_when_all_before_it_is_written() {
    let folder = TempDir::new().expect("a folder");
    let (ledger, ..) = open(folder.path(), Options { sync: LONG, ..Options::default() });
    for number in 0..3 {
        ledger.append(entry(number));
        assert!(ledger.flush(LONG));
        assert_eq!((all(folder.path()).0.len() as u64, ledger.status().written()), (number + 1, number + 1));
    }
}

/// A start reads the newest snapshot and the segment behind it, however long the ledger is.
#[test]
fn a_start_reads_no_more_as_the_ledger_grows() {
    let folder = TempDir::new().expect("a folder");
    let reads: Vec<Report> = (0..8_u64)
        .map(|round| {
            write_all(folder.path(), small(), round * 100..round * 100 + 100);
            // As if it had been killed: it took none at its end.
            fs::remove_file(&snapshots(folder.path()).expect("a folder")[0].path).expect("a snapshot");
            let (_ledger, report, learned) = open(folder.path(), small());
            let sums = &learned.lock().expect("no panic").sums;
            assert_eq!(sums["group"].requests, (round + 1) * 100);
            report
        })
        .collect();
    for report in &reads[1..] {
        // What one process wrote, or the one before: snapshots are taken next to the writing.
        assert!(report.segments <= 25 && report.entries <= 200 && report.bytes <= 60_000, "{report:?}");
    }
    assert_eq!(all(folder.path()).1.entries, 800);
}

#[test]
fn closed_segments_are_compressed_and_read_as_before() {
    let folder = TempDir::new().expect("a folder");
    let (ledger, ..) = open(folder.path(), Options { segment_bytes: 3 << 20, ..Options::default() });
    // More than two frames a segment.
    (0..40_000).for_each(|number| ledger.append(entry(number)));
    assert!(ledger.flush(LONG));
    let closed = segment::list(folder.path()).expect("a folder").len() - 1;
    until("all closed segments are compressed", || compressed(folder.path()) == closed);
    assert!(closed >= 2);
    let size = |path: PathBuf| fs::metadata(path).expect("a file").len();
    assert!(size(segment::compressed_path(folder.path(), 1)) < 1 << 20);
    assert_eq!(all(folder.path()).0, numbers(0..40_000));
    // The end of a process between the two last steps of compressing leaves both files.
    let first = TempDir::new().expect("a folder");
    write_all(first.path(), Options::default(), 0..10);
    fs::copy(segment::path(first.path(), 1), segment::path(folder.path(), 1)).expect("a file");
    assert_eq!(all(folder.path()).0[..10], numbers(0..10)[..]);
    fs::remove_file(segment::path(folder.path(), 1)).expect("a file");
    // A compressed segment that is damaged costs what is behind the damage, and is counted.
    let path = segment::compressed_path(folder.path(), 1);
    let mut bytes = fs::read(&path).expect("a file");
    bytes.truncate(bytes.len() / 2);
    fs::write(&path, bytes).expect("a file");
    let (entries, report) = all(folder.path());
    assert!(report.damaged > 0 && entries.len() > 10_000 && entries.iter().all(|of| of.ending == "finished"));
}

#[test]
fn a_reader_misses_no_segment_that_is_compressed_meanwhile() {
    let folder = TempDir::new().expect("a folder");
    // So many names that a listing takes several calls: segments are compressed between them.
    (0..4000)
        .for_each(|number| fs::write(folder.path().join(format!("of-somebody-else-{number}")), "").expect("a file"));
    let (ledger, ..) = open(folder.path(), small());
    for number in 0..300 {
        ledger.append(entry(number));
        assert!(ledger.flush(LONG));
        let (entries, report) = all(folder.path());
        assert_eq!((entries.len() as u64, report.missing), (number + 1, 0));
    }
}

#[test]
fn old_segments_are_deleted_and_their_sums_stay() {
    for options in [Options { max_bytes: Some(3000), ..small() }, Options { max_age: Some(Duration::ZERO), ..small() }]
    {
        let folder = TempDir::new().expect("a folder");
        write_all(folder.path(), options, 0..200);
        let (ledger, report, learned) = open(folder.path(), options);
        assert_eq!((report.missing, report.damaged), (0, 0));
        let sum = learned.lock().expect("no panic").sums["group"];
        assert_eq!((sum.requests, sum.money), (200, (0..200).sum()), "a budget in total knows them");
        until("the house is kept", || segment::list(folder.path()).expect("a folder").len() <= 8);
        assert!(ledger.flush(LONG));
        drop(ledger);
        assert!(all(folder.path()).0.len() < 100);
        assert_eq!(verify(folder.path()).expect("a ledger").1, Vec::<String>::new());
    }
}

#[test]
fn a_damaged_snapshot_is_known_and_an_older_one_or_all_lines_count() {
    let folder = TempDir::new().expect("a folder");
    write_all(folder.path(), small(), 0..50);
    let kept = snapshots(folder.path()).expect("a folder");
    assert_eq!(kept.len(), 2);
    let whole = fs::read(&kept[0].path).expect("a snapshot");
    let later = write_all(folder.path(), small(), 50..50);
    assert_eq!(later.damaged_snapshots, 0);
    for length in (0..whole.len()).chain([whole.len()]) {
        fs::write(&kept[0].path, &whole[..length]).expect("a snapshot");
        assert_eq!(Book::load(&kept[0].path).expect("a file").1.is_some(), length == whole.len(), "{length}");
    }
    let mut changed = whole.clone();
    changed[60] ^= 1;
    for damaged in [&whole[..100], &changed[..]] {
        fs::write(&kept[0].path, damaged).expect("a snapshot");
        assert_eq!(verify(folder.path()).expect("a ledger").1.len(), 1);
        let mut report = Report::default();
        let (position, _) = crate::read::newest(folder.path(), &mut report).expect("a folder");
        assert_eq!((position, report.damaged_snapshots), (kept[1].at, 1));
    }
    let (_ledger, report, learned) = open(folder.path(), small());
    assert_eq!(report.damaged_snapshots, 1);
    assert_eq!(learned.lock().expect("no panic").sums["group"].requests, 50);
}

#[test]
fn one_process_writes_and_the_next_takes_over_when_it_ends() {
    let folder = TempDir::new().expect("a folder");
    let (first, ..) = open(folder.path(), small());
    first.append(entry(0));
    assert!(first.flush(LONG));
    let (second, _, learned) = open(folder.path(), small());
    assert!(first.status().is_writer() && !second.status().is_writer());
    second.append(entry(100));
    // It reads along, over segments.
    (1..30).for_each(|number| first.append(entry(number)));
    until("what the first one wrote", || learned.lock().expect("no panic").entries.len() == 30);
    assert!(!second.flush(Duration::from_millis(1)), "it waits in the queue");
    first.reserve(reserved(30), None);
    first.reserve(reserved(31), None);
    first.append(entry(31));
    drop(first);
    assert!(second.flush(LONG) && second.status().is_writer());
    assert_eq!(second.status().interrupted(), 1);
    let interrupted = reserved(30).interrupted();
    let expected = [numbers(0..30), vec![entry(31), interrupted.clone()]].concat();
    assert_eq!(learned.lock().expect("no panic").entries, expected, "each once, and none of its own");
    assert_eq!(all(folder.path()).0, [expected, vec![entry(100)]].concat());
    drop(second);
    let (_third, _, learned) = open(folder.path(), small());
    assert_eq!(learned.lock().expect("no panic").sums["group"].requests, 33);
}

/// A process that is killed, or a machine without power, leaves any beginning of what was written.
#[test]
fn wherever_the_file_ends_the_complete_lines_are_there_and_the_rest_is_cut() {
    let folder = TempDir::new().expect("a folder");
    write_all(folder.path(), Options::default(), 0..4);
    let path = segment::path(folder.path(), 1);
    let whole = fs::read(&path).expect("a segment");
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for length in 0..=whole.len() {
        forget_snapshots(folder.path());
        fs::write(&path, &whole[..length]).expect("a segment");
        let complete = ends.iter().filter(|end| **end <= length).count();
        let intact = complete.checked_sub(1).map_or(0, |last| ends[last]);
        let report = write_all(folder.path(), Options::default(), 100..102);
        assert_eq!(report.entries, complete as u64 / 2, "{length}");
        assert_eq!(report.torn.map(|torn| (torn.intact, torn.bytes)), {
            (length > intact).then_some((intact as u64, (length - intact) as u64))
        });
        // Of each request the reservation comes first; alone it counts as interrupted, once.
        let ended = complete as u64 / 2;
        let open = (complete % 2 == 1).then(|| reserved(ended).interrupted());
        let expected: Vec<Entry> = numbers(0..ended).into_iter().chain(open).chain(numbers(100..102)).collect();
        let (entries, report) = all(folder.path());
        assert_eq!((entries, report.damaged, report.torn), (expected, 0, None), "{length}");
    }
}

#[test]
fn an_end_that_a_loss_of_power_left_as_zeros_is_cut() {
    let folder = TempDir::new().expect("a folder");
    write_all(folder.path(), Options::default(), 0..2);
    forget_snapshots(folder.path());
    let path = segment::path(folder.path(), 1);
    let mut text = fs::read(&path).expect("a segment");
    let intact = text.len() as u64;
    text.extend_from_slice(&[0; 4096]);
    text.extend_from_slice(b"\n\n half a line\n");
    fs::write(&path, &text).expect("a segment");
    let report = write_all(folder.path(), Options::default(), 2..3);
    assert_eq!(report.torn.map(|torn| torn.intact), Some(intact));
    assert_eq!(all(folder.path()).0, numbers(0..3));
}

/// A segment that lost what its snapshot covers: nothing is written where the next start would not look.
#[test]
fn a_segment_shorter_than_its_snapshot_is_not_written_to() {
    let folder = TempDir::new().expect("a folder");
    write_all(folder.path(), Options::default(), 0..4);
    fs::write(segment::path(folder.path(), 1), b"").expect("a segment");
    write_all(folder.path(), Options::default(), 4..6);
    let (_ledger, _, learned) = open(folder.path(), Options::default());
    assert_eq!(learned.lock().expect("no panic").sums["group"].requests, 6);
}

/// The ledger of a file that is given: what the disk does to it does this one.
fn over(file: fs::File, queue: usize) -> (Ledger, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let (sender, messages) = sync_channel(queue);
    let (status, options) = (Arc::new(Status::default()), Options { queue, ..Options::default() });
    let lock = files::lock(folder.path()).expect("a folder").expect("a lock");
    let (file, path) = (Arc::new(file), folder.path().to_owned());
    let house = House::start(path.clone(), (1, Arc::clone(&file)), [].into(), options, Arc::clone(&status));
    let segment = Segment { number: 1, file, length: 0, began: SystemTime::now() };
    let house = house.expect("a thread");
    let writer = Writer::new(path, segment, Book::default(), house, lock, options, Arc::clone(&status));
    let ended = Arc::clone(&status);
    std::thread::spawn(move || {
        writer.run(&messages);
        ended.ended();
    });
    (Ledger { queue: Some(sender), room: queue as u64 / 2, status }, folder)
}

#[test]
fn nobody_waits_for_a_disk_that_hangs_and_what_is_lost_is_counted() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    // As much as a pipe takes.
    let mut full = vec![b'x'; 1 << 16];
    full[(1 << 16) - 1] = b'\n';
    std::io::Write::write_all(&mut writer, &full).expect("a pipe that is empty");
    let (ledger, _folder) = over(OwnedFd::from(writer).into(), 64);
    let mut appended = 0;
    let (sender, written) = std::sync::mpsc::channel();
    let told = move || sender.send(()).expect("somebody waits");
    ledger.reserve(reserved(0), Some(Box::new(told)));
    // A batch is in the thread's hands, and the queue has room for 64.
    while ledger.status().lost() == 0 {
        ledger.append(entry(appended));
        appended += 1;
        assert!(appended < 100_000);
    }
    assert!(!ledger.has_room() && written.try_recv().is_err());
    ledger.is_late();
    assert!(!ledger.is_prompt(), "nobody else waits for it");
    assert!(!ledger.flush(Duration::from_millis(10)));
    ledger.reserve(reserved(1), None);
    assert_eq!(ledger.status().lost(), 1, "a reservation that finds no room is refused before, not lost");
    let lines = std::thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).count() as u64);
    until("the disk works again", || ledger.status().written() == appended - 1);
    assert!(ledger.has_room() && ledger.is_prompt() && written.try_recv().is_ok());
    let status = Arc::clone(ledger.status());
    drop(ledger);
    assert_eq!((status.written(), status.lost()), (appended - 1, 1));
    assert_eq!(lines.join().expect("lines"), appended + 1);
}

#[test]
fn a_full_disk_loses_nothing_until_the_process_ends_and_says_so() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device of the kernel");
    let (ledger, _folder) = over(full, 64);
    ledger.append(entry(0));
    until("the disk refuses it", || ledger.status().errors() > 0);
    assert_eq!((ledger.status().written(), ledger.status().lost(), ledger.status().waiting()), (0, 0, 1));
    let status = Arc::clone(ledger.status());
    drop(ledger);
    assert_eq!(status.lost(), 1);
}

/// Whether syncs are held up, and how many have begun.
static HELD: (Mutex<(bool, usize)>, std::sync::Condvar) = (Mutex::new((false, 0)), std::sync::Condvar::new());

fn hold(is_held: bool) {
    HELD.0.lock().expect("no panic").0 = is_held;
    HELD.1.notify_all();
}

fn held_sync(file: &fs::File) -> std::io::Result<()> {
    let mut held = HELD.0.lock().expect("no panic");
    held.1 += 1;
    drop(HELD.1.wait_while(held, |held| held.0).expect("no panic"));
    file.sync_data()
}

#[test]
fn no_record_waits_for_a_sync() {
    let folder = TempDir::new().expect("a folder");
    let (ledger, ..) = open(folder.path(), Options { sync_file: held_sync, ..small() });
    hold(true);
    ledger.append(entry(0));
    assert!(!ledger.flush(Duration::from_millis(1)));
    until("a sync hangs", || HELD.0.lock().expect("no panic").1 > 0);
    // Also where a segment is full.
    for number in 1..100 {
        let (sender, written) = std::sync::mpsc::channel();
        let told = move || sender.send(()).expect("somebody waits");
        ledger.reserve(reserved(number), Some(Box::new(told)));
        assert_eq!(written.recv_timeout(LONG), Ok(()), "{number}");
        ledger.append(entry(number));
    }
    until("all is with the kernel", || ledger.status().written() == 100);
    assert!(!ledger.flush(Duration::from_millis(1)), "it is not on the disk");
    assert_eq!(snapshots(folder.path()).expect("a folder").len(), 0, "none says more than the disk has");
    hold(false);
    assert!(ledger.flush(LONG));
    drop(ledger);
    assert_eq!(all(folder.path()).0, numbers(0..100));
    assert_eq!(verify(folder.path()).expect("a ledger").1, Vec::<String>::new());
}

#[derive(Debug, Clone)]
enum Step {
    Admit,
    /// One of those in flight ends.
    End(usize),
    /// The process is killed: what was written of the last bytes is random.
    Kill(proptest::sample::Index),
    /// The process ends in an orderly way.
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Admit),
        6 => any::<usize>().prop_map(Step::End),
        1 => any::<proptest::sample::Index>().prop_map(Step::Kill),
        1 => Just(Step::Stop),
    ]
}

/// A copy of a folder as a process leaves it that is killed: the last segment ends anywhere behind what a snapshot covers.
fn killed(folder: &Path, end: proptest::sample::Index) -> TempDir {
    let copy = TempDir::new().expect("a folder");
    let names = || files::names(folder).expect("a folder");
    // The house may be kept at the same moment: what is gone has its new name in the second listing.
    for name in names().into_iter().chain(std::iter::once_with(names).flatten()) {
        let _ = fs::copy(folder.join(&name), copy.path().join(&name));
    }
    let covered = snapshots(copy.path()).expect("a folder");
    if let Some((&last, _)) = segment::list(copy.path()).expect("a folder").last_key_value() {
        let path = segment::path(copy.path(), last);
        let length = fs::metadata(&path).expect("a segment").len();
        let least = covered.first().filter(|newest| newest.at.segment == last).map_or(0, |newest| newest.at.offset);
        let cut = least + end.index(usize::try_from(length - least).expect("small") + 1) as u64;
        fs::File::options().write(true).open(&path).and_then(|file| file.set_len(cut)).expect("a segment");
    }
    copy
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever byte changes: no entry is read that was not written, and each line but the one that changed is.
    #[test]
    fn a_changed_byte_never_becomes_an_entry(at in any::<proptest::sample::Index>(), flip in 1_u8..=255) {
        let folder = TempDir::new().expect("a folder");
        write_all(folder.path(), Options::default(), 0..5);
        let path = segment::path(folder.path(), 1);
        let mut text = fs::read(&path).expect("a segment");
        let at = at.index(text.len());
        text[at] ^= flip;
        fs::write(&path, &text).expect("a segment");
        let (entries, report) = all(folder.path());
        let written = numbers(0..5);
        prop_assert!(entries.iter().all(|entry| written.contains(entry)));
        // A changed line break joins two lines.
        prop_assert!(entries.len() >= 4);
        prop_assert!(entries.len() == 5 || report.damaged > 0 || report.torn.is_some() || report.open > 0);
    }

    /// Any life with any ends: what a start learns from snapshot and tail is what all lines say, each request counts once, and
    /// one that was admitted and written counts for what it used or what it had reserved.
    #[test]
    fn a_start_learns_what_all_lines_say(steps in proptest::collection::vec(step(), 0..60)) {
        let mut folder = TempDir::new().expect("a folder");
        let (mut ledger, _, _) = open(folder.path(), small());
        let (mut next, mut flying) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Admit => {
                    ledger.reserve(reserved(next), None);
                    flying.push(next);
                    next += 1;
                }
                Step::End(_) if flying.is_empty() => {}
                Step::End(which) => ledger.append(entry(flying.swap_remove(which % flying.len()))),
                Step::Kill(_) | Step::Stop => {
                    prop_assert!(ledger.flush(LONG));
                    if let Step::Kill(end) = step {
                        folder = killed(folder.path(), end);
                    }
                    drop(ledger);
                    flying.clear();
                    let (again, report, learned) = open(folder.path(), small());
                    prop_assert_eq!((report.damaged, report.missing, report.unknown), (0, 0, 0));
                    prop_assert!(again.flush(LONG));
                    let (entries, report) = all(folder.path());
                    prop_assert_eq!((report.open, report.torn), (0, None));
                    let mut sum = Used::default();
                    entries.iter().for_each(|entry| sum.add(entry.used()));
                    let learned = learned.lock().expect("no panic");
                    prop_assert_eq!(learned.sums.get("group").copied().unwrap_or_default(), sum);
                    let mut requests: Vec<&str> = entries.iter().map(|entry| &*entry.request).collect();
                    requests.sort_unstable();
                    requests.dedup();
                    prop_assert_eq!(requests.len(), entries.len());
                    prop_assert_eq!(verify(folder.path()).expect("a ledger").1, Vec::<String>::new());
                    ledger = again;
                }
            }
        }
    }
}
