//! The rows that a dense convolution multiplies: pointers into the source, or to copies of what lies in the padding in
//! part.

use super::grid::{Grid, Run};
use crate::source::View;
use std::iter::repeat_n;

/// Neighbouring points of a tile in one row.
pub(super) struct Stretch {
    /// The pixel of the source that the first point's taps are relative to. It need not lie in the image.
    pub row: usize,
    pub column: usize,
    /// Where that row begins in the source.
    pub line: usize,
    pub points: usize,
}

impl Stretch {
    /// The stretches that have so many points together, and those behind them.
    pub fn split(all: &[Self], points: usize) -> (&[Self], &[Self]) {
        let mut count = 0;
        let own = all.iter().take_while(|stretch| {
            count += stretch.points;
            count <= points
        });
        all.split_at(own.count())
    }
}

/// Finds what runs read.
pub(super) struct Reader<'a> {
    pub source: View<'a>,
    /// Rows, columns and channels of the source.
    pub size: [usize; 3],
    pub grid: &'a Grid,
    /// The first channel that takes part.
    pub channel: usize,
    /// Values of a run.
    pub depth: usize,
    /// A run in the padding.
    pub zeros: &'a [f32],
    /// Memory for runs that lie there in part.
    pub copies: &'a mut [f32],
}

impl Reader<'_> {
    /// Adds a pointer for every point to what a run reads there. False if all of that is padding.
    pub fn read(&mut self, run: &Run, stretch: &Stretch, pointers: &mut Vec<*const f32>) -> bool {
        let [height, width, channels] = self.size;
        let Grid { rows, columns } = self.grid;
        let row = rows.taps[run.row].offset;
        if stretch.row.wrapping_add_signed(row) >= height {
            pointers.extend(repeat_n(self.zeros.as_ptr(), stretch.points));
            return false;
        }
        let column = columns.taps[run.columns.start].offset;
        let first = |point: usize| (stretch.column + point * columns.step) as isize + column;
        let len = run.columns.len() as isize;
        let line = stretch.line.wrapping_add_signed(row * (width * channels) as isize);
        let source = self.source;
        let from = |column: isize| source.from(line + column as usize * channels + self.channel);
        let whole = columns.whole(first(0), len, width, stretch.points);
        let mut any = !whole.is_empty();
        let mut edge = |point: usize| {
            let inside = first(point).max(0)..(first(point) + len).min(width as isize);
            if inside.is_empty() {
                return self.zeros.as_ptr();
            }
            any = true;
            // Only joined taps are several, and then they are of one group.
            let (copy, rest) = std::mem::take(&mut self.copies).split_at_mut(self.depth);
            self.copies = rest;
            copy.fill(0.0);
            let to = &mut copy[(inside.start - first(point)) as usize * channels..];
            let len = (inside.end - inside.start) as usize * channels;
            to[..len].copy_from_slice(&from(inside.start)[..len]);
            copy.as_ptr()
        };
        pointers.extend((0..whole.start).map(&mut edge));
        if !whole.is_empty() {
            // The points between them are inside where the last one is.
            assert!(from(first(whole.end - 1)).len() >= self.depth, "a run beyond the source");
            let (pixel, right) = (from(first(whole.start)).as_ptr(), columns.step * channels);
            pointers.extend((0..whole.len()).map(|point| pixel.wrapping_add(point * right)));
        }
        pointers.extend((whole.end..stretch.points).map(&mut edge));
        any
    }
}
