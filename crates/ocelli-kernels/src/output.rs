//! Where the results of a block go.
//!
//! Large results are streamed: computed in memory that stays in the cache, then written past it. A store that goes
//! through the cache reads what it overwrites first, and pushes out what others still need. Results in bf16 are
//! computed in f32 and rounded on the way. What a batch norm wants to know of the results is summed up while they are
//! in the cache.

use crate::bf16::{Bf16, Element, Floats, FloatsMut, either, pair};
use crate::isa;
use crate::norm::{Moments, Norm};
use crate::simd::{Vector, for_each_isa};
use crate::source::Source;
use crate::workers::SharedMut;
use rayon::prelude::*;
use std::ops::Range;

/// Bytes of a result from which on it does not stay in the cache until it is read.
const STREAMED: usize = 32 << 20;
/// Bytes of a result from which on its place is not in a cache before it is written.
const FETCHED: usize = 4 << 20;

/// What is summed up of the results.
#[derive(Clone, Copy)]
pub(crate) enum Summing<'a> {
    Nothing,
    /// For their mean and variance.
    Moments,
    /// For the gradients of a norm of x, of whose result these are the gradient.
    Gradient {
        norm: &'a Norm,
        x: Floats<'a>,
    },
}

/// The results of a pass, written block by block.
pub(crate) struct Output<'a> {
    values: Values<'a>,
    len: usize,
    channels: usize,
    summing: Summing<'a>,
    /// The sums of every block.
    parts: SharedMut<'a, f64>,
}

#[derive(Clone, Copy)]
enum Values<'a> {
    F32(SharedMut<'a>),
    Bf16(SharedMut<'a, Bf16>),
}

/// The input gradient, to be computed by `pass` along with the weight gradient, from what that reads of dy.
pub(crate) struct InputGradient<'a, P> {
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

impl<'a> Summing<'a> {
    /// For the gradients of a norm of x, if one makes what the results are the gradient of.
    ///
    /// # Panics
    /// If it is of another shape.
    pub fn of(norm: Option<(&'a Norm, Floats<'a>)>, len: usize, channels: usize) -> Self {
        let Some((norm, x)) = norm else { return Self::Nothing };
        Source::Normed { x, norm }.check(len, channels, "the norm");
        Self::Gradient { norm, x }
    }

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
        values: FloatsMut<'a>,
        channels: usize,
        summing: Summing<'a>,
        parts: &'a mut [f64],
    ) -> Self {
        let len = values.len();
        let values = match values {
            FloatsMut::F32(values) => Values::F32(SharedMut::new(values)),
            FloatsMut::Bf16(values) => Values::Bf16(SharedMut::new(values)),
        };
        Self { values, len, channels, summing, parts: SharedMut::new(parts) }
    }

    /// All values, for whoever does not write them in [blocks](Self::block).
    ///
    /// # Panics
    /// If they are bf16, which are written in blocks alone.
    pub fn whole(&self) -> SharedMut<'a> {
        let Values::F32(values) = self.values else { panic!("bf16 is written in blocks") };
        values
    }

    /// Fills all values with zeros, before anybody else writes any.
    pub fn clear(&self) {
        let all = self.whole().range(0, self.len);
        // SAFETY: all values, which are the caller's alone at that time.
        let all = unsafe { std::slice::from_raw_parts_mut(all, self.len) };
        all.par_chunks_mut(1 << 16).for_each(|part| part.fill(0.0));
    }

    /// How much memory a [`block`](Self::block) of so many values needs.
    pub fn memory(&self, len: usize) -> usize {
        let computed = if self.is_narrow() { len } else { 0 };
        computed + if self.streamed() { self.f32s(len) } else { 0 }
    }

    /// How much memory so many values are [written](Self::write) in, if not in their place.
    pub fn beside(&self, len: usize) -> usize {
        if self.is_aside() { self.f32s(len) } else { 0 }
    }

    /// What so many values take.
    fn f32s(&self, len: usize) -> usize {
        (len * self.width()).div_ceil(size_of::<f32>())
    }

    fn is_narrow(&self) -> bool {
        matches!(self.values, Values::Bf16(_))
    }

    fn width(&self) -> usize {
        if self.is_narrow() { size_of::<Bf16>() } else { size_of::<f32>() }
    }

    fn streamed(&self) -> bool {
        self.len * self.width() >= STREAMED
    }

    /// Whether values that come tile by tile are written elsewhere first: to be streamed, or as they would fetch the lines
    /// of their place in no order, if these are not in the cache.
    fn is_aside(&self) -> bool {
        self.streamed() || self.is_narrow() && self.len * self.width() >= FETCHED
    }

    /// Lets `compute` write a block of values in f32, in `memory` if need be, and brings them where they belong.
    /// Nobody else may use these values meanwhile, or have a block with that index.
    pub fn block(
        &self,
        index: usize,
        range: Range<usize>,
        memory: &mut [f32],
        compute: impl FnOnce(&mut [f32]),
    ) {
        let computed = if self.is_narrow() { range.len() } else { 0 };
        let (computed, rest) = memory.split_at_mut(computed);
        self.write_in(self.streamed(), index, range, rest, |block| match block {
            FloatsMut::F32(block) => compute(block),
            FloatsMut::Bf16(block) => {
                compute(computed);
                Floats::F32(computed).copy_here(block.into());
            }
        });
    }

    /// The same for whoever rounds by itself, tile by tile, with memory for what is [beside](Self::beside).
    pub fn write(
        &self,
        index: usize,
        range: Range<usize>,
        memory: &mut [f32],
        write: impl FnOnce(FloatsMut<'_>),
    ) {
        self.write_in(self.is_aside(), index, range, memory, write);
    }

    fn write_in(
        &self,
        aside: bool,
        index: usize,
        range: Range<usize>,
        memory: &mut [f32],
        write: impl FnOnce(FloatsMut<'_>),
    ) {
        match self.values {
            Values::F32(values) => {
                self.write_to((values, aside.then_some(memory)), index, range, write);
            }
            Values::Bf16(values) => {
                let memory = aside.then_some(Bf16::slice_mut(memory));
                self.write_to((values, memory), index, range, write);
            }
        }
    }

    /// Writes a block in its place, or in memory first.
    fn write_to<T: Element>(
        &self,
        (values, memory): (SharedMut<'_, T>, Option<&mut [T]>),
        index: usize,
        range: Range<usize>,
        write: impl FnOnce(FloatsMut<'_>),
    ) {
        let (start, len) = (range.start, range.len());
        // SAFETY: the range lies in the values, and is the caller's alone.
        let place = unsafe { std::slice::from_raw_parts_mut(values.range(start, len), len) };
        let Some(memory) = memory else {
            write(T::floats_mut(place));
            return self.sum(index, range, T::floats(place));
        };
        let block = &mut memory[..len];
        write(T::floats_mut(block));
        self.sum(index, range, T::floats(block));
        match self.streamed() {
            true => stream(block, place),
            false => place.copy_from_slice(block),
        }
    }

    /// Sums up what others will read.
    fn sum(&self, index: usize, range: Range<usize>, values: Floats<'_>) {
        let len = self.summing.part_len(self.channels);
        let part = self.parts.range(index * len, len);
        // SAFETY: the range lies in the sums, and is of this block.
        let part = unsafe { std::slice::from_raw_parts_mut(part, len) };
        match self.summing {
            Summing::Nothing => {}
            Summing::Moments => either!(Floats, values, values => Moments::sum_rows(values, part)),
            Summing::Gradient { norm, x } => pair!((values, x.get(range)), (values, x) => {
                norm.sum_rows(values, x, part);
            }),
        }
    }
}

/// Copies values past the cache.
fn stream<T: Copy>(from: &[T], to: &mut [T]) {
    assert_eq!(from.len(), to.len(), "stream: lengths");
    let len = size_of_val(from);
    let (from, to) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
    // SAFETY: `current` is an instruction set that the CPU has, and both are of that many bytes.
    unsafe { stream_vectors(isa::current(), from, to, len) }
}

for_each_isa! {
    /// # Safety
    /// The CPU must have the instruction set, both must be of so many bytes, and they must not overlap.
    unsafe fn stream_vectors = stream_bytes(from: *const u8, to: *mut u8, len: usize)
}

#[inline(always)]
unsafe fn stream_bytes<V: Vector>(from: *const u8, to: *mut u8, len: usize) {
    let width = V::LANES * size_of::<f32>();
    let aligned = to.align_offset(width).min(len);
    let end = aligned + (len - aligned) / width * width;
    // SAFETY: all places lie below `len`, and `to` is aligned from `aligned` on. What the vectors hold need not be
    // f32: they are only moved.
    unsafe {
        to.copy_from_nonoverlapping(from, aligned);
        for at in (aligned..end).step_by(width) {
            V::load(from.add(at).cast()).stream(to.add(at).cast());
        }
        to.add(end).copy_from_nonoverlapping(from.add(end), len - end);
        V::streamed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, detected};
    use crate::testing::fill;

    #[test]
    fn streaming_copies_from_and_to_any_alignment() {
        let from = fill(1000, 1);
        for isa in Isa::ALL.into_iter().filter(|&i| i <= detected()) {
            for (start, len) in [(0, 0), (0, 1000), (1, 500), (3, 15), (5, 33), (16, 64)] {
                let mut to = vec![f32::NAN; 1000];
                let from = &from[..len];
                let place = to[start..][..len].as_mut_ptr().cast();
                // SAFETY: the CPU has it, and both have so many bytes.
                unsafe { stream_vectors(isa, from.as_ptr().cast(), place, 4 * len) };
                assert_eq!(&to[start..][..len], from);
                assert!(to[start + len..].iter().all(|value| value.is_nan()));
            }
        }
    }
}
