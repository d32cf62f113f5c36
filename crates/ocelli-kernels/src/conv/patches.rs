//! The matrix of patches (im2col), a block at a time: a row per grid point, a column per tap and channel.

use super::grid::{Grid, Pass, Tap};
use crate::source::View;
use std::ops::Range;

/// Grid points of one phase in reading order: all images, rows, columns.
pub(super) struct Points<'a> {
    pub pass: &'a Pass,
    pub grid: &'a Grid,
    /// The channels of the source that take part.
    pub channels: Range<usize>,
}

impl Points<'_> {
    /// Writes the patches of some points, for some taps, into rows of `out` that are `stride` apart.
    ///
    /// Points and taps are numbered in reading order, taps by their order in the grid.
    pub fn gather(
        &self,
        x: View<'_>,
        points: Range<usize>,
        taps: Range<usize>,
        out: &mut [f32],
        stride: usize,
    ) {
        let (rows, columns) = (&self.grid.rows, &self.grid.columns);
        let width = self.channels.len() * taps.len();
        let [height, _, _] = self.pass.source;
        let places = self.grid.stretches(points).flat_map(|([image, row, column], points)| {
            (column..column + points).map(move |column| [image, row, column])
        });
        for ([image, row, column], out) in places.zip(out.chunks_exact_mut(stride)) {
            let mut rest = &mut out[..width];
            let mut tap = taps.start;
            while tap < taps.end {
                // One kernel row, or what of it belongs to the taps asked for.
                let (i, j) = (tap / columns.taps.len(), tap % columns.taps.len());
                let run = (columns.taps.len() - j).min(taps.end - tap);
                let (part, after) = rest.split_at_mut(run * self.channels.len());
                match rows.source(row, rows.taps[i], height) {
                    Some(y) => self.gather_row(
                        x,
                        image * height + y,
                        column,
                        &columns.taps[j..j + run],
                        part,
                    ),
                    None => part.fill(0.0),
                }
                rest = after;
                tap += run;
            }
        }
    }

    /// Taps of one kernel row at one point; `line` counts source rows over all images.
    fn gather_row(&self, x: View<'_>, line: usize, point: usize, taps: &[Tap], out: &mut [f32]) {
        let [_, width, channels] = self.pass.source;
        let x = x.get(line * width * channels..(line + 1) * width * channels);
        let axis = &self.grid.columns;
        let at = |tap: Tap| axis.source(point, tap, width);
        let (first, last) = (taps[0], taps[taps.len() - 1]);
        let adjacent = last.offset - first.offset == taps.len() as isize - 1;
        if let (true, true, Some(start), Some(_)) =
            (adjacent, self.channels.len() == channels, at(first), at(last))
        {
            // The usual case: the taps read neighbouring pixels, all inside the image.
            return out.copy_from_slice(&x[start * channels..][..out.len()]);
        }
        for (&tap, out) in taps.iter().zip(out.chunks_exact_mut(self.channels.len())) {
            match at(tap) {
                Some(column) => out.copy_from_slice(&x[column * channels..][self.channels.clone()]),
                None => out.fill(0.0),
            }
        }
    }
}
