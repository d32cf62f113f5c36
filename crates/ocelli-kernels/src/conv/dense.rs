//! Dense and grouped convolution, computed as it is defined: per output pixel a sum over taps and channels.
//!
//! The target is cut into blocks of bands (see [`Pass`]); a block's grid points are cut into tiles, whose
//! rows are pointers into the source, one per tap. A tap that lies in the padding points to zeros, and
//! where it does so for a whole tile it is left out. Where a pixel has few channels, neighbouring taps are one, and
//! those that lie in the padding in part are copied.

use super::grid::{Grid, Pass, Run};
use super::stretch::{Reader, Stretch};
use super::{ConvShape, Epilogue, Form};
use crate::Scratch;
use crate::isa::Isa;
use crate::output::Output;
use crate::register::{Dot, Tile, dot_kernels, even_pieces};
use crate::source::{Source, View};
use crate::workers::{SharedMut, apart, share, split};
use std::ops::Range;
use std::ptr;

/// Grid points that share one reading of the weights.
const POINTS: usize = 256;
/// Pieces that a small problem is cut into, at least.
const ITEMS: usize = 8;
/// Below so many channels a tap is too short a sum for its pointer.
const JOINED_BELOW: usize = 16;

/// One direction of a dense convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pass: Pass,
    groups: usize,
    /// Channels of the source and of the target in a group.
    group: [usize; 2],
    /// Bands that one block covers.
    bands: usize,
    /// Panels of weights that a thread meets a block with: all, but where there are few blocks.
    panels: usize,
    tile: Tile,
    /// Of each grid: what is read through one pointer.
    runs: Vec<Vec<Run>>,
}

/// What a convolution reads, and how its sums are finished.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub source: Source<'a>,
    pub weights: &'a [f32],
    pub epilogue: Epilogue<'a>,
}

/// A group of channels of one phase in a block, with the weights of that phase and group.
struct Part<'a> {
    operands: Operands<'a>,
    source: View<'a>,
    grid: &'a Grid,
    runs: &'a [Run],
    group: usize,
    bands: Range<usize>,
    panels: Range<usize>,
}

/// Where a block of the target is written; `start` is the place of the first of these values in the target.
#[derive(Clone, Copy)]
struct To<'a> {
    values: SharedMut<'a>,
    start: usize,
}

impl To<'_> {
    /// A pointer for writing some values of the target (see [`SharedMut::range`]).
    fn range(&self, range: Range<usize>) -> *mut f32 {
        self.values.range(range.start - self.start, range.len())
    }
}

/// The tiles of some points: for each its points, and where it reads and writes.
#[derive(Default)]
struct Tiles {
    points: Vec<Range<usize>>,
    stretches: Vec<Stretch>,
    /// Per tile: how many runs it has, a pointer per run and point, where each run's weights begin.
    runs: Vec<usize>,
    rows: Vec<*const f32>,
    offsets: Vec<usize>,
    /// Per point, where its pixel is, and perhaps that of the residual.
    out: Vec<*mut f32>,
    residual: Vec<*const f32>,
}

impl Tiles {
    fn clear(&mut self) {
        let Self { points, stretches, runs, rows, offsets, out, residual } = self;
        points.clear();
        stretches.clear();
        runs.clear();
        rows.clear();
        offsets.clear();
        out.clear();
        residual.clear();
    }

    /// Each point is one row, which meets all weights of a panel.
    fn one_run(&mut self) {
        self.runs.resize(self.points.len(), 1);
        self.offsets.resize(self.points.len(), 0);
    }
}

impl Dense {
    pub fn forward(shape: &ConvShape, isa: Isa) -> Self {
        Self::new(Pass::forward(shape), shape.groups, isa)
    }

    pub fn backward_input(shape: &ConvShape, isa: Isa) -> Self {
        Self::new(Pass::backward_input(shape), shape.groups, isa)
    }

    fn new(pass: Pass, groups: usize, isa: Isa) -> Self {
        let group = [pass.source[2] / groups, pass.target[2] / groups];
        let points = pass.grids[0].columns.size;
        let all = pass.batch * pass.bands_per_image() * points;
        // Small problems are cut finer, so that several threads find work.
        let bands = (all / ITEMS).clamp(32, POINTS).div_ceil(points);
        let joined = groups == 1 && group[0] < JOINED_BELOW;
        let runs = pass.grids.iter().map(|grid| grid.runs(joined)).collect();
        let tile = Tile::for_columns(isa, group[1]);
        let blocks = (pass.batch * pass.bands_per_image()).div_ceil(bands).max(1);
        let panels = group[1].div_ceil(tile.columns()).div_ceil(ITEMS.div_ceil(blocks));
        Self { groups, group, bands, panels, tile, runs, pass }
    }

    /// Target = convolution of source, finished by the epilogue.
    pub fn run(&self, operands: Operands<'_>, target: &Output<'_>, scratch: &mut Scratch) {
        let lens = self.memory(&operands.source, target);
        let each = lens.into_iter().map(apart).sum();
        let (items, in_blocks) = (self.items(), self.blocks().is_some());
        // No tap reaches the pixels of some phases: they are zeros.
        let untouched = self.pass.grids.iter().any(|grid| grid.taps() == 0);
        if untouched && !in_blocks {
            target.clear();
        }
        let memory = scratch.take(scratch.count(items.clone().count()) * each);
        share(items.enumerate(), memory, each, |(index, (bands, panels)), memory| {
            let [own, loaded, block] = split(memory, lens);
            let source = operands.source.view(self.pass.source_of(&bands), loaded);
            let mut run = |target: To<'_>| {
                self.run_block((operands, source), [bands.clone(), panels.clone()], target, own);
            };
            if !in_blocks {
                return run(To { values: target.whole(), start: 0 });
            }
            let range = self.pass.band_start(bands.start)..self.pass.band_start(bands.end);
            target.block(index, range.clone(), block, |values| {
                if untouched {
                    values.fill(0.0);
                }
                run(To { values: SharedMut::new(values), start: range.start });
            });
        });
    }

    /// Bands of the target, and the panels of weights that a thread meets them with.
    fn items(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + Clone + use<> {
        let panels = even_pieces(0..self.group[1].div_ceil(self.tile.columns()), self.panels);
        let blocks = even_pieces(0..self.pass.batch * self.pass.bands_per_image(), self.bands);
        blocks.flat_map(move |bands| panels.clone().map(move |panels| (bands.clone(), panels)))
    }

    /// How many blocks the target is written in, all channels at a time; none where panels are dealt out, too.
    pub fn blocks(&self) -> Option<usize> {
        let panels = self.group[1].div_ceil(self.tile.columns());
        (panels <= self.panels).then(|| self.items().count())
    }

    /// Computes some bands of the target, or the columns of these that some panels of weights make.
    fn run_block(
        &self,
        (operands, source): (Operands<'_>, View<'_>),
        [bands, panels]: [Range<usize>; 2],
        target: To<'_>,
        memory: &mut [f32],
    ) {
        let mut tiles = Tiles::default();
        let mut weights = operands.weights;
        let phases = self.pass.grids.iter().zip(&self.runs);
        for (grid, runs) in phases.filter(|(_, runs)| !runs.is_empty()) {
            for group in 0..self.groups {
                let (part, after) = weights.split_at(self.phase_len(grid));
                weights = after;
                let part = Part {
                    operands: Operands { weights: part, ..operands },
                    source,
                    grid,
                    runs,
                    group,
                    bands: bands.clone(),
                    panels: panels.clone(),
                };
                let all = self.points(grid, &bands);
                for start in all.clone().step_by(POINTS) {
                    let points = start..(start + POINTS).min(all.end);
                    match self.is_plain() {
                        true => self.rows(&part, points, target, &mut tiles),
                        false => self.point(&part, points, target, memory, &mut tiles),
                    }
                    self.multiply(&part, &tiles);
                }
            }
        }
    }

    /// Whether grid points are pixels of the source and of the target.
    pub fn is_plain(&self) -> bool {
        self.pass.is_plain()
    }

    /// Computes some pixels of the target, all channels, where [they are](Self::is_plain) pixels of the source:
    /// into `values`, in the order of the target.
    pub fn run_pixels(
        &self,
        (operands, source): (Operands<'_>, View<'_>),
        points: Range<usize>,
        values: &mut [f32],
    ) {
        let (grid, runs) = (&self.pass.grids[0], &self.runs[0]);
        let start = points.start * self.pass.target[2];
        let (mut tiles, target) = (Tiles::default(), To { values: SharedMut::new(values), start });
        let weights = operands.weights.chunks_exact(self.phase_len(grid));
        for (group, weights) in weights.enumerate() {
            let (bands, panels) = (0..0, 0..self.group[1].div_ceil(self.tile.columns()));
            let operands = Operands { weights, ..operands };
            let part = Part { operands, source, grid, runs, group, bands, panels };
            self.rows(&part, points.clone(), target, &mut tiles);
            self.multiply(&part, &tiles);
        }
    }

    /// Tiles that read rows of the source as they stand.
    fn rows(&self, part: &Part<'_>, points: Range<usize>, target: To<'_>, tiles: &mut Tiles) {
        self.cut(points.clone(), tiles);
        tiles.one_run();
        // The elements of these points, and where each row of the group begins.
        let span = |width: usize| points.start * width..points.end * width;
        let starts = |width: usize, group: usize| {
            (0..points.len()).map(move |point| point * width + part.group * group)
        };
        let [[_, _, inputs], [_, _, outputs]] = [self.pass.source, self.pass.target];
        let source = part.source.get(span(inputs)).as_ptr();
        tiles.rows.extend(starts(inputs, self.group[0]).map(|at| source.wrapping_add(at)));
        let to = target.range(span(outputs));
        tiles.out.extend(starts(outputs, self.group[1]).map(|at| to.wrapping_add(at)));
        if let Some(residual) = part.operands.epilogue.wide() {
            let residual = residual[span(outputs)].as_ptr();
            let starts = starts(outputs, self.group[1]);
            tiles.residual.extend(starts.map(|at| residual.wrapping_add(at)));
        }
    }

    /// Tiles that read the source itself.
    fn point(
        &self,
        part: &Part<'_>,
        points: Range<usize>,
        target: To<'_>,
        memory: &mut [f32],
        tiles: &mut Tiles,
    ) {
        let depth = self.depth(part.runs);
        let (zeros, copies) = memory.split_at_mut(depth);
        zeros.fill(0.0);
        self.place(part, points, target, tiles);
        let (size, channel) = (self.pass.source, part.group * self.group[0]);
        let (source, grid) = (part.source, part.grid);
        let mut reader = Reader { source, size, grid, channel, depth, zeros, copies };
        let mut stretches = &tiles.stretches[..];
        for points in &tiles.points {
            let here;
            (here, stretches) = Stretch::split(stretches, points.len());
            let mut live = 0;
            for (index, run) in part.runs.iter().enumerate() {
                let before = tiles.rows.len();
                let mut any = false;
                for stretch in here {
                    any |= reader.read(run, stretch, &mut tiles.rows);
                }
                if any {
                    tiles.offsets.push(index * depth * self.tile.columns());
                    live += 1;
                } else {
                    tiles.rows.truncate(before);
                }
            }
            tiles.runs.push(live);
        }
    }

    /// Values of a run.
    fn depth(&self, runs: &[Run]) -> usize {
        self.group[0] * runs.first().map_or(0, |run| run.columns.len())
    }

    /// Cuts points into tiles, about which nothing else is known yet.
    fn cut(&self, points: Range<usize>, tiles: &mut Tiles) {
        tiles.clear();
        tiles.points.extend(self.tile.cut(points));
    }

    /// Cuts points into tiles and finds their pixels in the source and in a block of the target.
    fn place(&self, part: &Part<'_>, points: Range<usize>, target: To<'_>, tiles: &mut Tiles) {
        self.cut(points.clone(), tiles);
        let ([_, width, channels], grid) = (self.pass.target, part.grid);
        let [source_height, source_width, source_channels] = self.pass.source;
        let [row_spread, column_spread] = self.pass.spread;
        let group = part.group * self.group[1];
        let start = self.pass.band_start(part.bands.start);
        let len = self.pass.band_start(part.bands.end) - start;
        let first = target.range(start..start + len);
        let Tiles { points, stretches, out, residual, .. } = tiles;
        let all = points.iter().flat_map(|points| grid.stretches(points.clone()));
        for ([image, row, column], points) in all {
            let y = image * self.pass.target[0] + row * row_spread + grid.rows.first;
            let x = column * column_spread + grid.columns.first;
            let at = (y * width + x) * channels + group - start;
            let right = column_spread * channels;
            assert!(at + (points - 1) * right + self.group[1] <= len, "points outside their block");
            let places = (0..points).map(|point| at + point * right);
            out.extend(places.clone().map(|at| first.wrapping_add(at)));
            if let Some(values) = part.operands.epilogue.wide() {
                let values = &values[start..start + len];
                residual.extend(places.map(|at| values.as_ptr().wrapping_add(at)));
            }
            let (row, column) = (row * grid.rows.step, column * grid.columns.step);
            let line = (image * source_height + row) * source_width * source_channels;
            stretches.push(Stretch { row, column, line, points });
        }
    }

    /// Sums up all tiles, panel by panel.
    fn multiply(&self, part: &Part<'_>, tiles: &Tiles) {
        let outputs = self.group[1];
        let depth = self.depth(part.runs);
        let kernels = dot_kernels(self.tile);
        let panel_len = part.grid.taps() * self.group[0] * self.tile.columns();
        let (epilogue, bounds) = (part.operands.epilogue, part.operands.epilogue.bounds());
        let panels = part.operands.weights.chunks_exact(panel_len);
        let panels = panels.zip((0..).step_by(self.tile.columns()));
        for (panel, column) in panels.skip(part.panels.start).take(part.panels.len()) {
            let columns = self.tile.columns().min(outputs - column);
            let bias = epilogue.bias.map_or(ptr::null(), |bias| {
                bias[part.group * outputs + column..][..columns].as_ptr()
            });
            let (mut rows, mut offsets, mut out, mut residual) =
                (&tiles.rows[..], &tiles.offsets[..], &tiles.out[..], &tiles.residual[..]);
            for (points, &runs) in tiles.points.iter().zip(&tiles.runs) {
                let job = Dot {
                    taps: runs,
                    depth,
                    rows: rows.as_ptr(),
                    offsets: offsets.as_ptr(),
                    panel: panel.as_ptr(),
                    out: out.as_ptr(),
                    column,
                    columns,
                    bias,
                    residual: if residual.is_empty() { ptr::null() } else { residual.as_ptr() },
                    bounds,
                };
                // SAFETY: `rows` holds a pointer per tap and point to `depth` values of the source, of
                // zeros or of a copy; `out` one per point to all columns of its pixel, which no other
                // block and panel writes, and `residual`, if any, to as many; a tap's weights lie inside
                // the panel. The plan's CPU is this one.
                unsafe { kernels[points.len() - 1](&job) };
                rows = &rows[runs * points.len()..];
                offsets = &offsets[runs..];
                out = &out[points.len()..];
                residual = residual.get(points.len()..).unwrap_or_default();
            }
        }
    }

    /// The grid points of a phase within some bands, in reading order. A phase may lack the last row.
    fn points(&self, grid: &Grid, bands: &Range<usize>) -> Range<usize> {
        let per_image = self.pass.bands_per_image();
        let line = |band: usize| {
            band / per_image * grid.rows.size + (band % per_image).min(grid.rows.size)
        };
        line(bands.start) * grid.columns.size..line(bands.end) * grid.columns.size
    }

    /// Values of working memory for one thread: for a run of zeros and copies of others, for what must be computed of
    /// the source, and for what is streamed to the target.
    fn memory(&self, source: &Source<'_>, target: &Output<'_>) -> [usize; 3] {
        let own = self.runs.iter().map(|runs| {
            let copied = runs.first().is_some_and(|run| run.columns.len() > 1);
            self.depth(runs) * if copied { 1 + POINTS * runs.len() } else { 1 }
        });
        let own = if self.is_plain() { 0 } else { own.max().unwrap_or(0) };
        self.items().fold([own, 0, 0], |[own, loaded, block], (bands, _)| {
            let len = self.pass.band_start(bands.end) - self.pass.band_start(bands.start);
            let read = source.memory(self.pass.source_of(&bands).len());
            [own, loaded.max(read), block.max(target.memory(len))]
        })
    }

    /// Values of the packed weights.
    pub fn packed_len(&self) -> usize {
        let all: usize = self.pass.grids.iter().map(|grid| self.phase_len(grid)).sum();
        all * self.groups
    }

    /// Those of a phase and group.
    fn phase_len(&self, grid: &Grid) -> usize {
        grid.taps() * self.group[0] * self.group[1].next_multiple_of(self.tile.columns())
    }

    /// Weights `[O, kH, kW, I]` in the order [`run`](Self::run) reads them: per phase and group panels
    /// [taps, source channels, columns of the tile], filled up with zeros.
    pub fn pack(&self, form: Form, shape: &ConvShape, w: &[f32], packed: &mut [f32]) {
        let [inputs, outputs] = self.group;
        let (kernel_taps, columns) = (shape.kernel[0] * shape.kernel[1], self.tile.columns());
        let mut rows = packed.chunks_exact_mut(columns);
        for grid in &self.pass.grids {
            for g in 0..self.groups {
                for start in (0..outputs).step_by(columns) {
                    let panel = start..(start + columns).min(outputs);
                    for tap in grid.kernel_taps(shape.kernel[1]) {
                        for (i, row) in (0..inputs).zip(&mut rows) {
                            let (row, none) = row.split_at_mut(panel.len());
                            none.fill(0.0);
                            match form {
                                Form::Forward => {
                                    row.iter_mut().zip(panel.clone()).for_each(|(value, o)| {
                                        let o = g * outputs + o;
                                        *value = w[(o * kernel_taps + tap) * inputs + i];
                                    })
                                }
                                Form::BackwardInput => row.copy_from_slice(
                                    &w[((g * inputs + i) * kernel_taps + tap) * outputs..]
                                        [panel.clone()],
                                ),
                            }
                        }
                    }
                }
            }
        }
    }
}
