//! The worker threads that serve connections, by number, and what each of them has for itself.
//!
//! A request stays on the worker of its connection. What each worker has for itself is never contended, and wakes no other
//! thread.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

/// Workers with a place of their own; more share places.
const PLACES: usize = 64;

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(PLACES) };
}

/// Makes this thread the worker of this number, from 0.
pub fn enter(number: usize) {
    PLACE.set(number % PLACES);
}

/// A value for each worker, made at its first use, and one for all other threads together.
pub struct PerWorker<T>([OnceLock<T>; PLACES + 1]);

impl<T> PerWorker<T> {
    /// The value of this thread.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.0[PLACE.get()].get_or_init(make)
    }

    /// The values that were made.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get)
    }
}

impl<T> Default for PerWorker<T> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; PLACES + 1])
    }
}

impl<T: fmt::Debug> fmt::Debug for PerWorker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_its_own_and_other_threads_share_one() {
        let made = PerWorker::default();
        let here = |number: usize, place: Option<usize>| {
            let ask = || {
                if let Some(place) = place {
                    enter(place);
                }
                *made.get_or_init(|| number)
            };
            std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
        };
        assert_eq!([here(1, Some(0)), here(2, Some(1)), here(3, None)], [1, 2, 3]);
        assert_eq!([here(4, Some(0)), here(5, Some(1)), here(6, None), here(7, Some(PLACES))], [1, 2, 3, 1]);
        assert_eq!(made.iter().count(), 3);
    }
}
