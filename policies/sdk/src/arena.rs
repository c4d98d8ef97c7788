//! Allocates a policy's memory: blocks lie one after the other.
//!
//! A call lasts microseconds, and at its end nearly all of its blocks are freed: input, output, and what was written
//! between. So a new block takes the next free address, and the arena only counts freed blocks. When the last one is
//! freed, all addresses are free. Blocks from before [`Arena::keep`] stay: the settings, and what the policy prepared
//! from them.
//!
//! If a policy keeps a later block from one call to the next, no address becomes free until the gateway replaces the
//! instance.

/// The state of the arena, as addresses.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Blocks below this address are kept.
    kept: usize,
    /// Where the next block begins, before its alignment.
    top: usize,
    /// Where the memory ends.
    end: usize,
    /// The number of blocks between `kept` and `top` that are not freed.
    blocks: usize,
}

impl Arena {
    /// An arena without memory.
    pub(crate) const fn new() -> Self {
        Self { kept: 0, top: 0, end: 0, blocks: 0 }
    }

    /// Allocates a block; `None` if there is no memory for it. `more` provides memory of at least that many bytes and
    /// returns its start and end.
    pub(crate) fn take(
        &mut self,
        size: usize,
        align: usize,
        more: impl FnOnce(usize) -> Option<(usize, usize)>,
    ) -> Option<usize> {
        let mut place = self.next(size, align)?;
        if place.1 > self.end {
            let (from, to) = more(size.checked_add(align)?)?;
            if from != self.end {
                // Something else took memory meanwhile: blocks before that memory stay for good.
                *self = Self { kept: from, top: from, end: to, blocks: 0 };
                place = self.next(size, align)?;
            }
            self.end = to;
        }
        self.top = place.1;
        self.blocks += 1;
        Some(place.0)
    }

    /// Frees a block.
    pub(crate) fn give(&mut self, start: usize, size: usize) {
        if start < self.kept {
            return;
        }
        self.blocks -= 1;
        if self.blocks == 0 {
            self.top = self.kept;
        } else if start + size == self.top {
            self.top = start;
        }
    }

    /// Resizes a block in place; returns whether it is the last one and there is room.
    pub(crate) fn resize(&mut self, start: usize, size: usize, new_size: usize) -> bool {
        let end = start.checked_add(new_size).filter(|&end| end <= self.end);
        match end {
            Some(end) if start + size == self.top && start >= self.kept => {
                self.top = end;
                true
            }
            _ => false,
        }
    }

    /// Keeps all current blocks for good.
    pub(crate) fn keep(&mut self) {
        (self.kept, self.blocks) = (self.top, 0);
    }

    /// The start and end of the next block.
    fn next(&self, size: usize, align: usize) -> Option<(usize, usize)> {
        let start = self.top.checked_add(align - 1)? & !(align - 1);
        Some((start, start.checked_add(size)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Take {
            size: usize,
            align: usize,
        },
        /// Frees a block in use, by its index modulo their number.
        Give(usize),
        Resize {
            at: usize,
            size: usize,
        },
        Keep,
        /// Something else takes memory.
        Foreign(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (1_usize..300, 0_u32..5).prop_map(|(size, bits)| Step::Take { size, align: 1 << bits }),
            5 => any::<usize>().prop_map(Step::Give),
            3 => (any::<usize>(), 1_usize..300).prop_map(|(at, size)| Step::Resize { at, size }),
            1 => Just(Step::Keep),
            1 => (1_usize..100).prop_map(Step::Foreign),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn blocks_have_places_of_their_own(steps in steps()) {
            let (mut arena, mut memory) = (Arena::new(), 64);
            // All blocks in use: start and end.
            let mut blocks: Vec<(usize, usize)> = Vec::new();
            // Memory that does not belong to the arena.
            let mut foreign: Vec<(usize, usize)> = [(0, 64)].to_vec();
            for step in steps {
                match step {
                    Step::Take { size, align } => {
                        let grow = |bytes: usize| {
                            let from = memory;
                            memory += bytes.next_multiple_of(128);
                            Some((from, memory))
                        };
                        let start = arena.take(size, align, grow).expect("there is memory");
                        prop_assert_eq!(start % align, 0);
                        prop_assert!(start + size <= memory);
                        blocks.push((start, start + size));
                    }
                    Step::Give(_) | Step::Resize { .. } if blocks.is_empty() => {}
                    Step::Give(at) => {
                        let (start, end) = blocks.swap_remove(at % blocks.len());
                        arena.give(start, end - start);
                    }
                    Step::Resize { at, size } => {
                        let at = at % blocks.len();
                        let (start, end) = blocks[at];
                        if arena.resize(start, end - start, size) {
                            prop_assert!(start + size <= memory);
                            blocks[at].1 = start + size;
                        }
                    }
                    Step::Keep => arena.keep(),
                    Step::Foreign(bytes) => {
                        foreign.push((memory, memory + bytes));
                        memory += bytes;
                    }
                }
                let mut places: Vec<_> = blocks.iter().chain(&foreign).copied().collect();
                places.sort_unstable();
                prop_assert!(places.is_sorted_by(|a, b| a.1 <= b.0), "two in one place: {:?}", places);
            }
        }
    }

    #[test]
    fn a_call_leaves_nothing_behind() {
        let mut arena = Arena::new();
        let take = |arena: &mut Arena, size| arena.take(size, 8, |_| Some((64, 4096))).expect("there is memory");
        let kept = take(&mut arena, 100);
        arena.keep();
        let places = [10, 20, 30].map(|size| take(&mut arena, size));
        assert!(!arena.resize(places[0], 10, 12) && arena.resize(places[2], 30, 300), "only the last has room");
        for (place, size) in [(places[1], 20), (places[0], 10), (places[2], 300)] {
            arena.give(place, size);
        }
        assert_eq!(take(&mut arena, 10), places[0], "the next call begins where this one did");
        arena.give(kept, 100);
        assert!(take(&mut arena, 1) > places[0], "what was kept is not given away");
    }

    #[test]
    fn without_memory_there_is_no_block() {
        let mut arena = Arena::new();
        assert_eq!(arena.take(10, 8, |_| None), None);
        let place = arena.take(10, 8, |_| Some((64, 128)));
        assert_eq!(place, Some(64), "a refusal changes nothing");
        assert_eq!(arena.take(usize::MAX, 8, |_| None), None);
    }
}
