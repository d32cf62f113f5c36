//! The general path: one point at a time, with those of its taps that lie in the image. Any kernel, stride,
//! dilation, padding and number of channels.

use super::vectors::Vectors;
use super::window::Image;
use crate::conv::grid::Grid;
use crate::simd::{Vector, for_each_isa};

/// Where a pixel begins in the image, and the tap that meets it there, in the grid's order.
pub(super) type Meeting = (usize, usize);

/// Finds the taps of a point that lie in an image `[rows, columns, channels]`.
pub(super) fn meet(grid: &Grid, point: [usize; 2], size: [usize; 3], met: &mut Vec<Meeting>) {
    met.clear();
    let [height, width, channels] = size;
    for (i, &row) in grid.rows.taps.iter().enumerate() {
        let Some(y) = grid.rows.source(point[0], row, height) else { continue };
        for (j, &column) in grid.columns.taps.iter().enumerate() {
            if let Some(x) = grid.columns.source(point[1], column, width) {
                met.push(((y * width + x) * channels, i * grid.columns.taps.len() + j));
            }
        }
    }
}

/// A sum over the taps that a point meets.
pub(super) struct Point<'a> {
    pub image: Image<'a>,
    pub met: &'a [Meeting],
    /// `[taps, C]`
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    /// The pixel to add.
    pub residual: Option<&'a [f32]>,
    /// The least and the greatest value.
    pub bounds: [f32; 2],
    /// The pixel to write.
    pub target: &'a mut [f32],
}

for_each_isa! {
    /// Computes one pixel.
    ///
    /// # Safety
    /// The pixels met must lie in lines that there are of the image.
    pub(super) unsafe fn sum_point = sum(point: Point<'_>)
}

#[inline(always)]
unsafe fn sum<V: Vector>(point: Point<'_>) {
    let channels = point.target.len();
    let vectors = Vectors::new(point.image.at(0), V::LANES, channels);
    for vector in 0..vectors.count() {
        let at = vectors.first(vector);
        // SAFETY: pixels and taps have `channels` values; all vectors are full but where there is only one,
        // of which `channels` lanes are used.
        unsafe {
            let mut sum = match point.bias {
                Some(bias) => V::load_first(bias.as_ptr().add(at), channels),
                None => V::splat(0.0),
            };
            for &(pixel, tap) in point.met {
                let x = V::load_first(point.image.at((pixel + at) as isize), channels);
                let weight = point.weights.as_ptr().add(tap * channels + at);
                sum = x.mul_add(V::load_first(weight, channels), sum);
            }
            if let Some(residual) = point.residual {
                sum = sum.add(V::load_first(residual.as_ptr().add(at), channels));
            }
            let [low, high] = point.bounds.map(|bound| V::splat(bound));
            sum.clamp(low, high).store_first(point.target.as_mut_ptr().add(at), channels);
        }
    }
}

/// What a point of y adds to the weight gradient.
pub(super) struct PointGradient<'a> {
    pub image: Image<'a>,
    pub vectors: Vectors,
    pub met: &'a [Meeting],
    /// All taps of the kernel.
    pub taps: usize,
    /// The gradient at the point.
    pub dy: &'a [f32],
    /// `[vectors, taps, lanes]`, added to.
    pub sums: &'a mut [f32],
}

for_each_isa! {
    /// Adds one point.
    ///
    /// # Safety
    /// There must be sums for every vector; the pixels met must lie in lines that there are of the image.
    pub(super) unsafe fn add_point = add(point: PointGradient<'_>)
}

#[inline(always)]
unsafe fn add<V: Vector>(point: PointGradient<'_>) {
    let channels = point.dy.len();
    for vector in 0..point.vectors.count() {
        let at = point.vectors.first(vector);
        // SAFETY: as in `sum`.
        unsafe {
            let dy = V::load_first(point.dy.as_ptr().add(at), channels);
            for &(pixel, tap) in point.met {
                let x = V::load_first(point.image.at((pixel + at) as isize), channels);
                let sum = point.sums.as_mut_ptr().add((vector * point.taps + tap) * V::LANES);
                x.mul_add(dy, V::load(sum)).store(sum);
            }
        }
    }
}
