//! The Wasm engine: one per process, and its settings.
//!
//! The settings follow the experience of published hosts: epochs instead of fuel (fuel makes guests two to three times
//! slower), the pooling allocator if the address space allows it, no proposal that policy toolchains do not need, no
//! component-model async (it makes plain calls more expensive).

use std::sync::Arc;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::clock::Clock;

/// Maximum live instances of all policies. Beyond it an instantiation fails as `saturated`.
const MAX_INSTANCES: u32 = 256;
/// Maximum memory of one guest, in bytes; no policy's own limit may be higher. JavaScript and Python engines take tens
/// of MiB.
pub(super) const MAX_MEMORY_BYTES: usize = 512 << 20;

/// The runtime refuses its settings, or the clock's thread cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the Wasm engine: {0}")]
pub struct EngineError(String);

/// The engine, and its clock, which runs for as long as this value lives.
pub(super) struct Engine {
    pub(super) inner: wasmtime::Engine,
    pooling: bool,
    pub(super) clock: Arc<Clock>,
}

impl Engine {
    /// Builds the engine, with the pooling allocator if the address space allows it: the pool reserves some hundred GiB
    /// of addresses (not memory), which containers with `ulimit -v` refuse. Otherwise instances are allocated on
    /// demand, at about 13 µs more for each fresh one.
    ///
    /// # Errors
    /// If the runtime refuses its settings or the clock's thread cannot be started.
    pub(super) fn new(count_instructions: bool) -> Result<Self, EngineError> {
        let config = |pooling| config(pooling).consume_fuel(count_instructions).to_owned();
        let pooled = config(true).allocation_strategy(InstanceAllocationStrategy::Pooling(pool())).to_owned();
        let (inner, pooling) = match wasmtime::Engine::new(&pooled) {
            Ok(engine) => (engine, true),
            Err(_) => {
                let engine = wasmtime::Engine::new(&config(false));
                (engine.map_err(|error| EngineError(format!("{error:#}")))?, false)
            }
        };
        let clock = Clock::start(inner.weak());
        let clock = clock.map_err(|error| EngineError(format!("cannot start its clock's thread: {error}")))?;
        Ok(Self { inner, pooling, clock })
    }

    /// Whether instances come from a pool; otherwise they are allocated on demand.
    pub(super) fn pooling(&self) -> bool {
        self.pooling
    }
}

impl Drop for Engine {
    /// Stops the clock within a tick. Live components and instances keep the runtime's engine. Without ticks nothing
    /// interrupts a guest that still runs, so drop policies first.
    fn drop(&mut self) {
        self.clock.stop();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("pooling", &self.pooling).finish_non_exhaustive()
    }
}

/// An engine that only compiles code for `Engine`, pooling or not. Code depends on the layout of memories and not on
/// the allocator, so this engine needs no pool and none of its addresses.
///
/// # Errors
/// If the runtime refuses its settings.
pub(super) fn for_compiling(pooling: bool) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&config(pooling))
}

fn config(pooling: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        // A trap's backtrace goes to the log; the first frames of a deep one are enough.
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .concurrency_support(false)
        // Compiling takes the spare time of one processor and leaves the others to traffic.
        .parallel_compilation(false)
        // Data segments larger than this are copied rather than mapped; JavaScript and Python images are larger
        // than the default of 16 MiB.
        .memory_guaranteed_dense_image_size(64 << 20)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_wide_arithmetic(false);
    if !pooling {
        // If addresses are scarce, memories reserve only what they use and move when they grow. Each access then costs
        // a bounds check.
        config.memory_reservation(0).memory_guard_size(64 << 10).memory_reservation_for_growth(1 << 20);
    }
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * 4)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 2)
        .total_stacks(MAX_INSTANCES)
        .max_memory_size(MAX_MEMORY_BYTES)
        // The defaults (20,000 elements, 1 MiB of metadata, one table a module) are too small for components
        // with a JavaScript or Python engine inside.
        .table_elements(100_000)
        // Unused slots that keep the memory a component touched. Each replaced version would leave some behind, up to
        // the default of 100.
        .max_unused_warm_slots(16)
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        .max_tables_per_module(4)
        .max_tables_per_component(16)
        .max_memories_per_component(4)
        // Memory that a small guest touched stays resident between instances instead of being unmapped and faulted in.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        // If the kernel can report the touched pages (Linux 6.7), only they are cleared.
        .pagemap_scan(Enabled::Auto);
    pool
}
