use serde_json::Map;

use super::*;
use crate::accounts::change::Change;
use crate::accounts::mark::Mark;
use crate::config::ManagedGroup;

fn group(name: &str) -> Marked {
    Marked { change: Change::Group(ManagedGroup { name: name.to_owned(), settings: Map::new() }), mark: Mark::NEW }
}

fn append(log: &mut Log, name: &str) {
    log.append(&[group(name)], true).expect("written");
}

fn names(folder: &Path) -> (Result<Found, String>, Vec<String>) {
    let mut names = Vec::new();
    let found = read(&folder.join("changes.log"), |marked| match marked.change {
        Change::Group(group) => names.push(group.name),
        other => panic!("{other:?}"),
    });
    (found.map_err(|error| format!("{error:?}")), names)
}

fn written(folder: &Path, groups: &[&str]) -> Log {
    let (mut log, _) = Log::open(folder, |_| ()).expect("opened");
    groups.iter().for_each(|name| append(&mut log, name));
    log
}

#[test]
fn wherever_the_process_is_killed_whole_changes_are_left() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path(), &["one", "two", "three"]));
    let file = folder.path().join("changes.log");
    let whole = fs::read(&file).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').map(|at| at + 1).collect();
    for length in 0..=whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        let complete = ends.iter().filter(|end| **end <= length).count();
        let (found, left) = names(folder.path());
        assert_eq!(left, ["one", "two", "three"][..complete], "{length} bytes");
        let intact = complete.checked_sub(1).map_or(0, |last| ends[last]);
        assert_eq!(found.unwrap().torn, (length - intact) as u64);
        // The next change takes the place of what is torn.
        let mut log = written(folder.path(), &[]);
        append(&mut log, "four");
        drop(log);
        let (found, left) = names(folder.path());
        assert_eq!((left.len(), left.last().map(String::as_str), found.unwrap().torn), (complete + 1, Some("four"), 0));
    }
}

#[test]
fn a_damaged_line_with_others_behind_it_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path(), &["one", "two", "three"]));
    let file = folder.path().join("changes.log");
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let line = 1 + whole[..60].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(names(folder.path()).0, Err(format!("Damaged({line})")));
    assert!(matches!(Log::open(folder.path(), |_| ()), Err(LogError::Damaged(_))));
    // Intact, but of a later version: cutting it off would lose it.
    let later = "{\"project\":{}}";
    let line = format!("{:08x} {:08x} {later}\n", later.len(), crc32fast::hash(later.as_bytes()));
    fs::write(&file, [&whole[..], line.as_bytes()].concat()).unwrap();
    assert_eq!(names(folder.path()).0, Err("Damaged(4)".to_owned()));
}

#[test]
fn a_file_that_is_written_anew_has_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = written(folder.path(), &["one", "two", "three"]);
    assert!(!log.is_long(2) && log.is_long(0) == (log.lines > SPARE_LINES));
    log.rewrite(["two", "three"].map(group).into_iter()).unwrap();
    append(&mut log, "four");
    assert_eq!(names(folder.path()).1, ["two", "three", "four"]);
    assert_eq!((log.lines, log.length), (3, fs::metadata(folder.path().join("changes.log")).unwrap().len()));
    // Killed while the new file was written: the old one counts.
    fs::write(folder.path().join("changes.new"), b"half").unwrap();
    assert_eq!(names(folder.path()).1, ["two", "three", "four"]);
}

#[test]
fn one_process_writes_and_another_takes_over_when_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = written(folder.path(), &["one"]);
    // The lock belongs to the open file, so that two logs of one process are like those of two.
    let mut second = written(folder.path(), &[]);
    assert!(first.is_ours() && !second.is_ours());
    append(&mut first, "two");
    assert!(!second.take_over(|_| ()).unwrap());
    drop(first);
    let mut count = 0;
    assert!(second.take_over(|_| count += 1).unwrap());
    assert_eq!(count, 2);
    append(&mut second, "three");
    assert_eq!(names(folder.path()).1, ["one", "two", "three"]);
}

#[test]
fn a_folder_that_is_removed_is_made_anew() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("accounts");
    let mut log = written(&folder, &["one"]);
    assert!(!log.is_gone());
    fs::remove_dir_all(&folder).unwrap();
    assert!(log.is_gone());
    log.restore([group("one")].into_iter()).unwrap();
    append(&mut log, "two");
    assert_eq!((names(&folder).1, log.is_gone()), (vec!["one".to_owned(), "two".to_owned()], false));
}

#[test]
fn a_file_that_is_removed_cut_or_replaced_is_written_anew_and_never_filled_with_zeros() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("accounts");
    let (file, aside) = (folder.join("changes.log"), parent.path().join("aside"));
    let mut log = written(&folder, &["one", "two"]);
    let whole = fs::read(&file).unwrap();
    for (what, damage) in [
        ("removed", &(|| fs::remove_file(&file)) as &dyn Fn() -> io::Result<()>),
        ("cut", &|| fs::write(&file, &whole[..60])),
        ("replaced", &|| fs::copy(&file, &aside).and_then(|_| fs::rename(&aside, &file))),
    ] {
        for is_open in [true, false] {
            append(&mut log, "two");
            if !is_open {
                // As after an error.
                log.file = None;
            }
            assert!(!log.is_gone(), "{what}");
            damage().unwrap();
            assert!(log.is_gone(), "{what}");
            if what == "cut" && !is_open {
                assert!(log.append(&[group("three")], true).is_err(), "it is shorter than what was written to it");
                assert_eq!(fs::read(&file).unwrap(), &whole[..60]);
            }
            log.restore(["one", "two"].map(group).into_iter()).unwrap();
            assert_eq!((names(&folder).1, log.is_gone()), (vec!["one".to_owned(), "two".to_owned()], false), "{what}");
        }
    }
    assert!(!Log::open(&folder, |_| ()).unwrap().0.is_ours(), "the lock was kept");
}
