//! Who imports whom. `edges.txt` lists the imports between the rooms of `gateway/src` (a folder, or a file that stands
//! alone) that there are today: none may be added, and one that is gone leaves the list.

use std::collections::BTreeSet;

use super::imports::{Imports, crates, room};

#[test]
fn no_room_imports_what_it_did_not() {
    let (source, name) = crates().swap_remove(0);
    let imports = Imports::read(&source, name);
    let edges: BTreeSet<String> = imports
        .0
        .iter()
        .flat_map(|(file, targets)| targets.iter().map(|target| (room(file), room(target))))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| format!("{from} {to}"))
        .collect();
    let listed: BTreeSet<String> = include_str!("edges.txt").lines().map(str::to_owned).collect();
    let added: Vec<_> = edges.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&edges).collect();
    assert!(added.is_empty() && gone.is_empty(), "added: {added:#?}\ngone: {gone:#?}");
}
