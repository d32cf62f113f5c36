//! Max pooling. Forward remembers, per output, which position of its window won.

use super::PoolShape;
use super::axis::Axis;
use crate::bf16::{Element, Floats, FloatsMut, either};
use crate::isa::multiversion;
use crate::lanes::{load, store, widths};
use crate::norm::{Norm, NormSums};
use crate::output::{Output, Summing};
use crate::register::even_pieces;
use crate::source::Source;
use crate::workers::SharedMut;
use rayon::prelude::*;
use std::ops::Range;

/// One image and its windows.
#[derive(Clone, Copy)]
struct Image {
    rows: Axis,
    columns: Axis,
    channels: usize,
}

/// Output rows that are pooled together: the input rows that they share are computed once.
const ROWS: usize = 4;
/// Input rows whose gradient is computed together.
const INPUT_ROWS: usize = 8;

/// y = the maximum of each window; NaN wins.
///
/// `taps`, shaped like y, receives the position of the winner in its window, `ky * kernel width + kx`:
/// the first one among equals.
///
/// # Panics
/// When the shape is invalid or a slice has another length than it says.
pub fn max_forward<'a, 'b>(
    shape: &PoolShape,
    x: impl Into<Source<'a>>,
    y: impl Into<FloatsMut<'b>>,
    taps: Option<&mut [u16]>,
) {
    either!(FloatsMut, y.into(), y => forward(shape, x.into(), y, taps));
}

fn forward<T: Element>(shape: &PoolShape, x: Source<'_>, y: &mut [T], taps: Option<&mut [u16]>) {
    let [rows, columns] = shape.axes();
    x.check(shape.x_len(), shape.channels, "x of a max pool");
    assert_eq!(y.len(), shape.y_len(), "max pool: length of y");
    if y.is_empty() {
        return;
    }
    let image = Image { rows, columns, channels: shape.channels };
    let (row_len, line) = (columns.output * shape.channels, shape.width * shape.channels);
    let all = y.len() / row_len;
    // What some rows of an image read.
    let read = |group: &Range<usize>| {
        let (first, last) = (group.start % rows.output, (group.end - 1) % rows.output);
        let image = group.start / rows.output * shape.height;
        (image + rows.inputs(first).start) * line..(image + rows.inputs(last).end) * line
    };
    let groups = (0..all / rows.output)
        .flat_map(|image| even_pieces(0..rows.output, ROWS).map(move |rows| (image, rows)))
        .map(|(image, group)| image * rows.output + group.start..image * rows.output + group.end);
    let groups: Vec<_> = groups.collect();
    let memory = groups.iter().map(|group| x.memory(read(group).len())).max().unwrap_or(0);
    let taps = taps.map(|taps| {
        assert_eq!(taps.len(), y.len(), "max pool: length of taps");
        SharedMut::new(taps)
    });
    let y = SharedMut::new(y);
    groups.into_par_iter().for_each_init(
        || vec![0.0; memory],
        |memory, group| {
            let x = x.view(read(&group), memory);
            let image_start = group.start / rows.output * shape.height * line;
            for row in group {
                let at = row * row_len;
                // SAFETY: every row is in one group, so nobody else writes it.
                let (y, taps) = unsafe {
                    let taps = taps.map_or(&mut [][..], |taps| {
                        std::slice::from_raw_parts_mut(taps.range(at, row_len), row_len)
                    });
                    (std::slice::from_raw_parts_mut(y.range(at, row_len), row_len), taps)
                };
                let inputs = rows.inputs(row % rows.output);
                let (first, last) =
                    (image_start + inputs.start * line, image_start + inputs.end * line);
                T::fill(y, |y| max_row(image, x.get(first..last), row % rows.output, y, taps));
            }
        },
    );
}

/// dx: each output's gradient goes to the input that won; overlapping windows add up. Where the input is a norm of
/// something, also gives the sums that the norm's gradients are made of, taken while dx is in the cache.
///
/// # Panics
/// As [`max_forward`], and if the norm or its input is not of the shape of x.
pub fn max_backward<'a, 'b>(
    shape: &PoolShape,
    dy: impl Into<Floats<'a>>,
    taps: &[u16],
    norm: Option<(&Norm, Floats<'_>)>,
    dx: impl Into<FloatsMut<'b>>,
) -> Option<NormSums> {
    either!(Floats, dy.into(), dy => backward(shape, dy, taps, norm, dx.into()))
}

fn backward<T: Element>(
    shape: &PoolShape,
    dy: &[T],
    taps: &[u16],
    norm: Option<(&Norm, Floats<'_>)>,
    dx: FloatsMut<'_>,
) -> Option<NormSums> {
    let ([rows, columns], channels) = (shape.axes(), shape.channels);
    assert_eq!(dy.len(), shape.y_len(), "max pool: length of dy");
    assert_eq!(taps.len(), shape.y_len(), "max pool: length of taps");
    assert_eq!(dx.len(), shape.x_len(), "max pool: length of dx");
    let summing = Summing::of(norm, shape.x_len(), channels);
    let image = Image { rows, columns, channels };
    let (y_len, line) = (rows.output * columns.output * channels, shape.width * channels);
    let blocks: Vec<_> = (0..shape.batch)
        .flat_map(|image| even_pieces(0..shape.height, INPUT_ROWS).map(move |rows| (image, rows)))
        .filter(|_| !dx.is_empty())
        .collect();
    let mut parts = vec![0.0; blocks.len() * summing.part_len(channels)];
    let output = Output::new(dx, channels, summing, &mut parts);
    let memory = output.memory(INPUT_ROWS.min(shape.height) * line);
    blocks.into_par_iter().enumerate().for_each_init(
        || vec![0.0; memory],
        |memory, (index, (n, block))| {
            // The output rows that these rows are read by.
            let (first, last) = (rows.outputs(block.start).start, rows.outputs(block.end - 1).end);
            let row_len = columns.output * channels;
            let read = n * y_len + first * row_len..n * y_len + last.max(first) * row_len;
            let start = n * shape.height;
            let pixels = (start + block.start) * line..(start + block.end) * line;
            output.block(index, pixels, memory, |dx| {
                T::wide(&dy[read.clone()], |dy| {
                    for (row, dx) in block.zip(dx.chunks_exact_mut(line)) {
                        pull_row(image, (dy, &taps[read.clone()], first), row, dx);
                    }
                });
            });
        },
    );
    norm.map(|_| NormSums::of_parts(&parts, channels))
}

multiversion! {
    /// Output row `oy` of the input rows that it reads; `taps` empty where nobody wants them.
    fn max_row(image: Image, x: &[f32], oy: usize, y: &mut [f32], taps: &mut [u16]) {
        let channels = image.channels;
        for (ox, y) in y.chunks_exact_mut(channels).enumerate() {
            let window = Window { image, oy, ox };
            let taps = if taps.is_empty() { &mut [] } else { &mut taps[ox * channels..][..channels] };
            macro_rules! columns {
                ($n:literal, $from:expr, $to:expr) => {
                    for at in ($from..$to).step_by($n) {
                        let (best, tap) = window.max::<$n>(x, at);
                        store(y, at, best);
                        if !taps.is_empty() {
                            store(taps, at, tap);
                        }
                    }
                };
            }
            widths!(channels, columns);
        }
    }
}

struct Window {
    image: Image,
    oy: usize,
    ox: usize,
}

impl Window {
    /// Maximum and winner of channels `at..at + N`.
    #[inline(always)]
    fn max<const N: usize>(&self, x: &[f32], at: usize) -> ([f32; N], [u16; N]) {
        let Image { rows, columns, channels } = self.image;
        let (ys, xs) = (rows.inputs(self.oy), columns.inputs(self.ox));
        let name =
            |iy, ix| (rows.tap(self.oy, iy) * columns.kernel + columns.tap(self.ox, ix)) as u16;
        let mut best = [f32::NEG_INFINITY; N];
        let mut winner = [name(ys.start, xs.start); N];
        for (row, iy) in ys.enumerate() {
            for ix in xs.clone() {
                let tap = name(iy, ix);
                let v = load::<N, f32>(x, (row * columns.size + ix) * channels + at);
                for l in 0..N {
                    let wins = (v[l] > best[l]) | v[l].is_nan();
                    best[l] = if wins { v[l] } else { best[l] };
                    winner[l] = if wins { tap } else { winner[l] };
                }
            }
        }
        (best, winner)
    }
}

multiversion! {
    /// Input row `iy` of dx, of the output rows from `first` on.
    fn pull_row(image: Image, outputs: (&[f32], &[u16], usize), iy: usize, dx: &mut [f32]) {
        let (dy, taps, first) = outputs;
        let Image { rows, columns, channels } = image;
        let oys = rows.outputs(iy);
        for (ix, dx) in dx.chunks_exact_mut(channels).enumerate() {
            let oxs = columns.outputs(ix);
            macro_rules! columns {
                ($n:literal, $from:expr, $to:expr) => {
                    for at in ($from..$to).step_by($n) {
                        let mut sum = [0f32; $n];
                        for oy in oys.clone() {
                            for ox in oxs.clone() {
                                let here = ((oy - first) * columns.output + ox) * channels + at;
                                let tap = (rows.tap(oy, iy) * columns.kernel + columns.tap(ox, ix)) as u16;
                                let (g, won) = (load::<$n, f32>(dy, here), load::<$n, u16>(taps, here));
                                for l in 0..$n {
                                    sum[l] += if won[l] == tap { g[l] } else { 0.0 };
                                }
                            }
                        }
                        store(dx, at, sum);
                    }
                };
            }
            widths!(channels, columns);
        }
    }
}
