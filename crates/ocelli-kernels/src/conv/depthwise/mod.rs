//! Depthwise convolution: every channel is filtered on its own.
//!
//! Nothing is gathered: with channels innermost, a vector of channels of one target pixel is a sum of
//! vectors of source pixels times vectors of weights. The common kernels and strides are computed in
//! [tiles](tile) of neighbouring pixels, everything else and very narrow images [point by point](points).
//! The input gradient of a strided convolution is one stride-1 convolution per phase (see
//! [`grid`](super::grid)), so it is neither filled with zeros nor scattered.

mod kernels;
mod points;
mod tile;
mod vectors;
mod weight;
mod window;

pub(super) use weight::{Also, backward_weight, blocks};

use super::ConvShape;
use super::dense::Operands;
use super::grid::{Axis, Grid, Pass};
use crate::Scratch;
use crate::isa::Isa;
use crate::output::Output;
use crate::register::{even_pieces, lanes};
use crate::source::Source;
use crate::workers::{apart, share, split};
use kernels::{FEWEST, pieces};
use points::{Point, meet, sum_point};
use std::ops::Range;
use tile::{Kernels, Tile};
use vectors::filled;
use window::{Image, NO_PIXELS, Pixels, Window};

/// Target elements in a block.
const BLOCK: usize = 1 << 14;
/// Source elements that a block computes, about: they stay in the L2 cache, and the lines that two blocks compute
/// are few.
const COMPUTED: usize = 1 << 17;

/// One direction of a depthwise convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    pass: Pass,
    /// No wider than the channels.
    isa: Isa,
    phases: Vec<Phase>,
    /// Rows of every grid that are computed together.
    rows: usize,
}

#[derive(Clone, Debug)]
struct Phase {
    grid: Grid,
    /// Where its weights are.
    weights: Range<usize>,
    /// The columns, cut into tiles where there are kernels.
    pieces: Vec<Range<usize>>,
    kernels: Option<Kernels>,
}

/// Some rows of all grids: what they read and write.
struct Band<'a> {
    operands: Operands<'a>,
    image: Image<'a>,
    zeros: &'a [f32],
    /// Memory for a tile.
    pixels: &'a mut Pixels,
    /// Those of every grid. The last ones need not exist.
    rows: Range<usize>,
    target: &'a mut [f32],
    /// As the target, if the epilogue has one.
    residual: Option<&'a [f32]>,
}

impl Depthwise {
    pub fn forward(shape: &ConvShape, isa: Isa) -> Self {
        Self::new(Pass::forward(shape), isa)
    }

    pub fn backward_input(shape: &ConvShape, isa: Isa) -> Self {
        Self::new(Pass::backward_input(shape), isa)
    }

    fn new(pass: Pass, isa: Isa) -> Self {
        let channels = pass.source[2];
        let isa = filled(isa, channels);
        let mut offset = 0;
        let phase = |grid: &Grid| {
            let start = offset;
            offset += grid.taps() * channels;
            let kernels = tiles(grid, isa, channels);
            let columns = grid.columns.size;
            let pieces = match kernels {
                Some(_) => pieces(columns).collect(),
                None => std::iter::once(0..columns).collect(),
            };
            Phase { grid: grid.clone(), weights: start..offset, pieces, kernels }
        };
        let phases: Vec<_> = pass.grids.iter().map(phase).collect();
        let rows = phases.iter().map(Phase::tile_rows).max().unwrap_or(1);
        Self { pass, isa, phases, rows }
    }

    /// Weights `[C, kH, kW, 1]` in the order they are read: per phase `[taps, C]`.
    pub fn pack(&self, shape: &ConvShape, w: &[f32], packed: &mut [f32]) {
        let [kernel_height, kernel_width] = shape.kernel;
        let taps = kernel_height * kernel_width;
        let order = self.pass.grids.iter().flat_map(|grid| grid.kernel_taps(kernel_width));
        let weights = order.flat_map(|tap| w.iter().skip(tap).step_by(taps));
        packed.iter_mut().zip(weights).for_each(|(to, &weight)| *to = weight);
    }

    /// Target = convolution of source, finished by the epilogue.
    pub fn run(&self, operands: Operands<'_>, target: &Output<'_>, scratch: &mut Scratch) {
        let [height, width, channels] = self.pass.target;
        let source_len = self.pass.source.into_iter().product::<usize>();
        let band = self.band();
        let bands = self.bands(&operands.source);
        let per_image = (height * width * channels).div_ceil(bands * band);
        // The values of the source that block i of image n reads.
        let read = |n: usize, i: usize| {
            let first = n * self.pass.bands_per_image();
            let end = ((i + 1) * bands * self.rows).min(self.pass.bands_per_image());
            self.pass.source_of(&(first + i * bands * self.rows..first + end))
        };
        let most = (0..per_image).map(|i| read(0, i).len()).max().unwrap_or(0);
        let target_len = height * width * channels;
        let lens = [operands.source.memory(most), target.memory(target_len.min(bands * band))];
        let each = apart(lens[0]) + apart(lens[1]);
        let [zeros, memory] =
            scratch.parts([channels, scratch.count(self.pass.batch * per_image) * each]);
        zeros.fill(0.0);
        let zeros = &*zeros;
        let items = (0..self.pass.batch).flat_map(|n| (0..per_image).map(move |i| (n, i)));
        share(items, memory, each, |(n, i), memory| {
            let [loaded, block] = split(memory, lens);
            let start = n * target_len + i * bands * band;
            let end = (start + bands * band).min((n + 1) * target_len);
            let view = operands.source.view(read(n, i), loaded);
            let image = Image { view, start: n * source_len };
            target.block(n * per_image + i, start..end, block, |target| {
                self.run_rows((operands, image), zeros, (i * bands * self.rows, start), target);
            });
        });
    }

    /// Computes rows of all grids from `row` on, which are the values of the target from `start` on.
    fn run_rows(
        &self,
        (operands, image): (Operands<'_>, Image<'_>),
        zeros: &[f32],
        (row, start): (usize, usize),
        target: &mut [f32],
    ) {
        let (band, pixels) = (self.band(), &mut { NO_PIXELS });
        for (i, target) in target.chunks_mut(band).enumerate() {
            let row = row + i * self.rows;
            // The last of them may be fewer.
            let rows = row..row + target.len().div_ceil(band / self.rows);
            let residual = operands.epilogue.wide();
            let residual = residual.map(|residual| &residual[start + i * band..]);
            self.run_band(Band { operands, image, zeros, pixels, rows, target, residual });
        }
    }

    /// Target elements of a band: the rows that are computed together.
    fn band(&self) -> usize {
        let [height, width, channels] = self.pass.target;
        self.pass.spread[0].min(height) * self.rows * width * channels
    }

    /// How many bands make a block.
    fn bands(&self, source: &Source<'_>) -> usize {
        let bands = if source.is_plain() {
            BLOCK / self.band()
        } else {
            let read = self.pass.source.into_iter().product::<usize>();
            COMPUTED * self.pass.target[0] / (read * self.rows * self.pass.spread[0])
        };
        bands.max(1)
    }

    /// How many blocks the target is written in.
    pub fn blocks(&self, source: &Source<'_>) -> usize {
        let target = self.pass.target.into_iter().product::<usize>();
        self.pass.batch * target.div_ceil(self.bands(source) * self.band())
    }

    /// Computes a band tile by tile, all phases of a tile before the next: they read the same source pixels
    /// and write neighbouring target pixels.
    fn run_band(&self, mut band: Band<'_>) {
        let pieces = self.phases.iter().map(|phase| phase.pieces.len()).max().unwrap_or(0);
        for piece in 0..pieces {
            for phase in &self.phases {
                let Some(points) = phase.pieces.get(piece) else { continue };
                // The last band of some phases may be empty.
                let end = band.rows.end.min(phase.grid.rows.size);
                let rows = band.rows.start.min(end)..end;
                match &phase.kernels {
                    Some(kernels) => {
                        for rows in even_pieces(rows, kernels.rows()) {
                            self.run_tile(phase, kernels, [rows, points.clone()], &mut band);
                        }
                    }
                    None => self.run_points(phase, [rows, points.clone()], &mut band),
                }
            }
        }
    }

    fn run_tile(
        &self,
        phase: &Phase,
        kernels: &Kernels,
        [rows, points]: [Range<usize>; 2],
        band: &mut Band<'_>,
    ) {
        let Grid { rows: down, columns: across } = &phase.grid;
        let [height, width, channels] = self.pass.target;
        let [row, pixel] = [self.pass.spread[0].min(height), self.pass.spread[1].min(width)];
        let at = self.target(phase, [rows.start - band.rows.start, points.start]);
        let mut tile = Tile {
            window: Window {
                image: band.image,
                size: self.pass.source,
                first: [first_source(down, rows.start), first_source(across, points.start)],
                zeros: band.zeros,
            },
            pixels: &mut *band.pixels,
            taps: [down.taps.len(), across.taps.len()],
            weights: &band.operands.weights[phase.weights.clone()],
            bias: band.operands.epilogue.bias,
            residual: band.residual.map(|residual| &residual[at..]),
            bounds: band.operands.epilogue.bounds(),
            target: &mut band.target[at..],
            distance: [row * width * channels, pixel * channels],
        };
        // SAFETY: `tiles` chose the kernels for vectors that the channels fill.
        unsafe { kernels.run(rows.len(), points.len(), &mut tile) };
    }

    fn run_points(&self, phase: &Phase, [rows, points]: [Range<usize>; 2], band: &mut Band<'_>) {
        let channels = self.pass.target[2];
        let mut met = Vec::with_capacity(phase.grid.taps());
        for row in rows {
            for column in points.clone() {
                meet(&phase.grid, [row, column], self.pass.source, &mut met);
                let at = self.target(phase, [row - band.rows.start, column]);
                let point = Point {
                    image: band.image,
                    met: &met,
                    weights: &band.operands.weights[phase.weights.clone()],
                    bias: band.operands.epilogue.bias,
                    residual: band.residual.map(|residual| &residual[at..at + channels]),
                    bounds: band.operands.epilogue.bounds(),
                    target: &mut band.target[at..at + channels],
                };
                // SAFETY: `meet` finds pixels of the image; weights, bias and residual have `channels` values per tap.
                unsafe { sum_point(self.isa, point) };
            }
        }
    }

    /// Where in a band the pixel at this row and column of the phase's part of it begins.
    fn target(&self, phase: &Phase, [row, column]: [usize; 2]) -> usize {
        let [_, width, channels] = self.pass.target;
        let row = row * self.pass.spread[0] + phase.grid.rows.first;
        (row * width + column * self.pass.spread[1] + phase.grid.columns.first) * channels
    }
}

impl Phase {
    fn tile_rows(&self) -> usize {
        self.kernels.as_ref().map_or(1, Kernels::rows)
    }
}

/// The kernels for the tiles of a grid, if it can be cut into tiles and there are kernels for it.
fn tiles(grid: &Grid, isa: Isa, channels: usize) -> Option<Kernels> {
    let Grid { rows, columns } = grid;
    Kernels::new(isa, [rows.taps.len(), columns.taps.len()], [rows.step, columns.step])
        .filter(|_| has_tiles(grid) && channels >= lanes(isa))
}

/// Whether a grid is wide enough for tiles, and its taps are neighbours.
fn has_tiles(grid: &Grid) -> bool {
    let adjacent = |axis: &Axis| match &axis.taps[..] {
        [] => false,
        [first, .., last] => last.offset - first.offset == axis.taps.len() as isize - 1,
        [_] => true,
    };
    grid.columns.size >= FEWEST && adjacent(&grid.rows) && adjacent(&grid.columns)
}

/// The source row or column that a grid point's first tap reads; it may lie in the padding.
fn first_source(axis: &Axis, point: usize) -> isize {
    (point * axis.step) as isize + axis.taps[0].offset
}
