use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::entry::Call;

fn entry(number: u64) -> Entry {
    let call = Call { model: "m\n\"é".into(), input: number, output: 2, cost: Some(number), ..Call::default() };
    let text = |name: &str| format!("{name}-{number}");
    let ending = "finished".to_owned();
    let policy = Some("complexity@1.0.0".to_owned());
    let (request, group, key) = (text("request"), text("group"), text("key"));
    Entry { at: number, request, group, key, ending, policy, calls: vec![call] }
}

fn write_all(folder: &Path, options: Options, numbers: std::ops::Range<u64>) -> Report {
    let opened = Ledger::open(folder, options, |_| ()).expect("a ledger");
    let ledger = opened.ledger.expect("no other process");
    numbers.for_each(|number| ledger.append(entry(number)));
    let status = Arc::clone(ledger.status());
    drop(ledger);
    assert_eq!(status.lost(), 0);
    opened.report
}

fn all(folder: &Path) -> (Vec<Entry>, Report) {
    let mut entries = Vec::new();
    let report = read(folder, |entry| entries.push(entry)).expect("a ledger");
    (entries, report)
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Entry> {
    range.map(entry).collect()
}

#[test]
fn what_is_appended_is_there_at_the_next_start_in_order_and_over_segments() {
    let folder = TempDir::new().expect("a folder");
    let small = Options { segment_bytes: 1000, ..Options::default() };
    for begin in [0, 40, 80] {
        let report = write_all(folder.path(), small, begin..begin + 40);
        assert_eq!((report.entries, report.damaged, report.torn), (begin, 0, None));
    }
    let (entries, report) = all(folder.path());
    assert_eq!(entries, numbers(0..120));
    assert!(report.segments >= 3, "{report:?}");
    assert_eq!((entries[5].tokens(), entries[5].cost()), (7, 5));
}

#[test]
fn a_flush_returns_when_all_before_it_is_written() {
    let folder = TempDir::new().expect("a folder");
    let opened = Ledger::open(folder.path(), Options::default(), |_| ()).expect("a ledger");
    let ledger = opened.ledger.expect("no other process");
    for number in 0..3 {
        ledger.append(entry(number));
        ledger.flush(Duration::from_secs(60));
        assert_eq!((all(folder.path()).0.len() as u64, ledger.status().written()), (number + 1, number + 1));
    }
}

#[test]
fn one_process_writes_and_others_read() {
    let folder = TempDir::new().expect("a folder");
    let first = Ledger::open(folder.path(), Options::default(), |_| ()).expect("a ledger");
    let second = Ledger::open(folder.path(), Options::default(), |_| ()).expect("a ledger");
    assert!(first.ledger.is_some() && second.ledger.is_none());
    drop(first);
    assert!(Ledger::open(folder.path(), Options::default(), |_| ()).expect("a ledger").ledger.is_some());
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
        fs::write(&path, &whole[..length]).expect("a segment");
        let complete = ends.iter().filter(|end| **end <= length).count();
        let intact = complete.checked_sub(1).map_or(0, |last| ends[last]);
        let report = write_all(folder.path(), Options::default(), 100..102);
        assert_eq!(report.entries, complete as u64, "{length}");
        assert_eq!(report.torn.map(|torn| (torn.intact, torn.bytes)), {
            (length > intact).then_some((intact as u64, (length - intact) as u64))
        });
        let (entries, report) = all(folder.path());
        let expected = [numbers(0..complete as u64), numbers(100..102)].concat();
        assert_eq!((entries, report.damaged, report.torn), (expected, 0, None), "{length}");
    }
}

#[test]
fn an_end_that_a_loss_of_power_left_as_zeros_is_cut() {
    let folder = TempDir::new().expect("a folder");
    write_all(folder.path(), Options::default(), 0..2);
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
        prop_assert!(entries.len() >= 3);
        prop_assert!(entries.len() == 5 || report.damaged > 0 || report.torn.is_some());
    }
}
