//! Prepares components for linking without slowing down traffic: takes them from the cache, or else compiles them in a
//! separate process, one at a time. Holds the engine, which all policies share.
//!
//! This module must not know: what components do, where their bytes come from.

mod artefact;
mod cache;
mod helper;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;
use wasmtime::component::Component;

use super::background::aside;
use super::engine::{Engine, EngineError};
use artefact::Artefact;
use cache::Cache;
use helper::Fault;

pub use helper::compile_component;

/// How a `Loader` compiles.
#[derive(Debug, Clone, Default)]
pub struct LoaderOptions {
    /// The program to start as `PROGRAM compile-component`: the gateway's own. Without it, components are compiled in
    /// this process, on a thread of low priority that nothing can stop; only for tools that load components they know.
    pub helper: Option<PathBuf>,
    /// A folder for compiled components, created with mode 0700 if it is missing. Without it, nothing is cached.
    pub cache: Option<PathBuf>,
    /// Whether to count guests' instructions, which makes guests slower by half; for tools.
    pub count_instructions: bool,
}

/// The engine, and the way from a component's bytes to its machine code.
#[derive(Debug)]
pub struct Loader {
    pub(super) engine: Engine,
    helper: Option<PathBuf>,
    cache: Option<Arc<Cache>>,
    /// Permits one compilation at a time, which bounds memory and processor time.
    turn: Arc<Semaphore>,
    helper_missing: AtomicBool,
}

impl Loader {
    /// Sets up the engine and opens the cache. If others may write to the cache, the loader logs that and does not use
    /// it.
    ///
    /// # Errors
    /// If the engine cannot be set up.
    pub fn new(options: LoaderOptions) -> Result<Self, EngineError> {
        let engine = Engine::new(options.count_instructions)?;
        let open = |folder: PathBuf| {
            let opened = Cache::open(&folder, &engine.inner.precompile_compatibility_hash());
            opened.inspect_err(|reason| tracing::warn!(reason, "the cache of compiled policies is not used")).ok()
        };
        let cache = options.cache.and_then(open).map(Arc::new);
        Ok(Self {
            helper: options.helper,
            cache,
            turn: Arc::new(Semaphore::new(1)),
            helper_missing: AtomicBool::new(false),
            engine,
        })
    }

    /// Whether instances come from a pool; otherwise they are allocated on demand.
    #[must_use]
    pub fn pooling(&self) -> bool {
        self.engine.pooling()
    }

    /// The compiled component of `wasm`, whose digest is `digest`.
    ///
    /// # Errors
    /// If the component cannot be compiled: a sentence.
    pub(super) async fn component(&self, wasm: &Arc<[u8]>, digest: &str) -> Result<Component, String> {
        if let Some(component) = self.cached(digest).await? {
            return Ok(component);
        }
        let turn =
            Arc::clone(&self.turn).acquire_owned().await.map_err(|_closed| "the loader was dropped".to_owned())?;
        // The previous holder of the permit may have compiled the same component: a canary often begins as a shadow.
        if let Some(component) = self.cached(digest).await? {
            return Ok(component);
        }
        let began = Instant::now();
        let artefact = match self.compile_apart(wasm).await? {
            Some(artefact) => artefact,
            None => {
                let (engine, wasm) = (self.engine.inner.clone(), Arc::clone(wasm));
                // The permit moves along: an abandoned compilation still occupies its thread.
                let compiled = aside(move || (Artefact::compile(&engine, &wasm), turn)).await?;
                compiled.0?
            }
        };
        tracing::debug!(digest, seconds = began.elapsed().as_secs_f64(), "a policy was compiled");
        let (engine, cache, digest) = (self.engine.inner.clone(), self.cache.clone(), digest.to_owned());
        aside(move || {
            let component = artefact.component(&engine)?;
            if let Some(cache) = cache {
                cache.put(&digest, &artefact);
            }
            Ok(component)
        })
        .await?
    }

    async fn cached(&self, digest: &str) -> Result<Option<Component>, String> {
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let (engine, digest) = (self.engine.inner.clone(), digest.to_owned());
        aside(move || {
            let artefact = cache.get(&digest)?;
            let component = artefact.component(&engine);
            if let Err(error) = &component {
                tracing::warn!(digest, error, "unusable entry in the policy cache, recompiling");
                cache.remove(&digest);
            }
            component.ok()
        })
        .await
    }

    /// Compiles in a separate process; `None` if none is configured or it cannot be started.
    async fn compile_apart(&self, wasm: &[u8]) -> Result<Option<Artefact>, String> {
        let Some(program) = &self.helper else { return Ok(None) };
        match helper::compile(program, self.pooling(), wasm).await {
            Ok(artefact) => Ok(Some(artefact)),
            Err(Fault::Refused(reason)) => Err(reason),
            Err(Fault::NotStarted(error)) => {
                if !self.helper_missing.swap(true, Ordering::Relaxed) {
                    let program = program.display();
                    tracing::warn!(%program, %error, "cannot start the compiler's process; compiling in-process");
                }
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
