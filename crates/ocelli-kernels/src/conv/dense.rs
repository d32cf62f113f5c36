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

/// What a convolution reads: the source, packed weights and perhaps a bias per target channel.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub source: &'a [f32],
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
}

/// A group of channels of one phase in a block, with the weights of that phase and group.
struct Part<'a> {
    operands: Operands<'a>,
    grid: &'a Grid,
    group: usize,
    bands: Range<usize>,
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
        let bands = (all / 8).clamp(32, POINTS).div_ceil(points);
        Self { pass, groups, group, bands }
    }

    /// Target = convolution of source, plus a bias per target channel.
    pub fn run(&self, operands: Operands<'_>, target: &mut [f32], scratch: &mut Scratch) {
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
            self.run_block(operands, bands, target, memory)
        });
    }

    fn run_block(
        &self,
        operands: Operands<'_>,
        bands: Range<usize>,
        target: &mut [f32],
        memory: &mut [f32],
    ) {
        match operands.bias {
            Some(bias) => {
                target.chunks_exact_mut(bias.len()).for_each(|pixel| pixel.copy_from_slice(bias))
            }
            // Phases without taps, and the gaps between phases, stay so.
            None if self.has_empty_phase() => target.fill(0.0),
            None => {}
        }
        let mut weights = operands.weights;
        for grid in self.pass.grids.iter().filter(|grid| grid.taps() > 0) {
            for group in 0..self.groups {
                let (part, after) = weights.split_at(grid.taps() * self.group[0] * self.group[1]);
                weights = after;
                let part = Part {
                    operands: Operands { weights: part, ..operands },
                    grid,
                    group,
                    bands: bands.clone(),
                };
                self.run_part(&part, target, memory);
            }
        }
    }

    /// One group of channels of one phase in one block.
    fn run_part(&self, part: &Part<'_>, target: &mut [f32], memory: &mut [f32]) {
        let (patches, product) = memory.split_at_mut(self.patches_len());
        let [_, outputs] = self.group;
        let channels = self.pass.target[2];
        let all = self.points(part.grid, &part.bands);
        for start in all.clone().step_by(POINTS) {
            let points = start..(start + POINTS).min(all.end);
            let channel = part.group * outputs;
            if self.pass.spread == [1, 1] {
                let at = (start - all.start) * channels + channel;
                self.multiply(part, points, patches, &mut target[at..], channels);
            } else {
                self.multiply(part, points.clone(), patches, product, outputs);
                self.scatter(part, points, product, target);
            }
        }
    }

    /// Patches of some points times the weights, into rows `stride` apart.
    fn multiply(
        &self,
        part: &Part<'_>,
        points: Range<usize>,
        patches: &mut [f32],
        out: &mut [f32],
        stride: usize,
    ) {
        let [inputs, outputs] = self.group;
        let source = part.operands.source;
        let channels = part.group * inputs..(part.group + 1) * inputs;
        for taps in self.chunks(part.grid) {
            let depth = taps.len() * inputs;
            let a = if self.pass.is_plain() {
                let width = self.pass.source[2];
                Matrix {
                    data: &source[points.start * width + channels.start..],
                    strides: [width, 1],
                }
            } else {
                let from = Points { pass: &self.pass, grid: part.grid, channels: channels.clone() };
                from.gather(source, points.clone(), taps.clone(), patches);
                Matrix { data: patches, strides: [depth, 1] }
            };
            let weights = &part.operands.weights[taps.start * inputs * outputs..];
            let accumulate = part.operands.bias.is_some() || taps.start > 0;
            matmul(
                [points.len(), outputs, depth],
                a,
                Matrix { data: weights, strides: [outputs, 1] },
                out,
                stride,
                accumulate,
            );
        }
    }

    /// Whether some target pixels are reached by no tap.
    fn has_empty_phase(&self) -> bool {
        self.pass.grids.iter().any(|grid| grid.taps() == 0)
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

    /// Puts the results of grid points where their pixels are.
    fn scatter(&self, part: &Part<'_>, points: Range<usize>, product: &[f32], target: &mut [f32]) {
        let [height, width, channels] = self.pass.target;
        let (rows, columns) = (&part.grid.rows, &part.grid.columns);
        let channel = part.group * self.group[1];
        let start = self.pass.band_start(part.bands.start);
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
