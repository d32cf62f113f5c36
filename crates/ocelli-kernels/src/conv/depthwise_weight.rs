//! The weight gradient of a depthwise convolution.
//!
//! Output rows are dealt out to a fixed number of slices with an accumulator `[taps, C]` each, which are
//! added in order.

use super::ConvShape;
use super::depthwise::Span;
use super::grid::{Axis, Pass};
use crate::Scratch;
use crate::fused::{Kernel, MulAdd, load_unchecked, run};
use crate::lanes::{load, store, widths};
use crate::workers::{add_in_order, apart, count, share};
use std::array;
use std::ops::Range;

/// Most accumulators.
const SLICES: usize = 16;
/// Neighbouring output pixels handled together.
const TILE: usize = 4;

/// dw `[C, kH, kW, 1]` of x and dy.
pub(super) fn backward_weight(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut Scratch,
) {
    let pass = Pass::forward(shape);
    let [height, width, channels] = pass.target;
    let lines = pass.batch * height;
    if lines == 0 {
        return dw.fill(0.0);
    }
    let slice = lines.div_ceil(SLICES);
    let slices = lines.div_ceil(slice);
    let each = apart(0);
    let [sums, total, memory] = scratch.parts([slices * dw.len(), dw.len(), count(slices) * each]);
    share(sums.chunks_exact_mut(dw.len()).enumerate(), memory, each, |(i, sum), _| {
        sum.fill(0.0);
        for line in i * slice..((i + 1) * slice).min(lines) {
            add_line(&pass, x, &dy[line * width * channels..][..width * channels], line, sum);
        }
    });
    add_in_order(sums, total);
    let taps = shape.kernel[0] * shape.kernel[1];
    for (c, dw) in dw.chunks_exact_mut(taps).enumerate() {
        dw.iter_mut().enumerate().for_each(|(tap, dw)| *dw = total[tap * channels + c]);
    }
}

/// Adds what one row of dy contributes; `line` counts rows over all images.
fn add_line(pass: &Pass, x: &[f32], dy: &[f32], line: usize, sum: &mut [f32]) {
    let [source_height, source_width, channels] = pass.source;
    let (rows, columns) = (&pass.grids[0].rows, &pass.grids[0].columns);
    let (image, y) = (line / pass.target[0], line % pass.target[0]);
    let row_weights = columns.taps.len() * channels;
    for (&tap, sum) in rows.taps.iter().zip(sum.chunks_exact_mut(row_weights)) {
        if let Some(row) = rows.source(y, tap, source_height) {
            let start = (image * source_height + row) * source_width * channels;
            let x = &x[start..][..source_width * channels];
            run(Row { x, dy, columns, channels, width: source_width, sum });
        }
    }
}

/// A row of dy against one row of x.
struct Row<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    columns: &'a Axis,
    channels: usize,
    width: usize,
    /// `[taps of one kernel row, C]`.
    sum: &'a mut [f32],
}

impl Kernel for Row<'_> {
    #[inline(always)]
    fn run<M: MulAdd>(mut self) {
        match (self.columns.taps.len(), self.columns.step) {
            (3, 1) => self.row::<M, 3, 1>(),
            (3, 2) => self.row::<M, 3, 2>(),
            (5, 1) => self.row::<M, 5, 1>(),
            (5, 2) => self.row::<M, 5, 2>(),
            (7, 1) => self.row::<M, 7, 1>(),
            _ => self.points::<M>(0..self.columns.size),
        }
    }
}

impl Row<'_> {
    #[inline(always)]
    fn row<M: MulAdd, const TAPS: usize, const STEP: usize>(&mut self) {
        let (points, taps) = (self.columns.size, &self.columns.taps);
        let adjacent = taps[TAPS - 1].offset - taps[0].offset == TAPS as isize - 1;
        if points < TILE || !adjacent {
            return self.points::<M>(0..points);
        }
        macro_rules! lanes {
            ($n:literal, $from:expr, $to:expr) => {
                for at in ($from..$to).step_by($n) {
                    self.lanes::<M, TAPS, STEP, $n>(at);
                }
            };
        }
        widths!(self.channels, lanes);
    }

    /// All tiles of the row for N channels: the accumulators stay in registers along the row.
    #[inline(always)]
    fn lanes<M: MulAdd, const TAPS: usize, const STEP: usize, const N: usize>(
        &mut self,
        at: usize,
    ) {
        let (channels, points) = (self.channels, self.columns.size);
        let mut sum: [[f32; N]; TAPS] = array::from_fn(|t| load(self.sum, t * channels + at));
        for tile in (0..points).step_by(TILE) {
            // The last tile may overlap the one before: what that one has counted counts as 0.
            let point = tile.min(points - TILE);
            let span = Span::new(self.columns, point, (TILE - 1) * STEP + TAPS, self.width);
            let pixels = &self.x[span.pixels(channels)];
            let grads = &self.dy[point * channels..(point + TILE) * channels];
            let dy: [[f32; N]; TILE] = array::from_fn(|i| match point + i < tile {
                true => [0.0; N],
                // SAFETY: i < TILE, and at + N <= channels.
                false => unsafe { load_unchecked(grads, i * channels + at) },
            });
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
                            sum[p - i * STEP][n] = M::mul_add(x[n], dy[i][n], sum[p - i * STEP][n]);
                        }
                    }
                }
            }
        }
        for (t, sum) in sum.into_iter().enumerate() {
            store(self.sum, t * channels + at, sum);
        }
    }

    /// Single pixels, with however many taps lie inside the image.
    #[inline(always)]
    fn points<M: MulAdd>(&mut self, points: Range<usize>) {
        for point in points {
            for (t, &tap) in self.columns.taps.iter().enumerate() {
                let Some(pixel) = self.columns.source(point, tap, self.width) else { continue };
                let dy = &self.dy[point * self.channels..][..self.channels];
                let x = &self.x[pixel * self.channels..][..self.channels];
                let sum = &mut self.sum[t * self.channels..][..self.channels];
                for ((sum, &x), &dy) in sum.iter_mut().zip(x).zip(dy) {
                    *sum = M::mul_add(x, dy, *sum);
                }
            }
        }
    }
}
