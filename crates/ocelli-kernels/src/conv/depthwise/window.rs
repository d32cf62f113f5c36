//! The source pixels under a tile.

use std::ops::Range;

/// Most rows and most columns of a window.
pub(super) const ROWS: usize = 8;
pub(super) const COLUMNS: usize = 17;

/// Where the pixels of a window are, row by row.
pub(super) type Pixels = [[*const f32; COLUMNS]; ROWS];

/// Nowhere yet.
pub(super) const NO_PIXELS: Pixels = [[std::ptr::null(); COLUMNS]; ROWS];

/// A rectangle of source pixels, some of which may lie in the padding.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    /// `[rows, columns, channels]`, as `size` says.
    pub image: &'a [f32],
    pub size: [usize; 3],
    /// Row and column of its first pixel.
    pub first: [isize; 2],
    /// A pixel of zeros.
    pub zeros: &'a [f32],
}

impl Window<'_> {
    /// Which of so many rows lie in the image.
    #[inline(always)]
    pub fn rows(&self, rows: usize) -> Range<usize> {
        let before = usize::try_from(-self.first[0]).unwrap_or(0);
        let end = usize::try_from(self.size[0] as isize - self.first[0]).unwrap_or(0).min(rows);
        before.min(end)..end
    }

    /// Points to the first `columns` pixels of `rows`, which lie in the image; those in the padding are zeros.
    #[inline(always)]
    pub fn point_to(&self, rows: Range<usize>, columns: usize, pixels: &mut Pixels) {
        let [_, width, channels] = self.size;
        let [row, column] = self.first;
        for r in rows {
            let first = (row + r as isize) * width as isize + column;
            let line = self.image.as_ptr().wrapping_offset(first * channels as isize);
            for (c, pixel) in pixels[r][..columns].iter_mut().enumerate() {
                let inside = (column + c as isize).cast_unsigned() < width;
                let here = line.wrapping_add(c * channels);
                *pixel = if inside { here } else { self.zeros.as_ptr() };
            }
        }
    }

    /// That every pixel that [`point_to`](Self::point_to) points to can be read.
    pub fn check(&self) {
        let [rows, columns, channels] = self.size;
        assert!(self.image.len() == rows * columns * channels && self.zeros.len() >= channels);
    }
}
