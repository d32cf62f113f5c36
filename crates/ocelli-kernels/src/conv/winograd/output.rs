//! From points to pixels: the transform of products to the tiles of the target.

use super::frame::Grid;
use super::memory::Layout;
use super::points::{F42, F43, F44, Family, Transforms, by_family, by_size};
use super::tiles::{Block, Run};
use crate::conv::Epilogue;
use crate::simd::{Vector, for_each_isa};
use crate::workers::SharedMut;
use std::ops::Range;
use std::ptr;

/// The transform of a block's products with one panel of weights, to be called strip by strip.
#[derive(Clone, Copy)]
pub(super) struct FromPoints<'a> {
    pub block: &'a Block,
    pub layout: Layout,
    /// As many as the layout says.
    pub products: &'a [f32],
    pub grid: Grid,
    /// The pixel of a square of the target that these products make.
    pub phase: usize,
    /// The target, from element `origin` on.
    pub to: SharedMut<'a>,
    pub origin: usize,
    pub epilogue: Epilogue<'a>,
}

for_each_isa! {
    /// Writes the outputs of a strip.
    ///
    /// # Safety
    /// The CPU must have the instruction set, the layout must hold a row of as many channels (rounded up to
    /// vectors) per tile, and no one else may use these channels of these pixels meanwhile.
    pub(super) unsafe fn transform_outputs =
        strip_of_outputs(job: &FromPoints<'_>, channels: Range<usize>, strip: usize)
}

/// Where a tile goes.
struct Place<'a> {
    job: &'a FromPoints<'a>,
    channels: Range<usize>,
    /// Rows and columns that are written.
    inside: [Range<usize>; 2],
    /// Where its first pixel is in the residual, if that lies inside; null where there is none.
    residual: *const f32,
    bounds: [f32; 2],
}

#[inline(always)]
unsafe fn strip_of_outputs<V: Vector>(job: &FromPoints<'_>, channels: Range<usize>, strip: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_family!(job.block.family(), write_strip[V](job, channels, strip)) }
}

#[inline(always)]
unsafe fn write_strip<V: Vector, F: Transforms<P, R>, const P: usize, const R: usize>(
    job: &FromPoints<'_>,
    channels: Range<usize>,
    strip: usize,
) {
    let [height, width, depth] = job.grid.size;
    let step = job.grid.step;
    let (image, row) = job.block.strip(strip);
    let from = job.products[..job.layout.len()].as_ptr();
    let first = job.grid.first_backwards(job.phase);
    let rows = inside(row, step, first[0], height);
    let bounds = job.epilogue.bounds();
    for (place, column) in job.block.tiles_of(strip) {
        let columns = inside(column, step, first[1], width);
        if rows.is_empty() || columns.is_empty() {
            continue;
        }
        let pixel = |i: usize, j: usize| {
            let y = ((row.start + i) * step).wrapping_add_signed(first[0]);
            let x = ((column.start + j) * step).wrapping_add_signed(first[1]);
            (image * height + y) * width + x
        };
        let at = pixel(rows.start, columns.start);
        let pixels = pixel(rows.end - 1, columns.end - 1) + 1 - at;
        let to = job.to.range(at * depth - job.origin, pixels * depth);
        // The first pixel of the tile, which need not lie in the image.
        let before = (rows.start * width + columns.start) * step * depth;
        let to = to.wrapping_sub(before).wrapping_add(channels.start);
        let residual = job.epilogue.wide().map_or(ptr::null(), |residual| {
            let residual = residual[at * depth..][..pixels * depth].as_ptr();
            residual.wrapping_sub(before).wrapping_add(channels.start)
        });
        let inside = [rows.clone(), columns];
        let tile = Place { job, channels: channels.clone(), inside, residual, bounds };
        // SAFETY: the ranges hold the pixels of the tile that are inside, and the layout the place.
        unsafe {
            let from = from.add(job.layout.at(place, 0));
            by_size!(row.outputs, column.outputs, write_tile[V, F, P, R](&tile, from, to));
        }
    }
}

/// Which pixels of a run lie in an image of `size`, if pixel 0 lies at `first`.
#[inline(always)]
fn inside(run: Run, step: usize, first: isize, size: usize) -> Range<usize> {
    let is_inside = |i: &usize| {
        ((run.start + i) * step).checked_add_signed(first).is_some_and(|pixel| pixel < size)
    };
    let mut inside = (0..run.inside).filter(is_inside);
    match inside.next() {
        Some(start) => start..inside.next_back().unwrap_or(start) + 1,
        None => 0..0,
    }
}

/// # Safety
/// `from` must be a tile of the products, `to` its first pixel in the target, if that
/// lies inside; so must the place's residual be, if any.
#[inline(always)]
unsafe fn write_tile<V, F, const P: usize, const R: usize, const I: usize, const J: usize>(
    tile: &Place<'_>,
    from: *const f32,
    to: *mut f32,
) where
    V: Vector,
    F: Transforms<P, R>,
{
    let [_, width, depth] = tile.job.grid.size;
    let step = tile.job.grid.step;
    let stride = tile.job.layout.point_len();
    let channels = tile.channels.len();
    for first in (0..channels).step_by(V::LANES) {
        // SAFETY: `first` is below the number of channels, for which everything has room.
        unsafe {
            let zero = V::splat(0.0);
            let [low, high] = tile.bounds.map(|bound| V::splat(bound));
            let bias = match tile.job.epilogue.bias {
                Some(bias) => {
                    let bias = &bias[tile.channels.start + first..tile.channels.end];
                    V::load_first(bias.as_ptr(), bias.len())
                }
                None => zero,
            };
            let mut half = [[zero; P]; 4];
            for j in 0..P {
                let mut column = [zero; P];
                for (i, value) in column.iter_mut().enumerate() {
                    if F::FAMILY.uses(I, i) && F::FAMILY.uses(J, j) {
                        *value = V::load(from.add(first + (i * P + j) * stride));
                    }
                }
                for (row, value) in half.iter_mut().zip(F::outputs::<V, I>(column)) {
                    row[j] = value;
                }
            }
            // Constant bounds, so that `half` is never indexed by a variable.
            for (i, row) in half.into_iter().enumerate().take(I) {
                if tile.inside[0].contains(&i) {
                    let line = i * step * width * depth + first;
                    let row = F::outputs::<V, J>(row);
                    for (j, value) in row.into_iter().enumerate().take(J) {
                        if tile.inside[1].contains(&j) {
                            let at = line + j * step * depth;
                            let mut value = value.add(bias);
                            if !tile.residual.is_null() {
                                let residual = tile.residual.wrapping_add(at);
                                value = value.add(V::load_first(residual, channels - first));
                            }
                            store(value.clamp(low, high), to.wrapping_add(at), channels - first);
                        }
                    }
                }
            }
        }
    }
}

/// Writes up to `count` lanes.
///
/// # Safety
/// As many must be writable.
#[inline(always)]
unsafe fn store<V: Vector>(value: V, to: *mut f32, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= V::LANES {
            value.store(to);
        } else {
            value.store_first(to, count);
        }
    }
}
