//! The weight gradient: dw[c, a, b] = sum over the points of y of dy times the pixel that tap (a, b) meets.
//!
//! Output rows are dealt out to a fixed number of slices with sums of their own, `[vectors, taps, lanes]`,
//! which are added in order. The sums of one vector of channels and one row of taps are in registers while
//! a tile of dy passes over the row of the source.

use super::kernels::{FEWEST, pieces, tile_kernels};
use super::points::{PointGradient, add_point, meet};
use super::vectors::{Vectors, filled};
use super::window::{Image, NO_PIXELS, Pixels, ROWS, Window};
use super::{COMPUTED, Depthwise, first_source, has_tiles};
use crate::Scratch;
use crate::bf16::Floats;
use crate::conv::dense::Operands;
use crate::conv::grid::{Grid, Pass};
use crate::conv::{ConvShape, Epilogue};
use crate::isa::Isa;
use crate::output::InputGradient;
use crate::register::lanes;
use crate::simd::Vector;
use crate::source::Source;
use crate::workers::{add_in_order, apart, share, split};
use std::ops::Range;

/// Most slices, and fewest points in a slice: sums are cleared and added up for each.
const SLICES: usize = 16;
const POINTS: usize = 64;

/// Kernels for 4, 5, 6 and 7 points.
type Widths = [unsafe fn(&mut TileGradient<'_>); 4];

/// The input gradient, where a row of dy and the rows that are as many strides of dx belong together.
pub(in crate::conv) type Also<'a> = InputGradient<'a, Depthwise>;

/// Lines of y, over all images, dealt out to slices and then to groups, each within an image, that share one reading
/// of x.
struct Lines {
    /// Of an image, and of all images.
    height: usize,
    all: usize,
    slice: usize,
    group: usize,
}

impl Lines {
    /// A group is one line, or as many as x and dy are computed for at a time.
    fn new(shape: &ConvShape, computed: bool) -> Self {
        let [height, width] = shape.output();
        let all = shape.batch * height;
        let slice = all.div_ceil(SLICES).max(POINTS.div_ceil(width)).max(1);
        let image = shape.height * shape.width * shape.in_channels;
        let group = if computed { (COMPUTED * height / image).clamp(1, height) } else { 1 };
        Self { height, all, slice, group }
    }

    fn slices(&self) -> usize {
        self.all.div_ceil(self.slice)
    }

    /// The groups of a slice.
    fn groups(&self, slice: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let &Self { height, group, .. } = self;
        let end = ((slice + 1) * self.slice).min(self.all);
        let cut = move |line: usize| (line + group).min((line / height + 1) * height).min(end);
        let starts = std::iter::successors(Some(slice * self.slice), move |&line| Some(cut(line)));
        starts.take_while(move |&line| line < end).map(move |line| line..cut(line))
    }

    /// Most groups of a slice.
    fn most_groups(&self) -> usize {
        (0..self.slices()).map(|slice| self.groups(slice).count()).max().unwrap_or(0)
    }
}

/// How many blocks the input gradient is written in, if it is computed along; none if it cannot be.
pub(in crate::conv) fn blocks(shape: &ConvShape) -> Option<usize> {
    let pass = Pass::backward_input(shape);
    let lines = Lines::new(shape, true);
    (pass.bands_per_image() == lines.height).then(|| lines.slices() * lines.most_groups())
}

/// dw `[C, kH, kW, 1]` of x and dy.
pub(in crate::conv) fn backward_weight(
    shape: &ConvShape,
    isa: Isa,
    [x, dy]: [Source<'_>; 2],
    dw: &mut [f32],
    also: Option<Also<'_>>,
    scratch: &mut Scratch,
) {
    let pass = Pass::forward(shape);
    let [_, width, channels] = pass.target;
    let computed = also.is_some() || !x.is_plain() || !dy.is_plain();
    let lines = Lines::new(shape, computed);
    if lines.all == 0 {
        return dw.fill(0.0);
    }
    let grid = &pass.grids[0];
    let isa = filled(isa, channels);
    let kernels = tile_gradient(isa, grid.columns.taps.len(), grid.columns.step);
    let tiled = has_tiles(grid) && grid.rows.taps.len() <= ROWS && channels >= lanes(isa);
    let kernels = kernels.filter(|_| tiled);
    // The images of x are aligned alike wherever that matters; what is computed is aligned.
    let vectors = match x {
        Source::Plain(Floats::F32(x)) => Vectors::new(x.as_ptr(), lanes(isa), channels),
        _ => Vectors::new(std::ptr::null(), lanes(isa), channels),
    };
    let len = vectors.count() * grid.taps() * lanes(isa);
    let images = pass.source.into_iter().product::<usize>();
    // The lines of dy that a group reads: its own, and for dx those beside them.
    let dy_of = |group: &Range<usize>| {
        let own = group.start * width * channels..group.end * width * channels;
        let beside = also.map_or(own.clone(), |also| also.pass.pass.source_of(group));
        own.start.min(beside.start)..own.end.max(beside.end)
    };
    // The pixels of dx that belong to a group.
    let dx_of = |group: &Range<usize>| {
        also.map_or(0..0, |also| {
            also.pass.pass.band_start(group.start)..also.pass.pass.band_start(group.end)
        })
    };
    let slices = lines.slices();
    let lens = (0..slices).flat_map(|i| lines.groups(i)).fold([0; 3], |most, group| {
        let streamed = also.map_or(0, |also| also.output.memory(dx_of(&group).len()));
        let lens =
            [x.memory(pass.source_of(&group).len()), dy.memory(dy_of(&group).len()), streamed];
        [0, 1, 2].map(|i| lens[i].max(most[i]))
    });
    let each = lens.into_iter().map(apart).sum();
    let [zeros, sums, total, memory] =
        scratch.parts([channels, slices * len, len, scratch.count(slices) * each]);
    zeros.fill(0.0);
    let zeros = &*zeros;
    let most_groups = lines.most_groups();
    share(sums.chunks_exact_mut(len).enumerate(), memory, each, |(i, sums), memory| {
        sums.fill(0.0);
        let [for_x, for_dy, streamed] = split(memory, lens);
        for (block, group) in lines.groups(i).enumerate() {
            let x = x.view(pass.source_of(&group), for_x);
            let dy_view = dy.view(dy_of(&group), for_dy);
            let image = group.start / lines.height;
            for line in group.clone() {
                let row = Row {
                    image: Image { view: x, start: image * images },
                    size: pass.source,
                    zeros,
                    vectors,
                    row: line % lines.height,
                    dy: dy_view.get(line * width * channels..(line + 1) * width * channels),
                };
                match kernels {
                    // SAFETY: the CPU has `isa`, and the channels fill a vector of it.
                    Some(kernels) => unsafe { row.add_tiles(grid, kernels, sums) },
                    // SAFETY: the CPU has `isa`, and there are sums for all its vectors.
                    None => unsafe { row.add_points(grid, isa, sums) },
                }
            }
            if let Some(InputGradient { pass: back, weights, output }) = also {
                let operands = Operands { source: dy, weights, epilogue: Epilogue::default() };
                let image = Image { view: dy_view, start: image * lines.height * width * channels };
                let (dx, row) = (dx_of(&group), group.start % lines.height);
                output.block(i * most_groups + block, dx.clone(), streamed, |dx_block| {
                    back.run_rows((operands, image), zeros, (row, dx.start), dx_block);
                });
            }
        }
    });
    add_in_order(sums, total);
    for (vector, sums) in total.chunks_exact(grid.taps() * lanes(isa)).enumerate() {
        unpack(sums, lanes(isa), &mut dw[vectors.first(vector) * grid.taps()..]);
    }
}

/// The sums of a vector, `[taps, lanes]`, as `[channels, taps]`: of all channels, where fewer fill no vector.
fn unpack(sums: &[f32], lanes: usize, dw: &mut [f32]) {
    let taps = sums.len() / lanes;
    for (lane, dw) in dw.chunks_exact_mut(taps).take(lanes).enumerate() {
        dw.iter_mut().zip(sums[lane..].iter().step_by(lanes)).for_each(|(dw, &sum)| *dw = sum);
    }
}

/// A row of dy with the image of x that it belongs to.
struct Row<'a> {
    image: Image<'a>,
    size: [usize; 3],
    zeros: &'a [f32],
    vectors: Vectors,
    row: usize,
    dy: &'a [f32],
}

impl Row<'_> {
    unsafe fn add_tiles(&self, grid: &Grid, kernels: Widths, sums: &mut [f32]) {
        let channels = self.size[2];
        let mut pixels = NO_PIXELS;
        for points in pieces(grid.columns.size) {
            let window = Window {
                image: self.image,
                size: self.size,
                first: [
                    first_source(&grid.rows, self.row),
                    first_source(&grid.columns, points.start),
                ],
                zeros: self.zeros,
            };
            window.check(grid.rows.taps.len());
            let mut tile = TileGradient {
                window,
                pixels: &mut pixels,
                vectors: self.vectors,
                taps: grid.rows.taps.len(),
                dy: &self.dy[points.start * channels..points.end * channels],
                sums,
            };
            // SAFETY: window and dy are as long as the tile needs; the rest is the caller's promise.
            unsafe { kernels[points.len() - FEWEST](&mut tile) }
        }
    }

    unsafe fn add_points(&self, grid: &Grid, isa: Isa, sums: &mut [f32]) {
        let mut met = Vec::with_capacity(grid.taps());
        for (column, dy) in self.dy.chunks_exact(self.size[2]).enumerate() {
            meet(grid, [self.row, column], self.size, &mut met);
            let point = PointGradient {
                image: self.image,
                vectors: self.vectors,
                met: &met,
                taps: grid.taps(),
                dy,
                sums: &mut *sums,
            };
            // SAFETY: `meet` finds pixels of the image; the rest is the caller's promise.
            unsafe { add_point(isa, point) };
        }
    }
}

/// Points of y next to each other, and what they add to.
struct TileGradient<'a> {
    window: Window<'a>,
    /// Memory for the pointers to the pixels of the window.
    pixels: &'a mut Pixels,
    vectors: Vectors,
    /// Rows of the kernel.
    taps: usize,
    /// `[points, C]`
    dy: &'a [f32],
    /// `[vectors, rows of taps, columns of taps, lanes]`
    sums: &'a mut [f32],
}

tile_kernels! {
    /// Kernels for taps that lie next to each other.
    fn tile_gradient = tile(&mut TileGradient<'_>): 3 1, 3 2, 5 1, 5 2, 7 1
}

#[inline(always)]
unsafe fn tile<V: Vector, const TAPS: usize, const STEP: usize, const POINTS: usize>(
    tile: &mut TileGradient<'_>,
) {
    let channels = tile.window.size[2];
    let rows = tile.window.rows(tile.taps);
    tile.window.point_to(rows.clone(), (POINTS - 1) * STEP + TAPS, tile.pixels);
    let pixels = &*tile.pixels;
    for vector in 0..tile.vectors.count() {
        let at = tile.vectors.first(vector);
        // SAFETY: the window's pixels and dy have `channels` values, of which a vector from `at` on are
        // read; the sums of a vector are `taps` rows.
        unsafe {
            let mut dy = [V::splat(0.0); POINTS];
            for (p, dy) in dy.iter_mut().enumerate() {
                *dy = V::load(tile.dy.as_ptr().add(p * channels + at));
            }
            for r in rows.clone() {
                let at_row = (vector * tile.taps + r) * TAPS * V::LANES;
                let row = tile.sums.as_mut_ptr().add(at_row);
                let mut sums = [V::splat(0.0); TAPS];
                for (t, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(row.add(t * V::LANES));
                }
                for p in 0..POINTS {
                    for t in 0..TAPS {
                        // Neighbours share it: it is loaded once.
                        let x = V::load(pixels[r][p * STEP + t].add(at));
                        sums[t] = x.mul_add(dy[p], sums[t]);
                    }
                }
                for (t, sum) in sums.into_iter().enumerate() {
                    sum.store(row.add(t * V::LANES));
                }
            }
        }
    }
}
