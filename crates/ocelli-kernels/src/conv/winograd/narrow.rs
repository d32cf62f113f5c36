//! Transformed tiles, f32, to pairs of bf16 of two tiles: what the weight gradient sums up over.

use super::memory::Layout;
use crate::simd::{Vector, for_each_isa};
use std::ops::Range;

/// Tiles of all panels at a point.
pub(super) struct Tiles {
    /// As long as a point of the layout.
    pub values: *mut f32,
    pub layout: Layout,
    pub tiles: Range<usize>,
}

for_each_isa! {
    /// Writes the pairs of tiles where the first half of them stood; the last tile may be alone.
    ///
    /// # Safety
    /// The CPU must have the instruction set, the panels must be a whole number of its vectors wide, the values must be
    /// those of a whole point of the layout, which has the tiles, and no one else may use them meanwhile.
    pub(super) unsafe fn pair_tiles = pair_vectors with bf16 (job: &Tiles)
}

#[inline(always)]
unsafe fn pair_vectors<V: Vector>(job: &Tiles) {
    let Tiles { values, layout, ref tiles } = *job;
    for panel in 0..layout.panels {
        let row = |tile: usize| values.wrapping_add(layout.at(tile, panel * layout.width));
        for (to, tile) in (tiles.start..).zip(tiles.clone().step_by(2)) {
            for first in (0..layout.width).step_by(V::LANES) {
                // SAFETY: the rows of all tiles and panels lie within the point, as the caller promises; a row is written
                // when it has been read.
                unsafe {
                    let even = V::load(row(tile).add(first));
                    let odd = if tile + 1 < tiles.end {
                        V::load(row(tile + 1).add(first))
                    } else {
                        V::splat(0.0)
                    };
                    even.pair(odd).store(row(to).add(first));
                }
            }
        }
    }
}
