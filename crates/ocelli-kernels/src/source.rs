//! What a convolution reads: values as they stand, or ones that are computed while it reads them.
//!
//! A batch norm reads all of its input and writes as much, a convolution behind it reads that again: memory
//! that nobody needs if the convolution normalises what it reads, block by block, in memory that stays in the
//! cache. The same on the way back, for the gradient that the norm would write.

use crate::bf16::{Bf16, Floats};
use crate::norm::{Norm, NormGradient};
use std::ops::Range;

/// Images, or gradients of images, channels last.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Values as they stand.
    Plain(&'a [f32]),
    /// A norm of x.
    Normed {
        /// What is normalised.
        x: &'a [f32],
        /// How.
        norm: &'a Norm,
    },
    /// The gradient of a norm's input.
    Gradient {
        /// The gradient of its result, or of the residual that was added (see [`NormGradient`]).
        g: &'a [f32],
        /// Its input.
        x: &'a [f32],
        /// How it is made of both.
        gradient: &'a NormGradient,
    },
}

impl<'a> From<&'a [f32]> for Source<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Plain(values)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Source<'a> {
    fn from(values: &'a [f32; N]) -> Self {
        Self::Plain(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Source<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::Plain(values)
    }
}

impl<'a> Source<'a> {
    /// Writes all values.
    ///
    /// # Panics
    /// When `to` has another length.
    pub fn write(&self, to: &mut [f32]) {
        assert_eq!(to.len(), self.len(), "the length of what a source is written to");
        match *self {
            Self::Plain(values) => to.copy_from_slice(values),
            Self::Normed { x, norm } => drop(norm.forward(x, None, to)),
            Self::Gradient { g, x, gradient } => gradient.write(g, x, to),
        }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(values) => values.len(),
            Self::Normed { x, .. } | Self::Gradient { x, .. } => x.len(),
        }
    }

    /// That there are so many values, of pixels of so many channels.
    pub(crate) fn check(&self, len: usize, channels: usize, what: &str) {
        assert_eq!(self.len(), len, "length of {what}");
        let own = match self {
            Self::Plain(_) => channels,
            Self::Normed { norm, .. } => norm.channels(),
            Self::Gradient { g, gradient, .. } => {
                assert_eq!(g.len(), len, "length of the gradient in {what}");
                gradient.channels()
            }
        };
        assert_eq!(own, channels, "channels of {what}");
    }

    /// Where a stretch of it stands, or what it is computed from; the second may be empty.
    pub(crate) fn stands(&self, range: Range<usize>) -> [&'a [f32]; 2] {
        match *self {
            Self::Plain(values) => [&values[range], &[]],
            Self::Normed { x, .. } => [&x[range], &[]],
            Self::Gradient { g, x, .. } => [&g[range.clone()], &x[range]],
        }
    }

    /// How much memory a [`view`](Self::view) of so many values needs.
    pub(crate) fn memory(&self, len: usize) -> usize {
        if self.is_plain() { 0 } else { len }
    }

    /// Whether values are read where they stand.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whole pixels of it, computed into `memory` unless they stand somewhere.
    pub(crate) fn view<'b>(&self, range: Range<usize>, memory: &'b mut [f32]) -> View<'b>
    where
        'a: 'b,
    {
        let start = range.start;
        let values = match *self {
            Self::Plain(values) => &values[range],
            _ => {
                let memory = &mut memory[..range.len()];
                self.compute(range, memory);
                memory
            }
        };
        View { values, start }
    }

    /// All of it, computed into `memory` by all threads unless it stands somewhere.
    pub(crate) fn whole<'b>(&self, memory: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        if let Self::Plain(values) = *self {
            return values;
        }
        let memory = &mut memory[..self.len()];
        self.write(memory);
        memory
    }

    /// Whole pixels of it, rounded to bf16.
    pub(crate) fn load(&self, range: Range<usize>, to: &mut [Bf16]) {
        if let Self::Plain(values) = *self {
            return Floats::from(&values[range]).copy_to(to.into());
        }
        let mut values = vec![0.0; range.len()];
        self.compute(range, &mut values);
        Floats::from(&values).copy_to(to.into());
    }

    fn compute(&self, range: Range<usize>, to: &mut [f32]) {
        match *self {
            Self::Plain(values) => to.copy_from_slice(&values[range]),
            Self::Normed { x, norm } => norm.apply_rows(&x[range], to),
            Self::Gradient { g, x, gradient } => {
                gradient.write_rows(&g[range.clone()], &x[range], to);
            }
        }
    }
}

/// A stretch of a source, as values. Places in it are those in the whole source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    start: usize,
}

impl<'a> View<'a> {
    /// Values that the view has.
    #[inline(always)]
    pub fn get(&self, range: Range<usize>) -> &'a [f32] {
        &self.values[range.start - self.start..range.end - self.start]
    }

    /// All that the view has from a place on.
    #[inline(always)]
    pub fn from(&self, start: usize) -> &'a [f32] {
        &self.values[start - self.start..]
    }

    /// Where its values stand, and the place of the first.
    #[inline(always)]
    pub fn raw(&self) -> (*const f32, usize) {
        (self.values.as_ptr(), self.start)
    }

    /// The places it has.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.values.len()
    }
}
