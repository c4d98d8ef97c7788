//! Which of two states of a key or group counts, when they were changed at gateways that did not know of each other.
//!
//! A state that was made of the other one counts. If neither was, what the others know stays, and of the other change whatever
//! refuses more is taken over: that a key is deleted or blocked, an earlier end, a newer text. So no gateway that was away brings
//! back what was taken away, and no clock decides.

use wasmgate_accounts::{Key, Previous};

use super::change::Change;
use super::mark::Mark;

/// What follows for this gateway.
#[derive(Debug, PartialEq)]
pub(super) enum Met {
    /// Its own state counts: it tells it.
    Keep,
    /// The other's counts.
    Adopt,
    /// Something of both counts: it tells that.
    Become(Change),
}

/// Our state with its mark, and the one that the others have, of this revision.
pub(super) fn meet(ours: &Change, mark: Mark, theirs: &Change, revision: u64) -> Met {
    if ours == theirs {
        return if mark.is_told() && mark.revision > revision { Met::Keep } else { Met::Adopt };
    }
    match (ours, theirs) {
        // Nobody makes a key with the id of another one, so that this is for ever.
        (_, Change::DeletedKey(_)) => return Met::Adopt,
        (Change::DeletedKey(_), _) if mark.base < revision || mark.revision == revision => {
            return Met::Become(ours.clone());
        }
        _ => {}
    }
    let is_known = if mark.is_told() { mark.revision > revision } else { mark.base >= revision };
    match () {
        () if is_known => Met::Keep,
        () if mark.is_told() && mark.revision < revision => Met::Adopt,
        () => match join(ours, theirs) {
            joined if joined == *theirs => Met::Adopt,
            joined => Met::Become(joined),
        },
    }
}

/// What counts of two changes that were made apart.
fn join(ours: &Change, theirs: &Change) -> Change {
    match (ours, theirs) {
        (Change::Key(ours), Change::Key(theirs)) => Change::Key(join_keys(ours, theirs)),
        _ => theirs.clone(),
    }
}

fn join_keys(ours: &Key, theirs: &Key) -> Key {
    let mut key = theirs.clone();
    key.blocked |= ours.blocked;
    key.expires = key.expires.min(ours.expires);
    let older = |key: &Key| key.previous.as_ref().map(|previous| previous.hash);
    match () {
        () if ours.hash == theirs.hash || (older(ours).is_some() && older(ours) == older(theirs)) => {
            key.previous = sooner(ours, theirs);
        }
        () if older(ours) == Some(theirs.hash) => (key.hash, key.previous) = (ours.hash, ours.previous.clone()),
        () if older(theirs) == Some(ours.hash) => {}
        // Nobody knows which text is the older one, which may have been replaced because others know it.
        () => key.blocked = true,
    }
    key
}

/// The older text that both have, for as long as both say.
fn sooner(ours: &Key, theirs: &Key) -> Option<Box<Previous>> {
    let (ours, theirs) = (ours.previous.as_ref()?, theirs.previous.as_ref()?);
    (ours.hash == theirs.hash).then(|| Box::new(Previous { hash: ours.hash, until: ours.until.min(theirs.until) }))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use wasmgate_accounts::{KeyHash, KeyId, NEVER};

    use super::*;
    use crate::config::ManagedGroup;

    fn key(text: &str) -> Key {
        Key {
            id: KeyId::new(1, 1),
            group: "g".into(),
            hash: KeyHash::of(text.as_bytes()),
            previous: None,
            expires: NEVER,
            blocked: false,
            name: None,
            labels: None,
        }
    }

    fn rotated(text: &str, older: &str, until: u64) -> Key {
        let previous = Previous { hash: KeyHash::of(older.as_bytes()), until };
        Key { previous: Some(Box::new(previous)), ..key(text) }
    }

    fn blocked(key: Key) -> Key {
        Key { blocked: true, ..key }
    }

    fn named(name: &str, key: Key) -> Key {
        Key { name: Some(name.into()), ..key }
    }

    fn mark(revision: u64, base: u64) -> Mark {
        Mark { revision, base, gone: None }
    }

    #[test]
    fn what_was_made_of_the_other_counts() {
        let (one, other) = (Change::Key(key("a")), Change::Key(blocked(key("a"))));
        for (ours, theirs, expected) in [
            (mark(3, 3), 4, Met::Adopt),
            (mark(3, 3), 2, Met::Keep),
            (mark(4, 3), 3, Met::Keep),
            (mark(4, 3), 2, Met::Keep),
        ] {
            assert_eq!(meet(&one, ours, &other, theirs), expected, "{ours:?} {theirs}");
            assert_eq!(meet(&other, ours, &one, theirs), expected, "{ours:?} {theirs}");
        }
        assert_eq!(meet(&one, mark(1, 0), &one.clone(), 1), Met::Adopt, "an answer was lost");
        assert_eq!(meet(&one, mark(4, 1), &one.clone(), 2), Met::Adopt, "changed there and back");
        assert_eq!(meet(&one, mark(4, 4), &one.clone(), 2), Met::Keep, "the server was restored from a backup");
    }

    #[test]
    fn of_two_changes_that_were_made_apart_what_refuses_more_counts() {
        let apart = |ours: Key, theirs: Key| {
            let theirs = Change::Key(theirs);
            match meet(&Change::Key(ours), mark(2, 1), &theirs, 2) {
                Met::Become(Change::Key(key)) => key,
                Met::Adopt => match theirs {
                    Change::Key(key) => key,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        };
        // Blocked here, renamed there, and the other way round.
        assert_eq!(apart(blocked(key("a")), named("n", key("a"))), blocked(named("n", key("a"))));
        assert_eq!(apart(named("n", key("a")), blocked(key("a"))), blocked(key("a")));
        assert_eq!(apart(Key { expires: 9, ..key("a") }, named("n", key("a"))).expires, 9);
        // Rotated here, renamed there, and the other way round: the older text ends as the rotation says.
        assert_eq!(apart(rotated("b", "a", 5), named("n", key("a"))), named("n", rotated("b", "a", 5)));
        assert_eq!(apart(named("n", key("a")), rotated("b", "a", 5)), rotated("b", "a", 5));
        // Rotated at both: one of the new texts counts, and the older one ends at the earlier time.
        assert_eq!(apart(rotated("b", "a", 5), rotated("c", "a", 9)), rotated("c", "a", 5));
        // Rotated twice here, renamed there.
        assert!(apart(rotated("c", "b", 5), named("n", key("a"))).blocked);
    }

    #[test]
    fn a_deleted_key_never_returns_and_a_group_is_as_the_others_have_it() {
        let (there, gone) = (Change::Key(key("a")), Change::DeletedKey(KeyId::new(1, 1)));
        for ours in [mark(2, 1), mark(9, 9), mark(9, 1), mark(1, 0)] {
            for theirs in [1, 2, 9, 12] {
                assert_eq!(meet(&there, ours, &gone, theirs), Met::Adopt);
                let met = meet(&gone, ours, &there, theirs);
                let is_accepted = ours.base > theirs || (ours.base == theirs && ours.revision > theirs);
                let expected = if is_accepted { Met::Keep } else { Met::Become(gone.clone()) };
                assert_eq!(met, expected, "{ours:?} {theirs}");
            }
        }
        let group = |label: &str| {
            let settings = Map::from_iter([("timezone".to_owned(), label.into())]);
            Change::Group(ManagedGroup { name: "g".to_owned(), settings })
        };
        assert_eq!(meet(&group("here"), mark(2, 1), &group("there"), 2), Met::Adopt);
        assert_eq!(meet(&Change::DeletedGroup("g".to_owned()), mark(2, 1), &group("there"), 2), Met::Adopt);
        assert_eq!(meet(&Change::DeletedGroup("g".to_owned()), mark(2, 1), &group("there"), 1), Met::Keep);
    }
}
