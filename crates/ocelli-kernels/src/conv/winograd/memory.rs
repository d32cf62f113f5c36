//! Buffers in the transformed domain.

use super::points::Family;
use std::marker::PhantomData;

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
    panels: usize,
}

impl Layout {
    /// Panels of `width` channels.
    pub fn panels(family: Family, tiles: usize, channels: usize, width: usize) -> Self {
        Self { points: family.all(), tiles, width, panels: channels.div_ceil(width) }
    }

    /// One panel of all channels: a row per tile.
    pub fn rows(family: Family, tiles: usize, channels: usize, lanes: usize) -> Self {
        // Rows of a product that lie a multiple of 4 KiB apart share a set of the L1 cache.
        let apart = if channels >= 256 { LINE } else { 0 };
        let width = channels.next_multiple_of(lanes) + apart;
        Self { points: family.all(), tiles, width, panels: 1 }
    }

    pub fn point_len(&self) -> usize {
        self.panels * self.tiles * self.width + LINE
    }

    pub fn len(&self) -> usize {
        self.points * self.point_len()
    }

    /// Where a channel of a tile stands at point 0.
    #[inline(always)]
    pub fn at(&self, tile: usize, channel: usize) -> usize {
        (channel / self.width * self.tiles + tile) * self.width + channel % self.width
    }
}

/// A buffer that several threads write at once, each its own elements.
#[derive(Clone, Copy)]
pub(super) struct SharedMut<'a> {
    start: *mut f32,
    len: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: it only hands out pointers, and only from a borrow that no one else has.
unsafe impl Send for SharedMut<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedMut<'_> {}

impl<'a> SharedMut<'a> {
    pub fn new(buffer: &'a mut [f32]) -> Self {
        Self { start: buffer.as_mut_ptr(), len: buffer.len(), buffer: PhantomData }
    }

    /// A pointer for writing `len` elements from `at` on. Who writes through it must be the only one to use
    /// those elements.
    #[inline(always)]
    pub fn range(&self, at: usize, len: usize) -> *mut f32 {
        assert!(at <= self.len && len <= self.len - at, "beyond the end of a shared buffer");
        self.start.wrapping_add(at)
    }
}
