//! Shows keys and groups, those of the file and those of the gateway.

use wasmgate_accounts::{Key, KeyId, NEVER};
use wasmgate_base::time::{UnixSeconds, now};

use super::api::{GroupList, GroupStatus, KeyPage, KeyState, KeyStatus, NotDone, Source};
use super::{Joined, ManagedAccounts};

/// Keys of a page if a request does not say.
const PAGE: usize = 100;
/// Most keys of a page.
pub const MAX_PAGE: usize = 1000;

/// Which keys to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Those of this group.
    pub group: Option<String>,
    /// Those of this name.
    pub name: Option<String>,
    /// Those behind the key of this id.
    pub after: Option<String>,
    /// At most so many, up to `MAX_PAGE`.
    pub limit: Option<usize>,
}

/// A key as operators see it.
pub(super) fn status(key: &Key, joined: &Joined, now: UnixSeconds) -> KeyStatus {
    let source = if key.id.made_at().is_some() { Source::Api } else { Source::Configuration };
    let state = match () {
        () if key.blocked => KeyState::Blocked,
        () if now >= key.expires => KeyState::Expired,
        () if joined.accounts().position(&key.group).is_none() => KeyState::Suspended,
        () => KeyState::Valid,
    };
    let previous = key.previous.as_ref().map(|previous| previous.until).filter(|until| now < *until);
    KeyStatus {
        id: key.id.to_string(),
        name: key.name.as_deref().map(str::to_owned),
        group: key.group.to_string(),
        labels: key.labels().iter().cloned().collect(),
        source,
        state,
        created: key.id.made_at(),
        expires: Some(key.expires).filter(|expires| *expires != NEVER),
        previous_until: previous,
    }
}

impl ManagedAccounts {
    /// A page of the keys.
    ///
    /// # Errors
    /// If the query names a key to begin behind that is none of the file.
    pub fn keys(&self, query: &Query) -> Result<KeyPage, NotDone> {
        let (joined, now) = (self.joined(), now());
        let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
        let after = query.after.as_deref().map(KeyId::of);
        let configured = joined.accounts().keys();
        let (first, made) = match &after {
            None => (configured, None),
            Some(id @ KeyId::Made(_)) => (&[][..], Some(id)),
            Some(id) => match configured.iter().position(|key| key.id == *id) {
                Some(position) => (&configured[position + 1..], None),
                None => return Err(NotDone::NoSuchKey(format!("`after`: there is no key {id}"))),
            },
        };
        let fits = |key: &&std::sync::Arc<Key>| {
            query.group.as_deref().is_none_or(|group| *group == *key.group)
                && query.name.as_deref().is_none_or(|name| key.name.as_deref() == Some(name))
        };
        let mut keys: Vec<KeyStatus> = self.registry.read(|list| {
            let all = first.iter().chain(list.after(made)).filter(fits);
            all.take(limit + 1).map(|key| status(key, &joined, now)).collect()
        });
        let has_more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().filter(|_| has_more).map(|key| key.id.clone());
        Ok(KeyPage { keys, next })
    }

    /// A key.
    ///
    /// # Errors
    /// If there is none of this id.
    pub fn key(&self, id: &str) -> Result<KeyStatus, NotDone> {
        let (joined, id) = (self.joined(), KeyId::of(id));
        let configured = joined.accounts().keys().iter().find(|key| key.id == id).cloned();
        let key = configured.or_else(|| self.registry.read(|list| list.get(&id).cloned()));
        let key = key.ok_or_else(|| NotDone::NoSuchKey(format!("there is no key {id}")))?;
        Ok(status(&key, &joined, now()))
    }

    /// All groups.
    #[must_use]
    pub fn groups(&self) -> GroupList {
        let joined = self.joined();
        let configured = joined.access.written().map(|(name, settings)| GroupStatus {
            name: name.to_owned(),
            source: Source::Configuration,
            keys: 0,
            suspended: None,
            settings,
        });
        let mut groups: Vec<GroupStatus> = configured.collect();
        let managed = self.lock_groups().managed.values().cloned().collect::<Vec<_>>();
        groups.extend(managed.into_iter().map(|group| GroupStatus {
            suspended: joined.suspended.iter().find(|one| one.name == group.name).map(|one| one.reason.clone()),
            name: group.name,
            source: Source::Api,
            keys: 0,
            settings: group.settings,
        }));
        let mut counts: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        for key in joined.accounts().keys() {
            *counts.entry(&key.group).or_default() += 1;
        }
        self.registry.read(|list| {
            for group in &mut groups {
                group.keys = counts.get(&*group.name).copied().unwrap_or_default() + list.count_of(&group.name);
            }
        });
        GroupList { groups }
    }

    /// A group. If the file and the gateway have one of this name, that of the file.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn group(&self, name: &str) -> Result<GroupStatus, NotDone> {
        let found = self.groups().groups.into_iter().find(|group| group.name == name);
        found.ok_or_else(|| NotDone::NoSuchGroup(format!("there is no group {name:?}")))
    }
}
