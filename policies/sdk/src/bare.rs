//! Provides what a Wasm component without `std` needs: an allocator and a panic handler.
//!
//! `std` pulls a dozen WASI interfaces into every component for this (it writes panics to standard error and reads the
//! environment to decide on a backtrace). Without it, a policy imports only the contract and is some 30 KB smaller. An
//! author needs a line `#![no_std]` and the prelude instead of the usual names. To use `std`, leave this feature off.

use crate::arena::Arena;
use alloc::alloc::{GlobalAlloc, Layout, alloc, handle_alloc_error, realloc};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::panic::PanicInfo;

// For memcmp and similar functions, which the compiler calls and expects from the C library on this target.
#[link(name = "c")]
unsafe extern "C" {}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Arena::new()));

struct Allocator(UnsafeCell<Arena>);

// SAFETY: a policy has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    fn with<T>(&self, act: impl FnOnce(&mut Arena) -> T) -> T {
        // SAFETY: there is one thread, and no operation on the arena calls this function.
        act(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: the arena gives each block its own address range, aligned as asked, in memory from the gateway.
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
        // SAFETY: the caller gives the same guarantees.
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

/// Grows the memory by whole pages.
fn grow(bytes: usize) -> Option<(usize, usize)> {
    const PAGE: usize = 64 << 10;
    let pages = bytes.div_ceil(PAGE);
    let from = wasm32::memory_grow(0, pages);
    // The end of the last addressable page is not an address: the result is one byte less.
    (from != usize::MAX).then(|| (from * PAGE, (from * PAGE).saturating_add(pages * PAGE)))
}

/// Keeps all current blocks for good.
pub(crate) fn keep() {
    ALLOCATOR.with(Arena::keep);
}

/// Logs the place, then traps: the gateway counts the trap and replaces the instance. It logs only the place, because
/// the message may quote a prompt (that of a failed string index does), and the log is not private.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Some(place) = info.location() {
        crate::log::error(&alloc::format!("panicked at {place}"));
    }
    wasm32::unreachable()
}

/// Allocates memory for what the host passes in. The C library of this target has its own version of this function,
/// with its own heap. The allocator above frees this memory, so it must allocate it too.
///
/// # Safety
///
/// Only the host calls this, by the rules of the component model: `old` is null with a length of 0, or this function
/// returned it for the same length and alignment.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    if old_len == 0 && new_len == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host passes a power of two as alignment and lengths that fit the address space, and `old` came from
    // here (above). If the old length is not 0, the new one is not 0 either: the host never shrinks.
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
