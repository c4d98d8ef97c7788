//! Gateways exchange through a server in memory, which does what `entries_read.lua` and `entries_write.lua` do.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::config::Config;

/// What is in the server.
#[derive(Debug, Default)]
struct Server {
    changed: u64,
    texts: BTreeMap<String, (u64, Entry)>,
}

impl Server {
    fn read(&self, since: u64) -> (Vec<Entry>, u64) {
        let mut new: Vec<&(u64, Entry)> = self.texts.values().filter(|(number, _)| *number > since).collect();
        new.sort_by_key(|(number, _)| *number);
        (new.into_iter().map(|(_, entry)| entry.clone()).collect(), self.changed)
    }

    fn write(&mut self, Told { entry, base, .. }: &Told) -> Option<Entry> {
        if let Some((_, here)) = self.texts.get(&entry.name) {
            if here == entry {
                return None;
            }
            if *base < here.revision || (*base == here.revision && entry.revision <= here.revision) {
                return Some(here.clone());
            }
        }
        self.changed += 1;
        self.texts.insert(entry.name.clone(), (self.changed, entry.clone()));
        None
    }

    /// Forgets deleted ones.
    fn purge(&mut self) {
        self.texts.retain(|_, (_, entry)| !entry.text.contains("deleted"));
    }
}

struct Gateway {
    folder: TempDir,
    accounts: Arc<ManagedAccounts>,
    through: Option<u64>,
}

fn open(folder: &TempDir) -> Arc<ManagedAccounts> {
    let text = "[backends.b]\nkind = \"sim\"\n[models.phi2]\nbackend = \"b\"\n[groups.acme]\n\
                [shared]\nurl = \"redis://127.0.0.1:1\"\n";
    let config = Config::parse(text, "test", Path::new(".")).expect("valid");
    ManagedAccounts::open(Some(folder.path().to_owned()), Arc::new(config)).expect("readable")
}

fn fields(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("an object") };
    fields
}

impl Gateway {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self { accounts: open(&folder), folder, through: None }
    }

    fn restart(&mut self) {
        // The lock is free before the folder is opened anew.
        let other = TempDir::new().expect("a folder");
        self.accounts = open(&other);
        self.accounts = open(&self.folder);
        self.through = None;
    }

    /// A round as the task does it. `is_answered`: whether the answers arrive.
    fn round(&mut self, server: &mut Server, is_answered: bool) {
        let (entries, changed) = server.read(self.through.unwrap_or_default());
        self.accounts.take(&entries).expect("kept");
        if self.through.is_none() {
            let seen = entries.iter().map(|entry| entry.name.clone()).collect();
            self.accounts.compared(&seen).expect("kept");
        }
        self.through = Some(changed);
        for _ in 0..100 {
            let due = self.accounts.due(true).expect("kept");
            if due.is_empty() {
                self.accounts.synced().expect("noted");
                return;
            }
            let answers = due.iter().map(|told| server.write(told)).collect();
            if !is_answered {
                return;
            }
            self.accounts.answered(&due, answers).expect("kept");
        }
        panic!("the server never has what is told");
    }

    fn key(&self) -> String {
        self.accounts.create_key(&fields(json!({"group": "acme"}))).expect("made").status.id
    }

    fn everything(&self) -> Vec<Change> {
        let writer = self.accounts.lock_writer();
        let all = self.accounts.write_all(&writer.marks, |all| all.map(|of| of.change).collect::<Vec<_>>());
        let mut all: Vec<Change> = all.into_iter().filter(|change| !change.is_deletion()).collect();
        all.sort_by_key(|change| change.name().text());
        all
    }

    fn is_blocked(&self, id: &str) -> bool {
        self.accounts.key(id).expect("there").state == crate::accounts::api::KeyState::Blocked
    }
}

/// Rounds of all until nobody has anything to tell.
fn settle(gateways: &mut [Gateway], server: &mut Server) {
    for _ in 0..3 {
        gateways.iter_mut().for_each(|gateway| gateway.round(server, true));
    }
}

#[test]
fn what_is_made_at_one_is_at_all_and_what_is_taken_away_stays_away() {
    let mut server = Server::default();
    let mut gateways = [Gateway::new(), Gateway::new()];
    // Both had keys before they met.
    let keys = gateways.each_ref().map(Gateway::key);
    gateways[0].accounts.create_group(&fields(json!({"name": "team"}))).expect("made");
    settle(&mut gateways, &mut server);
    assert_eq!(gateways[0].everything(), gateways[1].everything());
    assert_eq!(gateways[0].everything().len(), 3);
    // One is away, changes what the other one blocks and deletes, and is restarted.
    gateways[0].accounts.block_key(&keys[0], true).expect("blocked");
    gateways[0].accounts.delete_key(&keys[1]).expect("deleted");
    gateways[0].round(&mut server, true);
    for key in &keys {
        gateways[1].accounts.update_key(key, &fields(json!({"name": "renamed"}))).expect("changed");
    }
    gateways[1].restart();
    settle(&mut gateways, &mut server);
    for gateway in &gateways {
        assert!(gateway.is_blocked(&keys[0]) && gateway.accounts.key(&keys[1]).is_err());
        assert_eq!(gateway.accounts.spread.untold(), 0);
    }
    assert_eq!(gateways[1].accounts.spread.conflicts(), 2);
    // The server loses its memory; a third one knew the keys before they were blocked and deleted.
    server = Server::default();
    gateways.iter_mut().for_each(|gateway| gateway.through = None);
    gateways[1].accounts.block_key(&keys[0], false).expect("unblocked");
    settle(&mut gateways, &mut server);
    assert!(!gateways[0].is_blocked(&keys[0]));
    assert_eq!(gateways[0].everything().len(), 2);
}

#[test]
fn an_answer_that_is_lost_is_no_conflict() {
    let mut server = Server::default();
    let mut gateways = [Gateway::new(), Gateway::new()];
    let key = gateways[0].key();
    settle(&mut gateways, &mut server);
    gateways[0].accounts.block_key(&key, true).expect("blocked");
    gateways[0].round(&mut server, false);
    gateways[0].accounts.block_key(&key, false).expect("unblocked");
    settle(&mut gateways, &mut server);
    assert!(!gateways[1].is_blocked(&key));
    assert_eq!(gateways[0].accounts.spread.conflicts(), 0);
}

#[test]
fn who_was_away_for_longer_than_deleted_keys_are_remembered_drops_what_the_others_do_not_have() {
    let mut server = Server::default();
    let mut gateways = [Gateway::new(), Gateway::new()];
    let (kept, deleted) = (gateways[0].key(), gateways[0].key());
    settle(&mut gateways, &mut server);
    gateways[0].accounts.delete_key(&deleted).expect("deleted");
    gateways[0].round(&mut server, true);
    server.purge();
    let own = gateways[1].key();
    let long_ago = now() - AWAY - 1;
    fs::write(gateways[1].folder.path().join("synced"), long_ago.to_string()).expect("written");
    gateways[1].restart();
    assert!(gateways[1].accounts.is_away());
    settle(&mut gateways, &mut server);
    assert!(!gateways[1].accounts.is_away());
    for gateway in &gateways {
        assert!(gateway.accounts.key(&deleted).is_err());
        assert!(gateway.accounts.key(&kept).is_ok() && gateway.accounts.key(&own).is_ok());
    }
    // An empty server knows nothing, so that nothing follows from it.
    server = Server::default();
    fs::write(gateways[1].folder.path().join("synced"), long_ago.to_string()).expect("written");
    gateways[1].restart();
    gateways[1].round(&mut server, true);
    assert!(gateways[1].accounts.key(&kept).is_ok());
}

#[test]
fn what_nobody_can_read_does_not_count_and_no_text_is_of_two_keys() {
    let (one, other) = (Gateway::new(), Gateway::new());
    let id = one.key();
    let Change::Key(mut key) = one.everything().remove(0) else { panic!("a key") };
    key.id = wasmgate_accounts::KeyId::new(1, 1);
    let same_text = Change::Key(key).to_json();
    let entries =
        [("k:key-0000000100000001", &*same_text), ("k:other", &same_text), ("x", "{}"), ("g:a", "{\"a\": 1}")];
    let entry = |(name, text): (&str, &str)| Entry { name: name.to_owned(), revision: 1, text: text.to_owned() };
    one.accounts.take(&entries.map(entry)).expect("taken");
    assert_eq!(one.everything().len(), 1);
    assert!(one.accounts.key(&id).is_ok());
    other.accounts.take(&[entry(entries[0])]).expect("taken");
    assert_eq!(other.everything().len(), 1);
}

/// What happens: at which gateway, what, to which key.
fn event() -> impl Strategy<Value = (usize, u8, usize)> {
    (0..3_usize, 0..12_u8, 0..4_usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens, in the end all gateways have the same, no deleted key returns, and no other key is lost.
    #[test]
    fn all_end_with_the_same(events in proptest::collection::vec(event(), 1..40)) {
        let mut server = Server::default();
        let mut gateways = [Gateway::new(), Gateway::new(), Gateway::new()];
        let (mut made, mut deleted) = (Vec::<String>::new(), HashSet::new());
        for (at, what, which) in events {
            let gateway = &mut gateways[at];
            let id = made.get(which).cloned().unwrap_or_default();
            match what {
                0 | 1 => made.push(gateway.key()),
                2 => drop(gateway.accounts.block_key(&id, true)),
                3 => drop(gateway.accounts.block_key(&id, false)),
                4 => drop(gateway.accounts.rotate_key(&id, &fields(json!({"grace_seconds": 0})))),
                5 => drop(gateway.accounts.update_key(&id, &fields(json!({"name": format!("n{at}")})))),
                6 => if gateway.accounts.delete_key(&id).is_ok() {
                    deleted.insert(id);
                }
                7 => drop(gateway.accounts.create_group(&fields(json!({"name": format!("g{which}")})))),
                8 => drop(gateway.accounts.delete_group(&format!("g{which}"))),
                9 => gateway.round(&mut server, which != 0),
                10 => gateway.restart(),
                _ => if which == 0 {
                    server = Server::default();
                    gateways.iter_mut().for_each(|gateway| gateway.through = None);
                } else {
                    gateway.round(&mut server, true);
                }
            }
        }
        settle(&mut gateways, &mut server);
        settle(&mut gateways, &mut server);
        let first = gateways[0].everything();
        for gateway in &gateways[1..] {
            prop_assert_eq!(&gateway.everything(), &first);
            prop_assert_eq!(gateway.accounts.spread.untold(), 0);
        }
        for id in made {
            prop_assert_eq!(gateways[0].accounts.key(&id).is_err(), deleted.contains(&id), "{}", id);
        }
        // A restart finds what was there.
        gateways[0].restart();
        prop_assert_eq!(&gateways[0].everything(), &first);
        prop_assert_eq!(gateways[0].accounts.lock_writer().outbox.as_ref().map(Outbox::len), Some(0));
    }
}
