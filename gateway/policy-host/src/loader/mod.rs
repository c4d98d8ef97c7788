//! Makes components ready to be linked, without traffic feeling it: out of the cache where they are in it, else compiled
//! in a process of its own, one at a time. Holds the engine, which all policies share.
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
    /// The program to start as `PROGRAM compile-component`: the gateway's own. Without it components are compiled in this
    /// process, on a thread of low priority that nothing can stop; that is for tools that load components they know.
    pub helper: Option<PathBuf>,
    /// A folder for compiled components, made with mode 0700 where it is not there. Without it nothing is kept.
    pub cache: Option<PathBuf>,
    /// Whether guests' instructions are counted. They run slower by half then; for tools.
    pub count_instructions: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Loader {
    pub(super) engine: Engine,
    helper: Option<PathBuf>,
    cache: Option<Arc<Cache>>,
    /// One compile at a time: its memory and its processor time stay those of one.
    turn: Arc<Semaphore>,
    helper_missing: AtomicBool,
}

impl Loader {
    /// Sets up the engine and opens the cache. A cache that others may write to is not used, which a line of the log says.
    ///
    /// # Errors
    /// Where the engine cannot be had.
    pub fn new(options: LoaderOptions) -> Result<Self, EngineError> {
        let engine = Engine::new(options.count_instructions)?;
        let open = |folder: PathBuf| {
            let opened = Cache::open(&folder, &engine.inner.precompile_compatibility_hash());
            opened.inspect_err(|reason| tracing::warn!(reason, "compiled policies are not kept")).ok()
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

    /// Whether instances come from a pool (else on demand).
    #[must_use]
    pub fn pooling(&self) -> bool {
        self.engine.pooling()
    }

    /// The component in `wasm`, whose digest that is.
    ///
    /// # Errors
    /// Where it cannot be compiled: a sentence.
    pub(super) async fn component(&self, wasm: &Arc<[u8]>, digest: &str) -> Result<Component, String> {
        if let Some(component) = self.cached(digest).await? {
            return Ok(component);
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_closed| "the loader is gone".to_owned())?;
        // Whoever had the turn may have compiled the same component: a canary often begins as a shadow.
        if let Some(component) = self.cached(digest).await? {
            return Ok(component);
        }
        let began = Instant::now();
        let artefact = match self.compile_apart(wasm).await? {
            Some(artefact) => artefact,
            None => {
                let (engine, wasm) = (self.engine.inner.clone(), Arc::clone(wasm));
                // The turn goes along: a compile that nobody waits for any more still takes its thread.
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
                tracing::warn!(digest, error, "an entry of the policy cache is of no use, compiling anew");
                cache.remove(&digest);
            }
            component.ok()
        })
        .await
    }

    /// Compiles in a process of its own; `None` where there is to be none or cannot be one.
    async fn compile_apart(&self, wasm: &[u8]) -> Result<Option<Artefact>, String> {
        let Some(program) = &self.helper else { return Ok(None) };
        match helper::compile(program, self.pooling(), wasm).await {
            Ok(artefact) => Ok(Some(artefact)),
            Err(Fault::Refused(reason)) => Err(reason),
            Err(Fault::NotStarted(error)) => {
                if !self.helper_missing.swap(true, Ordering::Relaxed) {
                    let program = program.display();
                    tracing::warn!(%program, %error, "the compiler's process cannot be started; compiling in this one");
                }
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
