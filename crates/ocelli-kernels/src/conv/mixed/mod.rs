//! Dense and grouped convolution by products of bf16, whose sums are f32.
//!
//! A block of the target first loads the lines of the source that it needs (see [`Lines`]), then multiplies tiles of
//! them with tiles of packed weights (see [`tiles`](crate::tiles)): 32 positions by 32 outputs at a time, summed up
//! over all taps and channels in registers, and finished and rounded while they are in the first-level cache.
//!
//! A NaN or an infinity in the source may also reach results in whose window it does not lie, as with Winograd: a
//! tile that reads beyond a tap multiplies what lies there by zero.

mod lines;
mod pack;
mod pointwise;
mod target;
mod weight;

use super::dense::Operands;
use super::grid::{Grid, Pass, Run};
use super::{ConvShape, Epilogue};
use crate::bf16::{Bf16, Element, Floats, either};
use crate::isa::Isa;
use crate::output::Output;
use crate::register::even_pieces;
use crate::tiles::{DEPTH, Job, ROW, SIDE, TILE, Tiles};
use crate::workers::{SharedMut, apart, share, split};
use crate::{Scratch, Source};
use lines::{Block, Blocks, Lines};
use std::ops::Range;
use target::Target;
pub(super) use weight::WeightGradient;

/// Bytes of source and target in a block: they should stay in the second-level cache.
const BYTES: usize = 1 << 20;
/// Blocks that a problem is cut into, at least, but for such of few positions.
const BLOCKS: usize = 8;
const POSITIONS: usize = 64;
/// Multiplications below which waking another thread takes longer than they do.
const WORK: usize = 1 << 23;

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
    isa: Isa,
}

impl Mixed {
    pub fn forward(shape: &ConvShape, isa: Isa) -> Self {
        Self::new(Pass::forward(shape), shape.groups, isa)
    }

    pub fn backward_input(shape: &ConvShape, isa: Isa) -> Self {
        Self::new(Pass::backward_input(shape), shape.groups, isa)
    }

    fn new(pass: Pass, groups: usize, isa: Isa) -> Self {
        let pass = joined(pass);
        let group = [pass.source[2] / groups, pass.target[2] / groups];
        let lines = Lines::new(&pass);
        let line = pass.band_start(1.min(pass.bands_per_image())) * size_of::<f32>();
        let loaded = (lines.image_len(2) - lines.image_len(1)) * size_of::<Bf16>();
        let blocks = Blocks::new(&pass, most_rows(&pass, &lines, line + loaded, BYTES, BLOCKS));
        let runs = pass.grids.iter().map(|grid| grid.runs(groups == 1)).collect();
        Self { pass, groups, group, lines, runs, blocks, isa }
    }

    /// How many blocks the target is written in, but where weights are dealt out in several [pieces](Self::pieces).
    pub fn blocks(&self) -> usize {
        self.blocks.iter().count()
    }

    /// Into how many pieces the panels of weights are dealt out, so that every thread finds work. One where there are
    /// blocks enough, or little work.
    pub fn pieces(&self, threads: usize) -> usize {
        let blocks = self.blocks().max(1);
        if blocks >= threads {
            return 1;
        }
        let work = self.parts().map(|(grid, runs)| {
            let points = self.pass.batch * grid.rows.size * grid.columns.size;
            points.next_multiple_of(DEPTH) * self.panels() * self.panel_len(runs)
        });
        let most = self.panels().min(2 * work.sum::<usize>() / WORK / blocks).max(1);
        (2 * threads).div_ceil(blocks).min(most)
    }

    /// Panels of a phase: 32 outputs of a group, or what is left of it.
    fn panels(&self) -> usize {
        self.groups * self.group[1].div_ceil(DEPTH)
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

    /// Target = convolution of source, finished by the epilogue. With several [pieces](Self::pieces) the target is not
    /// written in blocks.
    pub fn run(
        &self,
        operands: Operands<'_>,
        target: &Output<'_>,
        pieces: usize,
        scratch: &mut Scratch,
    ) {
        let lens = self.blocks.iter().fold([0, 0], |[loaded, block], each| {
            let len = match self.stands(&operands.source, &each) {
                Some(_) => 0,
                None => self.loaded_len(&each).div_ceil(2),
            };
            [loaded.max(len), block.max(target.beside(self.range(&each).len()))]
        });
        let each = lens.into_iter().map(apart).sum();
        // No tap reaches the pixels of some phases: they are zeros.
        let untouched = self.runs.iter().any(Vec::is_empty);
        let dealt = even_pieces(0..self.panels(), self.panels().div_ceil(pieces).max(1));
        let (items, in_blocks) = (self.blocks() * dealt.clone().count(), pieces == 1);
        if untouched && !in_blocks {
            target.clear();
        }
        let memory = scratch.take(scratch.count(items) * each);
        let blocks = self.blocks.iter().enumerate();
        let items = blocks.flat_map(|each| dealt.clone().map(move |panels| (each.clone(), panels)));
        share(items, memory, each, |((index, block), panels), memory| {
            let [loaded, beside] = split(memory, lens);
            let loaded = match self.stands(&operands.source, &block) {
                Some(values) => values,
                None => {
                    let loaded = Bf16::slice_mut(loaded);
                    self.load(&operands, &block, loaded);
                    loaded
                }
            };
            let range = self.range(&block);
            let part = Part { operands, block: &block, panels, loaded };
            if !in_blocks {
                return self.multiply(&part, (range.start, target.whole()));
            }
            target.write(index, range.clone(), beside, |values| {
                let residual = operands.epilogue.residual.map(|residual| residual.get(range));
                let epilogue = Epilogue { residual, ..operands.epilogue };
                let part = Part { operands: Operands { epilogue, ..operands }, ..part };
                either!(FloatsMut, values, values => {
                    if untouched {
                        values.fill(Element::new(0.0));
                    }
                    self.multiply(&part, (0, SharedMut::new(values)));
                });
            });
        });
    }

    /// What a block reads where it stands, if it need not be loaded: bf16 of pixels that meet one tap, and enough
    /// behind them. Rows that lie across cache lines and need not are loaded: such tiles take three times as long.
    fn stands<'a>(&self, source: &Source<'a>, block: &Block) -> Option<&'a [Bf16]> {
        match *source {
            Source::Plain(Floats::Bf16(values)) if self.pass.is_plain() => {
                let own = &values[block.rows.start * self.lines.plane_len(1)..];
                let row = self.lines.stride() * size_of::<Bf16>();
                let across = row.is_multiple_of(ROW) && !own.as_ptr().addr().is_multiple_of(ROW);
                (!across && own.len() >= self.loaded_len(block)).then_some(own)
            }
            _ => None,
        }
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

    /// What some panels make of a block, whose first value has this place among the values.
    fn multiply<T: Element>(&self, part: &Part<'_>, to: (usize, SharedMut<'_, T>)) {
        let Part { operands, block, .. } = part;
        let mut weights = operands.weights;
        let tiles = Tiles::new(self.isa);
        let per_group = self.group[1].div_ceil(DEPTH);
        let plane_len = self.lines.plane_len(block.rows.len());
        for (grid, runs) in self.parts() {
            let chunks = self.chunks(&runs[0]);
            let places: Vec<_> = (runs.iter().enumerate())
                .map(|(i, run)| {
                    let [plane, place] = self.lines.place(grid, run);
                    [(plane * plane_len + place) * size_of::<Bf16>(), i * chunks * 2 * TILE]
                })
                .collect();
            let len = self.panel_len(runs);
            let (own, after) = weights.split_at(self.panels() * len);
            weights = after;
            for panel in part.panels.clone() {
                let (group, first) = (panel / per_group, panel % per_group * DEPTH);
                let panel = Panel {
                    tiles: &tiles,
                    places: &places,
                    chunks,
                    weights: &own[panel * len..][..len],
                    inputs: group * self.group[0],
                    outputs: group * self.group[1] + first
                        ..group * self.group[1] + self.group[1].min(first + DEPTH),
                };
                let pitch = self.lines.pitch;
                let (outputs, epilogue) = (panel.outputs.clone(), &operands.epilogue);
                let target = Target::new(&self.pass, grid, (block, to.0), pitch, outputs, epilogue);
                self.multiply_panel(&panel, &target, part, to.1);
            }
        }
    }

    /// Some outputs of all points of a phase in a block.
    fn multiply_panel<T: Element>(
        &self,
        panel: &Panel<'_>,
        to: &Target<'_>,
        &Part { block, loaded, .. }: &Part<'_>,
        values: SharedMut<'_, T>,
    ) {
        let stride = self.lines.stride() * size_of::<Bf16>();
        let image_len = self.lines.image_len(block.rows.len());
        assert!(loaded.len() >= self.loaded_len(block), "what is read beyond the lines");
        let mut sums = Sums([[0.0; DEPTH]; DEPTH]);
        for image in 0..block.images.len() {
            let source = &loaded[image * image_len + panel.inputs..];
            for start in (0..to.positions).step_by(DEPTH) {
                let two = start + SIDE < to.positions;
                let c: *mut f32 = sums.0.as_mut_ptr().cast();
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
                    b_next: if panel.outputs.len() > SIDE { TILE } else { 0 },
                    c: [c, c.wrapping_add(SIDE * DEPTH)],
                    c_row: [DEPTH * size_of::<f32>(); 2],
                    accumulate: false,
                };
                // SAFETY: the lines of an image have what its positions read, and behind them is what tiles read
                // beyond that (see `Lines::slack`). A panel has two tiles per chunk of each run.
                unsafe { panel.tiles.run(&job) };
                let tiles = if two { DEPTH } else { SIDE };
                to.finish(start, image, &sums.0[..tiles], values);
            }
        }
    }
}

/// Some panels that meet a block. The residual begins where the values do.
struct Part<'a> {
    operands: Operands<'a>,
    block: &'a Block,
    panels: Range<usize>,
    loaded: &'a [Bf16],
}

/// The weights of some outputs, all taps, with what they meet.
struct Panel<'a> {
    tiles: &'a Tiles,
    /// Of each run: where in an image and among the weights it begins, in bytes.
    places: &'a [[usize; 2]],
    chunks: usize,
    weights: &'a [f32],
    /// The first channel of the source that takes part.
    inputs: usize,
    outputs: Range<usize>,
}

/// The sums of two tiles of positions.
#[repr(align(64))]
struct Sums([[f32; DEPTH]; DEPTH]);

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Padding;

    #[test]
    fn weights_are_dealt_out_where_blocks_are_few() {
        let layer = ConvShape {
            batch: 1,
            height: 7,
            width: 7,
            in_channels: 512,
            out_channels: 512,
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::symmetric(1, 1),
            dilation: [1, 1],
            groups: 1,
        };
        let pieces = |shape, threads| Mixed::forward(&shape, Isa::Portable).pieces(threads);
        assert_eq!([1, 2, 8].map(|threads| pieces(layer, threads)), [1, 4, 16]);
        let two = ConvShape { batch: 2, ..layer };
        assert_eq!([2, 3].map(|threads| pieces(two, threads)), [1, 3]);
        assert_eq!(pieces(ConvShape { in_channels: 8, ..layer }, 8), 1, "little work");
        assert_eq!(pieces(ConvShape { batch: 0, ..layer }, 8), 1);
    }
}
