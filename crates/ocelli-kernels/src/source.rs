//! What a convolution or a pool reads: values as they stand, or ones that are computed while it reads them.
//!
//! A batch norm reads all of its input and writes as much, a convolution behind it reads that again: memory
//! that nobody needs if the convolution normalises what it reads, block by block, in memory that stays in the
//! cache. The same on the way back, for the gradient that the norm would write.

use crate::bf16::{Bf16, Floats, FloatsMut, either, pair};
use crate::norm::{Norm, NormGradient};
use std::ops::Range;

/// Images, or gradients of images, channels last.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Values as they stand.
    Plain(Floats<'a>),
    /// A norm of x.
    Normed {
        /// What is normalised.
        x: Floats<'a>,
        /// How.
        norm: &'a Norm,
    },
    /// The gradient of a norm's input.
    Gradient {
        /// The gradient of its result, or of the residual that was added (see [`NormGradient`]).
        g: Floats<'a>,
        /// Its input.
        x: Floats<'a>,
        /// How it is made of both.
        gradient: &'a NormGradient,
    },
}

impl<'a, T: Into<Floats<'a>>> From<T> for Source<'a> {
    fn from(values: T) -> Self {
        Self::Plain(values.into())
    }
}

impl<'a> Source<'a> {
    /// Writes all values.
    ///
    /// # Panics
    /// When `to` has another length.
    pub fn write<'b>(&self, to: impl Into<FloatsMut<'b>>) {
        let to = to.into();
        assert_eq!(to.len(), self.len(), "the length of what a source is written to");
        match *self {
            Self::Plain(values) => values.copy_to(to),
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
    pub(crate) fn stands(&self, range: Range<usize>) -> [Floats<'a>; 2] {
        match *self {
            Self::Plain(values) => [values.get(range), Floats::F32(&[])],
            Self::Normed { x, .. } => [x.get(range), Floats::F32(&[])],
            Self::Gradient { g, x, .. } => [g.get(range.clone()), x.get(range)],
        }
    }

    /// How much memory a [`view`](Self::view) of so many values needs.
    pub(crate) fn memory(&self, len: usize) -> usize {
        if self.is_plain() { 0 } else { len }
    }

    /// Whether values are read where they stand.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(Floats::F32(_)))
    }

    /// Whole pixels of it, computed into `memory` unless they stand somewhere.
    pub(crate) fn view<'b>(&self, range: Range<usize>, memory: &'b mut [f32]) -> View<'b>
    where
        'a: 'b,
    {
        let start = range.start;
        let values = match *self {
            Self::Plain(Floats::F32(values)) => &values[range],
            _ => {
                let memory = &mut memory[..range.len()];
                self.compute(range, memory.into());
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
        if let Self::Plain(Floats::F32(values)) = *self {
            return values;
        }
        let memory = &mut memory[..self.len()];
        self.write(&mut *memory);
        memory
    }

    /// Whole pixels of it as bf16.
    pub(crate) fn load(&self, range: Range<usize>, to: &mut [Bf16]) {
        self.compute(range, to.into());
    }

    fn compute(&self, range: Range<usize>, to: FloatsMut<'_>) {
        match *self {
            Self::Plain(values) => values.get(range).copy_here(to),
            Self::Normed { x, norm } => either!(Floats, x.get(range), x => {
                either!(FloatsMut, to, to => norm.apply_rows(x, to));
            }),
            Self::Gradient { g, x, gradient } => {
                pair!((g.get(range.clone()), x.get(range)), (g, x) => {
                    either!(FloatsMut, to, to => gradient.write_rows(g, x, to));
                });
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
