//! The groups that the gateway keeps, and what the configuration makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use wasmgate_accounts::{Accounts, Registry};

use crate::config::{Access, Auth, Config, ManagedGroup, Suspended};

/// See the module.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) managed: IndexMap<String, ManagedGroup>,
    pub(super) config: Arc<Config>,
    /// `None`: they have changed since.
    joined: Option<Joined>,
    /// The groups whose keys are refused, and why, as it was logged.
    reported: BTreeMap<String, String>,
    /// Whether it was logged that requests need a key and there is none.
    lacks_keys: bool,
}

/// The groups of the file and those of the gateway.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub(super) access: Access,
    pub(super) suspended: Arc<[Suspended]>,
}

impl Groups {
    pub(super) fn new(managed: IndexMap<String, ManagedGroup>, config: Arc<Config>) -> Self {
        Self { managed, config, joined: None, reported: BTreeMap::new(), lacks_keys: false }
    }

    /// Notes that they have changed, or the configuration.
    pub(super) fn changed(&mut self) {
        self.joined = None;
    }

    pub(super) fn joined(&mut self) -> &Joined {
        let (managed, config) = (&self.managed, &self.config);
        self.joined.get_or_insert_with(|| {
            let managed: Vec<ManagedGroup> = managed.values().cloned().collect();
            let (access, suspended) = config.access.joined(&managed);
            Joined { access, suspended: suspended.into() }
        })
    }

    /// Logs whose keys are refused from now on, and whose are valid again.
    pub(super) fn report(&mut self, joined: &Joined, registry: &Registry) {
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        for Suspended { name, reason } in &*joined.suspended {
            refused.insert(name.clone(), reason.clone());
        }
        registry.read(|list| {
            for (name, _) in list.groups() {
                if joined.access.accounts.position(name).is_none() && !refused.contains_key(name) {
                    refused.insert(name.to_owned(), "there is no such group".to_owned());
                }
            }
            for (group, reason) in refused.iter().filter(|(group, _)| !self.reported.contains_key(*group)) {
                let keys = list.count_of(group);
                // A group of the same name in the file takes the place of the gateway's.
                match joined.access.accounts.position(group) {
                    Some(_) => tracing::warn!(group, keys, reason, "a group that the gateway keeps does not count"),
                    None => {
                        tracing::warn!(group, keys, reason, "the keys of a group are refused; none of them is lost")
                    }
                }
            }
        });
        for group in self.reported.keys().filter(|group| !refused.contains_key(*group)) {
            tracing::info!(group, "a group that the gateway keeps can be used again");
        }
        self.reported = refused;
        let access = &joined.access;
        let lacks_keys = access.auth == Auth::Required && access.accounts.has_no_keys() && registry.is_empty();
        if lacks_keys && !std::mem::replace(&mut self.lacks_keys, lacks_keys) {
            tracing::warn!("requests need a key and there is none: `wasmgate keys new --group GROUP` makes one");
        }
    }
}

impl Joined {
    pub(super) fn accounts(&self) -> &Accounts {
        &self.access.accounts
    }
}
