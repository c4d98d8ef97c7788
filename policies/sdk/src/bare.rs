//! What a crate without `std` must bring to a Wasm component: an allocator and an end for panics.
//!
//! `std` itself pulls a dozen WASI interfaces into every component for this (it writes panics to standard
//! error and asks the environment whether to add a backtrace). Without it a policy imports nothing but the
//! contract, and is some 30 KB smaller. The price for an author is a line `#![no_std]` and the prelude
//! instead of the usual names; who would rather have `std` leaves this feature off.

use crate::arena::Arena;
use alloc::alloc::{GlobalAlloc, Layout, alloc, handle_alloc_error, realloc};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::panic::PanicInfo;

// For memcmp and its like, which the compiler calls and, on this target, expects of the C library.
#[link(name = "c")]
unsafe extern "C" {}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Arena::new()));

struct Allocator(UnsafeCell<Arena>);

// SAFETY: a policy has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    fn with<T>(&self, act: impl FnOnce(&mut Arena) -> T) -> T {
        // SAFETY: there is one thread, and nothing that is done with the arena comes back here.
        act(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: the arena gives each block a place of its own, aligned as asked, in memory that the gateway gave.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.with(|arena| arena.take(layout.size(), layout.align(), grow));
        start.map_or(core::ptr::null_mut(), core::ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|arena| arena.give(block.expose_provenance(), layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.with(|arena| arena.resize(block.expose_provenance(), layout.size(), new_size)) {
            return block;
        }
        // SAFETY: the caller's promises are the same.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// More memory, by whole pages.
fn grow(bytes: usize) -> Option<(usize, usize)> {
    const PAGE: usize = 64 << 10;
    let pages = bytes.div_ceil(PAGE);
    let from = wasm32::memory_grow(0, pages);
    // The end of the last page that can be addressed is no address: one byte before it is.
    (from != usize::MAX).then(|| (from * PAGE, (from * PAGE).saturating_add(pages * PAGE)))
}

/// What is in memory now stays for good.
pub(crate) fn keep() {
    ALLOCATOR.with(Arena::keep);
}

/// Tells the operator where, then traps: the gateway counts it and replaces the instance. Only where: the
/// message may quote a prompt (that of a failed string index does), and the log is not private.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Some(place) = info.location() {
        crate::log::error(&alloc::format!("panicked at {place}"));
    }
    wasm32::unreachable()
}

/// The memory for what the host passes in. The C library of this target would bring its own version of
/// this, on its own heap, and what comes out of it is freed by the allocator above: they must be one.
///
/// # Safety
///
/// Called by the host alone, by the rules of the component model: `old` is null with a length of 0, or
/// came from here with the same length and alignment.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    if old_len == 0 && new_len == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host passes a power of two as alignment and lengths that fit the address space, and
    // `old` is ours (above). A new length of 0 does not come with an old one: the host never shrinks.
    unsafe {
        let layout = Layout::from_size_align_unchecked(new_len, align);
        let memory = match old_len {
            0 => alloc(layout),
            _ => realloc(old, Layout::from_size_align_unchecked(old_len, align), new_len),
        };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        memory
    }
}
