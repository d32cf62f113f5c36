//! Where the sums of a block go.

use super::super::grid::{Grid, Pass};
use super::lines::Block;
use crate::isa::multiversion;
use crate::tiles::{DEPTH, SIDE};
use std::ops::Range;

/// Where the positions of a phase lie in a block of the target.
pub(super) struct Target {
    /// Positions of an image, of a row, and points of a row.
    pub positions: usize,
    pitch: usize,
    points: usize,
    /// Values of an image; of what lies before the first point; from a point to the next in its column and in its row.
    image: usize,
    start: usize,
    down: usize,
    right: usize,
    pub channels: usize,
    columns: usize,
}

impl Target {
    /// Of some channels of the target.
    pub fn new(
        pass: &Pass,
        grid: &Grid,
        block: &Block,
        pitch: usize,
        outputs: Range<usize>,
    ) -> Self {
        let [height, width, channels] = pass.target;
        let rows = block.rows.end.min(grid.rows.size).saturating_sub(block.rows.start);
        let [down, right] = pass.spread;
        let points = grid.columns.size;
        Self {
            positions: rows.checked_sub(1).map_or(0, |last| last * pitch + points),
            pitch,
            points,
            image: height * width * channels,
            start: (grid.rows.first * width + grid.columns.first) * channels + outputs.start,
            down: down * width * channels,
            right: right * channels,
            channels,
            columns: outputs.len(),
        }
    }

    /// Where the sums of a tile of positions go, if these are neighbouring pixels, and whole tiles of columns.
    pub fn straight(&self, position: usize, image: usize) -> Option<usize> {
        let (row, column) = (position / self.pitch, position % self.pitch);
        let seamless = self.points == self.pitch && self.down == self.points * self.channels;
        let fits = match seamless {
            true => position + SIDE <= self.positions,
            false => column + SIDE <= self.points && position + SIDE <= self.positions,
        };
        (fits && self.right == self.channels && self.columns.is_multiple_of(SIDE))
            .then(|| image * self.image + self.start + row * self.down + column * self.right)
    }
}

multiversion! {
    /// Copies the sums of positions that are points.
    pub(super) fn copy(to: &Target, position: usize, image: usize, rows: &[[f32; DEPTH]], values: &mut [f32]) {
        let (mut row, mut column) = (position / to.pitch, position % to.pitch);
        for (_, sums) in (position..to.positions).zip(rows) {
            if column < to.points {
                let at = image * to.image + to.start + row * to.down + column * to.right;
                let pixel = &mut values[at..][..to.columns];
                // Whole vectors, which need no function of the library.
                let ((to, rest), (from, last)) = (pixel.as_chunks_mut(), sums.as_chunks::<SIDE>());
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                let last = from.get(to.len()).map_or(last, |from| &from[..]);
                rest.iter_mut().zip(last).for_each(|(value, sum)| *value = *sum);
            }
            column += 1;
            if column == to.pitch {
                (row, column) = (row + 1, 0);
            }
        }
    }
}
