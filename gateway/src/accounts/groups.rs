//! What operators do with groups.

use serde_json::{Map, Value};

use super::api::{GroupStatus, NotDone};
use super::fields::merge;
use super::{Change, MAX_GROUPS, ManagedAccounts};
use crate::config::ManagedGroup;

impl ManagedAccounts {
    /// Makes a group: `name`, and the settings of `[groups.NAME]`.
    ///
    /// # Errors
    /// If a setting is wrong, there is such a group, or it cannot be kept.
    pub fn create_group(&self, fields: &Map<String, Value>) -> Result<GroupStatus, NotDone> {
        let mut settings = Map::new();
        merge(&mut settings, fields);
        let name = match settings.shift_remove("name") {
            Some(Value::String(name)) => name,
            _ => return Err(NotDone::Invalid("`name`: expected a text, as in {\"name\": \"team\"}".to_owned())),
        };
        let writer = self.begin()?;
        let before = self.managed();
        if self.joined().access.owns(&name) || before.iter().any(|group| group.name == name) {
            return Err(NotDone::Conflict(format!("there is a group {name:?} already")));
        }
        if before.len() >= MAX_GROUPS {
            return Err(NotDone::Conflict(format!("there are {MAX_GROUPS} groups already, the most that can be made")));
        }
        let group = ManagedGroup { name: name.clone(), settings };
        let after = [&before[..], std::slice::from_ref(&group)].concat();
        self.check(&name, &after, &before)?;
        self.make(writer, Change::Group(group))?;
        self.group(&name)
    }

    /// Changes the settings that a request names, as a JSON merge patch says it.
    ///
    /// # Errors
    /// If there is no such group, the file owns it, a setting is wrong, or the change cannot be kept.
    pub fn update_group(&self, name: &str, fields: &Map<String, Value>) -> Result<GroupStatus, NotDone> {
        let writer = self.begin()?;
        let before = self.managed();
        let mut group = self.owned_group(&before, name)?;
        let mut fields = fields.clone();
        if fields.shift_remove("name").is_some_and(|given| given.as_str() != Some(name)) {
            let message = "`name`: a group keeps its name, by which the ledger and metrics know it: make another group and \
                           move the keys there";
            return Err(NotDone::Invalid(message.to_owned()));
        }
        merge(&mut group.settings, &fields);
        let mut after = before.clone();
        after.iter_mut().filter(|one| one.name == name).for_each(|one| one.clone_from(&group));
        self.check(name, &after, &before)?;
        self.make(writer, Change::Group(group))?;
        self.group(name)
    }

    /// Deletes a group to which no key and no group belongs.
    ///
    /// # Errors
    /// If there is no such group, the file owns it, something belongs to it, or the change cannot be kept.
    pub fn delete_group(&self, name: &str) -> Result<GroupStatus, NotDone> {
        let writer = self.begin()?;
        let managed = self.managed();
        self.owned_group(&managed, name)?;
        let status = self.group(name)?;
        let is_child = |group: &&ManagedGroup| group.settings.get("parent").and_then(Value::as_str) == Some(name);
        let children: Vec<&str> = managed.iter().filter(is_child).map(|group| group.name.as_str()).collect();
        // A group that the file has too may be deleted here: its keys and groups then belong to the file's.
        if !self.joined().access.owns(name) {
            if status.keys > 0 {
                let message = format!("{} keys belong to the group {name:?}: delete or move them first", status.keys);
                return Err(NotDone::Conflict(message));
            }
            if let Some(child) = children.first() {
                let more = match children.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let message = format!("the group {child:?}{more} is below the group {name:?}: delete or move it first");
                return Err(NotDone::Conflict(message));
            }
        }
        self.make(writer, Change::DeletedGroup(name.to_owned()))?;
        Ok(status)
    }

    fn managed(&self) -> Vec<ManagedGroup> {
        self.lock_groups().managed.values().cloned().collect()
    }

    fn check(&self, name: &str, after: &[ManagedGroup], before: &[ManagedGroup]) -> Result<(), NotDone> {
        let config = std::sync::Arc::clone(&self.lock_groups().config);
        config.access.check(name, after, before, &config.models).map_err(NotDone::Invalid)
    }

    fn owned_group(&self, managed: &[ManagedGroup], name: &str) -> Result<ManagedGroup, NotDone> {
        if let Some(group) = managed.iter().find(|group| group.name == name) {
            return Ok(group.clone());
        }
        match self.joined().access.owns(name) {
            true => Err(NotDone::Conflict(format!(
                "the group {name:?} is in the configuration file, which owns it: change [groups.{name}] there"
            ))),
            false => Err(NotDone::NoSuchGroup(format!("there is no group {name:?}"))),
        }
    }
}
