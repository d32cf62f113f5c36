//! Buffers in the transformed domain.

use super::Terms;
use super::points::Family;

/// Elements of a cache line. One more of them per point keeps the streams of a transform from falling
/// into the same sets of the L1 cache.
pub(super) const LINE: usize = 16;

/// Transformed tiles `[point][panel of channels][tile][width]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    points: usize,
    tiles: usize,
    /// Channels in a panel, a whole number of vectors.
    pub width: usize,
    pub panels: usize,
}

impl Layout {
    /// Panels of `width` channels.
    pub fn panels(family: Family, tiles: usize, channels: usize, width: usize) -> Self {
        Self { points: family.all(), tiles, width, panels: channels.div_ceil(width) }
    }

    /// One panel of all channels: a row per tile.
    pub fn rows(family: Family, tiles: usize, channels: usize, lanes: usize, terms: Terms) -> Self {
        let places = terms.places(channels.next_multiple_of(lanes));
        // Rows of a product that lie a multiple of 4 KiB apart share a set of the L1 cache.
        let apart = if places >= 256 { LINE } else { 0 };
        let width = places + apart;
        Self { points: family.all(), tiles, width, panels: 1 }
    }

    pub fn point_len(&self) -> usize {
        self.panels * self.tiles * self.width + LINE
    }

    pub fn len(&self) -> usize {
        self.points * self.point_len()
    }

    /// Where a channel of a tile, or a pair of them, stands at point 0.
    #[inline(always)]
    pub fn at(&self, tile: usize, channel: usize) -> usize {
        (channel / self.width * self.tiles + tile) * self.width + channel % self.width
    }
}
