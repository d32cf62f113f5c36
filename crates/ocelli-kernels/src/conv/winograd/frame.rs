//! The convolution that Winograd's transforms see.
//!
//! One of stride 2 with 7 x 7 weights is one of stride 1 with 4 x 4 weights on folded images: the pixels of
//! each 2 x 2 square, side by side, are one pixel of four times the channels. Weights beyond the kernel, which
//! the squares of an odd kernel have, are zeros.

use super::points::Family;
use crate::conv::ConvShape;
use rayon::prelude::*;
use std::ops::Range;

/// How weights and pixels are folded; with stride 1 they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub family: Family,
    stride: usize,
    kernel: usize,
    /// Channels of a pixel that is not folded.
    channels: usize,
}

impl Frame {
    /// Rows and columns of folded weights, where there are transforms for so many.
    pub fn family(shape: &ConvShape) -> Option<Family> {
        match (shape.stride, shape.kernel) {
            ([1, 1], [3, 3]) => Some(Family::F43),
            ([2, 2], [5, 5] | [6, 6]) => Some(Family::F43),
            ([2, 2], [7, 7] | [8, 8]) => Some(Family::F44),
            _ => None,
        }
    }

    pub fn new(shape: &ConvShape) -> Self {
        Self {
            family: Self::family(shape).unwrap_or(Family::F43),
            stride: shape.stride[0],
            kernel: shape.kernel[0],
            channels: shape.in_channels,
        }
    }

    /// Folded weights.
    pub fn taps(&self) -> usize {
        self.family.taps() * self.family.taps()
    }

    /// Weights of a kernel `[O, kernel, kernel, C]` per output channel.
    pub fn weights(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Where in the kernel a folded weight begins, if it is one.
    pub fn weight(&self, phase: usize, tap: usize) -> Option<usize> {
        let taps = self.family.taps();
        let row = tap / taps * self.stride + phase / self.stride;
        let column = tap % taps * self.stride + phase % self.stride;
        let inside = row < self.kernel && column < self.kernel;
        inside.then_some((row * self.kernel + column) * self.channels)
    }

    /// Cuts folded channels by the pixel of the square that they belong to: the number of that pixel, its
    /// channels, and their position among those given.
    pub fn phases(
        self,
        folded: Range<usize>,
    ) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
        (0..self.stride * self.stride).filter_map(move |phase| {
            let start = phase * self.channels;
            let part = folded.start.max(start)..folded.end.min(start + self.channels);
            let at = part.start.wrapping_sub(folded.start);
            (!part.is_empty()).then(|| (phase, part.start - start..part.end - start, at))
        })
    }

    /// Rows, columns and channels of the images that are read, and where the first output reads.
    pub fn source(&self, shape: &ConvShape) -> ([usize; 3], [isize; 2]) {
        if self.stride == 1 {
            let padding = [shape.padding.top, shape.padding.left];
            let size = [shape.height, shape.width, shape.in_channels];
            return (size, padding.map(|padding| -(padding as isize)));
        }
        let [rows, columns] = shape.output().map(|outputs| outputs + self.family.taps() - 1);
        ([rows, columns, self.stride * self.stride * self.channels], [0, 0])
    }

    /// Elements that [`fold`](Self::fold) writes.
    pub fn folded_len(&self, shape: &ConvShape) -> usize {
        let ([rows, columns, channels], _) = self.source(shape);
        if self.stride == 1 { 0 } else { shape.batch * rows * columns * channels }
    }

    /// Images of x as they are read: x itself, or folded into `to`.
    pub fn fold<'a>(&self, shape: &ConvShape, x: &'a [f32], to: &'a mut [f32]) -> &'a [f32] {
        if self.stride == 1 {
            return x;
        }
        let ([rows, columns, channels], _) = self.source(shape);
        let line = shape.width * shape.in_channels;
        to.par_chunks_exact_mut(columns * channels).enumerate().for_each(|(index, to)| {
            let (image, row) = (index / rows, index % rows);
            for half in 0..2 {
                let row = (2 * row + half).checked_sub(shape.padding.top);
                let from = row
                    .filter(|&row| row < shape.height)
                    .map(|row| &x[(image * shape.height + row) * line..][..line]);
                let pairs = to.chunks_exact_mut(channels / 2).skip(half).step_by(2);
                fold_line(from, shape.padding.left, shape.in_channels, pairs);
            }
        });
        to
    }
}

/// Writes the pixels of a line, which begins with `left` zeros, to pairs; zeros where there are none.
fn fold_line<'a>(
    line: Option<&[f32]>,
    left: usize,
    channels: usize,
    pairs: impl Iterator<Item = &'a mut [f32]>,
) {
    let Some(line) = line else {
        return pairs.for_each(|pair| pair.fill(0.0));
    };
    for (i, pair) in pairs.enumerate() {
        let start = (2 * i).checked_sub(left).map(|pixel| pixel * channels);
        match start.and_then(|start| line.get(start..start + 2 * channels)) {
            Some(both) => match (pair.first_chunk_mut::<6>(), both.first_chunk::<6>()) {
                // Colour images: no call for so few bytes.
                (Some(pair), Some(both)) if channels == 3 => *pair = *both,
                _ => pair.copy_from_slice(both),
            },
            None => {
                for (pixel, to) in (2 * i..).zip(pair.chunks_exact_mut(channels)) {
                    let start = pixel.checked_sub(left).map(|pixel| pixel * channels);
                    match start.and_then(|start| line.get(start..start + channels)) {
                        Some(from) => to.copy_from_slice(from),
                        None => to.fill(0.0),
                    }
                }
            }
        }
    }
}
