//! Writing, reading and keeping segments.

use std::ops::ControlFlow;

use super::*;
use crate::lookup::{Cursor, find, find_content, find_feedback, page};
use crate::models::ModelRow;
use crate::read::{Report, read, read_contents, read_feedback, segments};
use crate::record::{Candidate, Outcome, Request, Verdict, VerdictKind};

const HOUR: Duration = Duration::from_secs(3600);

fn options() -> Options {
    let keep = Retention { max_age: HOUR * 24, max_bytes: 1 << 30 };
    Options::new(keep, keep, |error| panic!("{error}"))
}

fn table(models: &[&str]) -> ModelTable {
    let row = |name: &&str| ModelRow {
        name: (*name).to_owned(),
        backend: "b".to_owned(),
        location: "local".to_owned(),
        price: None,
        context_window: None,
        labels: Vec::new(),
        capabilities: Vec::new(),
    };
    ModelTable::new(models.iter().map(row).collect())
}

/// An id as the gateway makes them, of a request that arrived at `at`.
fn id(at: u64, number: u64) -> String {
    format!("{at:012x}7{number:019x}")
}

fn decision(id: String, at: u64, table: &ModelTable) -> Decision {
    Decision {
        id,
        time: Moment(at),
        group: None,
        dialect: "openai".to_owned(),
        models_id: table.id().to_owned(),
        request: Request {
            requested: "auto".to_owned(),
            prompt_tokens: 1,
            max_tokens: None,
            streaming: false,
            tools: false,
            images: false,
            structured_output: false,
            messages: 1,
            text_bytes: 4,
            newest_bytes: 4,
            budget: None,
            limits: Vec::new(),
            labels: Vec::new(),
            hints: Vec::new(),
        },
        candidates: table.rows().iter().map(candidate).collect(),
        routing: None,
        cost: None,
        verdict: Verdict {
            kind: VerdictKind::Default,
            ranking: Vec::new(),
            complexity: None,
            tier: None,
            reason: String::new(),
            code: None,
        },
        chosen: None,
        explored: false,
        exploration: None,
        propensity: 1.0,
        outcome: Outcome {
            ending: "finished".to_owned(),
            failure: None,
            model: None,
            attempts: Vec::new(),
            hedged: false,
            calls: Vec::new(),
            cost: None,
            cost_basis: None,
            first_token_seconds: None,
            model_seconds: None,
            seconds: 0.1,
        },
    }
}

fn candidate(row: &ModelRow) -> Candidate {
    Candidate {
        model: row.name.clone(),
        health: "healthy".to_owned(),
        breaker: "closed".to_owned(),
        in_flight: 0,
        time_left_seconds: 600.0,
        latency_seconds: None,
        first_token_seconds: None,
        tokens_per_second: None,
        estimate: None,
    }
}

type Entry = (Decision, ModelTable);

fn open(folder: &Path, options: Options) -> Log<Entry> {
    let write = |(decision, table): Entry, lines: &mut Lines| lines.decision(&decision, &table);
    Log::open(folder, options, write).unwrap().expect("nobody else writes")
}

fn ids(folder: &Path) -> (Vec<String>, Report) {
    let mut ids = Vec::new();
    let report = read(folder, |decision, table| {
        assert_eq!(decision.candidates.len(), table.rows().len());
        ids.push(decision.id);
        ControlFlow::Continue(())
    });
    (ids, report.unwrap())
}

/// Waits until all closed segments are compressed: what one process leaves the next one compresses.
fn await_compressed(folder: &Path, options: Options) {
    let _next = open(folder, options);
    let until = Instant::now() + Duration::from_secs(60);
    while segments(folder).unwrap().iter().any(|segment| !segment.compressed) {
        assert!(Instant::now() < until, "segments are not compressed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_written_is_read_in_order_from_segments_that_are_readable_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = Moment::now().0;
    let tables = [table(&["a"]), table(&["a", "b"])];
    let log = open(folder.path(), Options { segment_bytes: 4096, ..options() });
    let written: Vec<String> = (0..200).map(|number| id(at, number)).collect();
    for (number, id) in written.iter().enumerate() {
        let table = &tables[number / 7 % 2];
        assert!(log.append((decision(id.clone(), at, table), table.clone())));
        if number % 20 == 0 {
            log.flush(Duration::from_secs(60));
        }
    }
    log.flush(Duration::from_secs(60));
    let status = Arc::clone(log.status());
    drop(log);
    await_compressed(folder.path(), Options { segment_bytes: 4096, ..options() });
    let (read, report) = ids(folder.path());
    assert_eq!(read, written);
    assert_eq!((report.lines, report.damaged, report.torn, report.newer), (200, 0, 0, 0));
    assert!(report.segments > 5, "{report:?}");
    assert_eq!((status.written(), status.queue_full(), status.disk()), (200, 0, 0));
    for segment in segments(folder.path()).unwrap() {
        let report = segment.read(|_, _| ControlFlow::Continue(())).unwrap();
        assert!(report.lines > 0 && report.damaged == 0, "{segment:?}: {report:?}");
    }
}

#[test]
fn a_reader_misses_no_segment_that_is_compressed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    // So many names that a listing takes several calls: segments are compressed between them.
    (0..4000).for_each(|number| fs::write(folder.path().join(format!("of-somebody-else-{number}")), "").unwrap());
    let at = Moment::now().0;
    let table = table(&["a"]);
    let log = open(folder.path(), Options { segment_bytes: 2048, ..options() });
    for number in 0..200 {
        assert!(log.append((decision(id(at, number), at, &table), table.clone())));
        log.flush(Duration::from_secs(60));
        assert_eq!(ids(folder.path()).0.len() as u64, number + 1);
    }
}

#[test]
fn a_line_that_is_cut_anywhere_is_never_read_as_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = Moment::now().0;
    let table = table(&["a", "b"]);
    let log = open(folder.path(), options());
    for number in 0..3 {
        log.append((decision(id(at, number), at, &table), table.clone()));
    }
    log.flush(Duration::from_secs(60));
    // As it is while a process writes; the log's own thread would compress it when it is closed.
    let path = segments(folder.path()).unwrap().remove(0).path;
    let bytes = fs::read(&path).unwrap();
    let name = path.file_name().unwrap().to_owned();
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    let cut = tempfile::tempdir().unwrap();
    for length in 0..=bytes.len() {
        fs::write(cut.path().join(&name), &bytes[..length]).unwrap();
        let (read, report) = ids(cut.path());
        let whole = ends.iter().filter(|end| **end < length).count();
        // The first line is the table of models.
        assert_eq!(read.len(), whole.saturating_sub(1), "cut at {length}");
        let is_torn = length > 0 && bytes[length - 1] != b'\n';
        assert_eq!((report.torn, report.damaged), (u64::from(is_torn), 0), "cut at {length}");
    }
    // The next process leaves the torn end away when it compresses, and continues in a segment of its own.
    fs::write(cut.path().join(&name), &bytes[..bytes.len() - 1]).unwrap();
    let next = open(cut.path(), options());
    next.append((decision(id(at, 9), at, &table), table.clone()));
    drop(next);
    await_compressed(cut.path(), options());
    let (read, report) = ids(cut.path());
    assert_eq!((read, report.torn, report.damaged), (vec![id(at, 0), id(at, 1), id(at, 9)], 0, 0));
}

#[test]
fn what_is_damaged_or_newer_is_counted_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = Moment::now().0;
    let table = table(&["a"]);
    let mut text = Vec::new();
    record::append(record::DECISION, &decision(id(at, 0), at, &table), &mut text);
    record::append(record::MODELS, &table.line(), &mut text);
    text.extend_from_slice(b"{\"schema\":2,\"kind\":\"decision\",\"id\":7}\n{\"schema\":1,\"kind\":\"poem\"}\n");
    text.extend_from_slice(b"{\"schema\":1,\"kind\":\"decision\"}\nno json\n\0\0\0\n");
    record::append(record::DECISION, &decision(id(at, 1), at, &table), &mut text);
    fs::write(folder.path().join("decisions-20260101T000000.000Z.jsonl"), text).unwrap();
    let (read, report) = ids(folder.path());
    assert_eq!(read, [id(at, 1)]);
    // The first decision names a table that comes only behind it.
    assert_eq!(report, Report { segments: 1, lines: 1, damaged: 4, torn: 0, newer: 2 });
}

#[test]
fn only_one_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), options());
    let write = |_: Entry, _: &mut Lines| ();
    assert!(Log::open(folder.path(), options(), write).unwrap().is_none());
    drop(log);
    assert!(Log::open(folder.path(), options(), write).unwrap().is_some());
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (go, gate) = sync_channel::<()>(0);
    let write = move |_: u64, _: &mut Lines| {
        // Held until the test lets it go.
        let _ = gate.recv();
    };
    let log = Log::open(folder.path(), options(), write).unwrap().unwrap();
    let entries = QUEUE as u64 + 100;
    let taken = (0..entries).filter(|number| log.append(*number)).count() as u64;
    // One may be with the thread.
    assert!((QUEUE as u64..=QUEUE as u64 + 1).contains(&taken), "{taken}");
    assert_eq!(log.status().queue_full(), entries - taken);
    drop(go);
}

#[test]
fn what_is_too_old_or_too_much_is_deleted_and_what_is_written_to_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = Moment::now().0;
    let table = table(&["a"]);
    let keep = Retention { max_age: HOUR, max_bytes: 8 << 10 };
    let options = Options { segment_bytes: 2 << 10, ..Options::new(keep, keep, |error| panic!("{error}")) };
    let old = folder.path().join(format!("decisions-{}.jsonl", Moment(at).before(HOUR * 2).in_name()));
    fs::write(&old, "{}\n").unwrap();
    let young = folder.path().join(format!("content-{}.jsonl", Moment(at).before(HOUR / 2).in_name()));
    fs::write(&young, "{}\n").unwrap();
    fs::write(folder.path().join("decisions-1.jsonl.zst.tmp"), "unfinished").unwrap();
    let log = open(folder.path(), options);
    for number in 0..2000 {
        log.append((decision(id(at, number), at, &table), table.clone()));
        if number % 50 == 0 {
            log.flush(Duration::from_secs(60));
        }
    }
    drop(log);
    // What was closed last is compressed, and then counted.
    await_compressed(folder.path(), options);
    let (read, _) = ids(folder.path());
    let size: u64 = segments(folder.path()).unwrap().iter().map(|segment| segment.bytes).sum();
    assert!(size <= keep.max_bytes && !read.is_empty() && read.len() < 2000, "{size} bytes, {} lines", read.len());
    assert_eq!(read.last(), Some(&id(at, 1999)));
    assert!(!old.exists());
    assert!(young.with_extension("jsonl.zst").exists());
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    assert!(!names.into_iter().any(|path| path.to_string_lossy().ends_with(UNFINISHED)));
}

#[test]
fn decisions_are_found_and_paged_through_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let at = Moment::now().0;
    let table = table(&["a"]);
    let log = open(folder.path(), Options { segment_bytes: 2 << 10, ..options() });
    for number in 0..100 {
        log.append((decision(id(at + number, number), at + number, &table), table.clone()));
        if number % 10 == 9 {
            log.flush(Duration::from_secs(60));
        }
    }
    for number in [0, 50, 99] {
        let (found, _) = find(folder.path(), &id(at + number, number)).unwrap().expect("it is in the log");
        assert_eq!(found.id, id(at + number, number));
    }
    for unknown in [id(at, 100), "../../etc/passwd".to_owned(), String::new()] {
        assert!(find(folder.path(), &unknown).unwrap().is_none());
    }
    for limit in [1, 7, 100, 1000] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let got = page(folder.path(), cursor, None, limit, |decision| decision.time.0 % 2 == 0).unwrap();
            assert!(got.decisions.len() <= limit);
            seen.extend(got.decisions.into_iter().map(|decision| decision.time.0));
            let Some(next) = got.next else { break };
            cursor = Cursor::parse(&next.to_string());
            assert_eq!(cursor, Some(next));
        }
        let expected: Vec<u64> = (at..at + 100).rev().filter(|time| time % 2 == 0).collect();
        assert_eq!(seen, expected, "pages of {limit}");
    }
    let since = page(folder.path(), None, Some(Moment(at + 90)), 1000, |_| true).unwrap();
    assert_eq!((since.decisions.len(), since.next), (10, None));
}

#[test]
fn texts_and_feedback_lie_in_files_of_their_own() {
    use crate::content::Keep;
    let folder = tempfile::tempdir().unwrap();
    let at = Moment::now().0;
    let write = |(keep, number): (Keep, u64), lines: &mut Lines| {
        let at = Moment::now();
        let said = vec![(wasmgate_policy_host::Role::User, "write to a@b.example".to_owned())];
        let id = id(at.0, number);
        lines.content(&id, at, keep, said);
        lines.feedback(&Feedback { id, time: at, group: None, score: 0.5, source: "me".to_owned() });
    };
    let log = Log::open(folder.path(), options(), write).unwrap().unwrap();
    for (number, keep) in Keep::ALL.into_iter().enumerate() {
        log.append((keep, number as u64));
    }
    log.flush(Duration::from_secs(60));
    let mut found = Vec::new();
    read_contents(folder.path(), |content| {
        found.push(content);
        ControlFlow::Continue(())
    })
    .unwrap();
    let texts: Vec<Option<&str>> = found.iter().map(|content| content.messages[0].text.as_deref()).collect();
    assert_eq!(texts, [None, Some("write to [email]"), Some("write to a@b.example")]);
    let hash = found[0].messages[0].hash.as_deref().expect("only the hash is kept");
    assert!(hash.len() == 64 && hash != wasmgate_base::digest::sha256(b"write to a@b.example"));
    let mut scores = 0;
    read_feedback(folder.path(), |_| {
        scores += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((scores, segments(folder.path()).unwrap().len()), (4, 0));
    let kept = &found[2];
    assert_eq!(find_content(folder.path(), &kept.id).unwrap().as_ref(), Some(kept));
    assert_eq!(find_feedback(folder.path(), &kept.id).unwrap().len(), 1);
    assert!(find_content(folder.path(), &id(at, 77)).unwrap().is_none());
}
