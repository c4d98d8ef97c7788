//! What a crate without `std` must bring to a Wasm component: an allocator and an end for panics.
//!
//! `std` itself pulls a dozen WASI interfaces into every component for this (it writes panics to standard
//! error and asks the environment whether to add a backtrace). Without it a policy imports nothing but the
//! contract, and is some 30 KB smaller. The price for an author is a line `#![no_std]` and the prelude
//! instead of the usual names; who would rather have `std` leaves this feature off.

use alloc::alloc::{Layout, alloc, handle_alloc_error, realloc};
use core::panic::PanicInfo;

// For memcmp and its like, which the compiler calls and, on this target, expects of the C library.
#[link(name = "c")]
unsafe extern "C" {}

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Tells the operator where, then traps: the gateway counts it and replaces the instance. Only where: the
/// message may quote a prompt (that of a failed string index does), and the log is not private.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Some(place) = info.location() {
        crate::log::error(&alloc::format!("panicked at {place}"));
    }
    core::arch::wasm32::unreachable()
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
