//! Keeping what a restart needs, beside the loop: a disk that stalls must hold up neither a swap nor an operator. One
//! write is under way at a time; what changes meanwhile goes into the next.

use tokio::task::JoinHandle;

use super::place::Spec;
use super::store::{State, Store};
use super::want::Bytes;

/// See the module.
pub(super) struct Keeper {
    store: Option<Store>,
    /// What is to be written next.
    state: Option<State>,
    /// What may not be on the disk yet, what is being written included.
    fresh: Vec<(Spec, Bytes)>,
    /// The write under way. It gives what is on the disk by it.
    writing: Option<JoinHandle<std::io::Result<Vec<Spec>>>>,
}

impl Keeper {
    /// Keeps things in `store`; without one nothing.
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, state: None, fresh: Vec::new(), writing: None }
    }

    /// Where it keeps things.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Keeps this state, and the components and fixtures that are new in it.
    pub(super) fn keep(&mut self, state: State, new: Vec<(Spec, Bytes)>) {
        if self.store.is_some() {
            self.fresh.extend(new);
            // A disk that stays full must not make the memory full.
            let names = state.names();
            self.fresh.retain(|(spec, _)| names.contains(&*spec.digest));
            drop(names);
            self.state = Some(state);
            self.begin();
        }
    }

    /// What may not be on the disk yet.
    pub(super) fn fresh(&self, spec: &Spec) -> Option<Bytes> {
        let fresh = self.fresh.iter().find(|(fresh, _)| fresh.blobs().eq(spec.blobs()));
        fresh.map(|(_, bytes)| bytes.clone())
    }

    /// Waits for the write under way, for ever where there is none, and begins the next. Dropping this leaves all as it is.
    pub(super) async fn written(&mut self) {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        match writing.await {
            Ok(Ok(written)) => {
                self.fresh.retain(|(spec, _)| !written.contains(spec));
                tracing::debug!("state kept");
            }
            // The gateway serves all the same, and the next change is kept together with this one.
            Ok(Err(error)) => {
                tracing::error!(%error, "the state cannot be kept; a restart will not know of this change")
            }
            Err(error) => tracing::error!(%error, "the state cannot be kept; a restart will not know of this change"),
        }
        self.writing = None;
        self.begin();
    }

    /// Waits until nothing is left to be written.
    pub(super) async fn finish(&mut self) {
        while self.writing.is_some() {
            self.written().await;
        }
    }

    fn begin(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let (Some(store), Some(state)) = (self.store.clone(), self.state.take()) else { return };
        let new = self.fresh.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            for (spec, bytes) in &new {
                tracing::debug!(digest = spec.digest, "keeping a component");
                store.put(&spec.digest, &bytes.component)?;
                if let (Some(digest), Some(fixtures)) = (&spec.fixtures, &bytes.fixtures) {
                    store.put(digest, fixtures.text.as_bytes())?;
                }
            }
            tracing::debug!("keeping the state");
            store.save(&state)?;
            Ok(new.into_iter().map(|(spec, _)| spec).collect())
        }));
    }
}
