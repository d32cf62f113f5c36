//! Dense and grouped convolution as a matrix product: patches times packed weights.
//!
//! The target is cut into blocks of bands (see [`Pass`]); a block gathers the patches of some hundred
//! grid points, for as many taps as fit into the L2 cache, and multiplies. Where the kernel is 1 x 1 and
//! nothing is skipped, the source already is the matrix of patches.

use super::grid::{Grid, Pass};
use super::matmul::{Matrix, matmul};
use super::patches::Points;
use super::{ConvShape, Form};
use crate::Scratch;
use crate::workers::{apart, count, share};
use std::ops::Range;

/// Grid points that share one gathering of patches.
const POINTS: usize = 256;
/// Elements of a gathered block, half of a usual L2 cache of 1 MiB.
const PATCHES: usize = 1 << 17;

/// One direction of a dense convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pass: Pass,
    groups: usize,
    /// Channels of the source and of the target in a group.
    group: [usize; 2],
    /// Bands that one block covers.
    bands: usize,
}

impl Dense {
    pub fn forward(shape: &ConvShape) -> Self {
        Self::new(Pass::forward(shape), shape.groups)
    }

    pub fn backward_input(shape: &ConvShape) -> Self {
        Self::new(Pass::backward_input(shape), shape.groups)
    }

    fn new(pass: Pass, groups: usize) -> Self {
        let group = [pass.source[2] / groups, pass.target[2] / groups];
        let points = pass.grids[0].columns.size;
        let all = pass.batch * pass.bands_per_image() * points;
        // Small problems are cut finer, so that several threads find work.
        let bands = (all / 32).clamp(32, POINTS).div_ceil(points);
        Self { pass, groups, group, bands }
    }

    /// Target = convolution of source, plus a bias per target channel.
    pub fn run(
        &self,
        source: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        target: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let each = apart(self.patches_len() + self.product_len());
        let total = self.pass.batch * self.pass.bands_per_image();
        let blocks = total.div_ceil(self.bands);
        let mut rest = target;
        let items = (0..blocks).map(|block| {
            let bands = block * self.bands..((block + 1) * self.bands).min(total);
            let len = self.pass.band_start(bands.end) - self.pass.band_start(bands.start);
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            (bands, part)
        });
        let memory = scratch.take(count(blocks) * each);
        share(items, memory, each, |(bands, target), memory| {
            if let Some(bias) = bias {
                target.chunks_exact_mut(bias.len()).for_each(|pixel| pixel.copy_from_slice(bias));
            }
            self.run_block(source, weights, bias.is_some(), bands, target, memory);
        });
    }

    fn run_block(
        &self,
        source: &[f32],
        weights: &[f32],
        accumulate: bool,
        bands: Range<usize>,
        target: &mut [f32],
        memory: &mut [f32],
    ) {
        let mut weights = weights;
        for grid in &self.pass.grids {
            let depth = grid.taps() * self.group[0];
            for g in 0..self.groups {
                let (part, after) = weights.split_at(depth * self.group[1]);
                weights = after;
                self.run_group(source, part, accumulate, &bands, (grid, g), target, memory);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn run_group(
        &self,
        source: &[f32],
        weights: &[f32],
        accumulate: bool,
        bands: &Range<usize>,
        (grid, g): (&Grid, usize),
        target: &mut [f32],
        memory: &mut [f32],
    ) {
        let (patches, product) = memory.split_at_mut(self.patches_len());
        let [inputs, outputs] = self.group;
        let channels = self.pass.target[2];
        let points = Points { pass: &self.pass, grid, channels: g * inputs..(g + 1) * inputs };
        let all = self.points(grid, bands);
        let mut start = all.start;
        while start < all.end {
            let some = start..(start + POINTS).min(all.end);
            let direct = self.pass.spread == [1, 1];
            let at = (start - all.start) * channels + g * outputs;
            let (out, stride) =
                if direct { (&mut target[at..], channels) } else { (&mut product[..], outputs) };
            if grid.taps() == 0 && !accumulate {
                (0..some.len()).for_each(|i| out[i * stride..][..outputs].fill(0.0));
            }
            for taps in self.chunks(grid) {
                let sizes = [some.len(), outputs, taps.len() * inputs];
                let b = Matrix {
                    data: &weights[taps.start * inputs * outputs..],
                    strides: [outputs, 1],
                };
                let a = if self.pass.is_plain() {
                    let channels = self.pass.source[2];
                    Matrix {
                        data: &source[start * channels + g * inputs..],
                        strides: [channels, 1],
                    }
                } else {
                    points.gather(source, some.clone(), taps.clone(), patches);
                    Matrix { data: patches, strides: [sizes[2], 1] }
                };
                matmul(sizes, a, b, out, stride, accumulate || taps.start > 0);
            }
            if !direct {
                self.scatter(grid, some.clone(), bands.start, g * outputs, product, target);
            }
            start = some.end;
        }
    }

    /// The grid points of a phase within some bands, in reading order. A phase may lack the last row.
    fn points(&self, grid: &Grid, bands: &Range<usize>) -> Range<usize> {
        let per_image = self.pass.bands_per_image();
        let line = |band: usize| {
            band / per_image * grid.rows.size + (band % per_image).min(grid.rows.size)
        };
        line(bands.start) * grid.columns.size..line(bands.end) * grid.columns.size
    }

    /// Ranges of taps whose patches fit into the memory for them.
    fn chunks(&self, grid: &Grid) -> impl Iterator<Item = Range<usize>> {
        let (taps, step) = (grid.taps(), self.taps_at_once());
        (0..taps).step_by(step).map(move |start| start..(start + step).min(taps))
    }

    fn taps_at_once(&self) -> usize {
        (PATCHES / (POINTS * self.group[0])).max(1)
    }

    fn patches_len(&self) -> usize {
        let taps = self.pass.grids.iter().map(Grid::taps).max().unwrap_or(0);
        if self.pass.is_plain() {
            0
        } else {
            POINTS * self.group[0] * self.taps_at_once().min(taps)
        }
    }

    fn product_len(&self) -> usize {
        if self.pass.spread == [1, 1] { 0 } else { POINTS * self.group[1] }
    }

    /// Puts the results of grid points where their pixels are; `target` begins with band `first`.
    fn scatter(
        &self,
        grid: &Grid,
        points: Range<usize>,
        first: usize,
        channel: usize,
        product: &[f32],
        target: &mut [f32],
    ) {
        let [height, width, channels] = self.pass.target;
        let (rows, columns) = (&grid.rows, &grid.columns);
        let start = self.pass.band_start(first);
        for (point, values) in points.zip(product.chunks_exact(self.group[1])) {
            let (line, column) = (point / columns.size, point % columns.size);
            let (image, row) = (line / rows.size, line % rows.size);
            let y = image * height + row * self.pass.spread[0] + rows.first;
            let x = column * self.pass.spread[1] + columns.first;
            target[(y * width + x) * channels + channel - start..][..values.len()]
                .copy_from_slice(values);
        }
    }

    /// Weights `[O, kH, kW, I]` in the order [`run`](Self::run) reads them: per phase and group a matrix
    /// [taps and source channels, target channels].
    pub fn pack(&self, form: Form, shape: &ConvShape, w: &[f32]) -> Vec<f32> {
        let [inputs, outputs] = self.group;
        let (kernel_taps, [_, kernel_width]) = (shape.kernel[0] * shape.kernel[1], shape.kernel);
        let mut packed = Vec::with_capacity(w.len());
        for grid in &self.pass.grids {
            for g in 0..self.groups {
                for row in &grid.rows.taps {
                    for column in &grid.columns.taps {
                        let tap = row.index * kernel_width + column.index;
                        for i in 0..inputs {
                            match form {
                                Form::Forward => packed.extend((0..outputs).map(|o| {
                                    w[((g * outputs + o) * kernel_taps + tap) * inputs + i]
                                })),
                                Form::BackwardInput => packed.extend_from_slice(
                                    &w[((g * inputs + i) * kernel_taps + tap) * outputs..]
                                        [..outputs],
                                ),
                            }
                        }
                    }
                }
            }
        }
        packed
    }
}
