//! Max pooling. Forward remembers, per output, which position of its window won.

use super::PoolShape;
use super::axis::Axis;
use crate::bf16::{Element, Floats, FloatsMut, either};
use crate::isa::multiversion;
use crate::lanes::{load, narrow, store, widen, widths};
use rayon::prelude::*;

/// One image and its windows.
#[derive(Clone, Copy)]
struct Image {
    rows: Axis,
    columns: Axis,
    channels: usize,
}

/// y = the maximum of each window; NaN wins.
///
/// `taps`, shaped like y, receives the position of the winner in its window, `ky * kernel width + kx`:
/// the first one among equals.
///
/// # Panics
/// When the shape is invalid, a slice has another length than it says, or x and y are of two widths.
pub fn max_forward<'a, 'b>(
    shape: &PoolShape,
    x: impl Into<Floats<'a>>,
    y: impl Into<FloatsMut<'b>>,
    taps: Option<&mut [u32]>,
) {
    either!(Floats, x.into(), x => forward(shape, x, Element::written(y.into()), taps));
}

fn forward<T: Element>(shape: &PoolShape, x: &[T], y: &mut [T], taps: Option<&mut [u32]>) {
    let [rows, columns] = shape.axes();
    assert_eq!(x.len(), shape.x_len(), "max pool: length of x");
    assert_eq!(y.len(), shape.y_len(), "max pool: length of y");
    if y.is_empty() {
        return;
    }
    let image = Image { rows, columns, channels: shape.channels };
    let row_len = columns.output * shape.channels;
    let image_len = shape.height * shape.width * shape.channels;
    let x_of = |row: usize| &x[row / rows.output * image_len..][..image_len];
    match taps {
        Some(taps) => {
            assert_eq!(taps.len(), y.len(), "max pool: length of taps");
            let both = y.par_chunks_mut(row_len).zip(taps.par_chunks_mut(row_len));
            both.enumerate()
                .for_each(|(i, (y, taps))| max_row(image, x_of(i), i % rows.output, y, taps));
        }
        None => y
            .par_chunks_mut(row_len)
            .enumerate()
            .for_each(|(i, y)| max_row(image, x_of(i), i % rows.output, y, &mut [])),
    }
}

/// dx: each output's gradient goes to the input that won; overlapping windows add up.
///
/// # Panics
/// As [`max_forward`].
pub fn max_backward<'a, 'b>(
    shape: &PoolShape,
    dy: impl Into<Floats<'a>>,
    taps: &[u32],
    dx: impl Into<FloatsMut<'b>>,
) {
    either!(Floats, dy.into(), dy => backward(shape, dy, taps, Element::written(dx.into())));
}

fn backward<T: Element>(shape: &PoolShape, dy: &[T], taps: &[u32], dx: &mut [T]) {
    let [rows, columns] = shape.axes();
    assert_eq!(dy.len(), shape.y_len(), "max pool: length of dy");
    assert_eq!(taps.len(), shape.y_len(), "max pool: length of taps");
    assert_eq!(dx.len(), shape.x_len(), "max pool: length of dx");
    if dx.is_empty() {
        return;
    }
    let image = Image { rows, columns, channels: shape.channels };
    let y_len = rows.output * columns.output * shape.channels;
    dx.par_chunks_mut(shape.width * shape.channels).enumerate().for_each(|(i, dx)| {
        let at = i / shape.height * y_len;
        pull_row(image, &dy[at..][..y_len], &taps[at..][..y_len], i % shape.height, dx);
    });
}

multiversion! {
    /// Output row `oy`; `taps` empty where nobody wants them.
    fn max_row[T: Element](image: Image, x: &[T], oy: usize, y: &mut [T], taps: &mut [u32]) {
        let channels = image.channels;
        for (ox, y) in y.chunks_exact_mut(channels).enumerate() {
            let window = Window { image, oy, ox };
            let taps = if taps.is_empty() { &mut [] } else { &mut taps[ox * channels..][..channels] };
            macro_rules! columns {
                ($n:literal, $from:expr, $to:expr) => {
                    for at in ($from..$to).step_by($n) {
                        let (best, tap) = window.max::<$n, T>(x, at);
                        narrow(y, at, best);
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
    fn max<const N: usize, T: Element>(&self, x: &[T], at: usize) -> ([f32; N], [u32; N]) {
        let Image { rows, columns, channels } = self.image;
        let (ys, xs) = (rows.inputs(self.oy), columns.inputs(self.ox));
        let name =
            |iy, ix| (rows.tap(self.oy, iy) * columns.kernel + columns.tap(self.ox, ix)) as u32;
        let mut best = [f32::NEG_INFINITY; N];
        let mut winner = [name(ys.start, xs.start); N];
        for iy in ys {
            for ix in xs.clone() {
                let tap = name(iy, ix);
                let v = widen::<N, T>(x, (iy * columns.size + ix) * channels + at);
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
    /// Input row `iy` of dx.
    fn pull_row[T: Element](image: Image, dy: &[T], taps: &[u32], iy: usize, dx: &mut [T]) {
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
                                let here = (oy * columns.output + ox) * channels + at;
                                let tap = (rows.tap(oy, iy) * columns.kernel + columns.tap(ox, ix)) as u32;
                                let (g, won) = (widen::<$n, T>(dy, here), load::<$n, u32>(taps, here));
                                for l in 0..$n {
                                    sum[l] += if won[l] == tap { g[l] } else { 0.0 };
                                }
                            }
                        }
                        narrow(dx, at, sum);
                    }
                };
            }
            widths!(channels, columns);
        }
    }
}
