//! Keeping what a restart needs, beside the loop: a disk that stalls must hold up neither a swap nor an operator. One
//! write is under way at a time; what changes meanwhile goes into the next.

use tokio::task::JoinHandle;

use super::desired::Bytes;
use super::store::{State, Store};
use crate::rollout::slot_state::Spec;

/// See the module.
pub(super) struct Persister {
    store: Option<Store>,
    /// What is to be written next.
    state: Option<State>,
    /// What may not be on the disk yet, what is being written included.
    fresh: Vec<(Spec, Bytes)>,
    /// The write under way.
    writing: Option<JoinHandle<Written>>,
    /// Whether the last write failed.
    failing: bool,
}

/// What is on the disk by a write, or why not and the state that could not be written.
type Written = Result<Vec<Spec>, (std::io::Error, State)>;

impl Persister {
    /// Keeps things in `store`; without one in memory, so that they can at least be gone back to.
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, state: None, fresh: Vec::new(), writing: None, failing: false }
    }

    /// Where it keeps things.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Keeps this state, and the components and fixtures that are new in it.
    pub(super) fn keep(&mut self, state: State, new: Vec<(Spec, Bytes)>) {
        self.fresh.extend(new);
        // A disk that stays full must not make the memory full.
        let names = state.names();
        self.fresh.retain(|(spec, _)| names.contains(&*spec.digest));
        drop(names);
        self.state = Some(state);
        self.begin();
    }

    /// What may not be on the disk yet.
    pub(super) fn fresh(&self, spec: &Spec) -> Option<Bytes> {
        let fresh = self.fresh.iter().find(|(fresh, _)| fresh.blobs().eq(spec.blobs()));
        fresh.map(|(_, bytes)| bytes.clone())
    }

    /// Waits for the write under way, for ever where there is none, and begins the next. Dropping this leaves all as it is.
    pub(super) async fn written(&mut self) {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let written = writing.await;
        self.writing = None;
        match written {
            Ok(Ok(written)) => {
                self.fresh.retain(|(spec, _)| !written.contains(spec));
                self.failing = false;
                tracing::debug!("state kept");
                self.begin();
            }
            // The gateway serves all the same, and tries again in a while.
            Ok(Err((error, state))) => {
                self.state.get_or_insert(state);
                self.failed(&error);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "the state cannot be kept; until it can, a restart will not know of the last changes");
        }
    }

    /// Waits until nothing is left to be written.
    pub(super) async fn finish(&mut self) {
        while self.writing.is_some() {
            self.written().await;
        }
    }

    /// Begins to write what is left to be written, where nothing is under way.
    pub(super) fn begin(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Some(store) = self.store.clone() else { return };
        let Some(state) = self.state.take() else { return };
        let new = self.fresh.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || match write(&store, &state, &new) {
            Ok(()) => Ok(new.into_iter().map(|(spec, _)| spec).collect()),
            Err(error) => Err((error, state)),
        }));
    }
}

/// Components first: whatever happens, all that a state names is there.
fn write(store: &Store, state: &State, new: &[(Spec, Bytes)]) -> std::io::Result<()> {
    for (spec, bytes) in new {
        tracing::debug!(digest = spec.digest, "keeping a component");
        store.put(&spec.digest, &bytes.component)?;
        if let (Some(digest), Some(fixtures)) = (&spec.fixtures, &bytes.fixtures) {
            store.put(digest, fixtures.text.as_bytes())?;
        }
    }
    tracing::debug!("keeping the state");
    store.save(state)
}
