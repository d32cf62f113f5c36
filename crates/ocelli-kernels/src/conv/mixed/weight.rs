//! The weight gradient by products of bf16: dw = dyᵀ times patches, summed over pixels.
//!
//! A word of a tile holds two values that lie behind each other in the sum, so two positions: m and m + half, where
//! half is half of an image's positions in the block. Interleaved so, the lines of x are tiles of the right operand as
//! they stand, at any tap; dy is interleaved and transposed. Positions that are no points have zeros there.
//!
//! Blocks are dealt out to a fixed number of slices, each with sums of its own; these are added in order. So the
//! result is the same for any number of threads.

use super::super::ConvShape;
use super::super::grid::{Grid, Pass, Run};
use super::lines::{Block, Blocks, Lines};
use super::pointwise::Pointwise;
use super::{BYTES, joined, most_rows};
use crate::Scratch;
use crate::arrange::add_block;
use crate::bf16::Bf16;
use crate::isa::{Isa, multiversion};
use crate::register::even_pieces;
use crate::source::Source;
use crate::tiles::{DEPTH, Job, ROW, SIDE, TILE, Tiles, Words, pair, transpose, words};
use crate::workers::{apart, share, split};
use rayon::prelude::*;

/// Most slices, and most values of the sums of all of them together (but never fewer slices than two).
const SLICES: usize = 16;
const SUMS: usize = 1 << 23;

/// The weight gradient of a convolution, ready to run.
#[derive(Clone, Debug)]
pub(in super::super) struct WeightGradient {
    pass: Pass,
    groups: usize,
    /// Input and output channels in a group.
    group: [usize; 2],
    lines: Lines,
    runs: Vec<Run>,
    blocks: Blocks,
    /// Blocks in a slice.
    slice: usize,
    isa: Isa,
    pointwise: Option<Pointwise>,
}

/// What the positions of a block's images look like.
struct Positions {
    images: usize,
    /// Half of the positions of an image, a multiple of 16.
    half: usize,
    /// Values of a plane of x as it is loaded, and words of it interleaved.
    plane: usize,
    plane_words: usize,
}

impl WeightGradient {
    pub fn new(shape: &ConvShape, isa: Isa) -> Self {
        let pass = joined(Pass::forward(shape));
        let group = [shape.group_in(), shape.group_out()];
        let (lines, runs) = (Lines::new(&pass), pass.grids[0].runs(shape.groups == 1));
        let line = lines.image_len(2) - lines.image_len(1) + lines.pitch * shape.out_channels;
        let sums = shape.groups * group[1] * runs.len() * row_of(&runs[0], group[0]);
        let slices = 1 << (SUMS / sums).clamp(2, SLICES).ilog2();
        let most = most_rows(&pass, &lines, line * size_of::<Bf16>(), BYTES, slices);
        let blocks = Blocks::new(&pass, most);
        let slice = blocks.iter().count().div_ceil(slices).max(1);
        let pixels = pass.batch * pass.source[0] * pass.source[1];
        let plain = pass.is_plain() && shape.groups == 1;
        let pointwise = plain.then(|| Pointwise::new(pixels, group, isa)).flatten();
        Self { pass, groups: shape.groups, group, lines, runs, blocks, slice, isa, pointwise }
    }

    fn grid(&self) -> &Grid {
        &self.pass.grids[0]
    }

    /// Columns of the sums: of each run its values, and others up to whole tiles.
    fn columns(&self) -> usize {
        self.runs.len() * row_of(&self.runs[0], self.group[0])
    }

    /// Tiles of the outputs of a group.
    fn output_tiles(&self) -> usize {
        self.group[1].div_ceil(SIDE)
    }

    /// dw `[O, kH, kW, I]` of x and dy.
    pub fn run(&self, x: Source<'_>, dy: Source<'_>, dw: &mut [f32], scratch: &mut Scratch) {
        if let Some(pointwise) = &self.pointwise {
            return pointwise.run([x, dy], dw, scratch);
        }
        let blocks: Vec<_> = self.blocks.iter().collect();
        let slices = blocks.len().div_ceil(self.slice);
        if slices == 0 {
            return dw.fill(0.0);
        }
        let lens = blocks.iter().fold([0; 4], |most, block| {
            let lens = self.memory(&self.positions(block));
            std::array::from_fn(|i| lens[i].max(most[i]))
        });
        let each = lens.into_iter().map(apart).sum();
        let len = self.groups * self.output_tiles() * SIDE * self.columns();
        let [sums, memory] = scratch.parts([slices * len, scratch.count(slices) * each]);
        let pieces = even_pieces(0..blocks.len(), self.slice);
        share(pieces.zip(sums.chunks_exact_mut(len)), memory, each, |(piece, sums), memory| {
            let [loaded, x_words, dy_lines, dy_tiles] = split(memory, lens);
            let (loaded, x_words) = (Bf16::slice_mut(loaded), words(x_words));
            let (dy_lines, dy_tiles) = (Bf16::slice_mut(dy_lines), words(dy_tiles));
            for at in piece.clone() {
                let block = &blocks[at];
                self.interleave_x(&x, block, loaded, x_words);
                self.transpose_dy(&dy, block, dy_lines, dy_tiles);
                self.multiply(&self.positions(block), [x_words, dy_tiles], sums, at > piece.start);
            }
        });
        self.add_slices(sums, dw);
    }

    fn positions(&self, block: &Block) -> Positions {
        let rows = block.rows.len();
        let positions = (rows - 1) * self.lines.pitch + self.grid().columns.size;
        let half = positions.div_ceil(2).next_multiple_of(SIDE);
        let plane_words = half * self.lines.stride() + self.lines.depth() + self.lines.reach();
        Positions {
            images: block.images.len(),
            half,
            plane: self.lines.plane_len(rows),
            plane_words: plane_words + DEPTH,
        }
    }

    /// Values of f32 that a block needs: for x as it is loaded and interleaved, for dy as loaded and in tiles.
    fn memory(&self, positions: &Positions) -> [usize; 4] {
        let planes = self.lines.planes();
        [
            (planes * positions.plane).div_ceil(2),
            positions.images * planes * positions.plane_words,
            positions.half * self.pass.target[2],
            positions.images * self.groups * self.output_tiles() * SIDE * positions.half,
        ]
    }

    /// Loads x, and brings together what lies half of an image's positions apart; zeros are beyond the lines.
    fn interleave_x(&self, x: &Source<'_>, block: &Block, loaded: &mut [Bf16], to: &mut [u32]) {
        let positions = self.positions(block);
        let apart = positions.half * self.lines.stride();
        let mut planes = to.chunks_exact_mut(positions.plane_words);
        for image in block.images.clone() {
            self.lines.load(x, image, block.rows.clone(), loaded);
            let loaded = loaded.chunks_exact(positions.plane);
            for (plane, to) in loaded.take(self.lines.planes()).zip(&mut planes) {
                let second = plane.get(apart..).unwrap_or_default();
                let (both, rest) = to.split_at_mut(second.len().min(to.len()));
                interleave(plane, second, both);
                let alone = &plane[both.len()..];
                let (single, beyond) = rest.split_at_mut(alone.len().min(rest.len()));
                with_zeros(alone, single);
                beyond.fill(0);
            }
        }
    }

    /// Loads dy, and makes tiles of it: per group and 16 outputs those of all positions, image by image.
    fn transpose_dy(&self, dy: &Source<'_>, block: &Block, lines: &mut [Bf16], to: &mut [u32]) {
        let Positions { images, half, .. } = self.positions(block);
        let ([height, width, channels], outputs) = (self.pass.target, self.group[1]);
        let tiles = to.as_chunks_mut::<SIDE>().0.as_chunks_mut::<SIDE>().0;
        let lines = &mut lines[..2 * half * channels];
        let mut words = [[0; SIDE]; SIDE];
        for (index, image) in block.images.clone().enumerate() {
            let row_len = self.lines.pitch * channels;
            for (i, row) in block.rows.clone().enumerate() {
                let start = (image * height + row) * width * channels;
                let line = &mut lines[i * row_len..];
                dy.load(start..start + width * channels, &mut line[..width * channels]);
                let behind = row_len.min(line.len());
                line[width * channels..behind].fill(Bf16::default());
            }
            let end = lines.len().min(block.rows.len() * row_len);
            lines[end..].fill(Bf16::default());
            for chunk in 0..half / SIDE {
                for group in 0..self.groups {
                    for tile in 0..self.output_tiles() {
                        let first = tile * SIDE;
                        let at = chunk * SIDE * channels + group * outputs + first;
                        let rows = [&lines[at..], &lines[at + half * channels..]];
                        pairs(rows, channels, SIDE.min(outputs - first), &mut words);
                        let place = (group * self.output_tiles() + tile) * images + index;
                        transpose(&words, &mut tiles[place * (half / SIDE) + chunk]);
                    }
                }
            }
        }
    }

    /// Adds the products of a block to the sums of its slice, or writes them.
    fn multiply(
        &self,
        positions: &Positions,
        [x, dy]: [&[u32]; 2],
        sums: &mut [f32],
        accumulate: bool,
    ) {
        let tiles = Tiles::new(self.isa);
        let (columns, stride) = (self.columns(), self.lines.stride() * size_of::<u32>());
        let chunks = positions.half / SIDE;
        let image_words = self.lines.planes() * positions.plane_words;
        let images: Vec<_> = (0..positions.images)
            .map(|image| [image * chunks * TILE, image * image_words * size_of::<u32>()])
            .collect();
        let width = row_of(&self.runs[0], self.group[0]);
        for group in 0..self.groups {
            for output in (0..self.output_tiles()).step_by(2) {
                let tile = group * self.output_tiles() + output;
                let dy = &dy[tile * positions.images * chunks * SIDE * SIDE..];
                let two = output + 1 < self.output_tiles();
                let sums = &mut sums[tile * SIDE * columns..];
                for (i, run) in self.runs.iter().enumerate() {
                    let [plane, place] = self.lines.place(self.grid(), run);
                    let place = plane * positions.plane_words + place + group * self.group[0];
                    for column in (0..width).step_by(DEPTH) {
                        let first = sums.as_mut_ptr();
                        let [c, below] = [0, SIDE * columns]
                            .map(|tile| first.wrapping_add(tile + i * width + column));
                        let job = Job {
                            a: dy.as_ptr().cast(),
                            b: x[place + column..].as_ptr().cast(),
                            runs: images.as_ptr(),
                            end: images.as_ptr_range().end,
                            chunks,
                            a_row: ROW,
                            a_step: TILE,
                            a_next: if two { positions.images * chunks * TILE } else { 0 },
                            b_row: stride,
                            b_step: SIDE * stride,
                            b_next: if column + SIDE < width { ROW } else { 0 },
                            c: [c, below],
                            c_row: [columns * size_of::<f32>(); 2],
                            accumulate,
                        };
                        // SAFETY: dy has the tiles of all positions of all images for each tile of outputs, and a
                        // plane of x what they read at any tap, and a tile's row behind it. The sums have the rows
                        // of all tiles of outputs, and whole tiles of columns for each run; they are this slice's.
                        unsafe { tiles.run(&job) };
                    }
                }
            }
        }
    }

    /// Adds up the sums of all slices, always in that order, and brings them where they belong.
    fn add_slices(&self, sums: &[f32], dw: &mut [f32]) {
        let ([inputs, outputs], columns) = (self.group, self.columns());
        let rows = self.output_tiles() * SIDE;
        let taps = self.grid().taps();
        let len = self.groups * rows * columns;
        let width = row_of(&self.runs[0], inputs);
        dw.par_chunks_exact_mut(taps * inputs).enumerate().for_each(|(output, dw)| {
            let row = output / outputs * rows + output % outputs;
            for (i, run) in self.runs.iter().enumerate() {
                let tap = run.row * self.grid().columns.taps.len() + run.columns.start;
                let to = &mut dw[tap * inputs..(tap + run.columns.len()) * inputs];
                for (slice, sums) in sums.chunks_exact(len).enumerate() {
                    let part = &sums[row * columns + i * width..][..to.len()];
                    match slice {
                        0 => to.copy_from_slice(part),
                        _ => add_block(to, part),
                    }
                }
            }
        });
    }
}

/// Columns of the sums of a run: whole tiles.
fn row_of(run: &Run, inputs: usize) -> usize {
    (run.columns.len() * inputs).next_multiple_of(SIDE)
}

multiversion! {
    /// Words of values of both.
    fn interleave(first: &[Bf16], second: &[Bf16], to: &mut [u32]) {
        for ((to, first), second) in to.iter_mut().zip(first).zip(second) {
            *to = pair(*first, *second);
        }
    }
}

multiversion! {
    /// Words of values and zeros.
    fn with_zeros(first: &[Bf16], to: &mut [u32]) {
        to.iter_mut().zip(first).for_each(|(to, first)| *to = pair(*first, Bf16::default()));
    }
}

multiversion! {
    /// The words of some channels of 16 pixels and 16 others.
    pub(super) fn pairs(rows: [&[Bf16]; 2], channels: usize, count: usize, to: &mut Words) {
        for (i, words) in to.iter_mut().enumerate() {
            let first = &rows[0][i * channels..][..count];
            let second = &rows[1][i * channels..][..count];
            pair_row(first, second, words);
        }
    }
}

/// The words of as many channels of two pixels as there are, and zeros.
#[inline(always)]
pub(super) fn pair_row<const N: usize>(first: &[Bf16], second: &[Bf16], to: &mut [u32; N]) {
    match (first.as_array::<N>(), second.as_array::<N>()) {
        (Some(first), Some(second)) => {
            for ((word, first), second) in to.iter_mut().zip(first).zip(second) {
                *word = pair(*first, *second);
            }
        }
        _ => {
            for ((word, first), second) in to.iter_mut().zip(first).zip(second) {
                *word = pair(*first, *second);
            }
            to[first.len()..].fill(0);
        }
    }
}
