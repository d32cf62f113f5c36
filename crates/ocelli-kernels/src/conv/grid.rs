//! Where the pixels of a convolution come from.
//!
//! Forward, output pixel i reads the input at i * stride + tap * dilation - padding. Backward, the input
//! pixels fall into stride x stride phases; those of one phase lie on a grid of their own, use the same
//! subset of the taps and read dy at grid index + an offset per tap. So the input gradient is a set of
//! stride-1 convolutions of dy, and one description serves both directions.

use super::ConvShape;
use std::ops::Range;

/// One kernel row (or column) as seen from a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    /// Where it reads, relative to the source pixel below the grid point.
    pub offset: isize,
    /// Which row (or column) of the kernel it is.
    pub index: usize,
}

/// A grid along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Grid points.
    pub size: usize,
    /// Source pixels between neighbouring grid points.
    pub step: usize,
    /// Target pixel of the first grid point.
    pub first: usize,
    /// Ordered by offset.
    pub taps: Vec<Tap>,
}

impl Axis {
    fn forward(
        outputs: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        before: usize,
    ) -> Self {
        let taps = (0..kernel)
            .map(|index| Tap { offset: (index * dilation) as isize - before as isize, index })
            .collect();
        Self { size: outputs, step: stride, first: 0, taps }
    }

    fn backward(
        phase: usize,
        inputs: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        before: usize,
    ) -> Self {
        let tap = |index| {
            let distance = (phase + before) as isize - (index * dilation) as isize;
            (distance % stride as isize == 0)
                .then_some(Tap { offset: distance / stride as isize, index })
        };
        let taps = (0..kernel).rev().filter_map(tap).collect();
        Self { size: (inputs - phase).div_ceil(stride), step: 1, first: phase, taps }
    }

    /// Which of so many points, the first of which reads from `first` on, read `len` pixels of so many.
    pub fn whole(&self, first: isize, len: isize, size: usize, points: usize) -> Range<usize> {
        // Points that begin below some pixel.
        let below = |pixel: isize| {
            let pixels = usize::try_from(pixel - first).unwrap_or(0);
            pixels.div_ceil(self.step).min(points)
        };
        let (start, end) = (below(0), below(size as isize - len + 1));
        if start < end { start..end } else { 0..0 }
    }

    /// The source pixel that a tap reads at a grid point, unless it lies in the padding.
    pub fn source(&self, point: usize, tap: Tap, size: usize) -> Option<usize> {
        (point * self.step).checked_add_signed(tap.offset).filter(|&at| at < size)
    }
}

/// The grid points of one phase; rows, then columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub rows: Axis,
    pub columns: Axis,
}

impl Grid {
    /// How many taps each grid point has.
    pub fn taps(&self) -> usize {
        self.rows.taps.len() * self.columns.taps.len()
    }

    /// Image, row and column of a grid point; points are numbered in reading order over all images.
    pub fn position(&self, point: usize) -> [usize; 3] {
        let (line, column) = (point / self.columns.size, point % self.columns.size);
        [line / self.rows.size, line % self.rows.size, column]
    }

    /// Cuts points into stretches that lie in one row: the position of the first point, and how many there are.
    pub fn stretches(&self, points: Range<usize>) -> impl Iterator<Item = ([usize; 3], usize)> {
        let Self { rows, columns } = self;
        let [mut image, mut row, mut column] = self.position(points.start);
        let mut left = points.len();
        std::iter::from_fn(move || {
            let count = left.min(columns.size - column);
            let stretch = ([image, row, column], count);
            left -= count;
            (column, row) = (0, row + 1);
            if row == rows.size {
                (row, image) = (0, image + 1);
            }
            (count > 0).then_some(stretch)
        })
    }

    /// The runs of a grid, in the order of its taps: those of a row together if they are to be joined and are
    /// neighbours, else each on its own. So all are of equal length.
    pub fn runs(&self, joined: bool) -> Vec<Run> {
        let columns = &self.columns.taps;
        let neighbours = columns.windows(2).all(|two| two[0].offset + 1 == two[1].offset);
        let each = if joined && neighbours { columns.len() } else { 1 };
        let starts = (0..columns.len()).step_by(each.max(1));
        (0..self.rows.taps.len())
            .flat_map(|row| starts.clone().map(move |at| Run { row, columns: at..at + each }))
            .collect()
    }

    /// Which taps of the kernel, row by row, each grid point has, in the grid's order.
    pub fn kernel_taps(&self, kernel_width: usize) -> impl Iterator<Item = usize> {
        let row = move |row: &Tap| row.index * kernel_width;
        self.rows
            .taps
            .iter()
            .map(row)
            .flat_map(move |first| self.columns.taps.iter().map(move |column| first + column.index))
    }
}

/// Taps of a grid that read neighbouring values: those of some columns in one row.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Among the row taps of the grid, and its column taps.
    pub row: usize,
    pub columns: Range<usize>,
}

/// A convolution of a source into a target, as one grid per phase. Images are `[rows, columns, channels]`.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub batch: usize,
    pub source: [usize; 3],
    pub target: [usize; 3],
    /// Target pixels between neighbouring points of a grid.
    pub spread: [usize; 2],
    /// They cover every target pixel once.
    pub grids: Vec<Grid>,
}

impl Pass {
    /// x to y.
    pub fn forward(s: &ConvShape) -> Self {
        let [rows, columns] = s.output();
        let grid = Grid {
            rows: Axis::forward(rows, s.kernel[0], s.stride[0], s.dilation[0], s.padding.top),
            columns: Axis::forward(
                columns,
                s.kernel[1],
                s.stride[1],
                s.dilation[1],
                s.padding.left,
            ),
        };
        Self {
            batch: s.batch,
            source: [s.height, s.width, s.in_channels],
            target: [rows, columns, s.out_channels],
            spread: [1, 1],
            grids: vec![grid],
        }
    }

    /// dy to dx.
    pub fn backward_input(s: &ConvShape) -> Self {
        let [rows, columns] = s.output();
        // A stride beyond the image leaves phases without pixels.
        let phases = [s.stride[0].min(s.height), s.stride[1].min(s.width)];
        let grid = |row, column| Grid {
            rows: Axis::backward(
                row,
                s.height,
                s.kernel[0],
                s.stride[0],
                s.dilation[0],
                s.padding.top,
            ),
            columns: Axis::backward(
                column,
                s.width,
                s.kernel[1],
                s.stride[1],
                s.dilation[1],
                s.padding.left,
            ),
        };
        Self {
            batch: s.batch,
            source: [rows, columns, s.out_channels],
            target: [s.height, s.width, s.in_channels],
            spread: s.stride,
            grids: (0..phases[0])
                .flat_map(|row| (0..phases[1]).map(move |column| grid(row, column)))
                .collect(),
        }
    }

    /// Bands are the rows of the first phase with those of the others between them: what a grid row of
    /// every phase writes together, a contiguous piece of the target.
    pub fn bands_per_image(&self) -> usize {
        self.target[0].div_ceil(self.spread[0])
    }

    /// Where in the target a band begins (one past the last: where the target ends).
    pub fn band_start(&self, band: usize) -> usize {
        let [rows, columns, channels] = self.target;
        let (image, row) = (band / self.bands_per_image(), band % self.bands_per_image());
        (image * rows + row * self.spread[0]) * columns * channels
    }

    /// The values of the source that some bands read: whole lines, with what lies between them.
    pub fn source_of(&self, bands: &Range<usize>) -> Range<usize> {
        let [height, width, channels] = self.source;
        let taps =
            || self.grids.iter().flat_map(|grid| grid.rows.taps.iter().map(|tap| tap.offset));
        let (Some(first), Some(last), false) = (taps().min(), taps().max(), bands.is_empty())
        else {
            return 0..0;
        };
        let step = self.grids.iter().map(|grid| grid.rows.step).max().unwrap_or(1);
        let line = |band: usize, offset: isize| {
            let (image, row) = (band / self.bands_per_image(), band % self.bands_per_image());
            image * height + (row * step).saturating_add_signed(offset).min(height)
        };
        let lines = line(bands.start, first)..line(bands.end - 1, last + 1);
        lines.start * width * channels..lines.end.max(lines.start) * width * channels
    }

    /// Whether the source, read row by row, is already the matrix of patches.
    pub fn is_plain(&self) -> bool {
        let here = Tap { offset: 0, index: 0 };
        let plain =
            |axis: &Axis, size: usize| axis.taps == [here] && axis.step == 1 && axis.size == size;
        let [rows, columns, _] = self.source;
        self.spread == [1, 1]
            && matches!(&self.grids[..], [grid] if plain(&grid.rows, rows) && plain(&grid.columns, columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_of_two_splits_the_taps_between_the_phases() {
        let indices = |phase| -> Vec<_> {
            Axis::backward(phase, 5, 3, 2, 1, 1).taps.iter().map(|t| (t.index, t.offset)).collect()
        };
        // x[0] is read by y[0] through tap 1; x[1] by y[0] through tap 2 and by y[1] through tap 0.
        assert_eq!(indices(0), [(1, 0)]);
        assert_eq!(indices(1), [(2, 0), (0, 1)]);
        assert_eq!(Axis::backward(0, 5, 3, 2, 1, 1).size, 3);
        assert_eq!(Axis::backward(1, 5, 3, 2, 1, 1).size, 2);
    }

    #[test]
    fn padding_is_no_source() {
        let axis = Axis::forward(3, 3, 1, 1, 1);
        assert_eq!(axis.source(0, axis.taps[0], 3), None);
        assert_eq!(axis.source(2, axis.taps[0], 3), Some(1));
        assert_eq!(axis.source(2, axis.taps[2], 3), None);
    }

    #[test]
    fn whole_runs_lie_inside() {
        for (size, step, len, first) in
            [(7, 2, 3, -1), (7, 1, 3, -2), (2, 1, 3, -1), (5, 3, 1, 0), (4, 1, 2, 5), (6, 2, 2, -5)]
        {
            let axis = Axis { size: 9, step, first: 0, taps: Vec::new() };
            let inside = |point: &usize| {
                let column = first + (point * step) as isize;
                column >= 0 && column + len <= size as isize
            };
            let expected: Vec<_> = (0..9).filter(inside).collect();
            assert_eq!(axis.whole(first, len, size, 9).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn stretches_are_the_points_row_by_row() {
        let axis = |size| Axis { size, step: 1, first: 0, taps: Vec::new() };
        let grid = Grid { rows: axis(2), columns: axis(3) };
        let of = |points| grid.stretches(points).collect::<Vec<_>>();
        assert_eq!(of(1..8), [([0, 0, 1], 2), ([0, 1, 0], 3), ([1, 0, 0], 2)]);
        assert_eq!(of(4..5), [([0, 1, 1], 1)]);
        assert_eq!(of(4..4), []);
    }
}
