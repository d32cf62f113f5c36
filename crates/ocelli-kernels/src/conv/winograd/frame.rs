//! The convolution that Winograd's transforms see.
//!
//! One of stride 2 with 7 x 7 weights is one of stride 1 with 4 x 4 weights on folded images: the pixels of
//! each 2 x 2 square, side by side, are one pixel of four times the channels. Weights beyond the kernel, which
//! the squares of an odd kernel have, are zeros; and where the last one of an axis is, so are all products at
//! infinity, which are left out. Of 3 x 3 weights, 81 products per 4 x 4 outputs remain instead of 144.
//!
//! Backward, the four pixels of a square of dx are four convolutions of dy with stride 1.

use super::points::Family;
use super::tiles::{Run, Tiling};
use crate::conv::ConvShape;
use crate::source::Source;
use rayon::prelude::*;
use std::ops::Range;

/// Every `step`-th pixel of images `[rows, columns, channels]`, for each pixel of a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub size: [usize; 3],
    /// The first square; negative where it begins outside the image.
    pub offset: [isize; 2],
    pub step: usize,
}

impl Grid {
    /// Pixels of a square.
    pub fn phases(&self) -> usize {
        self.step * self.step
    }

    /// The first of these pixels, if squares are read forwards.
    pub fn first(&self, phase: usize) -> [isize; 2] {
        let pixel = pixel(self.step, phase);
        [0, 1].map(|axis| self.offset[axis] + pixel[axis] as isize)
    }

    /// The same if they are read backwards.
    pub fn first_backwards(&self, phase: usize) -> [isize; 2] {
        let pixel = pixel(self.step, phase);
        [0, 1].map(|axis| self.offset[axis] + self.step as isize - 1 - pixel[axis] as isize)
    }

    /// The values that the tiles of some strips read, if each reads so many rows of squares beyond its outputs:
    /// whole lines, with what lies between them.
    pub fn source_of(&self, tiling: &Tiling, strips: &Range<usize>, more: usize) -> Range<usize> {
        if strips.is_empty() {
            return 0..0;
        }
        let [height, width, channels] = self.size;
        let per_image = tiling.rows.tiles();
        let line = |strip: usize, squares: fn(Run) -> usize, more: usize| {
            let row = (squares(tiling.rows.run(strip % per_image)) + more) * self.step;
            strip / per_image * height + row.saturating_add_signed(self.offset[0]).min(height)
        };
        let start = line(strips.start, |run| run.start, 0);
        let end = line(strips.end - 1, |run| run.start + run.outputs, more).max(start);
        start * width * channels..end * width * channels
    }

    /// Squares that it takes to cover the image.
    pub fn squares(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.size[axis].wrapping_add_signed(-self.offset[axis])).div_ceil(self.step)
        })
    }
}

/// The pixels of a square, rows and columns of it, in the order of their channels. So those that are not zero
/// at a point stand side by side, whatever the point.
const SQUARE: [[usize; 2]; 4] = [[0, 1], [0, 0], [1, 0], [1, 1]];

/// Row and column of a pixel in its square of `side` x `side`.
fn pixel(side: usize, phase: usize) -> [usize; 2] {
    if side == 1 { [0, 0] } else { SQUARE[phase] }
}

/// Images with whole lines of channels are read where they are.
const WHOLE: usize = 16;

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
            ([2, 2], [3, 3]) => Some(Family::F42),
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

    /// Convolutions that the pixels of a square make: 4, or 1.
    pub fn phases(&self) -> usize {
        self.stride * self.stride
    }

    /// Where in the kernel a folded weight begins, if it is one.
    pub fn weight(&self, phase: usize, tap: usize) -> Option<usize> {
        let (taps, [row, column]) = (self.family.taps(), pixel(self.stride, phase));
        let row = tap / taps * self.stride + row;
        let column = tap % taps * self.stride + column;
        let inside = row < self.kernel && column < self.kernel;
        inside.then_some(row * self.kernel + column)
    }

    /// The same for the gradient of the input, which reads the kernel from its end. An odd one.
    pub fn weight_backward(&self, phase: usize, tap: usize) -> Option<usize> {
        let (last, [row, column]) = (self.family.taps() - 1, pixel(self.stride, phase));
        let row = ((last - tap / (last + 1)) * self.stride).checked_sub(row)?;
        let column = ((last - tap % (last + 1)) * self.stride).checked_sub(column)?;
        Some(row * self.kernel + column)
    }

    /// Whether the weights of a pixel are zeros at infinity, along rows and columns.
    fn finite(&self, phase: usize) -> [bool; 2] {
        pixel(self.stride, phase).map(|at| at + 1 == self.stride && self.kernel % self.stride == 1)
    }

    /// Whether they are zeros at a point.
    pub fn vanishes(&self, phase: usize, point: usize) -> bool {
        let (points, [rows, columns]) = (self.family.points(), self.finite(phase));
        rows && point / points + 1 == points || columns && point % points + 1 == points
    }

    /// The folded channels whose weights are not zeros at a point.
    pub fn live(&self, point: usize) -> Range<usize> {
        let mut live = (0..self.phases()).filter(|&phase| !self.vanishes(phase, point));
        let first = live.next().unwrap_or(0);
        first * self.channels..(live.next_back().unwrap_or(first) + 1) * self.channels
    }

    /// Cuts folded channels by the pixel of the square that they belong to: the number of that pixel, its
    /// channels, and their position among those given.
    pub fn parts(self, folded: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
        (0..self.phases()).filter_map(move |phase| {
            let start = phase * self.channels;
            let part = folded.start.max(start)..folded.end.min(start + self.channels);
            let at = part.start.wrapping_sub(folded.start);
            (!part.is_empty()).then(|| (phase, part.start - start..part.end - start, at))
        })
    }

    /// Whether pixels must be copied to stand side by side.
    fn folds(&self) -> bool {
        self.stride > 1 && !self.channels.is_multiple_of(WHOLE)
    }

    /// Channels of the pixels that the transforms see.
    pub fn depth(&self) -> usize {
        self.phases() * self.channels
    }

    /// The grid of x, or of the images that it was folded to.
    pub fn source(&self, shape: &ConvShape) -> Grid {
        if self.folds() {
            let [rows, columns] = shape.output().map(|outputs| outputs + self.family.taps() - 1);
            return Grid { size: [rows, columns, self.depth()], offset: [0, 0], step: 1 };
        }
        let offset = [shape.padding.top, shape.padding.left].map(|padding| -(padding as isize));
        let size = [shape.height, shape.width, shape.in_channels];
        Grid { size, offset, step: self.stride }
    }

    /// The grid of dx, and what the first output of each of its axes reads of dy.
    pub fn target(&self, shape: &ConvShape) -> (Grid, [isize; 2]) {
        let last = self.family.taps() as isize - 1;
        let padding = [shape.padding.top, shape.padding.left].map(|padding| padding as isize);
        // Squares may begin a pixel before the image.
        let offset = padding.map(|p| if self.stride == 1 { 0 } else { p % 2 - 1 });
        let stride = self.stride as isize;
        let reads = padding.map(|p| (p + stride - 1) / stride - last);
        let size = [shape.height, shape.width, shape.in_channels];
        (Grid { size, offset, step: self.stride }, reads)
    }

    /// Channels of an input pixel.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Elements that [`fold`](Self::fold) writes.
    pub fn folded_len(&self, shape: &ConvShape) -> usize {
        let [rows, columns, channels] = self.source(shape).size;
        if self.folds() { shape.batch * rows * columns * channels } else { 0 }
    }

    /// Elements of `whole` for [`fold`](Self::fold).
    pub fn whole_len(&self, x: &Source<'_>) -> usize {
        if self.folds() { x.memory(x.len()) } else { 0 }
    }

    /// Images of x as they are read: x itself, or folded into `to`, if need be from where it is computed.
    pub fn fold<'a>(
        &self,
        shape: &ConvShape,
        x: Source<'a>,
        whole: &mut [f32],
        to: &'a mut [f32],
    ) -> Source<'a> {
        if !self.folds() {
            return x;
        }
        let x = x.whole(whole);
        let [rows, columns, channels] = self.source(shape).size;
        let line = shape.width * shape.in_channels;
        to.par_chunks_exact_mut(columns * channels).enumerate().for_each(|(index, to)| {
            let (image, row) = (index / rows, index % rows);
            for half in 0..2 {
                let row = (2 * row + half).checked_sub(shape.padding.top);
                let from = row
                    .filter(|&row| row < shape.height)
                    .map(|row| &x[(image * shape.height + row) * line..][..line]);
                let pairs = to.chunks_exact_mut(channels / 2).skip(half).step_by(2);
                fold_line(from, shape.padding.left, SQUARE[2 * half], pairs);
            }
        });
        Source::from(&*to)
    }
}

/// Writes the pixels of a line, which begins with `left` zeros, to pairs, zeros where there are none. The
/// pixel `first` of its two is the first of a pair.
fn fold_line<'a>(
    line: Option<&[f32]>,
    left: usize,
    [_, first]: [usize; 2],
    pairs: impl Iterator<Item = &'a mut [f32]>,
) {
    for (i, pair) in pairs.enumerate() {
        let channels = pair.len() / 2;
        for (j, to) in pair.chunks_exact_mut(channels).enumerate() {
            let start = (2 * i + (j ^ first)).checked_sub(left).map(|pixel| pixel * channels);
            let from = line.zip(start).and_then(|(line, at)| line.get(at..at + channels));
            match (from, to.first_chunk_mut::<3>()) {
                // Colour images: no call for so few bytes.
                (Some(&[r, g, b]), Some(to)) => *to = [r, g, b],
                (Some(from), _) => to.copy_from_slice(from),
                (None, _) => to.fill(0.0),
            }
        }
    }
}
