//! The configured models, which the gateway gives an instance once and again when they change.

use crate::Model;
use alloc::vec::Vec;
use core::cell::UnsafeCell;

/// The models of an instance.
pub struct Models(UnsafeCell<Vec<Model>>);

// SAFETY: a policy has one thread.
unsafe impl Sync for Models {}

impl Default for Models {
    fn default() -> Self {
        Self::new()
    }
}

impl Models {
    /// No models.
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Vec::new()))
    }

    /// Replaces them.
    pub(crate) fn set(&self, models: Vec<Model>) {
        // SAFETY: there is one thread, and the gateway makes no call before the one before it has ended: nothing borrows the
        // models between calls.
        unsafe { *self.0.get() = models }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Model] {
        // SAFETY: as above: `set` is never called while a decision borrows them.
        unsafe { &*self.0.get() }
    }
}
