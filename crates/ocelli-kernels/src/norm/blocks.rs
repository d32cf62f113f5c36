//! How `[rows, channels]` is cut into pieces: by the shape alone.

use crate::bf16::Element;

/// Rows whose sums run in f32, and whose mask bits share a word.
pub(super) const GROUP: usize = 32;
/// Elements in a block, about: enough to outweigh handing it to a thread.
const ELEMENTS: usize = 1 << 16;
/// Blocks of a large tensor, at most, so that their partial sums stay small.
const MOST: usize = 512;

/// Blocks of whole groups of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    pub rows: usize,
    pub channels: usize,
    groups_per_block: usize,
}

impl Blocks {
    pub fn new(rows: usize, channels: usize) -> Self {
        let groups = rows.div_ceil(GROUP);
        let wanted = (ELEMENTS / (GROUP * channels)).max(1);
        Self { rows, channels, groups_per_block: wanted.max(groups.div_ceil(MOST)) }
    }

    pub fn count(self) -> usize {
        self.rows.div_ceil(self.groups_per_block * GROUP)
    }

    /// The length of a mask: a word per channel and group of rows.
    pub fn mask_len(self) -> usize {
        self.rows.div_ceil(GROUP) * self.channels
    }

    /// A tensor in blocks; an absent (empty) one in as many empty blocks.
    pub fn split<T>(self, x: &[T]) -> Vec<&[T]> {
        if x.is_empty() {
            return vec![&[]; self.count()];
        }
        x.chunks(self.groups_per_block * GROUP * self.channels).collect()
    }

    /// [`Blocks::split`] to write.
    pub fn split_mut<T>(self, x: &mut [T]) -> Vec<&mut [T]> {
        if x.is_empty() {
            return (0..self.count()).map(|_| Default::default()).collect();
        }
        x.chunks_mut(self.groups_per_block * GROUP * self.channels).collect()
    }

    /// A mask, or none, in blocks.
    pub fn split_mask(self, mask: &[u32]) -> Vec<&[u32]> {
        if mask.is_empty() {
            return vec![&[]; self.count()];
        }
        mask.chunks(self.groups_per_block * self.channels).collect()
    }

    /// [`Blocks::split_mask`] to write.
    pub fn split_mask_mut(self, mask: &mut [u32]) -> Vec<&mut [u32]> {
        if mask.is_empty() {
            return (0..self.count()).map(|_| Default::default()).collect();
        }
        mask.chunks_mut(self.groups_per_block * self.channels).collect()
    }
}

/// Values of whole rows that are computed at a time where they are converted first: they stay in the first-level
/// cache.
pub(super) fn piece<T: Element, U: Element>(channels: usize) -> usize {
    const PIECE: usize = 1 << 11;
    if T::NARROW || U::NARROW { (PIECE / (4 * channels)).max(1) * 4 * channels } else { usize::MAX }
}

/// Adds up the partial sums of blocks, `[blocks, 2, channels]`, in block order.
pub(super) fn reduce(partials: &[f64], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let mut total = vec![0.0; 2 * channels];
    for block in partials.chunks(2 * channels) {
        for (total, part) in total.iter_mut().zip(block) {
            *total += part;
        }
    }
    let second = total.split_off(channels);
    (total, second)
}

/// Calls `$call!(R, first row)` over `$rows` rows, four at a time and then one by one.
macro_rules! by_rows {
    ($rows:expr, $call:ident) => {{
        let mut row = 0;
        while row + 4 <= $rows {
            $call!(4, row);
            row += 4;
        }
        while row < $rows {
            $call!(1, row);
            row += 1;
        }
    }};
}
pub(super) use by_rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_rows_and_masks_fit_them() {
        for (rows, channels) in
            [(1, 1), (33, 17), (401_408, 64), (1568, 512), (3, 70_000), (1_000_000, 1)]
        {
            let blocks = Blocks::new(rows, channels);
            assert!(blocks.count() <= MOST && blocks.count() > 0);
            let mask = vec![0; blocks.mask_len()];
            assert_eq!(blocks.split_mask(&mask).len(), blocks.count(), "{rows} x {channels}");
        }
        assert_eq!(Blocks::new(0, 4).count(), 0);
    }
}
