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
    let pass = Pass::forward(shape);
    let all = dy.len() / shape.out_channels;
    let bound = (ACCUMULATORS / dw.len()).clamp(2, SLICES);
    let slice = all.div_ceil(bound).next_multiple_of(32).max(POINTS.min(all)).max(1);
    let slices = all.div_ceil(slice);
    if slices == 0 {
        return dw.fill(0.0);
    }
    let each = apart(if pass.is_plain() { 0 } else { patches_len(shape) });
    let [sums, memory] =
        scratch.parts([if slices > 1 { slices * dw.len() } else { 0 }, count(slices) * each]);
    let len = dw.len();
    let accumulators = if slices > 1 { &mut *sums } else { &mut *dw };
    let items = accumulators.chunks_exact_mut(len).enumerate();
    share(items, memory, each, |(i, sum), patches| {
        sum.fill(0.0);
        let mut start = i * slice;
        let end = (start + slice).min(all);
        while start < end {
            let points = start..(start + POINTS).min(end);
            start = points.end;
            add_points(shape, &pass, x, dy, points, sum, patches);
        }
    });
    if slices > 1 {
        add_in_order(sums, dw);
    }
}

fn taps_at_once(shape: &ConvShape) -> usize {
    (PATCHES / (POINTS * shape.group_in())).clamp(1, shape.kernel[0] * shape.kernel[1])
}

fn patches_len(shape: &ConvShape) -> usize {
    POINTS * shape.group_in() * taps_at_once(shape)
}

/// Adds what some output pixels contribute.
fn add_points(
    shape: &ConvShape,
    pass: &Pass,
    x: &[f32],
    dy: &[f32],
    points: Range<usize>,
    sum: &mut [f32],
    patches: &mut [f32],
) {
    let (inputs, outputs) = (shape.group_in(), shape.group_out());
    let grid = &pass.grids[0];
    let depth = grid.taps() * inputs;
    for g in 0..shape.groups {
        let channels = g * inputs..(g + 1) * inputs;
        let gather = Points { pass, grid, channels: channels.clone() };
        let a = Matrix {
            data: &dy[points.start * shape.out_channels + g * outputs..],
            strides: [1, shape.out_channels],
        };
        for first in (0..grid.taps()).step_by(taps_at_once(shape)) {
            let taps = first..(first + taps_at_once(shape)).min(grid.taps());
            let sizes = [outputs, taps.len() * inputs, points.len()];
            let b = if pass.is_plain() {
                let start = points.start * shape.in_channels + channels.start;
                Matrix { data: &x[start..], strides: [shape.in_channels, 1] }
            } else {
                gather.gather(x, points.clone(), taps, patches);
                Matrix { data: patches, strides: [sizes[1], 1] }
            };
            matmul(sizes, a, b, &mut sum[g * outputs * depth + first * inputs..], depth, true);
        }
    }
}
