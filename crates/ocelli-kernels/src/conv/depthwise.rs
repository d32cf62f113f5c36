//! Depthwise convolution, forward and backward to the input: every channel is filtered on its own.
//!
//! Nothing is gathered: with channels innermost, a vector of channels of one output pixel is a sum of
//! vectors of input pixels times vectors of weights. A target row is computed in tiles of [`TILE`]
//! pixels, so that an input vector, once loaded, serves every output that it overlaps.

use super::ConvShape;
use super::dense::Operands;
use super::grid::{Axis, Grid, Pass};
use crate::Scratch;
use crate::fused::{Kernel, MulAdd, load_unchecked, run};
use crate::lanes::{load, store, widths};
use crate::workers::{apart, count, share};
use std::array;
use std::ops::Range;

/// Neighbouring grid points computed together.
const TILE: usize = 4;
/// Target elements in a block of rows.
const BLOCK: usize = 1 << 16;

/// One direction of a depthwise convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    pass: Pass,
    /// For every row phase, its grids with the offset of their weights.
    phases: Vec<Vec<(Grid, usize)>>,
}

impl Depthwise {
    pub fn forward(shape: &ConvShape) -> Self {
        Self::new(Pass::forward(shape))
    }

    pub fn backward_input(shape: &ConvShape) -> Self {
        Self::new(Pass::backward_input(shape))
    }

    fn new(pass: Pass) -> Self {
        let mut phases = vec![vec![]; pass.spread[0]];
        let mut offset = 0;
        for grid in &pass.grids {
            phases[grid.rows.first].push((grid.clone(), offset));
            offset += grid.taps() * pass.source[2];
        }
        Self { pass, phases }
    }

    /// Weights `[C, kH, kW, 1]` in the order they are read: per phase `[taps, C]`.
    pub fn pack(&self, shape: &ConvShape, w: &[f32]) -> Vec<f32> {
        let [kernel_height, kernel_width] = shape.kernel;
        let taps = kernel_height * kernel_width;
        let mut packed = Vec::with_capacity(w.len());
        for grid in &self.pass.grids {
            for row in &grid.rows.taps {
                for column in &grid.columns.taps {
                    let tap = row.index * kernel_width + column.index;
                    packed.extend((0..shape.in_channels).map(|c| w[c * taps + tap]));
                }
            }
        }
        packed
    }

    /// Target = convolution of source, plus a bias per channel.
    pub fn run(&self, operands: Operands<'_>, target: &mut [f32], scratch: &mut Scratch) {
        let [height, width, channels] = self.pass.target;
        let row_len = width * channels;
        let rows = (BLOCK / row_len).clamp(1, height);
        let blocks = (self.pass.batch * height).div_ceil(rows);
        let memory = scratch.take(count(blocks) * apart(0));
        let items = target.chunks_mut(rows * row_len).enumerate();
        share(items, memory, apart(0), |(block, target), _| {
            for (i, target) in target.chunks_exact_mut(row_len).enumerate() {
                self.run_row(operands, block * rows + i, target);
            }
        });
    }

    /// One row of the target; `line` counts them over all images.
    fn run_row(&self, operands: Operands<'_>, line: usize, target: &mut [f32]) {
        let Operands { source, weights, bias } = operands;
        let [source_height, source_width, channels] = self.pass.source;
        let (image, y) = (line / self.pass.target[0], line % self.pass.target[0]);
        for (grid, offset) in &self.phases[y % self.pass.spread[0]] {
            let columns = &grid.columns;
            let weights = &weights[*offset..][..grid.taps() * channels];
            let row_weights = columns.taps.len() * channels;
            let mut inputs = Vec::with_capacity(grid.rows.taps.len());
            for (i, &tap) in grid.rows.taps.iter().enumerate() {
                if let Some(row) = grid.rows.source(y / self.pass.spread[0], tap, source_height) {
                    let start = (image * source_height + row) * source_width * channels;
                    inputs.push(Input {
                        pixels: &source[start..][..source_width * channels],
                        weights: &weights[i * row_weights..][..row_weights],
                    });
                }
            }
            run(Row {
                inputs: &inputs,
                bias,
                columns,
                spread: self.pass.spread[1],
                channels,
                width: source_width,
                target: &mut *target,
            });
        }
    }
}

/// The source pixels under a tile, numbered from the first one that some tap reads, which may lie in the
/// padding.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// Pixels before the image, and one past the last pixel in it.
    skipped: usize,
    end: usize,
    /// The first pixel in the image.
    first: usize,
}

impl Span {
    #[inline(always)]
    pub fn new(columns: &Axis, point: usize, len: usize, width: usize) -> Self {
        let first = (point * columns.step) as isize + columns.taps[0].offset;
        let skipped = (-first).max(0).unsigned_abs().min(len);
        let first = first.max(0).unsigned_abs().min(width);
        let end = skipped + (len - skipped).min(width - first);
        Self { skipped, end, first }
    }

    /// Whether pixel p of the span is in the image.
    #[inline(always)]
    pub fn contains(&self, p: usize) -> bool {
        p >= self.skipped && p < self.end
    }

    /// Where pixel p, which is in the image, is in [`pixels`](Self::pixels).
    #[inline(always)]
    pub fn index(&self, p: usize) -> usize {
        p - self.skipped
    }

    /// The elements of a row that the span covers.
    #[inline(always)]
    pub fn pixels(&self, channels: usize) -> Range<usize> {
        self.first * channels..(self.first + self.end - self.skipped) * channels
    }
}

/// A source row that a target row reads, with the weights for it, `[taps, C]`.
struct Input<'a> {
    pixels: &'a [f32],
    weights: &'a [f32],
}

/// The points of one grid in one target row.
struct Row<'a> {
    inputs: &'a [Input<'a>],
    bias: Option<&'a [f32]>,
    columns: &'a Axis,
    spread: usize,
    channels: usize,
    width: usize,
    target: &'a mut [f32],
}

impl Kernel for Row<'_> {
    #[inline(always)]
    fn run<M: MulAdd>(mut self) {
        match (self.columns.taps.len(), self.columns.step) {
            (1, 1) => self.row::<M, 1, 1>(),
            (2, 1) => self.row::<M, 2, 1>(),
            (3, 1) => self.row::<M, 3, 1>(),
            (3, 2) => self.row::<M, 3, 2>(),
            (5, 1) => self.row::<M, 5, 1>(),
            (5, 2) => self.row::<M, 5, 2>(),
            (7, 1) => self.row::<M, 7, 1>(),
            _ => (0..self.columns.size).for_each(|point| self.point::<M>(point)),
        }
    }
}

impl Row<'_> {
    /// Tiles of neighbouring points, the last of which may overlap the one before.
    #[inline(always)]
    fn row<M: MulAdd, const TAPS: usize, const STEP: usize>(&mut self) {
        let (points, taps) = (self.columns.size, &self.columns.taps);
        let adjacent = taps[TAPS - 1].offset - taps[0].offset == TAPS as isize - 1;
        if points < TILE || !adjacent {
            return (0..points).for_each(|point| self.point::<M>(point));
        }
        for point in (0..points).step_by(TILE) {
            self.tile::<M, TAPS, STEP>(point.min(points - TILE));
        }
    }

    #[inline(always)]
    fn tile<M: MulAdd, const TAPS: usize, const STEP: usize>(&mut self, point: usize) {
        macro_rules! lanes {
            ($n:literal, $from:expr, $to:expr) => {
                for at in ($from..$to).step_by($n) {
                    self.tile_lanes::<M, TAPS, STEP, $n>(point, at);
                }
            };
        }
        widths!(self.channels, lanes);
    }

    #[inline(always)]
    fn tile_lanes<M: MulAdd, const TAPS: usize, const STEP: usize, const N: usize>(
        &mut self,
        point: usize,
        at: usize,
    ) {
        let channels = self.channels;
        let span = Span::new(self.columns, point, (TILE - 1) * STEP + TAPS, self.width);
        let mut sum = [self.bias.map_or([0.0; N], |bias| load::<N, f32>(bias, at)); TILE];
        for input in self.inputs {
            let pixels = &input.pixels[span.pixels(channels)];
            let weights: [[f32; N]; TAPS] =
                array::from_fn(|t| load(input.weights, t * channels + at));
            for p in 0..(TILE - 1) * STEP + TAPS {
                if !span.contains(p) {
                    continue;
                }
                // SAFETY: the span is inside the row, its pixels have `channels` elements, and
                // at + N <= channels.
                let x: [f32; N] = unsafe { load_unchecked(pixels, span.index(p) * channels + at) };
                for i in 0..TILE {
                    if p >= i * STEP && p - i * STEP < TAPS {
                        for n in 0..N {
                            sum[i][n] = M::mul_add(x[n], weights[p - i * STEP][n], sum[i][n]);
                        }
                    }
                }
            }
        }
        for (i, sum) in sum.into_iter().enumerate() {
            let pixel = (point + i) * self.spread + self.columns.first;
            store(self.target, pixel * channels + at, sum);
        }
    }

    /// Any point, with however many of its taps lie inside the image.
    #[inline(always)]
    fn point<M: MulAdd>(&mut self, point: usize) {
        macro_rules! lanes {
            ($n:literal, $from:expr, $to:expr) => {
                for at in ($from..$to).step_by($n) {
                    self.point_lanes::<M, $n>(point, at);
                }
            };
        }
        widths!(self.channels, lanes);
    }

    #[inline(always)]
    fn point_lanes<M: MulAdd, const N: usize>(&mut self, point: usize, at: usize) {
        let mut sum = self.bias.map_or([0.0; N], |bias| load::<N, f32>(bias, at));
        for (t, &tap) in self.columns.taps.iter().enumerate() {
            let Some(pixel) = self.columns.source(point, tap, self.width) else { continue };
            for input in self.inputs {
                let x = load::<N, f32>(input.pixels, pixel * self.channels + at);
                let weight = load::<N, f32>(input.weights, t * self.channels + at);
                for n in 0..N {
                    sum[n] = M::mul_add(x[n], weight[n], sum[n]);
                }
            }
        }
        store(self.target, (point * self.spread + self.columns.first) * self.channels + at, sum);
    }
}
