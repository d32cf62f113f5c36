//! The weight gradient of a dense or grouped convolution: dw = dyᵀ times patches, summed over pixels.
//!
//! Output pixels are dealt out to a fixed number of slices, each with an accumulator of its own; the
//! accumulators are added in order. So the result is the same for any number of threads.

use super::dense::{Dense, Operands};
use super::grid::Pass;
use super::patches::Points;
use super::{ConvShape, Epilogue};
use crate::Scratch;
use crate::isa::Isa;
use crate::output::InputGradient;
use crate::register::{Outer, Tile, lanes, outer_kernels};
use crate::source::{Source, View};
use crate::workers::{add_in_order, apart, share, split};
use std::ops::Range;

/// Output pixels that share one gathering of patches, and where these may begin.
const POINTS: usize = 256;
const START: usize = 32;
/// Elements of a gathered block.
const PATCHES: usize = 1 << 17;
/// Most accumulators, and most elements of all of them together (but never fewer than two).
const SLICES: usize = 16;
const ACCUMULATORS: usize = 1 << 23;

/// The input gradient, where its pixels are those of dy.
pub(super) type Also<'a> = InputGradient<'a, Dense>;

/// How output pixels are dealt out to slices: all pixels, those of a slice, slices.
fn slices(shape: &ConvShape) -> [usize; 3] {
    let [rows, columns] = shape.output();
    let all = shape.batch * rows * columns;
    let bound = (ACCUMULATORS / shape.w_len()).clamp(2, SLICES);
    let slice = all.div_ceil(bound).next_multiple_of(START).max(POINTS.min(all)).max(1);
    [all, slice, all.div_ceil(slice)]
}

/// How many blocks the input gradient is written in, if it is computed along.
pub(super) fn blocks(shape: &ConvShape) -> usize {
    let [_, slice, slices] = slices(shape);
    slices * slice.div_ceil(POINTS)
}

/// dw `[O, kH, kW, I]` of x and dy.
pub(super) fn backward_weight(
    shape: &ConvShape,
    isa: Isa,
    [x, dy]: [Source<'_>; 2],
    dw: &mut [f32],
    also: Option<Also<'_>>,
    scratch: &mut Scratch,
) {
    let [all, slice, slices] = slices(shape);
    if slices == 0 {
        return dw.fill(0.0);
    }
    let products = Products { shape, isa, pass: Pass::forward(shape), x, dy };
    let streamed = also.map_or(0, |also| also.output.memory(POINTS * shape.in_channels));
    let for_dy = dy.memory(POINTS * shape.out_channels);
    let lens = [products.patches_len(), products.x_len(), for_dy, streamed];
    let each = lens.into_iter().map(apart).sum();
    let [sums, memory] = scratch
        .parts([if slices > 1 { slices * dw.len() } else { 0 }, scratch.count(slices) * each]);
    let len = dw.len();
    let accumulators = if slices > 1 { &mut *sums } else { &mut *dw };
    share(accumulators.chunks_exact_mut(len).enumerate(), memory, each, |(i, sum), memory| {
        let end = ((i + 1) * slice).min(all);
        let [patches, for_x, for_dy, streamed] = split(memory, lens);
        for (block, start) in (i * slice..end).step_by(POINTS).enumerate() {
            let points = start..(start + POINTS).min(end);
            let dy = products.view_dy(&points, for_dy);
            products.add(points.clone(), start == i * slice, sum, [patches, for_x], dy);
            if let Some(InputGradient { pass, weights, output }) = also {
                let operands =
                    Operands { source: products.dy, weights, epilogue: Epilogue::default() };
                let pixels = points.start * shape.in_channels..points.end * shape.in_channels;
                output.block(i * slice.div_ceil(POINTS) + block, pixels, streamed, |values| {
                    pass.run_pixels((operands, dy), points, values);
                });
            }
        }
    });
    if slices > 1 {
        add_in_order(sums, dw);
    }
}

/// The products of all output pixels with their patches.
struct Products<'a> {
    shape: &'a ConvShape,
    isa: Isa,
    pass: Pass,
    x: Source<'a>,
    dy: Source<'a>,
}

/// A matrix whose rows, one per pixel, are read by whole vectors.
struct Patches<'a> {
    data: &'a [f32],
    stride: usize,
    /// Values of a row that count.
    width: usize,
}

impl Products<'_> {
    /// Whether x itself is the matrix of patches, and may be read by whole vectors.
    fn is_plain(&self) -> bool {
        let inputs = self.shape.group_in();
        self.pass.is_plain() && inputs.is_multiple_of(Tile::for_columns(self.isa, inputs).columns())
    }

    fn taps_at_once(&self) -> usize {
        (PATCHES / (POINTS * self.shape.group_in())).clamp(1, self.pass.grids[0].taps())
    }

    fn stride(&self, width: usize) -> usize {
        // So wide a tile as there is.
        width.next_multiple_of(2 * lanes(self.isa))
    }

    fn patches_len(&self) -> usize {
        if self.is_plain() {
            0
        } else {
            POINTS * self.stride(self.shape.group_in() * self.taps_at_once())
        }
    }

    /// The values of x that some output pixels read.
    fn x_of(&self, points: &Range<usize>) -> Range<usize> {
        let (columns, channels) = (self.pass.grids[0].columns.size, self.shape.in_channels);
        match self.is_plain() {
            true => points.start * channels..points.end * channels,
            false => self.pass.source_of(&(points.start / columns..points.end.div_ceil(columns))),
        }
    }

    /// How many of them there are at most, if they must be computed.
    fn x_len(&self) -> usize {
        if self.x.is_plain() || self.is_plain() {
            return self.x.memory(POINTS * self.shape.in_channels);
        }
        let [rows, columns] = self.shape.output();
        let points = self.shape.batch * rows * columns;
        let blocks = (0..points).step_by(START).map(|start| start..(start + POINTS).min(points));
        blocks.map(|points| self.x_of(&points).len()).max().unwrap_or(0)
    }

    /// dy of some output pixels.
    fn view_dy<'b>(&'b self, points: &Range<usize>, memory: &'b mut [f32]) -> View<'b> {
        let channels = self.shape.out_channels;
        self.dy.view(points.start * channels..points.end * channels, memory)
    }

    /// Adds what some output pixels contribute; the first ones overwrite.
    fn add(
        &self,
        points: Range<usize>,
        first: bool,
        sum: &mut [f32],
        [patches, for_x]: [&mut [f32]; 2],
        all_dy: View<'_>,
    ) {
        let (shape, grid) = (self.shape, &self.pass.grids[0]);
        let x = self.x.view(self.x_of(&points), for_x);
        let (inputs, outputs) = (shape.group_in(), shape.group_out());
        let depth = grid.taps() * inputs;
        for group in 0..shape.groups {
            let channels = group * inputs..(group + 1) * inputs;
            let dy = all_dy.from(points.start * shape.out_channels + group * outputs);
            let from = Points { pass: &self.pass, grid, channels: channels.clone() };
            for tap in (0..grid.taps()).step_by(self.taps_at_once()) {
                let taps = tap..(tap + self.taps_at_once()).min(grid.taps());
                let width = taps.len() * inputs;
                let patches = if self.is_plain() {
                    let start = points.start * shape.in_channels + channels.start;
                    Patches { data: x.from(start), stride: shape.in_channels, width }
                } else {
                    let stride = self.stride(width);
                    from.gather(x, points.clone(), taps, patches, stride);
                    Patches { data: patches, stride, width }
                };
                let sum = &mut sum[group * outputs * depth + tap * inputs..];
                self.multiply(points.len(), dy, &patches, sum, depth, !first);
            }
        }
    }

    /// dyᵀ times patches into rows of `sum`, `stride` apart.
    fn multiply(
        &self,
        points: usize,
        dy: &[f32],
        patches: &Patches<'_>,
        sum: &mut [f32],
        stride: usize,
        accumulate: bool,
    ) {
        let outputs = self.shape.group_out();
        let tile = Tile::for_columns(self.isa, patches.width);
        let kernels = outer_kernels(tile);
        for column in (0..patches.width).step_by(tile.columns()) {
            let b = &patches.data[column..][..(points - 1) * patches.stride + tile.columns()];
            for rows in tile.cut(0..outputs) {
                let a = &dy[rows.start..][..(points - 1) * self.shape.out_channels + rows.len()];
                let columns = tile.columns().min(patches.width - column);
                let c =
                    &mut sum[rows.start * stride + column..][..(rows.len() - 1) * stride + columns];
                let job = Outer {
                    depth: points,
                    a: a.as_ptr(),
                    a_stride: self.shape.out_channels,
                    b: b.as_ptr(),
                    b_stride: patches.stride,
                    c: c.as_mut_ptr(),
                    c_stride: stride,
                    columns,
                    accumulate,
                };
                // SAFETY: a, b and c have just been cut to what the job reads and writes.
                unsafe { kernels[rows.len() - 1](&job) };
            }
        }
    }
}
