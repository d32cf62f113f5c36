//! The two passes of a separable filter over rows of RGB bytes.

use std::ops::Range;

use super::weights::{PRECISION, Weights};
use crate::Image;

/// Half a grey level, to round by.
const HALF: i32 = 1 << (PRECISION - 1);

/// Columns that are summed at once, in registers.
const BLOCK: usize = 16;

/// A part of an image.
pub(super) struct View<'a> {
    image: &'a Image,
    columns: Range<usize>,
    rows: Range<usize>,
}

impl<'a> View<'a> {
    pub(super) fn whole(image: &'a Image) -> Self {
        Self { image, columns: 0..image.width(), rows: 0..image.height() }
    }

    /// `columns` and `rows` must lie within the image.
    pub(super) fn new(image: &'a Image, columns: Range<usize>, rows: Range<usize>) -> Self {
        Self { image, columns, rows }
    }

    fn row(&self, y: usize) -> &'a [u8] {
        &self.image.row(self.rows.start + y)[self.columns.start * 3..self.columns.end * 3]
    }

    /// A copy of some rows.
    pub(super) fn pixels(&self, rows: Range<usize>) -> Vec<u8> {
        let mut copy = Vec::with_capacity(rows.len() * self.columns.len() * 3);
        rows.for_each(|y| copy.extend_from_slice(self.row(y)));
        copy
    }
}

/// Filters some rows of a view: `[rows, weights.len(), 3]`.
pub(super) fn horizontal(view: &View, rows: Range<usize>, weights: &Weights) -> Vec<u8> {
    let stride = weights.len() * 3;
    let mut out = vec![0; rows.len() * stride];
    for (y, out) in rows.zip(out.chunks_exact_mut(stride)) {
        let (pixels, _) = view.row(y).as_chunks::<3>();
        for (out, (start, weights)) in out.as_chunks_mut::<3>().0.iter_mut().zip(weights.iter()) {
            let mut sums = [HALF; 3];
            for (pixel, &weight) in pixels[start..start + weights.len()].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            *out = sums.map(clipped);
        }
    }
    out
}

/// Filters columns: from rows of `stride` bytes, of which the first is row `top` of the source, to
/// `[weights.len(), stride]`.
pub(super) fn vertical(rows: &[u8], top: usize, stride: usize, weights: &Weights) -> Vec<u8> {
    let mut out = vec![0; weights.len() * stride];
    for (out, (start, weights)) in out.chunks_exact_mut(stride).zip(weights.iter()) {
        let rows = &rows[(start - top) * stride..(start - top + weights.len()) * stride];
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        for (i, block) in blocks.iter_mut().enumerate() {
            let mut sums = [HALF; BLOCK];
            for (row, &weight) in rows.chunks_exact(stride).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(&row[i * BLOCK..(i + 1) * BLOCK]) {
                    *sum += i32::from(value) * weight;
                }
            }
            *block = sums.map(clipped);
        }
        let first = stride - rest.len();
        for (x, out) in (first..).zip(rest) {
            let column = rows.iter().skip(x).step_by(stride);
            *out = clipped(
                column
                    .zip(weights)
                    .fold(HALF, |sum, (&value, &weight)| sum + i32::from(value) * weight),
            );
        }
    }
    out
}

fn clipped(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}
