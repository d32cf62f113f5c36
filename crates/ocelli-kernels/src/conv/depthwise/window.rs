//! The source pixels under a tile.

use crate::source::View;
use std::ops::Range;

/// Most rows and most columns of a window.
pub(super) const ROWS: usize = 8;
pub(super) const COLUMNS: usize = 17;

/// Where the pixels of a window are, row by row.
pub(super) type Pixels = [[*const f32; COLUMNS]; ROWS];

/// Nowhere yet.
pub(super) const NO_PIXELS: Pixels = [[std::ptr::null(); COLUMNS]; ROWS];

/// An image of the source, at least the lines that someone reads.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub view: View<'a>,
    /// Where it begins in the source.
    pub start: usize,
}

impl Image<'_> {
    /// A pointer to an element of it; only those that the view has may be read.
    #[inline(always)]
    pub fn at(&self, element: isize) -> *const f32 {
        let (values, start) = self.view.raw();
        values.wrapping_offset(self.start as isize + element - start as isize)
    }
}

/// A rectangle of source pixels, some of which may lie in the padding.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub image: Image<'a>,
    /// `[rows, columns, channels]`
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
            let line = self.image.at(first * channels as isize);
            for (c, pixel) in pixels[r][..columns].iter_mut().enumerate() {
                let inside = (column + c as isize).cast_unsigned() < width;
                let here = line.wrapping_add(c * channels);
                *pixel = if inside { here } else { self.zeros.as_ptr() };
            }
        }
    }

    /// That every pixel of so many rows that [`point_to`](Self::point_to) points to can be read.
    pub fn check(&self, rows: usize) {
        let [_, columns, channels] = self.size;
        let rows = self.rows(rows);
        assert!(self.zeros.len() >= channels, "a pixel of zeros");
        if !rows.is_empty() {
            let line = |row: usize| {
                let row = row.wrapping_add_signed(self.first[0]);
                self.image.start + row * columns * channels
            };
            let has = self.image.view.range();
            let inside = has.start <= line(rows.start) && line(rows.end) <= has.end;
            assert!(inside, "lines beyond those of the source");
        }
    }
}
