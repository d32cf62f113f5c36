//! Where the results of a block go.
//!
//! Large results are streamed: computed in memory that stays in the cache, then written past it. A store that goes
//! through the cache reads what it overwrites first, and pushes out what others still need. What a batch norm
//! wants to know of the results is summed up on the way, while they are in the cache.

use crate::isa;
use crate::norm::{Moments, Norm};
use crate::simd::{Vector, for_each_isa};
use crate::workers::SharedMut;
use rayon::prelude::*;
use std::ops::Range;

/// Values of a result from which on it does not stay in the cache until it is read.
const STREAMED: usize = 8 << 20;

/// What is summed up of the results.
#[derive(Clone, Copy)]
pub(super) enum Summing<'a> {
    Nothing,
    /// For their mean and variance.
    Moments,
    /// For the gradients of a norm of x, of whose result these are the gradient.
    Gradient {
        norm: &'a Norm,
        x: &'a [f32],
    },
}

/// The results of a pass, written block by block.
pub(super) struct Output<'a> {
    values: SharedMut<'a>,
    len: usize,
    channels: usize,
    summing: Summing<'a>,
    /// The sums of every block.
    parts: SharedMut<'a, f64>,
}

/// The input gradient, to be computed by `pass` along with the weight gradient, from what that reads of dy.
pub(super) struct InputGradient<'a, P> {
    pub pass: &'a P,
    pub weights: &'a [f32],
    pub output: &'a Output<'a>,
}

impl<P> Clone for InputGradient<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for InputGradient<'_, P> {}

impl Summing<'_> {
    /// Length of the sums of a block.
    pub fn part_len(&self, channels: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Moments => Moments::part_len(channels),
            Self::Gradient { .. } => 2 * channels,
        }
    }
}

impl<'a> Output<'a> {
    pub fn new(
        values: &'a mut [f32],
        channels: usize,
        summing: Summing<'a>,
        parts: &'a mut [f64],
    ) -> Self {
        let len = values.len();
        let (values, parts) = (SharedMut::new(values), SharedMut::new(parts));
        Self { values, len, channels, summing, parts }
    }

    /// All values, for whoever does not write them in [blocks](Self::block).
    pub fn whole(&self) -> SharedMut<'a> {
        self.values
    }

    /// Fills all values with zeros, before anybody else writes any.
    pub fn clear(&self) {
        let all = self.values.range(0, self.len);
        // SAFETY: all values, which are the caller's alone at that time.
        let all = unsafe { std::slice::from_raw_parts_mut(all, self.len) };
        all.par_chunks_mut(1 << 16).for_each(|part| part.fill(0.0));
    }

    /// How much memory a block of so many values is computed in, if it is not computed in its place.
    pub fn memory(&self, len: usize) -> usize {
        if self.len >= STREAMED { len } else { 0 }
    }

    /// Lets `compute` write a block of values, in `memory` if need be, and brings them where they belong. Nobody
    /// else may use these values meanwhile, or have a block with that index.
    pub fn block(
        &self,
        index: usize,
        range: Range<usize>,
        memory: &mut [f32],
        compute: impl FnOnce(&mut [f32]),
    ) {
        let place = self.values.range(range.start, range.len());
        // SAFETY: the range lies in the values, and is the caller's alone.
        let place = unsafe { std::slice::from_raw_parts_mut(place, range.len()) };
        if self.memory(range.len()) == 0 {
            compute(place);
            self.sum(index, range, place);
        } else {
            let block = &mut memory[..range.len()];
            compute(block);
            self.sum(index, range, block);
            stream(block, place);
        }
    }

    fn sum(&self, index: usize, range: Range<usize>, values: &[f32]) {
        let len = self.summing.part_len(self.channels);
        let part = self.parts.range(index * len, len);
        // SAFETY: the range lies in the sums, and is of this block.
        let part = unsafe { std::slice::from_raw_parts_mut(part, len) };
        match self.summing {
            Summing::Nothing => {}
            Summing::Moments => Moments::sum_rows(values, part),
            Summing::Gradient { norm, x } => norm.sum_rows(values, &x[range], part),
        }
    }
}

/// Copies values past the cache.
fn stream(from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "stream: lengths");
    // SAFETY: `current` is an instruction set that the CPU has.
    unsafe { stream_vectors(isa::current(), from, to) }
}

for_each_isa! {
    /// # Safety
    /// The CPU must have the instruction set, and both must be of one length.
    unsafe fn stream_vectors = stream_all(from: &[f32], to: &mut [f32])
}

#[inline(always)]
unsafe fn stream_all<V: Vector>(from: &[f32], to: &mut [f32]) {
    let aligned = to.as_ptr().align_offset(V::LANES * size_of::<f32>()).min(to.len());
    let end = aligned + (to.len() - aligned) / V::LANES * V::LANES;
    to[..aligned].copy_from_slice(&from[..aligned]);
    for at in (aligned..end).step_by(V::LANES) {
        // SAFETY: `at` and the lanes behind it lie in both, and `to` is aligned there.
        unsafe { V::load(from.as_ptr().add(at)).stream(to.as_mut_ptr().add(at)) }
    }
    to[end..].copy_from_slice(&from[end..]);
    // SAFETY: the caller's promise.
    unsafe { V::streamed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, detected};
    use crate::testing::fill;

    #[test]
    fn streaming_copies_from_and_to_any_alignment() {
        let from = fill(1000, 1);
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|&i| i <= detected())
        {
            for (start, len) in [(0, 0), (0, 1000), (1, 500), (3, 15), (5, 33), (16, 64)] {
                let mut to = vec![f32::NAN; 1000];
                let from = &from[..len];
                // SAFETY: the CPU has it, and the lengths are the same.
                unsafe { stream_vectors(isa, from, &mut to[start..][..len]) };
                assert_eq!(&to[start..][..len], from);
                assert!(to[start + len..].iter().all(|value| value.is_nan()));
            }
        }
    }
}
