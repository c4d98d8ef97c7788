//! Which versions the gateway is checking: it parses, compiles and probes them in the background, which takes seconds for
//! a policy with a language engine inside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rollout::api::Checking;
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::Spec;
use wasmgate_base::time::now;

/// The checks in progress, shared with the tasks that run them.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    /// Checks begun since the start.
    begun: u64,
    running: Vec<(u64, Slot, Checking)>,
}

/// A check in progress. It ends when this is dropped, also if its task is aborted.
#[derive(Debug)]
pub(super) struct Check {
    checks: Checks,
    number: u64,
}

impl Checks {
    /// Begins the check of a version for a slot.
    pub(super) fn begin(&self, slot: &Slot, spec: &Spec) -> Check {
        let mut list = self.list();
        list.begun += 1;
        let number = list.begun;
        let checking = Checking { source: spec.origin.clone(), revision: spec.identity(), since: now() };
        list.running.push((number, slot.clone(), checking));
        Check { checks: self.clone(), number }
    }

    /// The newest check in progress for a slot.
    pub(super) fn of(&self, slot: &Slot) -> Option<Checking> {
        let list = self.list();
        list.running.iter().rev().find(|(_, checked, _)| checked == slot).map(|(_, _, checking)| checking.clone())
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.checks.list().running.retain(|(number, _, _)| *number != self.number);
    }
}
