//! The weight gradient of a dense or grouped convolution: dw = dyᵀ times patches, summed over pixels.
//!
//! Output pixels are dealt out to a fixed number of slices, each with an accumulator of its own; the
//! accumulators are added in order. So the result is the same for any number of threads.

use super::ConvShape;
use super::grid::Pass;
use super::matmul::{Matrix, matmul};
use super::patches::Points;
use crate::Scratch;
use crate::workers::{add_in_order, apart, count, share};
use std::ops::Range;

/// Output pixels that share one gathering of patches.
const POINTS: usize = 256;
/// Elements of a gathered block.
const PATCHES: usize = 1 << 17;
/// Most accumulators, and most elements of all of them together (but never fewer than two).
const SLICES: usize = 16;
const ACCUMULATORS: usize = 1 << 23;

/// dw `[O, kH, kW, I]` of x and dy.
pub(super) fn backward_weight(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut Scratch,
) {
    let all = dy.len() / shape.out_channels;
    let bound = (ACCUMULATORS / dw.len()).clamp(2, SLICES);
    let slice = all.div_ceil(bound).next_multiple_of(32).max(POINTS.min(all)).max(1);
    let slices = all.div_ceil(slice);
    if slices == 0 {
        return dw.fill(0.0);
    }
    let products = Products { shape, pass: Pass::forward(shape), x, dy };
    let each = apart(products.patches_len());
    let [sums, memory] =
        scratch.parts([if slices > 1 { slices * dw.len() } else { 0 }, count(slices) * each]);
    let len = dw.len();
    let accumulators = if slices > 1 { &mut *sums } else { &mut *dw };
    share(accumulators.chunks_exact_mut(len).enumerate(), memory, each, |(i, sum), patches| {
        sum.fill(0.0);
        let end = ((i + 1) * slice).min(all);
        for start in (i * slice..end).step_by(POINTS) {
            products.add(start..(start + POINTS).min(end), sum, patches);
        }
    });
    if slices > 1 {
        add_in_order(sums, dw);
    }
}

/// The products of all output pixels with their patches.
struct Products<'a> {
    shape: &'a ConvShape,
    pass: Pass,
    x: &'a [f32],
    dy: &'a [f32],
}

impl Products<'_> {
    fn taps_at_once(&self) -> usize {
        (PATCHES / (POINTS * self.shape.group_in())).clamp(1, self.pass.grids[0].taps())
    }

    fn patches_len(&self) -> usize {
        if self.pass.is_plain() { 0 } else { POINTS * self.shape.group_in() * self.taps_at_once() }
    }

    /// Adds what some output pixels contribute.
    fn add(&self, points: Range<usize>, sum: &mut [f32], patches: &mut [f32]) {
        let (shape, grid) = (self.shape, &self.pass.grids[0]);
        let (inputs, outputs) = (shape.group_in(), shape.group_out());
        let depth = grid.taps() * inputs;
        for group in 0..shape.groups {
            let channels = group * inputs..(group + 1) * inputs;
            let dy = &self.dy[points.start * shape.out_channels + group * outputs..];
            let a = Matrix { data: dy, strides: [1, shape.out_channels] };
            let from = Points { pass: &self.pass, grid, channels: channels.clone() };
            for first in (0..grid.taps()).step_by(self.taps_at_once()) {
                let taps = first..(first + self.taps_at_once()).min(grid.taps());
                let width = taps.len() * inputs;
                let b = if self.pass.is_plain() {
                    let start = points.start * shape.in_channels + channels.start;
                    Matrix { data: &self.x[start..], strides: [shape.in_channels, 1] }
                } else {
                    from.gather(self.x, points.clone(), taps, patches);
                    Matrix { data: patches, strides: [width, 1] }
                };
                let sum = &mut sum[group * outputs * depth + first * inputs..];
                matmul([outputs, width, points.len()], a, b, sum, depth, true);
            }
        }
    }
}
