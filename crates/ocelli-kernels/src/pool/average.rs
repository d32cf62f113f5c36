//! Average pooling over windows.

use super::PoolShape;
use super::axis::Axis;
use crate::isa::multiversion;
use crate::lanes::{load, store, widths};
use rayon::prelude::*;

/// What the sum of a window is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Divisor {
    /// The positions inside the input or its padding (PyTorch's `count_include_pad=True`).
    Padded,
    /// The positions inside the input (`count_include_pad=False`).
    Valid,
}

impl Divisor {
    /// Positions that count along one axis.
    #[inline(always)]
    fn count(self, axis: Axis, o: usize) -> usize {
        match self {
            Self::Padded => axis.padded_inputs(o),
            Self::Valid => axis.inputs(o).len(),
        }
    }
}

#[derive(Clone, Copy)]
struct Image {
    rows: Axis,
    columns: Axis,
    channels: usize,
    divisor: Divisor,
}

impl Image {
    #[inline(always)]
    fn weight(self, oy: usize, ox: usize) -> f32 {
        1.0 / (self.divisor.count(self.rows, oy) * self.divisor.count(self.columns, ox)) as f32
    }
}

/// y = the mean of each window.
///
/// # Panics
/// When the shape is invalid or a slice has another length than it says.
pub fn average_forward(shape: &PoolShape, divisor: Divisor, x: &[f32], y: &mut [f32]) {
    let [rows, columns] = shape.axes();
    assert_eq!(x.len(), shape.x_len(), "average pool: length of x");
    assert_eq!(y.len(), shape.y_len(), "average pool: length of y");
    if y.is_empty() {
        return;
    }
    let image = Image { rows, columns, channels: shape.channels, divisor };
    let image_len = shape.height * shape.width * shape.channels;
    y.par_chunks_mut(columns.output * shape.channels).enumerate().for_each(|(i, y)| {
        mean_row(image, &x[i / rows.output * image_len..][..image_len], i % rows.output, y);
    });
}

/// dx: each input gets its share of the windows that contain it.
///
/// # Panics
/// As [`average_forward`].
pub fn average_backward(shape: &PoolShape, divisor: Divisor, dy: &[f32], dx: &mut [f32]) {
    let [rows, columns] = shape.axes();
    assert_eq!(dy.len(), shape.y_len(), "average pool: length of dy");
    assert_eq!(dx.len(), shape.x_len(), "average pool: length of dx");
    if dx.is_empty() {
        return;
    }
    let image = Image { rows, columns, channels: shape.channels, divisor };
    let y_len = rows.output * columns.output * shape.channels;
    // Divided once per window, not once per pixel and channel.
    let outputs = (0..rows.output).flat_map(|oy| (0..columns.output).map(move |ox| (oy, ox)));
    let weights: Vec<f32> = outputs.map(|(oy, ox)| image.weight(oy, ox)).collect();
    dx.par_chunks_mut(shape.width * shape.channels).enumerate().for_each(|(i, dx)| {
        share_row(image, &weights, &dy[i / shape.height * y_len..][..y_len], i % shape.height, dx);
    });
}

multiversion! {
    /// Output row `oy`.
    fn mean_row(image: Image, x: &[f32], oy: usize, y: &mut [f32]) {
        let Image { rows, columns, channels, .. } = image;
        for (ox, y) in y.chunks_exact_mut(channels).enumerate() {
            let weight = image.weight(oy, ox);
            macro_rules! columns {
                ($n:literal, $from:expr, $to:expr) => {
                    for at in ($from..$to).step_by($n) {
                        let mut sum = [0f32; $n];
                        for iy in rows.inputs(oy) {
                            for ix in columns.inputs(ox) {
                                let v = load::<$n, f32>(x, (iy * columns.size + ix) * channels + at);
                                for l in 0..$n {
                                    sum[l] += v[l];
                                }
                            }
                        }
                        store(y, at, sum.map(|s| s * weight));
                    }
                };
            }
            widths!(channels, columns);
        }
    }
}

multiversion! {
    /// Input row `iy` of dx.
    fn share_row(image: Image, weights: &[f32], dy: &[f32], iy: usize, dx: &mut [f32]) {
        let Image { rows, columns, channels, .. } = image;
        let oys = rows.outputs(iy);
        for (ix, dx) in dx.chunks_exact_mut(channels).enumerate() {
            let oxs = columns.outputs(ix);
            macro_rules! columns {
                ($n:literal, $from:expr, $to:expr) => {
                    for at in ($from..$to).step_by($n) {
                        let mut sum = [0f32; $n];
                        for oy in oys.clone() {
                            for ox in oxs.clone() {
                                let at_output = oy * columns.output + ox;
                                let weight = weights[at_output];
                                let g = load::<$n, f32>(dy, at_output * channels + at);
                                for l in 0..$n {
                                    sum[l] += g[l] * weight;
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
