use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::key::{KeyId, NEVER, Previous, Refused};

fn group(name: &str, parent: Option<&str>) -> GroupSpec {
    GroupSpec { name: name.into(), parent: parent.map(str::to_owned), ..GroupSpec::default() }
}

fn key(id: &str, group: &str) -> Key {
    Key {
        id: KeyId::Named(id.into()),
        group: group.into(),
        hash: KeyHash::of(id.as_bytes()),
        previous: None,
        expires: NEVER,
        blocked: false,
        name: None,
        labels: None,
    }
}

fn rotated(key: Key, older: &str, until: u64) -> Key {
    Key { previous: Some(Box::new(Previous { hash: KeyHash::of(older.as_bytes()), until })), ..key }
}

fn accounts(groups: &[GroupSpec], keys: Vec<Key>) -> Result<Accounts, Vec<Mistake>> {
    Accounts::new(groups, keys.into_iter().map(Arc::new).collect())
}

fn wrong(groups: &[GroupSpec], keys: Vec<Key>) -> Vec<Mistake> {
    accounts(groups, keys).expect_err("a mistake")
}

#[test]
fn what_a_parent_forbids_no_child_allows() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let groups = [
        GroupSpec {
            models: Some(names(&["a", "b", "c"])),
            labels: vec![label("plan", "basic"), label("region", "eu")],
            ..group("acme", None)
        },
        GroupSpec { denied_models: names(&["b"]), labels: vec![label("plan", "pro")], ..group("team", Some("acme")) },
        GroupSpec { models: Some(names(&["b", "c", "d"])), ..group("anna", Some("team")) },
        group("open", None),
    ];
    let accounts = accounts(&groups, Vec::new()).expect("no mistake");
    let permitted = |at: usize| ["a", "b", "c", "d"].map(|model| accounts.groups()[at].permits(model));
    assert_eq!(permitted(0), [true, true, true, false]);
    assert_eq!(permitted(1), [true, false, true, false]);
    assert_eq!(permitted(2), [false, false, true, false]);
    assert_eq!(permitted(3), [true; 4]);
    let anna = &accounts.groups()[2];
    assert_eq!(*anna.chain, [2, 1, 0]);
    assert_eq!((anna.label("plan"), anna.label("region"), anna.label("x")), (Some("pro"), Some("eu"), None));
}

#[test]
fn each_mistake_is_named() {
    let place = |name: &str| Place::Group(name.into());
    let of = |place, wrong| Mistake { place, wrong };
    assert_eq!(wrong(&[group("a", Some("x"))], vec![]), [of(place("a"), Wrong::NoGroup("x".into()))]);
    let circle = wrong(&[group("a", Some("b")), group("b", Some("a"))], vec![]);
    assert_eq!(circle[0].wrong, Wrong::Circle(vec!["a".into(), "b".into(), "a".into()]));
    assert_eq!(circle.len(), 2);
    // One that leads into a circle without being in it.
    let tail = wrong(&[group("c", Some("a")), group("a", Some("a"))], vec![]);
    assert_eq!(tail[0].wrong, Wrong::TooDeep);
    assert_eq!(tail[1].wrong, Wrong::Circle(vec!["a".into(), "a".into()]));
    let stairs = |depth: usize| -> Vec<GroupSpec> {
        let name = |at: usize| format!("g{at}");
        (0..depth).map(|at| group(&name(at), at.checked_sub(1).map(name).as_deref())).collect()
    };
    assert!(accounts(&stairs(MAX_DEPTH), vec![]).is_ok());
    assert_eq!(wrong(&stairs(MAX_DEPTH + 1), vec![])[0].wrong, Wrong::TooDeep);
    let own = Place::Key("k".into());
    assert_eq!(wrong(&[], vec![key("k", "g")]), [of(own, Wrong::NoGroup("g".into()))]);
    let same = vec![key("one", "g"), rotated(key("two", "g"), "one", 1)];
    let other = Place::Key("two".into());
    assert_eq!(wrong(&[group("g", None)], same), [of(other, Wrong::SameKey("one".into()))]);
}

#[test]
fn a_key_is_valid_until_it_expires_is_rotated_or_blocked() {
    let keys =
        vec![Key { expires: 100, ..rotated(key("anna", "g"), "older", 50) }, Key { blocked: true, ..key("bert", "g") }];
    let accounts = accounts(&[group("g", None)], keys).expect("no mistake");
    let find = |shown: &str, now| {
        let hash = KeyHash::of(shown.as_bytes());
        let key = accounts.find(&hash).ok_or(Refused::Unknown)?;
        key.admits(&hash, now).map(|()| key.id.to_string())
    };
    let anna = || Ok("anna".to_owned());
    assert_eq!((find("anna", 0), find("anna", 99), find("anna", 100)), (anna(), anna(), Err(Refused::Expired)));
    assert_eq!((find("older", 49), find("older", 50)), (anna(), Err(Refused::Rotated)));
    assert_eq!(find("older", 100), Err(Refused::Expired));
    assert_eq!(find("bert", 0), Err(Refused::Blocked));
    for unknown in ["", "Anna", "anna ", "ann"] {
        assert_eq!(find(unknown, 0), Err(Refused::Unknown), "{unknown:?}");
    }
    assert_eq!((accounts.position("g"), accounts.position("h")), (Some(0), None));
}

proptest! {
    /// Any set of keys: each text finds its own key and no other.
    #[test]
    fn each_text_finds_its_key(ids in proptest::collection::hash_set("[a-z]{1,6}", 0..50), asked in "[a-z]{1,6}") {
        let ids: Vec<String> = ids.into_iter().collect();
        let keys = ids.iter().map(|id| key(id, "g")).collect();
        let accounts = accounts(&[group("g", None)], keys).expect("no mistake");
        let find = |text: &str| accounts.find(&KeyHash::of(text.as_bytes())).map(|key| key.id.to_string());
        for id in &ids {
            prop_assert_eq!(find(id), Some(id.clone()));
        }
        prop_assert_eq!(find(&asked), ids.contains(&asked).then_some(asked));
    }
}
