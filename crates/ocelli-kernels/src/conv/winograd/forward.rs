//! Forward and backward to the input: data to points, products at every point, points to pixels.

use super::Terms;
use super::frame::{Frame, Grid};
use super::input::{Images, ToPoints, transform_data, transform_data_narrow};
use super::kernel::{Expand, Panel, expand, expand_narrow};
use super::memory::Layout;
use super::output::{FromPoints, transform_outputs};
use super::prefetch::{For, Prefetch};
use super::tiles::{Block, Tiling};
use crate::Scratch;
use crate::conv::dense::Operands;
use crate::conv::{ConvShape, Epilogue, Form};
use crate::isa::Isa;
use crate::output::Output;
use crate::register::{Rows, Tile, even_pieces, lanes, rows_kernels, rows_of_pairs_kernels};
use crate::source::Source;
use crate::workers::{SharedMut, apart, share};
use rayon::prelude::*;
use std::ops::Range;

/// Elements of transformed data and products of one block: they stay in the L2 cache.
const BLOCK: usize = 160 << 10;
/// But no larger than leaves so many blocks for threads, unless blocks then had fewer tiles than this.
const BLOCKS: usize = 16;
const TILES: usize = 16;
/// Elements of transformed data of one group of blocks, which all threads share.
const GROUP: usize = 4 << 20;
/// Weights from which on the transformed ones do not stay in the L2 cache.
const MANY: usize = 256 * 256;
/// Source channels whose weights are transposed at a time: whole pairs.
const CHUNK: usize = 16;

/// In which order data and weights meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Every block of tiles meets all panels of weights, transformed when they were packed.
    Blocks,
    /// Every panel of weights, transformed just then, meets all tiles of a group of blocks.
    Panels,
}

/// One direction of the convolution, ready to run.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Winograd {
    tile: Tile,
    schedule: Schedule,
    panel: Panel,
    shape: ConvShape,
    source: Grid,
    target: Grid,
    tiling: Tiling,
    /// Most strips in a block.
    strips: usize,
    /// Most elements of transformed data in a group, unless one block has more.
    group: usize,
}

impl Winograd {
    pub fn forward(isa: Isa, shape: &ConvShape, terms: Terms) -> Self {
        let [rows, columns] = shape.output();
        let frame = Frame::new(shape);
        let source = frame.source(shape);
        let target = Grid { size: [rows, columns, shape.out_channels], offset: [0, 0], step: 1 };
        let channels = [frame.depth(), shape.out_channels];
        Self::new(isa, Form::Forward, shape, [source, target], channels, terms)
    }

    /// Of an odd kernel.
    pub fn backward_input(isa: Isa, shape: &ConvShape, terms: Terms) -> Self {
        let [rows, columns] = shape.output();
        let (target, offset) = Frame::new(shape).target(shape);
        let source = Grid { size: [rows, columns, shape.out_channels], offset, step: 1 };
        let channels = [shape.out_channels, shape.in_channels];
        Self::new(isa, Form::BackwardInput, shape, [source, target], channels, terms)
    }

    fn new(
        isa: Isa,
        form: Form,
        shape: &ConvShape,
        [source, target]: [Grid; 2],
        channels: [usize; 2],
        terms: Terms,
    ) -> Self {
        let frame = Frame::new(shape);
        assert!(terms == Terms::F32 || shape.stride == [1, 1], "products of bf16 are not folded");
        let (points, batch) = (frame.family.all(), shape.batch);
        let tiling = Tiling::new(frame.family, target.squares());
        let tile = Tile::for_columns(isa, channels[1]);
        let panel = Panel { form, frame, channels, width: tile.columns(), terms };
        let schedule = if channels[0] * channels[1] * panel.phases() < MANY {
            Schedule::Blocks
        } else {
            Schedule::Panels
        };
        let (strips, group) = (1, GROUP);
        let shape = *shape;
        let mut plan = Self { tile, schedule, panel, shape, source, target, tiling, strips, group };
        let tiles = match schedule {
            Schedule::Blocks => {
                let all = batch * tiling.rows.tiles() * tiling.columns.tiles();
                (BLOCK / (points * (plan.data_layout(1).width + panel.width)))
                    .min((all / BLOCKS).max(TILES))
            }
            // Only the products: panels read the data from further away.
            Schedule::Panels => BLOCK / (points * panel.width),
        };
        plan.strips = (tiles / tiling.columns.tiles()).max(1);
        plan
    }

    /// The same convolution in another order, with every block a group.
    #[cfg(test)]
    pub(super) fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, group: 0, ..self }
    }

    /// Values of the packed weights.
    pub fn packed_len(&self) -> usize {
        self.panel.count() * self.panel_len()
    }

    /// Those of a panel.
    fn panel_len(&self) -> usize {
        match self.schedule {
            Schedule::Blocks => self.panel.len(),
            Schedule::Panels => self.panel.taps_len(),
        }
    }

    /// Weights `[O, K, K, C]` in the order that the schedule reads.
    pub fn pack(&self, w: &[f32], packed: &mut [f32]) {
        let (panel, len) = (self.panel, self.panel_len());
        packed.par_chunks_exact_mut(len).enumerate().for_each(|(i, out)| match self.schedule {
            Schedule::Blocks => self.pack_points(w, i, out),
            Schedule::Panels => panel.gather(w, i, 0..panel.channels[0], out),
        });
    }

    /// The weights of a panel at all points, a few source channels at a time.
    fn pack_points(&self, w: &[f32], index: usize, out: &mut [f32]) {
        let panel = self.panel;
        let mut buffer = vec![0.0; panel.frame.taps() * CHUNK * panel.width];
        for start in (0..panel.channels[0]).step_by(CHUNK) {
            let inputs = start..(start + CHUNK).min(panel.channels[0]);
            let taps = &mut buffer[..panel.frame.taps() * inputs.len() * panel.width];
            panel.gather(w, index, inputs, taps);
            self.expand(taps, &mut out[panel.terms.places(start) * panel.width..]);
        }
    }

    fn expand(&self, taps: &[f32], points: &mut [f32]) {
        let (family, width) = (self.panel.frame.family, self.panel.width);
        let mut job = Expand { family, width, taps, points, point_len: self.panel.point_len() };
        // SAFETY: the plan was made for an instruction set that the CPU has; a panel is one tile wide.
        unsafe {
            match self.panel.terms {
                Terms::F32 => expand(self.tile.isa(), &mut job),
                Terms::Bf16 => expand_narrow(self.tile.isa(), &mut job),
            }
        }
    }

    /// Target = convolution of source, finished by the epilogue.
    pub fn run(&self, operands: Operands<'_>, target: &Output<'_>, scratch: &mut Scratch) {
        match self.schedule {
            Schedule::Blocks => self.run_blocks(operands, target, scratch),
            Schedule::Panels => self.run_panels(operands, target, scratch),
        }
    }

    /// How many blocks the target is written in, all channels at a time; none where panels are dealt out, too.
    pub fn written_blocks(&self) -> Option<usize> {
        (self.schedule == Schedule::Blocks).then(|| self.blocks().count())
    }

    fn run_blocks(&self, operands: Operands<'_>, target: &Output<'_>, scratch: &mut Scratch) {
        let tiles = self.most_tiles();
        let (data, products) = (self.data_layout(tiles).len(), self.product_layout(tiles).len());
        let own = apart(data + products);
        let blocks = self.blocks();
        let loaded_len = apart(self.loaded(&operands.source, blocks.clone()));
        let most = blocks.clone().map(|strips| self.pixels(&strips).len()).max().unwrap_or(0);
        let each = own + loaded_len + apart(target.memory(most));
        let (threads, memory_len) =
            (scratch.threads(), scratch.count(blocks.clone().count()) * each);
        let [whole_len, folded_len] = self.fold_lens(&operands.source);
        let [zero, whole, folded, memory] =
            scratch.parts([self.source.size[2], whole_len, folded_len, memory_len]);
        zero.fill(0.0);
        let zero = &*zero;
        let source = self.fold(operands.source, whole, folded);
        let following = blocks.clone().skip(threads).chain(std::iter::repeat(0..0));
        let items = blocks
            .zip(following)
            .map(|(strips, following)| (Block::new(self.tiling, strips), following));
        share(items.enumerate(), memory, each, |(index, (block, following)), memory| {
            let (memory, rest) = memory.split_at_mut(own);
            let (data, products) = memory.split_at_mut(data);
            let (loaded, streamed) = rest.split_at_mut(loaded_len);
            let images = self.images(&source, &block.strips, loaded, zero);
            self.transform(images, &block, SharedMut::new(data), block.strips.clone());
            let steps = self.panel.count() * self.steps(&block);
            let [first, second] = source.stands(self.source_of(&following));
            let pixels = self.pixels(&block.strips);
            target.block(index, pixels.clone(), streamed, |target| {
                let mut ahead = [
                    Prefetch::new(first, For::Reading, steps),
                    Prefetch::new(second, For::Reading, steps),
                    // The first panel's outputs need them.
                    Prefetch::new(&*target, For::Writing, steps / 2),
                ];
                let target = SharedMut::new(target);
                for (i, panel) in operands.weights.chunks_exact(self.panel.len()).enumerate() {
                    self.multiply(&block, data, (i, panel), products, &mut ahead);
                    self.write(&block, products, i, operands.epilogue, (target, pixels.start));
                }
            });
        });
    }

    fn run_panels(&self, operands: Operands<'_>, target: &Output<'_>, scratch: &mut Scratch) {
        let tiles = self.most_tiles();
        let [data, products] =
            [self.data_layout(tiles), self.product_layout(tiles)].map(|layout| apart(layout.len()));
        let strips = (0..self.shape.batch * self.tiling.rows.tiles()).map(|strip| strip..strip + 1);
        let each =
            (apart(self.panel.len()) + products).max(apart(self.loaded(&operands.source, strips)));
        let blocks: Vec<_> = self.blocks().map(|strips| Block::new(self.tiling, strips)).collect();
        let groups = even_pieces(0..blocks.len(), (self.group / data).max(1));
        let group = groups.clone().map(|group| group.len()).max().unwrap_or(0);
        let most = scratch.count(self.panel.count().max(group * self.strips));
        let [whole_len, folded_len] = self.fold_lens(&operands.source);
        let [zero, whole, folded, all, memory] =
            scratch.parts([self.source.size[2], whole_len, folded_len, group * data, most * each]);
        zero.fill(0.0);
        let zero = &*zero;
        let source = self.fold(operands.source, whole, folded);
        let target = target.whole();
        for group in groups {
            let blocks = &blocks[group];
            let strips = all.chunks_exact_mut(data).zip(blocks).flat_map(|(data, block)| {
                let data = SharedMut::new(data);
                block.strips.clone().map(move |strip| (block, data, strip))
            });
            share(strips, memory, each, |(block, data, strip), loaded| {
                let strip = strip..strip + 1;
                let images = self.images(&source, &strip, loaded, zero);
                self.transform(images, block, data, strip);
            });
            let panels = operands.weights.chunks_exact(self.panel.taps_len()).enumerate();
            share(panels, memory, each, |(i, taps), memory| {
                let (panel, products) = memory.split_at_mut(apart(self.panel.len()));
                self.expand(taps, panel);
                for (data, block) in all.chunks_exact(data).zip(blocks) {
                    self.multiply(block, data, (i, panel), products, &mut []);
                    self.write(block, products, i, operands.epilogue, (target, 0));
                }
            });
        }
    }

    /// Strips of a block's source tiles to points. No one else may use them meanwhile.
    fn transform(
        &self,
        images: Images<'_>,
        block: &Block,
        to: SharedMut<'_>,
        strips: Range<usize>,
    ) {
        let layout = self.data_layout(block.tiles());
        let job = ToPoints { images, block, layout, to };
        for strip in strips {
            // SAFETY: the CPU has the plan's instruction set; rows of the layout have room for whole vectors; the
            // callers hand out every strip once.
            unsafe {
                match self.panel.terms {
                    Terms::F32 => transform_data(self.tile.isa(), &job, strip),
                    Terms::Bf16 => transform_data_narrow(self.tile.isa(), &job, strip),
                }
            }
        }
    }

    /// Products of a block's tiles with a panel of weights, at every point.
    fn multiply(
        &self,
        block: &Block,
        data: &[f32],
        (index, panel): (usize, &[f32]),
        products: &mut [f32],
        ahead: &mut [Prefetch],
    ) {
        let kernels = match self.panel.terms {
            Terms::F32 => rows_kernels(self.tile),
            Terms::Bf16 => rows_of_pairs_kernels(self.tile),
        };
        let (from, to) = (self.data_layout(block.tiles()), self.product_layout(block.tiles()));
        for point in 0..self.tiling.family.all() {
            let live = self.panel.live(index, point);
            let panel = &panel[point * self.panel.point_len()..];
            let panel = &panel[live.start * self.panel.width..live.end * self.panel.width];
            let data = &data[point * from.point_len()..][..from.point_len()];
            let products = &mut products[point * to.point_len()..][..to.point_len()];
            if live.is_empty() {
                products.fill(0.0);
                continue;
            }
            for tiles in self.tile.cut(block.owners(point)) {
                ahead.iter_mut().for_each(Prefetch::step);
                let job = Rows {
                    depth: live.len(),
                    a: data[from.at(tiles.start, live.start)..from.at(tiles.end, 0)].as_ptr(),
                    a_stride: from.width,
                    panel: panel.as_ptr(),
                    c: products[to.at(tiles.start, 0)..to.at(tiles.end, 0)].as_mut_ptr(),
                    c_stride: to.width,
                };
                // SAFETY: the slices hold as many rows as the kernel has; a row of the data holds
                // the live channels, one of the products as wide as the tile.
                unsafe { kernels[tiles.len() - 1](&job) }
            }
        }
    }

    /// Calls of kernels for a block and a panel.
    fn steps(&self, block: &Block) -> usize {
        let points = 0..self.tiling.family.all();
        points.map(|point| self.tile.cut(block.owners(point)).count()).sum()
    }

    /// The values that some strips read.
    fn source_of(&self, strips: &Range<usize>) -> Range<usize> {
        self.source.source_of(&self.tiling, strips, self.panel.frame.family.taps() - 1)
    }

    /// How much memory it takes to compute what some strips read, at most.
    fn loaded(&self, source: &Source<'_>, strips: impl Iterator<Item = Range<usize>>) -> usize {
        if source.is_plain() || self.fold_lens(source)[1] > 0 {
            return 0;
        }
        strips.map(|strips| self.source_of(&strips).len()).max().unwrap_or(0)
    }

    /// A block's products with a panel to pixels.
    fn write(
        &self,
        block: &Block,
        products: &[f32],
        panel: usize,
        epilogue: Epilogue<'_>,
        (to, origin): (SharedMut<'_>, usize),
    ) {
        let layout = self.product_layout(block.tiles());
        let phase = self.panel.phase(panel);
        let grid = self.target;
        let job = FromPoints { block, layout, products, grid, phase, to, origin, epilogue };
        for strip in block.strips.clone() {
            // SAFETY: the CPU has the plan's instruction set; a row of the layout is one tile wide; panels
            // and blocks write different channels and pixels.
            unsafe { transform_outputs(self.tile.isa(), &job, self.panel.outputs(panel), strip) }
        }
    }

    /// What some strips read, in `loaded` if it must be computed.
    fn images<'a>(
        &self,
        source: &Source<'a>,
        strips: &Range<usize>,
        loaded: &'a mut [f32],
        zero: &'a [f32],
    ) -> Images<'a> {
        let pixels = source.view(self.source_of(strips), loaded);
        Images { pixels, grid: self.source, zero }
    }

    fn fold<'a>(&self, source: Source<'a>, whole: &mut [f32], folded: &'a mut [f32]) -> Source<'a> {
        match self.panel.form {
            Form::Forward => self.panel.frame.fold(&self.shape, source, whole, folded),
            Form::BackwardInput => source,
        }
    }

    /// Elements of `whole` and `folded` for [`fold`](Self::fold).
    fn fold_lens(&self, source: &Source<'_>) -> [usize; 2] {
        let frame = self.panel.frame;
        match self.panel.form {
            Form::Forward => [frame.whole_len(source), frame.folded_len(&self.shape)],
            Form::BackwardInput => [0; 2],
        }
    }

    fn data_layout(&self, tiles: usize) -> Layout {
        let Panel { channels, terms, .. } = self.panel;
        Layout::rows(self.tiling.family, tiles, channels[0], lanes(self.tile.isa()), terms)
    }

    fn product_layout(&self, tiles: usize) -> Layout {
        Layout::panels(self.tiling.family, tiles, self.panel.width, self.panel.width)
    }

    /// The strips of every block.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        even_pieces(0..self.shape.batch * self.tiling.rows.tiles(), self.strips)
    }

    /// Tiles of the largest block.
    fn most_tiles(&self) -> usize {
        let strips = self.shape.batch * self.tiling.rows.tiles();
        strips.min(self.strips) * self.tiling.columns.tiles()
    }

    /// The elements of the target that some strips cover.
    fn pixels(&self, strips: &Range<usize>) -> Range<usize> {
        let [height, width, channels] = self.target.size;
        let Grid { offset, step, .. } = self.target;
        let per_image = self.tiling.rows.tiles();
        let line = |strip: usize| {
            let (image, tile) = (strip / per_image, strip % per_image);
            let row = self.tiling.rows.run(tile).start * step;
            (image * height + row.saturating_add_signed(offset[0])) * width * channels
        };
        line(strips.start)..line(strips.end)
    }
}
