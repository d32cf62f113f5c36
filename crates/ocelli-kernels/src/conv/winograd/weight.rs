//! The weight gradient: dw = Gᵀ [sum over tiles of (A dy Aᵀ) · (Bᵀ x B)] G.
//!
//! Tiles are taken in groups. Both transforms of a group are shared by all threads; then every sum over its
//! tiles, a block of output channels by input channels at one point, belongs to one of them. So nothing
//! depends on the number of threads.

use super::input::{Images, ToPoints, transform_data, transform_gradient};
use super::kernel::TAPS;
use super::memory::{ALL, Layout, SharedMut};
use super::output::store;
use super::points::{POINTS, kernel_gradient};
use super::tiles::{Axis, Block, Tiling};
use crate::Scratch;
use crate::conv::ConvShape;
use crate::isa::Isa;
use crate::register::{Outer, Tile, even_pieces, outer_kernels};
use crate::simd::{Vector, for_each_isa};
use crate::workers::{apart, count, share};
use rayon::prelude::*;
use std::ops::Range;

/// Elements of the transforms of a group of tiles.
const GROUP: usize = 3 << 19;
/// But never fewer tiles than this: every group reads and writes all sums.
const TILES: usize = 128;
/// Most output channels and input channels of a block of sums.
const SUMS: usize = 64;

/// The weight gradient, ready to run.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WeightGradient {
    tile: Tile,
    batch: usize,
    x: [usize; 3],
    y: [usize; 3],
    offset: [isize; 2],
    tiling: Tiling,
    /// Output channels and input channels of a block of sums.
    sums: [usize; 2],
    /// Most strips in a group.
    strips: usize,
}

impl WeightGradient {
    pub fn new(isa: Isa, shape: &ConvShape) -> Self {
        let [rows, columns] = shape.output();
        let tiling = Tiling { rows: Axis::new(rows), columns: Axis::new(columns) };
        let tile = Tile::for_columns(isa, shape.in_channels);
        let channels = [shape.out_channels, shape.in_channels];
        let per_tile =
            ALL * channels.map(|c| c.next_multiple_of(tile.columns())).iter().sum::<usize>();
        let tiles = (GROUP / per_tile).max(TILES);
        Self {
            tile,
            batch: shape.batch,
            x: [shape.height, shape.width, shape.in_channels],
            y: [rows, columns, shape.out_channels],
            offset: [shape.padding.top, shape.padding.left].map(|p| -(p as isize)),
            tiling,
            sums: channels.map(|c| c.next_multiple_of(tile.columns()).min(SUMS)),
            strips: (tiles / tiling.columns.tiles()).max(1),
        }
    }

    /// dw `[O, 3, 3, C]` of x and dy.
    pub fn run(&self, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut Scratch) {
        let strips = self.batch * self.tiling.rows.tiles();
        if strips == 0 {
            return dw.fill(0.0);
        }
        let most = Block::new(self.tiling, 0..strips.min(self.strips)).tiles();
        let [z_len, v_len] = self.layouts(most).map(|layout| layout.len());
        let block = ALL * self.sums[0] * self.sums[1];
        let [blocks_o, blocks_c] = self.blocks();
        let sums_len = blocks_o * blocks_c * block;
        let idle = count(2 * self.strips.max(ALL * blocks_o * blocks_c)) * apart(0);
        let [zero, z, v, sums, idle] =
            scratch.parts([self.x[2].max(self.y[2]), z_len, v_len, sums_len, idle]);
        zero.fill(0.0);
        let x = Images { pixels: x, size: self.x, offset: self.offset, zero };
        let dy = Images { pixels: dy, size: self.y, offset: [0, 0], zero };
        for strips in even_pieces(0..strips, self.strips) {
            let first = strips.start == 0;
            let group = Block::new(self.tiling, strips);
            self.transform([dy, x], &group, [&mut *z, &mut *v], idle);
            let len = self.sums[0] * self.sums[1];
            share(sums.chunks_exact_mut(len).enumerate(), idle, apart(0), |(i, sums), _| {
                let (index, point) = (i / ALL, i % ALL);
                let block = [index / blocks_c, index % blocks_c];
                self.multiply(&group, [z, v], block, point, (sums, !first));
            });
        }
        self.finish(sums, dw);
    }

    /// dy and x of a group to points.
    fn transform(
        &self,
        [dy, x]: [Images<'_>; 2],
        group: &Block,
        [z, v]: [&mut [f32]; 2],
        idle: &mut [f32],
    ) {
        let [z_layout, v_layout] = self.layouts(group.tiles());
        let dy = ToPoints { images: dy, block: group, layout: z_layout, to: SharedMut::new(z) };
        let x = ToPoints { images: x, block: group, layout: v_layout, to: SharedMut::new(v) };
        share(group.strips.clone(), idle, apart(0), |strip, _| {
            let isa = self.tile.isa();
            // SAFETY: the CPU has the plan's instruction set; panels are a tile wide; every strip is handed
            // out once.
            unsafe {
                transform_gradient(isa, &dy, strip);
                transform_data(isa, &x, strip);
            }
        });
    }

    /// Adds what a group contributes to a block of sums at one point, or writes it.
    fn multiply(
        &self,
        group: &Block,
        [z, v]: [&[f32]; 2],
        block: [usize; 2],
        point: usize,
        (sums, accumulate): (&mut [f32], bool),
    ) {
        let kernels = outer_kernels(self.tile);
        let [z_layout, v_layout] = self.layouts(group.tiles());
        let z = &z[point * z_layout.point_len()..][..z_layout.point_len()];
        let v = &v[point * v_layout.point_len()..][..v_layout.point_len()];
        let tiles = group.owners(point);
        let width = self.tile.columns();
        let panels = |axis: usize, channels: usize| {
            let range = self.channels(block, axis);
            range
                .clone()
                .step_by(width)
                .map(move |start| start..(start + width).min(range.end).min(channels))
        };
        for c in panels(1, self.x[2]) {
            for o in panels(0, self.y[2]) {
                for o in self.tile.cut(o) {
                    let to = (o.start % self.sums[0]) * self.sums[1] + c.start % self.sums[1];
                    let last = to + (o.len() - 1) * self.sums[1] + width;
                    let job = Outer {
                        depth: tiles.len(),
                        a: z[z_layout.at(tiles.start, o.start)..].as_ptr(),
                        a_stride: width,
                        b: v[v_layout.at(tiles.start, c.start)..].as_ptr(),
                        b_stride: width,
                        c: sums[to..last].as_mut_ptr(),
                        c_stride: self.sums[1],
                        columns: width,
                        accumulate,
                    };
                    // SAFETY: the tiles stand side by side in both panels, each a row as wide as the tile,
                    // and the rows of the sums lie within the slice.
                    unsafe { kernels[o.len() - 1](&job) }
                }
            }
        }
    }

    /// Sums to weights.
    fn finish(&self, sums: &[f32], dw: &mut [f32]) {
        dw.par_chunks_exact_mut(TAPS * self.x[2]).enumerate().for_each(|(output, dw)| {
            let [rows, columns] = self.sums;
            let [_, blocks] = self.blocks();
            let block = ALL * rows * columns;
            let sums = &sums[output / rows * blocks * block..][..blocks * block];
            for (i, sums) in sums.chunks_exact(block).enumerate() {
                let from = &sums[output % rows * columns..];
                let channels = self.channels([0, i], 1);
                let job = Finish { from, stride: rows * columns, channels, dw: &mut *dw };
                // SAFETY: the CPU has the plan's instruction set; rows of sums are whole vectors.
                unsafe { finish_row(self.tile.isa(), job) }
            }
        });
    }

    /// The output (axis 0) or input channels of a block.
    fn channels(&self, block: [usize; 2], axis: usize) -> Range<usize> {
        let all = [self.y[2], self.x[2]][axis];
        let start = block[axis] * self.sums[axis];
        start..(start + self.sums[axis]).min(all)
    }

    /// Blocks of sums along output and input channels.
    fn blocks(&self) -> [usize; 2] {
        [self.y[2].div_ceil(self.sums[0]), self.x[2].div_ceil(self.sums[1])]
    }

    /// Of dy and of x.
    fn layouts(&self, tiles: usize) -> [Layout; 2] {
        [self.y[2], self.x[2]].map(|channels| Layout::panels(tiles, channels, self.tile.columns()))
    }
}

/// The sums of one output channel with some input channels, and the gradient of its weights.
struct Finish<'a> {
    /// From the first of the channels on, at point 0.
    from: &'a [f32],
    /// From one point to the next.
    stride: usize,
    channels: Range<usize>,
    /// `[tap][all channels]`
    dw: &'a mut [f32],
}

for_each_isa! {
    /// # Safety
    /// The CPU must have the instruction set, and the sums must be readable as whole vectors.
    unsafe fn finish_row = finish_vectors(job: Finish<'_>)
}

#[inline(always)]
unsafe fn finish_vectors<V: Vector>(job: Finish<'_>) {
    let channels = job.channels.len();
    let depth = job.dw.len() / TAPS;
    assert!(job.channels.end <= depth);
    assert!((ALL - 1) * job.stride + channels.next_multiple_of(V::LANES) <= job.from.len());
    let (from, to) = (job.from.as_ptr(), job.dw.as_mut_ptr().wrapping_add(job.channels.start));
    for first in (0..channels).step_by(V::LANES) {
        // SAFETY: as asserted, `first` being below the number of channels.
        unsafe {
            let mut half = [[V::splat(0.0); POINTS]; 3];
            for j in 0..POINTS {
                let at = |i: usize| V::load(from.add((i * POINTS + j) * job.stride + first));
                let column = [at(0), at(1), at(2), at(3), at(4), at(5)];
                for (row, value) in half.iter_mut().zip(kernel_gradient(column)) {
                    row[j] = value;
                }
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, value) in kernel_gradient(row).into_iter().enumerate() {
                    store(value, to.add((3 * i + j) * depth + first), channels - first);
                }
            }
        }
    }
}
