//! Saves what a restart needs, in the background: a stalled disk must delay neither a swap nor an operator. One write
//! runs at a time; later changes go into the next one.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::desired::Bytes;
use super::store::{State, Store};
use crate::rollout::slot_state::Spec;

/// See the module.
pub(super) struct Persister {
    store: Option<Store>,
    /// The state to write next.
    state: Option<State>,
    /// Components that may not be on the disk yet, including those being written.
    fresh: Vec<(Spec, Bytes)>,
    /// The file of prices in force, by its digest.
    prices: Option<(String, Arc<[u8]>)>,
    /// The write in progress.
    writing: Option<JoinHandle<Written>>,
    /// Whether the last write failed.
    failing: bool,
}

/// The specs that a write stored, or its error with the state that it could not write.
type Written = Result<Vec<Spec>, Box<(std::io::Error, State)>>;

impl Persister {
    /// Saves to `store`. Without one it keeps components in memory, so that operators can at least roll back to them.
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, state: None, fresh: Vec::new(), prices: None, writing: None, failing: false }
    }

    /// The store, if there is one.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Queues this state, with the components and fixtures that are new in it.
    pub(super) fn keep(&mut self, state: State, new: Vec<(Spec, Bytes)>) {
        self.fresh.extend(new);
        // Drop what the state no longer names: a full disk must not fill the memory.
        let names = state.names();
        self.fresh.retain(|(spec, _)| names.contains(&*spec.digest));
        drop(names);
        self.state = Some(state);
        self.begin();
    }

    /// Stores this file of prices with the next state.
    pub(super) fn keep_prices(&mut self, digest: String, bytes: Arc<[u8]>) {
        self.prices = Some((digest, bytes));
    }

    /// The bytes of a spec that may not be on the disk yet.
    pub(super) fn fresh(&self, spec: &Spec) -> Option<Bytes> {
        let fresh = self.fresh.iter().find(|(fresh, _)| fresh.blobs().eq(spec.blobs()));
        fresh.map(|(_, bytes)| bytes.clone())
    }

    /// Waits for the write in progress and begins the next; never returns if there is none. It is safe to cancel.
    pub(super) async fn written(&mut self) {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let written = writing.await;
        self.writing = None;
        match written {
            Ok(Ok(written)) => {
                self.fresh.retain(|(spec, _)| !written.contains(spec));
                self.failing = false;
                tracing::debug!("state saved");
                self.begin();
            }
            // The gateway keeps serving; the next tick retries the write.
            Ok(Err(failed)) => {
                let (error, state) = *failed;
                self.state.get_or_insert(state);
                self.failed(&error);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.failing, true) {
            let folder = self.store.as_ref().map(|store| store.folder().display().to_string()).unwrap_or_default();
            tracing::error!(%error, folder, "the state cannot be saved; until it is, a restart loses the last changes");
        }
    }

    /// Waits for the write in progress and those that follow it.
    pub(super) async fn finish(&mut self) {
        while self.writing.is_some() {
            self.written().await;
        }
    }

    /// Begins the next write, unless one is in progress or nothing is queued.
    pub(super) fn begin(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Some(store) = self.store.clone() else { return };
        let Some(state) = self.state.take() else { return };
        let (new, prices) = (self.fresh.clone(), self.prices.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || match write(&store, &state, &new, prices.as_ref()) {
            Ok(()) => Ok(new.into_iter().map(|(spec, _)| spec).collect()),
            Err(error) => Err(Box::new((error, state))),
        }));
    }
}

/// Writes components before the state, so that everything a state names exists.
fn write(
    store: &Store,
    state: &State,
    new: &[(Spec, Bytes)],
    prices: Option<&(String, Arc<[u8]>)>,
) -> std::io::Result<()> {
    if let Some((digest, bytes)) = prices.filter(|(digest, _)| state.names().contains(&**digest)) {
        store.put(digest, bytes)?;
    }
    for (spec, bytes) in new {
        tracing::debug!(digest = spec.digest, "saving a component");
        store.put(&spec.digest, &bytes.component)?;
        if let (Some(digest), Some(fixtures)) = (&spec.fixtures, &bytes.fixtures) {
            store.put(digest, fixtures.text.as_bytes())?;
        }
    }
    tracing::debug!("saving the state");
    store.save(state)
}
