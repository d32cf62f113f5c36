//! How a block's part of the source lies in memory, so that every tap is a walk of constant steps.
//!
//! The lines that the taps of the block's points read are loaded with their padding, as bf16. Where points are
//! several lines apart, the lines of each phase (line modulo step) lie in a plane of their own. All lines have so many
//! pixels that a point in the next row is as far from its neighbour as any two neighbours in a row are: `pitch`
//! positions make a row, and those behind its last point are computed, too, and thrown away. So position m of an
//! image reads `m * step` values behind position 0, for every tap.

use super::super::grid::{Grid, Pass, Run};
use crate::bf16::Bf16;
use crate::source::Source;
use crate::tiles::{DEPTH, SIDE};
use std::ops::Range;

/// Some rows of points of some images: all rows, or one image.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub images: Range<usize>,
    pub rows: Range<usize>,
}

/// How the points of a pass are cut into blocks.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    batch: usize,
    rows: usize,
    /// What a block has at most.
    most_images: usize,
    most_rows: usize,
}

impl Blocks {
    /// Blocks of about so many rows.
    pub fn new(pass: &Pass, most: usize) -> Self {
        let (batch, rows) = (pass.batch, pass.bands_per_image());
        let most_images = (most / rows.max(1)).max(1);
        Self { batch, rows, most_images, most_rows: most.clamp(1, rows.max(1)) }
    }

    /// All of them, in the order of the target.
    pub fn iter(&self) -> impl Iterator<Item = Block> + Clone + use<> {
        let rows = crate::register::even_pieces(0..self.rows, self.most_rows);
        let images = crate::register::even_pieces(0..self.batch, self.most_images);
        images.flat_map(move |images| {
            rows.clone().map(move |rows| Block { images: images.clone(), rows })
        })
    }
}

/// The lines that points read.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// Rows, columns and channels of the source.
    source: [usize; 3],
    /// The row and the column that taps read first, relative to a point, and how many there are until the last.
    first: [isize; 2],
    span: [usize; 2],
    /// Source rows and columns between points.
    step: [usize; 2],
    /// The phases of rows that some tap reads.
    phases: Vec<usize>,
    /// Positions of a row.
    pub pitch: usize,
}

impl Lines {
    pub fn new(pass: &Pass) -> Self {
        let axes = |grid: &Grid| [grid.rows.clone(), grid.columns.clone()];
        let axes: Vec<_> = pass.grids.iter().filter(|grid| grid.taps() > 0).map(axes).collect();
        let offsets = |axis: usize| {
            axes.iter().flat_map(move |axes| axes[axis].taps.iter().map(|tap| tap.offset))
        };
        let first = [0, 1].map(|axis| offsets(axis).min().unwrap_or(0));
        let span = [0, 1].map(|axis| offsets(axis).max().unwrap_or(0).abs_diff(first[axis]));
        let step = [0, 1].map(|axis| axes.first().map_or(1, |axes| axes[axis].step));
        let mut phases: Vec<_> =
            offsets(0).map(|offset| offset.abs_diff(first[0]) % step[0]).collect();
        phases.sort_unstable();
        phases.dedup();
        let points = axes.iter().map(|[_, columns]| columns.size).max().unwrap_or(0);
        let pitch = points + span[1] / step[1];
        Self { source: pass.source, first, span, step, phases, pitch }
    }

    /// Values from one position to the next.
    pub fn stride(&self) -> usize {
        self.step[1] * self.source[2]
    }

    /// Values of a line.
    fn line(&self) -> usize {
        self.pitch * self.stride()
    }

    /// Values between the first line of a phase that a point reads, and the last.
    pub fn depth(&self) -> usize {
        self.span[0] / self.step[0] * self.line()
    }

    /// How many values behind the first one of a row a tap may read.
    pub fn reach(&self) -> usize {
        (self.span[1] + 1) * self.source[2]
    }

    pub fn planes(&self) -> usize {
        self.phases.len()
    }

    /// Values of a plane with the lines of so many rows of points.
    pub fn plane_len(&self, rows: usize) -> usize {
        rows * self.line() + self.depth()
    }

    pub fn image_len(&self, rows: usize) -> usize {
        self.planes() * self.plane_len(rows)
    }

    /// Values behind the last image that tiles read, and how many of them must be zeros: positions behind the last
    /// one are thrown away, but what lies behind the last tap meets zeros among the weights, which make a NaN of a NaN.
    /// (Values that are read where they stand have others behind them: there such a NaN is possible.)
    pub fn slack(&self) -> [usize; 2] {
        [(2 * SIDE - 1) * self.stride() + DEPTH, DEPTH]
    }

    /// In which plane the run begins at position 0, and where.
    pub fn place(&self, grid: &Grid, run: &Run) -> [usize; 2] {
        let row = grid.rows.taps[run.row].offset.abs_diff(self.first[0]);
        let column = grid.columns.taps[run.columns.start].offset.abs_diff(self.first[1]);
        let plane = self.phases.iter().position(|&phase| phase == row % self.step[0]);
        let place = row / self.step[0] * self.line() + column * self.source[2];
        [plane.unwrap_or(0), place]
    }

    /// Loads the lines of some rows of points of an image.
    pub fn load(&self, source: &Source<'_>, image: usize, rows: Range<usize>, to: &mut [Bf16]) {
        let [height, width, channels] = self.source;
        // The columns of a line that are no padding.
        let columns = (self.pitch * self.step[1]) as isize;
        let begin = (-self.first[1]).clamp(0, columns);
        let end = (width as isize - self.first[1]).clamp(begin, columns);
        let from = (begin + self.first[1]).max(0) as usize * channels;
        let inside = begin as usize * channels..end as usize * channels;
        // Lines behind the last that is read are zeros.
        let lines = (rows.len() - 1) * self.step[0] + self.span[0] + 1;
        let planes = to.chunks_exact_mut(self.plane_len(rows.len()).max(1));
        for (plane, phase) in planes.zip(&self.phases) {
            for (index, line) in plane.chunks_exact_mut(self.line()).enumerate() {
                let at = index * self.step[0] + phase;
                let row = (rows.start * self.step[0] + at) as isize + self.first[0];
                if at >= lines || row < 0 || row >= height as isize || inside.is_empty() {
                    line.fill(Bf16::default());
                    continue;
                }
                let start = (image * height + row as usize) * width * channels + from;
                line[..inside.start].fill(Bf16::default());
                line[inside.end..].fill(Bf16::default());
                source.load(start..start + inside.len(), &mut line[inside.clone()]);
            }
        }
    }
}
