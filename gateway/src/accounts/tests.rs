use std::path::Path;

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;

use super::api::{KeyState, Source};
use super::show::Query;
use super::*;

fn config(more: &str) -> Arc<Config> {
    let text = format!(
        "[backends.b]\nkind = \"sim\"\n[models.phi2]\nbackend = \"b\"\n[groups.acme]\n{more}\n[keys.filed]\ngroup = \"acme\"\n\
         sha256 = \"{}\"\n",
        KeyHash::of(b"wg-filed")
    );
    Arc::new(Config::parse(&text, "test", Path::new(".")).expect("valid"))
}

fn open(folder: &Path) -> Arc<ManagedAccounts> {
    ManagedAccounts::open(Some(folder.to_owned()), config("")).expect("readable")
}

fn fields(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(fields) = value else { panic!("an object") };
    fields
}

fn found(accounts: &ManagedAccounts, text: &str) -> Option<String> {
    accounts.registry().find(&KeyHash::of(text.as_bytes())).map(|key| key.id.to_string())
}

fn everything(accounts: &ManagedAccounts) -> Vec<Change> {
    let writer = accounts.lock_writer();
    accounts.write_all(&writer.marks, |all| all.map(|marked| marked.change).collect())
}

#[test]
fn what_operators_made_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    accounts.create_group(&fields(json!({"name": "team", "parent": "acme", "limits": {"usd_per_day": 5}}))).unwrap();
    let key = |more: Value| {
        let mut all = fields(json!({"group": "team"}));
        all.extend(fields(more));
        accounts.create_key(&all).unwrap()
    };
    let anna = key(json!({"name": "anna", "labels": {"plan": "gold"}, "expires_after_seconds": 1000}));
    let bert = key(json!({}));
    let cleo = key(json!({"group": "acme"}));
    let newer = accounts.rotate_key(&bert.status.id, &fields(json!({"grace_seconds": 60}))).unwrap();
    accounts.block_key(&anna.status.id, true).unwrap();
    accounts.delete_key(&cleo.status.id).unwrap();
    let before = everything(&accounts);
    assert_eq!(before.len(), 3);
    drop(accounts);
    let accounts = open(folder.path());
    assert_eq!(everything(&accounts), before);
    for (text, id) in [(&anna.key, &anna), (&bert.key, &bert), (&newer.key, &bert)] {
        assert_eq!(found(&accounts, text).as_ref(), Some(&id.status.id));
    }
    assert_eq!(found(&accounts, &cleo.key), None);
    let shown = accounts.key(&anna.status.id).unwrap();
    assert_eq!(
        (shown.state, shown.name.as_deref(), &shown.labels["plan"]),
        (KeyState::Blocked, Some("anna"), &"gold".to_owned())
    );
    assert_eq!(shown.expires, shown.created.map(|created| created + 1000));
    let text = std::fs::read_to_string(folder.path().join("changes.log")).unwrap();
    assert!(!text.contains("wg-") && text.contains(&KeyHash::of(anna.key.as_bytes()).to_string()));
}

#[test]
fn the_file_owns_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    let conflicts = |done: Result<String, NotDone>| match done {
        Err(NotDone::Conflict(message)) => assert!(message.contains("configuration file"), "{message}"),
        other => panic!("{other:?}"),
    };
    conflicts(accounts.block_key("filed", true).map(|key| key.id));
    conflicts(accounts.delete_key("filed").map(|key| key.id));
    conflicts(accounts.rotate_key("filed", &fields(json!({"grace_seconds": 0}))).map(|key| key.key));
    conflicts(accounts.update_group("acme", &fields(json!({}))).map(|group| group.name));
    conflicts(accounts.delete_group("acme").map(|group| group.name));
    let page = accounts.keys(&Query::default()).unwrap();
    assert_eq!((page.keys.len(), page.keys[0].source, page.next), (1, Source::Configuration, None));
    assert_eq!(accounts.key("filed").unwrap().state, KeyState::Valid);
    assert_eq!(accounts.group("acme").unwrap().keys, 1);
}

#[test]
fn a_group_goes_when_nothing_belongs_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    accounts.create_group(&fields(json!({"name": "team"}))).unwrap();
    accounts.create_group(&fields(json!({"name": "anna", "parent": "team"}))).unwrap();
    let key = accounts.create_key(&fields(json!({"group": "team"}))).unwrap().status.id;
    let refused = |said: &str| match accounts.delete_group("team") {
        Err(NotDone::Conflict(message)) => assert!(message.contains(said), "{message}"),
        other => panic!("{other:?}"),
    };
    refused("1 keys belong");
    accounts.update_key(&key, &fields(json!({"group": "anna"}))).unwrap();
    refused("\"anna\" is below");
    accounts.update_group("anna", &fields(json!({"parent": null, "labels": {"plan": "pro"}}))).unwrap();
    accounts.delete_group("team").unwrap();
    assert_eq!(accounts.group("team"), Err(NotDone::NoSuchGroup("there is no group \"team\"".to_owned())));
    assert!(matches!(accounts.create_key(&fields(json!({"group": "team"}))), Err(NotDone::Invalid(_))));
    assert!(matches!(accounts.create_group(&fields(json!({"name": "anna"}))), Err(NotDone::Conflict(_))));
}

#[test]
fn a_configuration_without_the_parent_suspends_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    accounts.create_group(&fields(json!({"name": "team", "parent": "acme"}))).unwrap();
    let key = accounts.create_key(&fields(json!({"group": "team"}))).unwrap().status.id;
    let other = "[backends.b]\nkind = \"sim\"\n[models.phi2]\nbackend = \"b\"\n";
    accounts.configured(&Arc::new(Config::parse(other, "test", Path::new(".")).unwrap()));
    assert_eq!(accounts.key(&key).unwrap().state, KeyState::Suspended);
    assert_eq!(accounts.group("team").unwrap().suspended.as_deref(), Some("there is no group \"acme\""));
    assert_eq!(accounts.access().0.accounts.position("team"), None);
    accounts.configured(&config("denied_models = []"));
    assert_eq!(accounts.key(&key).unwrap().state, KeyState::Valid);
    assert!(accounts.access().0.accounts.position("team").is_some());
}

#[test]
fn without_a_folder_nothing_is_made_and_damage_is_no_start() {
    let accounts = ManagedAccounts::open(None, config("")).unwrap();
    let made = accounts.create_key(&fields(json!({"group": "acme"})));
    assert!(matches!(&made, Err(NotDone::NotSaved(why)) if why.contains("state_dir")), "{made:?}");
    let folder = tempfile::tempdir().unwrap();
    let change = Change::DeletedGroup("team".to_owned()).to_json();
    let line = format!("{:08x} {:08x} {change}\n", change.len(), crc32fast::hash(change.as_bytes()));
    std::fs::write(folder.path().join("changes.log"), format!("nothing\n{line}")).unwrap();
    let error = ManagedAccounts::open(Some(folder.path().to_owned()), config("")).unwrap_err();
    assert!(error.contains("changes.log:1: ") && error.contains("backup"), "{error}");
}

#[test]
fn many_changes_of_few_keys_make_no_long_file() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    let key = accounts.create_key(&fields(json!({"group": "acme"}))).unwrap().status.id;
    for number in 0..1200 {
        accounts.block_key(&key, number % 2 == 0).unwrap();
    }
    let lines = std::fs::read_to_string(folder.path().join("changes.log")).unwrap().lines().count();
    assert!(lines < 1100, "{lines}");
    drop(accounts);
    assert_eq!(open(folder.path()).key(&key).unwrap().state, KeyState::Valid);
}

#[test]
fn pages_have_each_key_once() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    accounts.create_group(&fields(json!({"name": "team"}))).unwrap();
    let made: Vec<String> = (0..7)
        .map(|number| {
            let group = if number % 2 == 0 { "team" } else { "acme" };
            accounts.create_key(&fields(json!({"group": group, "name": format!("k{}", number % 3)}))).unwrap().status.id
        })
        .collect();
    let mut query = Query { limit: Some(3), ..Query::default() };
    let mut listed = Vec::new();
    loop {
        let page = accounts.keys(&query).unwrap();
        assert!(page.keys.len() <= 3);
        listed.extend(page.keys.into_iter().map(|key| key.id));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let mut all = made.clone();
    all.sort();
    all.insert(0, "filed".to_owned());
    assert_eq!(listed, all);
    let of_team = Query { group: Some("team".to_owned()), name: Some("k0".to_owned()), ..Query::default() };
    assert_eq!(accounts.keys(&of_team).unwrap().keys.len(), 2);
    let unknown = Query { after: Some("nobody".to_owned()), ..Query::default() };
    assert!(matches!(accounts.keys(&unknown), Err(NotDone::NoSuchKey(_))));
}

#[test]
fn a_change_says_what_changes_and_null_removes() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    let labels = json!({"group": "acme", "name": "n", "labels": {"plan": "gold", "region": "eu", "none": null}});
    let key = accounts.create_key(&fields(labels)).unwrap().status.id;
    let changed = accounts.update_key(&key, &fields(json!({"labels": {"plan": "trial", "region": null}}))).unwrap();
    assert_eq!(
        (changed.labels.len(), &changed.labels["plan"], changed.name.as_deref()),
        (1, &"trial".to_owned(), Some("n"))
    );
    let changed = accounts.update_key(&key, &fields(json!({"labels": null, "name": null}))).unwrap();
    assert_eq!((changed.labels.len(), changed.name), (0, None));
    let made = json!({"name": "team", "models": null, "limits": {"usd_per_day": 5, "concurrent": 3}, "labels": {"plan": "pro"}});
    accounts.create_group(&fields(made)).unwrap();
    let patch = json!({"limits": {"usd_per_day": null, "requests_per_day": 9}, "labels": null});
    let changed = accounts.update_group("team", &fields(patch)).unwrap();
    assert_eq!(Value::Object(changed.settings), json!({"limits": {"concurrent": 3, "requests_per_day": 9}}));
}

#[test]
fn each_wrong_value_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    let key = accounts.create_key(&fields(json!({"group": "acme"}))).unwrap().status.id;
    for (value, said) in [
        (json!({"group": 5}), "`group`: expected the name"),
        (json!({"group": "acm"}), "did you mean \"acme\"?"),
        (json!({"name": ""}), "`name`: expected a text of 1 to 128"),
        (json!({"labels": {"a": 1}}), "`labels`: expected at most 16 texts"),
        (json!({"labels": {"A": "x"}}), "labels.A: \"A\" is not a label"),
        (json!({"expires_after_seconds": 0}), "`expires_after_seconds`: expected a whole number"),
        (json!({"expires_after_seconds": 1.5}), "`expires_after_seconds`: expected a whole number"),
    ] {
        match accounts.update_key(&key, &fields(value.clone())) {
            Err(NotDone::Invalid(message)) => assert!(message.contains(said), "{value}: {message}"),
            other => panic!("{value}: {other:?}"),
        }
    }
    for grace in [json!({}), json!({"grace_seconds": -1}), json!({"grace_seconds": 7_776_001})] {
        assert!(matches!(accounts.rotate_key(&key, &fields(grace)), Err(NotDone::Invalid(_))));
    }
    let rename = accounts.update_group("acme", &fields(json!({"name": "other"})));
    assert!(matches!(rename, Err(NotDone::Conflict(_))), "{rename:?}");
    assert_eq!(accounts.key(&key).unwrap().state, KeyState::Valid);
}

#[tokio::test]
async fn whoever_changes_a_group_while_the_gateway_stops_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = open(folder.path());
    let create = |name: &str| {
        let fields = fields(json!({"name": name}));
        accounts.operate(move |accounts| accounts.create_group(&fields))
    };
    let publish = async {
        let mut changes = accounts.group_changes();
        changes.changed().await.unwrap();
        accounts.published(accounts.access().1);
    };
    let (made, ()) = tokio::join!(create("first"), publish);
    assert_eq!(made.unwrap().name, "first");
    let stop = async {
        let mut changes = accounts.group_changes();
        changes.changed().await.unwrap();
        accounts.published_last();
    };
    let (made, ()) = tokio::join!(create("second"), stop);
    assert!(matches!(made, Err(NotDone::Stopping)), "{made:?}");
    assert_eq!(
        accounts.operate(|accounts| accounts.group("first")).await.map(|group| group.name),
        Err(NotDone::Stopping)
    );
    drop(accounts);
    assert_eq!(open(folder.path()).groups().groups.len(), 3, "it counts after the next start");
}
