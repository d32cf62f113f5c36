//! The weight gradient: dw = Gᵀ [sum over tiles of (A dy Aᵀ) · (Bᵀ x B)] G.
//!
//! Tiles are taken in groups. The transforms of a group stand in panels of channels, so that their products,
//! summed over the tiles, stream; these sums are cut into blocks of output by input channels at each point.

use super::Terms;
use super::frame::{Frame, Grid};
use super::input::{Images, ToPoints, transform_data, transform_gradient};
use super::memory::{LINE, Layout};
use super::narrow::{Tiles, pair_tiles};
use super::sums::{CHANNELS, Sums};
use super::tiles::{Block, Tiling};
use crate::Scratch;
use crate::conv::ConvShape;
use crate::isa::Isa;
use crate::register::{Outer, Tile, even_pieces, outer_kernels, outer_of_pairs_kernels};
use crate::source::Source;
use crate::workers::{SharedMut, apart, share};
use std::ops::Range;

/// Most output channels and input channels of a block of sums.
const SUMS: usize = CHANNELS;
/// Sums of fewer channels by channels stay in the L2 cache.
const MANY: usize = 128 * 128;
/// Elements of the transforms of a group that stay there too.
const PRIVATE: usize = 256 << 10;
/// Fewest tiles of a slice, most slices.
const SLICE: usize = 128;
const SLICES: usize = 16;
/// Elements of the transforms of a group that all threads share, but never fewer tiles than this: every
/// group reads and writes all sums.
const SHARED: usize = 3 << 19;
const TILES: usize = 128;
/// Blocks of sums that are enough to keep threads busy.
const BLOCKS: usize = 16;

/// Who adds up what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Every slice of the tiles has sums of its own, which are added in order. How many there are depends on
    /// the shape.
    Slices,
    /// Threads share the transforms of a group, then each sum has one owner.
    Groups,
}

/// The weight gradient, ready to run.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WeightGradient {
    tile: Tile,
    schedule: Schedule,
    terms: Terms,
    frame: Frame,
    shape: ConvShape,
    x: Grid,
    y: Grid,
    tiling: Tiling,
    /// Output channels and input channels of a block of sums.
    sums: [usize; 2],
    /// Most strips in a group.
    strips: usize,
}

/// The transforms of dy and of x.
type Pair<T> = [T; 2];

impl WeightGradient {
    pub fn new(isa: Isa, shape: &ConvShape, terms: Terms) -> Self {
        let frame = Frame::new(shape);
        let tiling = Tiling::new(frame.family, shape.output());
        let slices = shape.batch * tiling.rows.tiles() * tiling.columns.tiles() / SLICE;
        let many = frame.depth() * shape.out_channels >= MANY;
        // A few slices would keep no more threads busy.
        let schedule = if many || slices < 4 { Schedule::Groups } else { Schedule::Slices };
        Self::scheduled(isa, shape, schedule, terms)
    }

    pub(super) fn scheduled(isa: Isa, shape: &ConvShape, schedule: Schedule, terms: Terms) -> Self {
        let [rows, columns] = shape.output();
        let frame = Frame::new(shape);
        let y = [rows, columns, shape.out_channels];
        let tiling = Tiling::new(frame.family, [rows, columns]);
        let tile = Tile::for_columns(isa, frame.depth());
        let padded = [shape.out_channels, frame.depth()]
            .map(|channels| channels.next_multiple_of(tile.columns()));
        let per_tile = frame.family.all() * (padded[0] + padded[1]);
        let tiles = match schedule {
            Schedule::Slices => PRIVATE / per_tile,
            Schedule::Groups => (SHARED / per_tile).max(TILES),
        };
        Self {
            tile,
            schedule,
            terms,
            frame,
            shape: *shape,
            x: frame.source(shape),
            y: Grid { size: y, offset: [0, 0], step: 1 },
            tiling,
            sums: padded.map(|channels| channels.min(SUMS)),
            strips: (tiles / tiling.columns.tiles()).max(1),
        }
    }

    /// dw `[O, K, K, C]` of x and dy.
    pub fn run(&self, x: Source<'_>, dy: Source<'_>, dw: &mut [f32], scratch: &mut Scratch) {
        if self.all_strips() == 0 {
            return dw.fill(0.0);
        }
        match self.schedule {
            Schedule::Slices => self.run_slices([dy, x], dw, scratch),
            Schedule::Groups => self.run_groups([dy, x], dw, scratch),
        }
    }

    fn run_slices(&self, images: Pair<Source<'_>>, dw: &mut [f32], scratch: &mut Scratch) {
        let strips = self.all_strips();
        let tiles = strips * self.tiling.columns.tiles();
        let slices = even_pieces(0..strips, strips.div_ceil((tiles / SLICE).clamp(1, SLICES)));
        let lens = self.lens();
        let groups = slices.clone().flat_map(|slice| even_pieces(slice, self.strips));
        let (own, loaded) = (apart(lens[0] + lens[1]), self.loaded(&images, groups));
        let (each, slices_len) =
            (own + apart(loaded[0]) + apart(loaded[1]), slices.clone().count());
        let sums_len = self.blocks() * self.block_len();
        let [zero, whole, folded, sums, memory] = scratch.parts([
            self.zero_len(),
            self.frame.whole_len(&images[1]),
            self.frame.folded_len(&self.shape),
            slices_len * sums_len,
            scratch.count(slices_len) * each,
        ]);
        zero.fill(0.0);
        let (zero, [dy, x]) = (&*zero, images);
        let sources = [dy, self.frame.fold(&self.shape, x, whole, folded)];
        let points = self.frame.family.all();
        let items = sums.chunks_exact_mut(sums_len).zip(slices);
        share(items, memory, each, |(sums, slice), memory| {
            let (transforms, memory) = memory.split_at_mut(own);
            let (z, v) = transforms.split_at_mut(lens[0]);
            for strips in even_pieces(slice.clone(), self.strips) {
                let accumulate = strips.start > slice.start;
                let images = self.images(sources, &strips, memory, loaded, zero);
                let group = Block::new(self.tiling, strips);
                let transforms = [SharedMut::new(z), SharedMut::new(v)];
                group
                    .strips
                    .clone()
                    .for_each(|strip| self.transform(images, &group, transforms, strip));
                if self.terms == Terms::Bf16 {
                    (0..points).for_each(|point| self.narrow(&group, transforms, point));
                }
                for (i, sums) in sums.chunks_exact_mut(self.point_len()).enumerate() {
                    self.multiply(&group, [z, v], [i / points, i % points], (sums, accumulate));
                }
            }
        });
        self.finish_all(sums, slices_len, dw, memory, each);
    }

    fn run_groups(&self, images: Pair<Source<'_>>, dw: &mut [f32], scratch: &mut Scratch) {
        let strips = self.all_strips();
        let lens = self.lens();
        let blocks = self.blocks();
        // Where there is one group, sums need not outlive the block that they belong to.
        let once = strips <= self.strips && blocks >= BLOCKS;
        let loaded = self.loaded(&images, (0..strips).map(|strip| strip..strip + 1));
        let each =
            apart(if once { self.block_len() } else { 0 }).max(apart(loaded[0]) + apart(loaded[1]));
        let sums_len = if once { 0 } else { blocks * self.block_len() };
        let points = self.frame.family.all();
        let threads = scratch.count(self.strips.max(blocks * points));
        let [zero, whole, folded, z, v, sums, memory] = scratch.parts([
            self.zero_len(),
            self.frame.whole_len(&images[1]),
            self.frame.folded_len(&self.shape),
            lens[0],
            lens[1],
            sums_len,
            threads * each,
        ]);
        zero.fill(0.0);
        let (zero, [dy, x]) = (&*zero, images);
        let sources = [dy, self.frame.fold(&self.shape, x, whole, folded)];
        for strips in even_pieces(0..strips, self.strips) {
            let accumulate = strips.start > 0;
            let group = Block::new(self.tiling, strips);
            let transforms = [SharedMut::new(z), SharedMut::new(v)];
            share(group.strips.clone(), memory, each, |strip, memory| {
                let images = self.images(sources, &(strip..strip + 1), memory, loaded, zero);
                self.transform(images, &group, transforms, strip)
            });
            if self.terms == Terms::Bf16 {
                share(0..points, memory, each, |point, _| self.narrow(&group, transforms, point));
            }
            if once {
                let dw = SharedMut::new(dw);
                share(0..blocks, memory, each, |block, sums| {
                    let sums = &mut sums[..self.block_len()];
                    for (point, sums) in sums.chunks_exact_mut(self.point_len()).enumerate() {
                        self.multiply(&group, [z, v], [block, point], (sums, false));
                    }
                    self.outputs(block)
                        .for_each(|output| self.finish(sums, 1, [block, output], dw));
                });
            } else {
                let items = sums.chunks_exact_mut(self.point_len()).enumerate();
                share(items, memory, each, |(i, sums), _| {
                    self.multiply(&group, [z, v], [i / points, i % points], (sums, accumulate));
                });
            }
        }
        if !once {
            self.finish_all(sums, 1, dw, memory, each);
        }
    }

    /// A strip of tiles of dy and x to points. No one else may use them meanwhile.
    fn transform(
        &self,
        [dy, x]: Pair<Images<'_>>,
        group: &Block,
        [z, v]: Pair<SharedMut<'_>>,
        strip: usize,
    ) {
        let [z_layout, v_layout] = self.layouts(group.tiles());
        let isa = self.tile.isa();
        let dy = ToPoints { images: dy, block: group, layout: z_layout, to: z };
        let x = ToPoints { images: x, block: group, layout: v_layout, to: v };
        // SAFETY: the CPU has the plan's instruction set; panels are a tile wide; the callers hand out every
        // strip once.
        unsafe {
            transform_gradient(isa, &dy, strip);
            transform_data(isa, &x, strip);
        }
    }

    /// The transforms of a group at a point to pairs of tiles. No one else may use them meanwhile.
    fn narrow(&self, group: &Block, transforms: Pair<SharedMut<'_>>, point: usize) {
        let tiles = group.owners(point);
        for (layout, values) in self.layouts(group.tiles()).into_iter().zip(transforms) {
            let values = values.range(point * layout.point_len(), layout.point_len());
            // SAFETY: the callers hand out every point once; the CPU has the plan's instruction set, and panels are a
            // tile wide.
            unsafe { pair_tiles(self.tile.isa(), &Tiles { values, layout, tiles: tiles.clone() }) }
        }
    }

    /// Adds what a group contributes to a block of sums at one point, or writes it.
    fn multiply(
        &self,
        group: &Block,
        [z, v]: Pair<&[f32]>,
        [block, point]: [usize; 2],
        (sums, accumulate): (&mut [f32], bool),
    ) {
        let kernels = match self.terms {
            Terms::F32 => outer_kernels(self.tile),
            Terms::Bf16 => outer_of_pairs_kernels(self.tile),
        };
        let [z_layout, v_layout] = self.layouts(group.tiles());
        let z = &z[point * z_layout.point_len()..][..z_layout.point_len()];
        let v = &v[point * v_layout.point_len()..][..v_layout.point_len()];
        let tiles = group.owners(point);
        let width = self.tile.columns();
        let live = self.frame.live(point);
        let is_live = |c: &Range<usize>| c.start < live.end && live.start < c.end;
        // What is left out is part of no weight.
        for c in pieces(self.inputs(block), width).filter(is_live) {
            for o in pieces(self.outputs(block), width).flat_map(|panel| self.tile.cut(panel)) {
                let to = (o.start % self.sums[0]) * self.sums[1] + c.start % self.sums[1];
                let last = to + (o.len() - 1) * self.sums[1] + width;
                let job = Outer {
                    depth: self.terms.places(tiles.len()),
                    a: z[z_layout.at(tiles.start, o.start)..].as_ptr(),
                    a_stride: width,
                    b: v[v_layout.at(tiles.start, c.start)..].as_ptr(),
                    b_stride: width,
                    c: sums[to..last].as_mut_ptr(),
                    c_stride: self.sums[1],
                    columns: width,
                    accumulate,
                };
                // SAFETY: the tiles stand side by side in both panels, each a row as wide as the tile, and
                // the rows of the sums lie within the slice.
                unsafe { kernels[o.len() - 1](&job) }
            }
        }
    }

    /// Sums to weights.
    fn finish_all(
        &self,
        sums: &[f32],
        slices: usize,
        dw: &mut [f32],
        idle: &mut [f32],
        each: usize,
    ) {
        let dw = SharedMut::new(dw);
        let items = (0..self.blocks())
            .flat_map(|block| self.outputs(block).map(move |output| (block, output)));
        share(items, idle, each, |(block, output), _| {
            self.finish(&sums[block * self.block_len()..], slices, [block, output], dw)
        });
    }

    /// Weights of one output channel from their sums, which begin with those of the block.
    fn finish(&self, sums: &[f32], slices: usize, [block, output]: [usize; 2], dw: SharedMut<'_>) {
        let job = Sums {
            from: &sums[output % self.sums[0] * self.sums[1]..],
            point_len: self.point_len(),
            slices,
            slice_len: self.blocks() * self.block_len(),
            output,
            frame: self.frame,
            channels: self.inputs(block),
            dw,
        };
        // SAFETY: the CPU has the plan's instruction set; the callers finish every output once in a block.
        unsafe { job.finish(self.tile.isa()) }
    }

    fn all_strips(&self) -> usize {
        self.shape.batch * self.tiling.rows.tiles()
    }

    /// The values of dy and of x that some strips read.
    fn sources_of(&self, strips: &Range<usize>) -> Pair<Range<usize>> {
        let x = self.x.source_of(&self.tiling, strips, self.frame.family.taps() - 1);
        [self.y.source_of(&self.tiling, strips, 0), x]
    }

    /// How much memory it takes to compute what some strips read, at most.
    fn loaded(
        &self,
        images: &Pair<Source<'_>>,
        strips: impl Iterator<Item = Range<usize>>,
    ) -> Pair<usize> {
        let [dy, x] = images;
        let folds = self.frame.folded_len(&self.shape) > 0;
        let computed = [!dy.is_plain(), !x.is_plain() && !folds];
        if computed == [false; 2] {
            return [0; 2];
        }
        strips.fold([0; 2], |most, strips| {
            let lens = self.sources_of(&strips).map(|range| range.len());
            [0, 1].map(|i| if computed[i] { most[i].max(lens[i]) } else { 0 })
        })
    }

    /// What some strips read of dy and x, in `memory` if it must be computed.
    fn images<'a>(
        &self,
        [dy, x]: Pair<Source<'a>>,
        strips: &Range<usize>,
        memory: &'a mut [f32],
        loaded: Pair<usize>,
        zero: &'a [f32],
    ) -> Pair<Images<'a>> {
        let [of_dy, of_x] = self.sources_of(strips);
        let (for_dy, for_x) = memory.split_at_mut(apart(loaded[0]).min(memory.len()));
        let dy = Images { pixels: dy.view(of_dy, for_dy), grid: self.y, zero };
        [dy, Images { pixels: x.view(of_x, for_x), grid: self.x, zero }]
    }

    fn zero_len(&self) -> usize {
        self.x.size[2].max(self.y.size[2])
    }

    fn layouts(&self, tiles: usize) -> Pair<Layout> {
        let (family, width) = (self.frame.family, self.tile.columns());
        [self.y.size[2], self.frame.depth()]
            .map(|channels| Layout::panels(family, tiles, channels, width))
    }

    /// Elements of the transforms of the largest group.
    fn lens(&self) -> Pair<usize> {
        let strips = self.strips.min(self.all_strips());
        self.layouts(strips * self.tiling.columns.tiles()).map(|layout| layout.len())
    }

    /// Elements from one point of a block of sums to the next.
    fn point_len(&self) -> usize {
        self.sums[0] * self.sums[1] + LINE
    }

    fn block_len(&self) -> usize {
        self.frame.family.all() * self.point_len()
    }

    fn blocks(&self) -> usize {
        self.y.size[2].div_ceil(self.sums[0]) * self.frame.depth().div_ceil(self.sums[1])
    }

    /// The output channels of a block.
    fn outputs(&self, block: usize) -> Range<usize> {
        let start = block / self.frame.depth().div_ceil(self.sums[1]) * self.sums[0];
        start..(start + self.sums[0]).min(self.y.size[2])
    }

    /// The input channels of a block.
    fn inputs(&self, block: usize) -> Range<usize> {
        let start = block % self.frame.depth().div_ceil(self.sums[1]) * self.sums[1];
        start..(start + self.sums[1]).min(self.frame.depth())
    }
}

/// Cuts a range into pieces of `len`; the last may be shorter.
fn pieces(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(len).map(move |start| start..(start + len).min(range.end))
}
