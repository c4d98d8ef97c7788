use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::key::{NEVER, Previous};

fn key(id: u64, text: &str) -> Key {
    Key {
        id: KeyId::Made(id),
        group: "g".into(),
        hash: KeyHash::of(text.as_bytes()),
        previous: None,
        expires: NEVER,
        blocked: false,
        name: None,
        labels: None,
    }
}

fn rotated(id: u64, text: &str, older: &str) -> Key {
    let previous = Previous { hash: KeyHash::of(older.as_bytes()), until: 50 };
    Key { previous: Some(Box::new(previous)), ..key(id, text) }
}

fn found(registry: &Registry, text: &str) -> Option<u64> {
    registry.find(&KeyHash::of(text.as_bytes())).map(|key| match key.id {
        KeyId::Made(id) => id,
        KeyId::Named(_) => u64::MAX,
    })
}

#[test]
fn no_two_keys_have_the_same_text() {
    let registry = Registry::default();
    registry.put(rotated(1, "one", "older")).expect("new");
    for text in ["one", "older"] {
        assert_eq!(registry.put(key(2, text)), Err(SameText(KeyId::Made(1))));
        assert_eq!(registry.put(rotated(2, "two", text)), Err(SameText(KeyId::Made(1))));
    }
    assert_eq!((registry.len(), found(&registry, "two")), (1, None));
    registry.put(key(1, "one")).expect("its own");
    registry.put(key(2, "older")).expect("nobody has it any more");
}

#[test]
fn groups_are_counted_and_named_once() {
    let mut list = KeyList::default();
    let of = |group: &str, id| Key { group: group.into(), ..key(id, "x") };
    let (one, _) = list.put(of("a", 1));
    let (two, _) = list.put(of("a", 2));
    assert!(Arc::ptr_eq(&one.group, &two.group));
    assert_eq!((list.count_of("a"), list.count_of("b")), (2, 0));
    list.put(of("b", 1));
    list.remove(&KeyId::Made(2));
    assert_eq!(list.groups().collect::<Vec<_>>(), [("b", 1)]);
    assert_eq!(list.after(Some(&KeyId::Made(0))).len(), 1);
    assert_eq!(list.after(Some(&KeyId::Made(1))).len(), 0);
}

/// One change: which key, what it does with it, and with what text.
fn change() -> impl Strategy<Value = (u64, u8, u8)> {
    (0..8_u64, 0..4_u8, 0..40_u8)
}

proptest! {
    /// After any changes each text finds the key that has it, and the list has the same keys as the map.
    #[test]
    fn any_changes_end_in_what_they_say(changes in proptest::collection::vec(change(), 0..60)) {
        let registry = Registry::default();
        // What should be there: each key's text and its text before.
        let mut model: BTreeMap<u64, (String, Option<String>)> = BTreeMap::new();
        for (id, what, text) in changes {
            let text = format!("text-{text}");
            let taken = |model: &BTreeMap<u64, (String, Option<String>)>| {
                model.iter().any(|(other, (now, older))| *other != id && (*now == text || older.as_ref() == Some(&text)))
            };
            let before = model.get(&id).map(|(now, _)| now.clone());
            match (what, before) {
                (0, _) => {
                    prop_assert_eq!(registry.remove(&KeyId::Made(id)), model.remove(&id).is_some());
                }
                (1, Some(older)) if older != text => {
                    let put = registry.put(rotated(id, &text, &older));
                    prop_assert_eq!(put.is_err(), taken(&model));
                    if put.is_ok() {
                        model.insert(id, (text, Some(older)));
                    }
                }
                _ => {
                    let put = registry.put(key(id, &text));
                    prop_assert_eq!(put.is_err(), taken(&model));
                    if put.is_ok() {
                        model.insert(id, (text, None));
                    }
                }
            }
        }
        let expect = |registry: &Registry| {
            for number in 0..40 {
                let text = format!("text-{number}");
                let has = |(_, (now, older)): &(&u64, &(String, Option<String>))| *now == text || older.as_ref() == Some(&text);
                prop_assert_eq!(found(registry, &text), model.iter().find(has).map(|(id, _)| *id), "{}", text);
            }
            let listed: Vec<KeyId> = registry.read(|list| list.keys().iter().map(|key| key.id.clone()).collect());
            prop_assert_eq!(listed, model.keys().map(|id| KeyId::Made(*id)).collect::<Vec<_>>());
            prop_assert_eq!(registry.len(), model.len());
            Ok(())
        };
        expect(&registry)?;
        // As a start does it: all at once.
        let mut list = KeyList::default();
        registry.read(|known| known.keys().iter().rev().for_each(|key| drop(list.put(Key::clone(key)))));
        let other = Registry::default();
        other.replace(list);
        expect(&other)?;
    }
}
