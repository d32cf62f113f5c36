//! Dense and grouped convolution by products of bf16, whose sums are f32.
//!
//! A block of the target first loads the lines of the source that it needs (see [`Lines`]), then multiplies tiles of
//! them with tiles of packed weights (see [`tiles`](crate::tiles)): 32 positions by 32 outputs at a time, summed up
//! over all taps and channels in registers.
//!
//! A NaN or an infinity in the source may also reach results in whose window it does not lie, as with Winograd: a
//! tile that reads beyond a tap multiplies what lies there by zero.

mod lines;
mod pack;
mod target;
mod weight;

use super::dense::Operands;
use super::grid::{Grid, Pass};
use super::{ConvShape, Epilogue};
use crate::Scratch;
use crate::bf16::Bf16;
use crate::isa::{self, multiversion};
use crate::output::Output;
use crate::tiles::{DEPTH, Job, ROW, SIDE, TILE, Tiles};
use crate::workers::{apart, count, share, split};
use lines::{Block, Blocks, Lines, Run, runs};
use std::ops::Range;
use target::{Target, copy};
pub(super) use weight::WeightGradient;

/// Bytes of source and target in a block: they should stay in the second-level cache.
const BYTES: usize = 1 << 20;
/// Blocks that a problem is cut into, at least, but for such of few positions.
const BLOCKS: usize = 8;
const POSITIONS: usize = 64;

/// One direction of a convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Mixed {
    pass: Pass,
    groups: usize,
    /// Channels of the source and of the target in a group.
    group: [usize; 2],
    lines: Lines,
    /// Of each grid.
    runs: Vec<Vec<Run>>,
    blocks: Blocks,
    amx: bool,
}

impl Mixed {
    pub fn forward(shape: &ConvShape) -> Self {
        Self::new(Pass::forward(shape), shape.groups)
    }

    pub fn backward_input(shape: &ConvShape) -> Self {
        Self::new(Pass::backward_input(shape), shape.groups)
    }

    fn new(pass: Pass, groups: usize) -> Self {
        let pass = joined(pass);
        let group = [pass.source[2] / groups, pass.target[2] / groups];
        let lines = Lines::new(&pass);
        let line = pass.band_start(1.min(pass.bands_per_image())) * size_of::<f32>();
        let loaded = (lines.image_len(2) - lines.image_len(1)) * size_of::<Bf16>();
        let blocks = Blocks::new(&pass, most_rows(&pass, &lines, line + loaded, BYTES, BLOCKS));
        let runs = pass.grids.iter().map(|grid| runs(grid, groups)).collect();
        Self { pass, groups, group, lines, runs, blocks, amx: isa::amx() }
    }

    /// How many blocks the target is written in.
    pub fn blocks(&self) -> usize {
        self.blocks.iter().count()
    }

    /// The phases that have taps, and their runs.
    fn parts(&self) -> impl Iterator<Item = (&Grid, &[Run])> {
        let parts = self.pass.grids.iter().zip(&self.runs);
        parts.filter(|(_, runs)| !runs.is_empty()).map(|(grid, runs)| (grid, &runs[..]))
    }

    /// Tiles of a run.
    fn chunks(&self, run: &Run) -> usize {
        (run.columns.len() * self.group[0]).div_ceil(DEPTH)
    }

    /// Values of f32 that the weights of 32 outputs of a group take.
    fn panel_len(&self, runs: &[Run]) -> usize {
        runs.iter().map(|run| self.chunks(run) * 2 * SIDE * SIDE).sum()
    }

    /// Target = convolution of source, finished by the epilogue.
    pub fn run(&self, operands: Operands<'_>, target: &Output<'_>, scratch: &mut Scratch) {
        let lens = self.blocks.iter().fold([0, 0], |[loaded, block], each| {
            let len = self.loaded_len(&each).div_ceil(2);
            [loaded.max(len), block.max(target.memory(self.range(&each).len()))]
        });
        let each = lens.into_iter().map(apart).sum();
        let untouched = self.runs.iter().any(Vec::is_empty);
        let memory = scratch.take(count(self.blocks()) * each);
        share(self.blocks.iter().enumerate(), memory, each, |(index, block), memory| {
            let [loaded, streamed] = split(memory, lens);
            let loaded = Bf16::slice_mut(loaded);
            self.load(&operands, &block, loaded);
            let range = self.range(&block);
            target.block(index, range.clone(), streamed, |values| {
                // No tap reaches the pixels of some phases: they are zeros.
                if untouched {
                    values.fill(0.0);
                }
                self.multiply(operands.weights, &block, loaded, values);
                finish(&operands.epilogue, range.start, values);
            });
        });
    }

    /// The values of the target in a block.
    fn range(&self, block: &Block) -> Range<usize> {
        let bands = self.pass.bands_per_image();
        self.pass.band_start(block.images.start * bands + block.rows.start)
            ..self.pass.band_start((block.images.end - 1) * bands + block.rows.end)
    }

    /// Values that are loaded for a block, or may be read behind them.
    fn loaded_len(&self, block: &Block) -> usize {
        block.images.len() * self.lines.image_len(block.rows.len()) + self.lines.slack()[0]
    }

    fn load(&self, operands: &Operands<'_>, block: &Block, to: &mut [Bf16]) {
        let len = self.lines.image_len(block.rows.len());
        for (image, to) in block.images.clone().zip(to.chunks_exact_mut(len.max(1))) {
            self.lines.load(&operands.source, image, block.rows.clone(), to);
        }
        let end = block.images.len() * len;
        to[end..end + self.lines.slack()[1]].fill(Bf16::default());
    }

    /// The sums of a block.
    fn multiply(&self, weights: &[f32], block: &Block, loaded: &[Bf16], values: &mut [f32]) {
        let tiles = Tiles::new(self.amx);
        let start = weights.last().map_or(0, |start| start.to_bits() as usize);
        let mut weights = &weights[start..];
        let plane_len = self.lines.plane_len(block.rows.len());
        for (grid, runs) in self.parts() {
            let chunks = self.chunks(&runs[0]);
            let places: Vec<_> = (runs.iter().enumerate())
                .map(|(i, run)| {
                    let [plane, place] = self.lines.place(grid, run);
                    [(plane * plane_len + place) * size_of::<Bf16>(), i * chunks * 2 * TILE]
                })
                .collect();
            for group in 0..self.groups {
                for first in (0..self.group[1]).step_by(DEPTH) {
                    let (panel, after) = weights.split_at(self.panel_len(runs));
                    weights = after;
                    let panel = Panel {
                        tiles: &tiles,
                        grid,
                        places: &places,
                        chunks,
                        weights: panel,
                        inputs: group * self.group[0],
                        outputs: group * self.group[1] + first
                            ..group * self.group[1] + self.group[1].min(first + DEPTH),
                    };
                    self.multiply_panel(&panel, block, loaded, values);
                }
            }
        }
    }

    /// Some outputs of all points of a phase in a block.
    fn multiply_panel(
        &self,
        panel: &Panel<'_>,
        block: &Block,
        loaded: &[Bf16],
        values: &mut [f32],
    ) {
        let to =
            Target::new(&self.pass, panel.grid, block, self.lines.pitch, panel.outputs.clone());
        let stride = self.lines.stride() * size_of::<Bf16>();
        let image_len = self.lines.image_len(block.rows.len());
        let count = panel.outputs.len();
        assert!(loaded.len() >= self.loaded_len(block), "what is read beyond the lines");
        let mut aside = Aside([[0.0; DEPTH]; DEPTH]);
        for image in 0..block.images.len() {
            let source = &loaded[image * image_len + panel.inputs..];
            for start in (0..to.positions).step_by(DEPTH) {
                let two = start + SIDE < to.positions;
                // Sums of neighbouring pixels go where they belong, others beside that first.
                let place = [start, start + SIDE].map(|start| to.straight(start, image));
                let (len, first) = (values.len(), values.as_mut_ptr());
                let beside: *mut f32 = aside.0.as_mut_ptr().cast();
                let c = [0, 1].map(|tile| match place[tile] {
                    Some(at) => {
                        assert!(at + (SIDE - 1) * to.channels + count <= len, "sums in the block");
                        first.wrapping_add(at)
                    }
                    None => beside.wrapping_add(tile * SIDE * DEPTH),
                });
                let row = |place: Option<usize>| place.map_or(DEPTH, |_| to.channels);
                let job = Job {
                    a: source.as_ptr().wrapping_byte_add(start * stride).cast(),
                    b: panel.weights.as_ptr().cast(),
                    runs: panel.places.as_ptr(),
                    end: panel.places.as_ptr_range().end,
                    chunks: panel.chunks,
                    a_row: stride,
                    a_step: ROW,
                    a_next: if two { SIDE * stride } else { 0 },
                    b_row: ROW,
                    b_step: 2 * TILE,
                    b_next: if count > SIDE { TILE } else { 0 },
                    c,
                    c_row: place.map(|place| row(place) * size_of::<f32>()),
                    accumulate: false,
                };
                // SAFETY: the lines of an image have what its positions read, and behind them is what tiles read
                // beyond that (see `Lines::slack`). A panel has two tiles per chunk of each run. The sums lie in
                // `values`, as has been seen, or in `aside`.
                unsafe { panel.tiles.run(&job) };
                for (tile, rows) in aside.0.as_chunks::<SIDE>().0.iter().enumerate() {
                    if place[tile].is_none() {
                        copy(&to, start + tile * SIDE, image, rows, values);
                    }
                }
            }
        }
    }
}

/// The weights of some outputs, all taps, with what they meet.
struct Panel<'a> {
    tiles: &'a Tiles,
    grid: &'a Grid,
    /// Of each run: where in an image and among the weights it begins, in bytes.
    places: &'a [[usize; 2]],
    chunks: usize,
    weights: &'a [f32],
    /// The first channel of the source that takes part.
    inputs: usize,
    outputs: Range<usize>,
}

/// Sums on their way to their pixels.
#[repr(align(64))]
struct Aside([[f32; DEPTH]; DEPTH]);

/// The pixels of all images as those of one, where a point reads its own pixel alone.
fn joined(mut pass: Pass) -> Pass {
    if pass.is_plain() && pass.batch > 0 {
        let batch = std::mem::replace(&mut pass.batch, 1);
        pass.source[0] *= batch;
        pass.target[0] *= batch;
        pass.grids[0].rows.size *= batch;
    }
    pass
}

/// Rows of points in a block of so many bytes, if each row has so many: a fraction of all, and some positions at least.
fn most_rows(pass: &Pass, lines: &Lines, row_bytes: usize, bytes: usize, blocks: usize) -> usize {
    let all = pass.batch * pass.bands_per_image();
    (bytes / row_bytes.max(1)).min(all.div_ceil(blocks)).max(POSITIONS.div_ceil(lines.pitch.max(1)))
}

/// Finishes the sums of a block, whose first value is the target's `start`.
fn finish(epilogue: &Epilogue<'_>, start: usize, values: &mut [f32]) {
    if let Some(bias) = epilogue.bias {
        values.chunks_exact_mut(bias.len()).for_each(|pixel| add(pixel, bias));
    }
    if let Some(residual) = epilogue.residual {
        add(values, &residual[start..start + values.len()]);
    }
    let [low, high] = epilogue.bounds();
    if [low, high] != [f32::NEG_INFINITY, f32::INFINITY] {
        clamp(values, low, high);
    }
}

multiversion! {
    fn add(values: &mut [f32], others: &[f32]) {
        values.iter_mut().zip(others).for_each(|(value, other)| *value += other);
    }
}

multiversion! {
    fn clamp(values: &mut [f32], low: f32, high: f32) {
        values.iter_mut().for_each(|value| *value = value.clamp(low, high));
    }
}
