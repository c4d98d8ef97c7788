//! What operators do with keys.

use serde_json::{Map, Value};
use wasmgate_accounts::{Key, KeyHash, KeyId, Labels, NEVER, PREFIX, Previous, new_key};
use wasmgate_base::time::{UnixSeconds, now};

use super::api::{CreatedKey, KeyStatus, NotDone};
use super::fields::{Fields, Given, merge};
use super::show::status;
use super::{Change, Joined, ManagedAccounts};

impl ManagedAccounts {
    /// The fields of `create_key`.
    pub const NEW_KEY: &[&str] = &["group", "name", "labels", "expires_after_seconds"];
    /// The fields of `rotate_key`.
    pub const ROTATION: &[&str] = &["grace_seconds"];

    /// Makes a key.
    ///
    /// # Errors
    /// If a field is wrong, there is no such group, or the key cannot be kept.
    pub fn create_key(&self, fields: &Map<String, Value>) -> Result<CreatedKey, NotDone> {
        let writer = self.begin()?;
        let fields = with_labels(&Labels::default(), fields);
        let (joined, fields, now) = (self.joined(), Fields(&fields), now());
        let missing = || NotDone::Invalid("`group`: missing, expected the name of the key's group".to_owned());
        let group = fields.group()?.ok_or_else(missing)?;
        check_group(&joined, group)?;
        let (text, id) = loop {
            let mut random = [0; 36];
            getrandom::fill(&mut random)
                .map_err(|error| NotDone::NotSaved(format!("the system has no random numbers: {error}")))?;
            let mut secret = [0; 32];
            let (own, number) = random.split_at(32);
            secret.copy_from_slice(own);
            let number = number.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            let id = KeyId::new(now, number);
            // Of a million keys of one second, one would have the number of another.
            if self.registry.read(|list| list.get(&id).is_none()) {
                break (new_key(secret), id);
            }
        };
        let key = Key {
            id,
            group: group.into(),
            hash: KeyHash::of(text.as_bytes()),
            previous: None,
            expires: fields.expires_after()?.value().map_or(NEVER, |seconds| now + seconds),
            blocked: false,
            name: fields.name()?.value(),
            labels: fields.labels()?.value(),
        };
        let status = status(&key, &joined, now);
        self.make(writer, Change::Key(key))?;
        Ok(CreatedKey { key: text, status })
    }

    /// Changes what a request says of a key, as a JSON merge patch says it.
    ///
    /// # Errors
    /// If there is no such key, the file owns it, a field is wrong, or the change cannot be kept.
    pub fn update_key(&self, id: &str, fields: &Map<String, Value>) -> Result<KeyStatus, NotDone> {
        self.change_key(id, |key, joined, _| {
            let fields = with_labels(&Labels(key.labels().to_vec()), fields);
            let fields = Fields(&fields);
            if let Some(group) = fields.group()? {
                check_group(joined, group)?;
                key.group = group.into();
            }
            set(&mut key.name, fields.name()?);
            set(&mut key.labels, fields.labels()?);
            match fields.expires_after()? {
                Given::Nothing => {}
                Given::None => key.expires = NEVER,
                Given::Value(seconds) => key.expires = key.id.made_at().unwrap_or_default() + seconds,
            }
            Ok(())
        })
    }

    /// Gives a key a new text. The old one stays valid for as long as the request says; one from before that ends at once.
    ///
    /// # Errors
    /// As `update_key`.
    pub fn rotate_key(&self, id: &str, fields: &Map<String, Value>) -> Result<CreatedKey, NotDone> {
        let grace = Fields(fields).grace()?;
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|error| NotDone::NotSaved(format!("the system has no random numbers: {error}")))?;
        let text = new_key(random);
        let status = self.change_key(id, |key, _, now| {
            let hash = KeyHash::of(text.as_bytes());
            let older = std::mem::replace(&mut key.hash, hash);
            key.previous = Some(Box::new(Previous { hash: older, until: now + grace }));
            Ok(())
        })?;
        Ok(CreatedKey { key: text, status })
    }

    /// Blocks a key, or ends that.
    ///
    /// # Errors
    /// As `update_key`.
    pub fn block_key(&self, id: &str, blocked: bool) -> Result<KeyStatus, NotDone> {
        self.change_key(id, |key, _, _| {
            key.blocked = blocked;
            Ok(())
        })
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As `update_key`.
    pub fn delete_key(&self, id: &str) -> Result<KeyStatus, NotDone> {
        let writer = self.begin()?;
        let joined = self.joined();
        let key = self.owned(&joined, id)?;
        self.make(writer, Change::DeletedKey(key.id.clone()))?;
        Ok(status(&key, &joined, now()))
    }

    fn change_key(
        &self,
        id: &str,
        change: impl FnOnce(&mut Key, &Joined, UnixSeconds) -> Result<(), NotDone>,
    ) -> Result<KeyStatus, NotDone> {
        let writer = self.begin()?;
        let (joined, now) = (self.joined(), now());
        let mut key = self.owned(&joined, id)?;
        let before = key.clone();
        change(&mut key, &joined, now)?;
        let status = status(&key, &joined, now);
        if key != before {
            self.make(writer, Change::Key(key))?;
        }
        Ok(status)
    }

    /// The id of a key that an operator names by its id, or by the text that clients send, present or before its rotation: so that
    /// one that has leaked can be blocked by what leaked.
    ///
    /// # Errors
    /// If a text begins like a key's and no key has it. The message does not repeat it.
    pub fn key_id(&self, shown: &str) -> Result<String, NotDone> {
        if !shown.starts_with(PREFIX) {
            return Ok(shown.to_owned());
        }
        let (joined, id, hash) = (self.joined(), KeyId::of(shown), KeyHash::of(shown.as_bytes()));
        let accounts = joined.accounts();
        if accounts.keys().iter().any(|key| key.id == id) {
            return Ok(shown.to_owned());
        }
        let found = accounts.find(&hash).cloned().or_else(|| self.registry.find(&hash));
        let unknown =
            || NotDone::NoSuchKey("there is no key of this text or id; `wasmgate keys list` shows the ids".into());
        found.map(|key| key.id.to_string()).ok_or_else(unknown)
    }

    /// The key of an id, which the gateway owns.
    fn owned(&self, joined: &Joined, id: &str) -> Result<Key, NotDone> {
        let id = KeyId::of(id);
        if let Some(key) = self.registry.read(|list| list.get(&id).cloned()) {
            return Ok((*key).clone());
        }
        match joined.accounts().keys().iter().any(|key| key.id == id) {
            true => Err(NotDone::Conflict(format!(
                "the key {id} is in the configuration file, which owns it: change [keys.{id}] there"
            ))),
            false => Err(NotDone::NoSuchKey(format!("there is no key {id}"))),
        }
    }
}

/// The fields with the labels as they are when those that the fields name are changed.
fn with_labels(labels: &Labels, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = fields.clone();
    if let Some(Value::Object(patch)) = fields.get_mut("labels") {
        let mut all = labels.0.iter().map(|(label, value)| (label.clone(), value.as_str().into())).collect();
        merge(&mut all, patch);
        *patch = all;
    }
    fields
}

fn set<T>(field: &mut Option<T>, given: Given<T>) {
    match given {
        Given::Nothing => {}
        Given::None => *field = None,
        Given::Value(value) => *field = Some(value),
    }
}

fn check_group(joined: &Joined, group: &str) -> Result<(), NotDone> {
    if joined.accounts().position(group).is_some() {
        return Ok(());
    }
    let groups = joined.accounts().groups().iter().map(|group| &*group.name);
    let near = wasmgate_base::nearest::close(group, groups);
    let near = near.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
    let why = joined.suspended.iter().find(|suspended| suspended.name == group);
    Err(NotDone::Invalid(match why {
        Some(why) => format!("`group`: the group {group:?} cannot be used: {}", why.reason),
        None => format!("`group`: there is no group {group:?}{near}"),
    }))
}
