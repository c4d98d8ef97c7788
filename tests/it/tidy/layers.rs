//! ARCHITECTURE.md holds: who imports whom, what each room must not name, and that no files of different folders form a
//! circle. The tables of that page are the data of these tests, so that page and code cannot disagree.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{Imports, crates, directory, room};
use super::{read, root, sources};

/// The face of the library declares its rooms and imports none; no room imports it.
const FACE: &str = "lib";

/// The block `layers` of ARCHITECTURE.md: each room with those that it may import, top first.
fn layers() -> Vec<(String, BTreeSet<String>)> {
    let page = read("ARCHITECTURE.md");
    let block = page.split("```layers\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of layers");
    let layers: Vec<_> = block
        .lines()
        .map(|line| {
            let mut names = line.split_whitespace().map(str::to_owned);
            (names.next().expect("a room"), names.collect())
        })
        .collect();
    assert!(layers.len() > 10, "{layers:?}");
    layers
}

#[test]
fn each_room_imports_what_the_architecture_allows_and_nothing_else() {
    let (source, name) = crates().swap_remove(0);
    let mut imported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, targets) in &Imports::read(&source, name).0 {
        let rooms = targets.iter().map(|target| room(target)).filter(|target| *target != room(file));
        imported.entry(room(file).to_owned()).or_default().extend(rooms.map(str::to_owned));
    }
    imported.remove(FACE);
    // The binary sees the library by its face.
    imported.entry("main".to_owned()).and_modify(|rooms| {
        if rooms.remove(FACE) {
            rooms.insert("run".to_owned());
        }
    });
    let layers = layers();
    let listed: BTreeSet<&String> = layers.iter().map(|(room, _)| room).collect();
    let found: BTreeSet<&String> = imported.keys().filter(|room| *room != "allocator").collect();
    assert_eq!(found, listed, "the rooms of gateway/src, and those of ARCHITECTURE.md");
    for (room, allowed) in &layers {
        assert_eq!(imported[room], *allowed, "what `{room}` imports, and what ARCHITECTURE.md says");
    }
}

#[test]
fn imports_run_downward() {
    let layers = layers();
    for (at, (room, allowed)) in layers.iter().enumerate() {
        for import in allowed {
            let below = layers[at..].iter().any(|(name, _)| name == import);
            assert!(below, "`{room}` imports `{import}`, which does not stand below it");
        }
    }
}

#[test]
fn no_files_of_different_folders_import_each_other() {
    for (source, name) in crates() {
        for circle in Imports::read(&source, name).circles() {
            let folders: BTreeSet<&str> = circle.iter().map(|file| directory(file)).collect();
            assert!(folders.len() == 1, "in {}: {circle:?}", source.display());
        }
    }
}

#[test]
fn no_room_names_what_it_must_not() {
    let page = read("ARCHITECTURE.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| row.len() == 6)
        .collect();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rooms: BTreeSet<String> = rows.iter().flat_map(|row| names(row[1])).collect();
    for (room, _) in layers().iter().filter(|(room, _)| !["main", "run"].contains(&room.as_str())) {
        assert!(rooms.contains(room), "ARCHITECTURE.md does not say what `{room}` must not know");
    }
    for row in rows {
        let room = &names(row[1])[0];
        let here = root().join("gateway/src");
        for (path, text) in sources() {
            let Ok(file) = path.strip_prefix(&here) else { continue };
            let is_test = file.iter().any(|part| part == "tests" || part == "tests.rs");
            if is_test || super::imports::room(file.to_str().unwrap()) != room {
                continue;
            }
            for library in names(row[4]) {
                let named = text.lines().any(|line| {
                    line.match_indices(&library).any(|(at, _)| {
                        let (before, after) = (&line[..at], &line[at + library.len()..]);
                        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                        let is_path = ["::", " as ", ";"].iter().any(|end| after.starts_with(end))
                            && (after.starts_with("::") || before.trim() == "use");
                        begins && is_path && !line.trim_start().starts_with("//")
                    })
                });
                assert!(!named, "{} names {library}, which `{room}` must not", file.display());
            }
        }
    }
}
