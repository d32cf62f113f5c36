//! The kernel of forward and input gradient: one or two rows of four to seven target pixels.
//!
//! The sums of one vector of channels stay in registers while the rows of the window pass by; a source
//! vector, once loaded, serves every sum that it belongs to. Then the next vector of channels of the same
//! pixels follows, so that memory is walked along whole pixels.

use super::kernels::{FEWEST, tile_kernels};
use super::vectors::Vectors;
use super::window::{COLUMNS, Pixels, ROWS, Window};
use crate::isa::Isa;
use crate::simd::Vector;
use std::ptr;

/// Target pixels next to each other on a grid, and what they are computed from.
pub(super) struct Tile<'a> {
    pub window: Window<'a>,
    /// Memory for the pointers to the pixels of the window.
    pub pixels: &'a mut Pixels,
    /// Rows and columns of the kernel.
    pub taps: [usize; 2],
    /// `[rows of taps, columns of taps, C]`
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    /// As the target.
    pub residual: Option<&'a [f32]>,
    /// The least and the greatest value.
    pub bounds: [f32; 2],
    /// From the first pixel on.
    pub target: &'a mut [f32],
    /// Elements from one row of target pixels to the next, and from one pixel to the next.
    pub distance: [usize; 2],
}

/// Kernels for 4, 5, 6 and 7 points in a row.
type Widths = [unsafe fn(&mut Tile<'_>); 4];

/// The kernels for tiles of one grid.
#[derive(Clone, Debug)]
pub(super) struct Kernels {
    /// For one row, and perhaps for two.
    rows: Vec<Widths>,
}

impl Kernels {
    /// Kernels for taps that lie next to each other, with `step` source pixels from one grid point to the
    /// next. None if there are no such kernels.
    pub fn new(isa: Isa, taps: [usize; 2], step: [usize; 2]) -> Option<Self> {
        let one = one_row(isa, taps[1], step[1]).filter(|_| taps[0] < ROWS)?;
        // Two rows share source rows, if there are registers for them.
        let two = two_rows(isa, taps[1], step[1]).filter(|_| step[0] == 1 && isa >= Isa::Avx512);
        Some(Self { rows: [one].into_iter().chain(two).collect() })
    }

    /// Most rows of a tile.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Computes a tile of so many rows and points.
    ///
    /// # Safety
    /// The CPU must have the kernels' instruction set, and the channels must fill one of its vectors.
    pub unsafe fn run(&self, rows: usize, points: usize, tile: &mut Tile<'_>) {
        let channels = tile.window.size[2];
        let end = (rows - 1) * tile.distance[0] + (points - 1) * tile.distance[1] + channels;
        tile.window.check(tile.taps[0] + rows - 1);
        assert!(end <= tile.target.len() && tile.bias.is_none_or(|bias| bias.len() == channels));
        assert!(tile.residual.is_none_or(|residual| end <= residual.len()));
        assert_eq!(tile.weights.len(), tile.taps[0] * tile.taps[1] * channels);
        // SAFETY: the window, the target, the residual, the bias and the weights are as long as the tile needs; the rest
        // is the caller's promise.
        unsafe { self.rows[rows - 1][points - FEWEST](tile) }
    }
}

tile_kernels! {
    /// Kernels for one row.
    fn one_row = tile<1>(&mut Tile<'_>): 1 1, 2 1, 3 1, 3 2, 5 1, 5 2, 7 1
}
tile_kernels! {
    /// Kernels for two rows.
    fn two_rows = tile<2>(&mut Tile<'_>): 3 1, 5 1
}

#[inline(always)]
unsafe fn tile<
    V: Vector,
    const TAPS: usize,
    const STEP: usize,
    const POINTS: usize,
    const TILE_ROWS: usize,
>(
    tile: &mut Tile<'_>,
) {
    let (taps, channels) = (tile.taps[0], tile.window.size[2]);
    let rows = tile.window.rows(taps + TILE_ROWS - 1);
    tile.window.point_to(rows.clone(), (POINTS - 1) * STEP + TAPS, tile.pixels);
    let finish = Finish {
        bounds: tile.bounds,
        residual: tile.residual.map_or(ptr::null(), <[f32]>::as_ptr),
        target: tile.target.as_mut_ptr(),
        distance: tile.distance[1],
    };
    let source = |row: usize| &tile.pixels[row];
    // The first row of taps meets source rows 0..taps, the second (a step of 1 below) 1..taps + 1.
    let alone = if TILE_ROWS == 1 { taps } else { 1 };
    let vectors = Vectors::new(tile.window.image.at(0), V::LANES, channels);
    for vector in 0..vectors.count() {
        let at = vectors.first(vector);
        // SAFETY: the window's pixels have `channels` values, of which a vector from `at` on are read; there
        // are `taps` rows of weights; target and bias reach as far (see `Kernels::run`).
        unsafe {
            let weights = tile.weights.as_ptr().add(at);
            let row = |row: usize| Taps { first: weights.add(row * TAPS * channels), channels };
            let bias = match tile.bias {
                Some(bias) => V::load(bias.as_ptr().add(at)),
                None => V::splat(0.0),
            };
            let (mut first, mut second) = ([bias; POINTS], [bias; POINTS]);
            for r in rows.start..rows.end.min(alone) {
                add_row::<V, TAPS, STEP, POINTS, 1>([&mut first], source(r), at, [row(r)]);
            }
            if TILE_ROWS == 2 {
                for r in rows.start.max(1)..rows.end.min(taps) {
                    let sums = [&mut first, &mut second];
                    let weights = [row(r), row(r - 1)];
                    add_row::<V, TAPS, STEP, POINTS, 2>(sums, source(r), at, weights);
                }
                for r in rows.start.max(taps)..rows.end {
                    add_row::<V, TAPS, STEP, POINTS, 1>([&mut second], source(r), at, [row(r - 1)]);
                }
                finish.row(second, tile.distance[0] + at);
            }
            finish.row(first, at);
        }
    }
}

/// The weights of a row of taps.
#[derive(Clone, Copy)]
struct Taps {
    first: *const f32,
    /// Elements from one tap to the next.
    channels: usize,
}

/// Adds a row of the window times a row of taps to one row of sums, or times another row of taps to each of
/// two.
#[inline(always)]
unsafe fn add_row<
    V: Vector,
    const TAPS: usize,
    const STEP: usize,
    const POINTS: usize,
    const N: usize,
>(
    sums: [&mut [V; POINTS]; N],
    pixels: &[*const f32; COLUMNS],
    at: usize,
    weights: [Taps; N],
) {
    // SAFETY: the caller's promise: a vector can be read at `at` in each pixel, and TAPS in each row of
    // weights.
    unsafe {
        let mut taps = [[V::splat(0.0); TAPS]; N];
        for n in 0..N {
            for (t, tap) in taps[n].iter_mut().enumerate() {
                *tap = V::load(weights[n].first.add(t * weights[n].channels));
            }
        }
        for p in 0..POINTS {
            for t in 0..TAPS {
                // Neighbours share it: it is loaded once.
                let x = V::load(pixels[p * STEP + t].add(at));
                for n in 0..N {
                    sums[n][p] = x.mul_add(taps[n][t], sums[n][p]);
                }
            }
        }
    }
}

/// What becomes of the sums.
struct Finish {
    bounds: [f32; 2],
    /// As the target, or null.
    residual: *const f32,
    target: *mut f32,
    /// Elements from one pixel to the next.
    distance: usize,
}

impl Finish {
    /// Writes the sums of a row of points, the first of them to `at`.
    ///
    /// # Safety
    /// A vector can be read and written at every point.
    #[inline(always)]
    unsafe fn row<V: Vector, const POINTS: usize>(&self, row: [V; POINTS], at: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let [low, high] = self.bounds.map(|bound| V::splat(bound));
            for (p, mut sum) in row.into_iter().enumerate() {
                let at = at + p * self.distance;
                if !self.residual.is_null() {
                    sum = sum.add(V::load(self.residual.add(at)));
                }
                sum.clamp(low, high).store(self.target.add(at));
            }
        }
    }
}
