//! Finds the positions in a text where one of many patterns may begin, sixteen positions at a time.
//!
//! Patterns are in eight groups. For each of a pattern's first bytes, two tables list the groups that have such a byte
//! there: one by the byte's lower four bits, one by its upper four. Text that begins like a pattern of a group has the
//! group's bit in all lookups. So has some other text, because the bytes of a group's patterns mix. Wasm looks up
//! sixteen half-bytes with one instruction. The method is Teddy, from the Hyperscan library.

#[cfg(target_feature = "simd128")]
use core::arch::wasm32::{i8x16_ne, u8x16_bitmask, u8x16_shr, u8x16_splat, u8x16_swizzle, v128, v128_and, v128_load};

/// How many positions are checked together.
#[cfg(target_feature = "simd128")]
const PLACES: usize = 16;

/// Groups of patterns, distinguished by their first `N` bytes.
pub(crate) struct Groups<const N: usize>([[[u8; 16]; 2]; N]);

impl<const N: usize> Groups<N> {
    /// Groups without patterns.
    pub(crate) const fn new() -> Self {
        Self([[[0; 16]; 2]; N])
    }

    /// Adds a byte at a position to the patterns of a group, which is one bit.
    pub(crate) const fn add(&mut self, group: u8, place: usize, byte: u8) {
        self.0[place][0][(byte & 15) as usize] |= group;
        self.0[place][1][(byte >> 4) as usize] |= group;
    }

    /// Lets any byte stand at a position of the patterns of a group.
    pub(crate) const fn add_any(&mut self, group: u8, place: usize) {
        let mut half = 0;
        while half < 16 {
            self.0[place][0][half] |= group;
            self.0[place][1][half] |= group;
            half += 1;
        }
    }

    /// Reports all positions at which a pattern may begin, in order.
    pub(crate) fn find(&self, text: &[u8], mut found: impl FnMut(usize)) {
        #[cfg(target_feature = "simd128")]
        let start = {
            let mut at = 0;
            while let Some(window) = text.get(at..at + PLACES + N - 1) {
                let mut places = self.sixteen(window);
                while places != 0 {
                    found(at + places.trailing_zeros() as usize);
                    places &= places - 1;
                }
                at += PLACES;
            }
            // Those that are left, but for the very last, are in a window that overlaps the one before.
            if at > 0 && at + N - 1 < text.len() {
                let last = text.len() - (PLACES + N - 1);
                let mut places = self.sixteen(&text[last..]) >> (at - last) << (at - last);
                while places != 0 {
                    found(last + places.trailing_zeros() as usize);
                    places &= places - 1;
                }
                at = last + PLACES;
            }
            at
        };
        // Native tests run without these instructions.
        #[cfg(not(target_feature = "simd128"))]
        let start = 0;
        for at in start..text.len() {
            if self.begins(&text[at..]) {
                found(at);
            }
        }
    }

    /// Whether the text may begin with a pattern. A text of fewer than `N` bytes may, if it could continue like one.
    fn begins(&self, text: &[u8]) -> bool {
        let halves = self.0.iter().zip(text);
        let groups =
            |[lower, upper]: &[[u8; 16]; 2], byte: u8| lower[usize::from(byte & 15)] & upper[usize::from(byte >> 4)];
        halves.fold(u8::MAX, |all, (tables, &byte)| all & groups(tables, byte)) != 0
    }

    /// One bit for each of the first sixteen positions, set if a pattern may begin there.
    #[cfg(target_feature = "simd128")]
    fn sixteen(&self, text: &[u8]) -> u16 {
        let mut groups = u8x16_splat(u8::MAX);
        for (place, [lower, upper]) in self.0.iter().enumerate() {
            let Some(bytes) = text[place..].first_chunk() else { return u16::MAX };
            let bytes = load(bytes);
            let lower = u8x16_swizzle(load(lower), v128_and(bytes, u8x16_splat(15)));
            let upper = u8x16_swizzle(load(upper), u8x16_shr(bytes, 4));
            groups = v128_and(groups, v128_and(lower, upper));
        }
        u8x16_bitmask(i8x16_ne(groups, u8x16_splat(0)))
    }
}

impl Groups<1> {
    /// Looks at a text sixteen bytes at a time. The last window is filled up with zeros.
    pub(crate) fn windows(&self, text: &[u8], mut look: impl FnMut(&Window)) {
        let (windows, rest) = text.as_chunks();
        windows.iter().for_each(|window| look(&self.window(window)));
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            look(&self.window(&last));
        }
    }

    #[cfg(target_feature = "simd128")]
    fn window(&self, bytes: &[u8; 16]) -> Window {
        let [[lower, upper]] = &self.0;
        let bytes = load(bytes);
        let lower = u8x16_swizzle(load(lower), v128_and(bytes, u8x16_splat(15)));
        let upper = u8x16_swizzle(load(upper), u8x16_shr(bytes, 4));
        Window { groups: v128_and(lower, upper), bytes }
    }

    #[cfg(not(target_feature = "simd128"))]
    fn window(&self, bytes: &[u8; 16]) -> Window {
        let [[lower, upper]] = &self.0;
        let groups = bytes.map(|byte| lower[usize::from(byte & 15)] & upper[usize::from(byte >> 4)]);
        Window { groups, bytes: *bytes }
    }
}

/// Sixteen bytes of a text, and the groups of each.
#[cfg(target_feature = "simd128")]
pub(crate) struct Window {
    groups: v128,
    bytes: v128,
}

#[cfg(not(target_feature = "simd128"))]
pub(crate) struct Window {
    groups: [u8; 16],
    bytes: [u8; 16],
}

#[cfg(target_feature = "simd128")]
impl Window {
    /// One bit for each byte, set if it is of one of these groups.
    pub(crate) fn of(&self, groups: u8) -> u16 {
        u8x16_bitmask(i8x16_ne(v128_and(self.groups, u8x16_splat(groups)), u8x16_splat(0)))
    }

    /// One bit for each byte, set if it is not ASCII.
    pub(crate) fn beyond_ascii(&self) -> u16 {
        u8x16_bitmask(self.bytes)
    }
}

#[cfg(not(target_feature = "simd128"))]
impl Window {
    pub(crate) fn of(&self, groups: u8) -> u16 {
        bits(self.groups.map(|of| of & groups != 0))
    }

    pub(crate) fn beyond_ascii(&self) -> u16 {
        bits(self.bytes.map(|byte| !byte.is_ascii()))
    }
}

#[cfg(not(target_feature = "simd128"))]
fn bits(set: [bool; 16]) -> u16 {
    set.iter().rev().fold(0, |bits, &set| bits << 1 | u16::from(set))
}

#[cfg(target_feature = "simd128")]
fn load(bytes: &[u8; PLACES]) -> v128 {
    // SAFETY: the reference covers sixteen bytes, and the load needs no alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    #[test]
    fn places() {
        let mut groups = Groups::<2>::new();
        for (place, byte) in [(0, b'a'), (1, b'b')] {
            groups.add(1, place, byte);
        }
        for (place, byte) in [(0, b'x'), (0, b'y'), (1, b'z')] {
            groups.add(2, place, byte);
        }
        let found = |text: &str| {
            let mut places = Vec::new();
            groups.find(text.as_bytes(), |at| places.push(at));
            places
        };
        assert_eq!(found("ab, xz, yz, az and xb"), [0, 4, 8]);
        assert_eq!(found("nothing of this"), [0; 0]);
        assert_eq!(found(""), [0; 0]);
        assert_eq!(found("z and a"), [6], "it could go on");
    }
}
