//! The mean over all pixels of an image.

use crate::bf16::{Element, Floats, FloatsMut, either};
use crate::isa::multiversion;
use rayon::prelude::*;

/// Pixels whose sum runs in f32, before it goes to f64.
const GROUP: usize = 32;

/// y `[N, C]` = the mean of x `[N, pixels, C]` over its pixels.
///
/// # Panics
/// When a slice has another length, or there are outputs but no pixels.
pub fn global_average_forward<'a>(
    batch: usize,
    pixels: usize,
    channels: usize,
    x: impl Into<Floats<'a>>,
    y: &mut [f32],
) {
    let x = x.into();
    assert_eq!(x.len(), batch * pixels * channels, "global average pool: length of x");
    assert_eq!(y.len(), batch * channels, "global average pool: length of y");
    if y.is_empty() {
        return;
    }
    assert!(pixels > 0, "global average pool: an image without pixels has no mean");
    either!(Floats, x, x => {
        let images = y.par_chunks_mut(channels).zip(x.par_chunks(pixels * channels));
        images.for_each(|(y, x)| mean(x, y));
    });
}

/// dx `[N, pixels, C]` = dy `[N, C]` / pixels at every pixel.
///
/// # Panics
/// As [`global_average_forward`].
pub fn global_average_backward<'a>(
    batch: usize,
    pixels: usize,
    channels: usize,
    dy: &[f32],
    dx: impl Into<FloatsMut<'a>>,
) {
    let dx = dx.into();
    assert_eq!(dy.len(), batch * channels, "global average pool: length of dy");
    assert_eq!(dx.len(), batch * pixels * channels, "global average pool: length of dx");
    if dx.is_empty() {
        return;
    }
    either!(FloatsMut, dx, dx => spread(pixels, channels, dy, dx));
}

fn spread<T: Element>(pixels: usize, channels: usize, dy: &[f32], dx: &mut [T]) {
    let weight = 1.0 / pixels as f32;
    dx.par_chunks_mut(pixels * channels).zip(dy.par_chunks(channels)).for_each(|(dx, dy)| {
        let (first, others) = dx.split_at_mut(channels);
        for (dx, dy) in first.iter_mut().zip(dy) {
            *dx = T::new(dy * weight);
        }
        others.chunks_exact_mut(channels).for_each(|pixel| pixel.copy_from_slice(first));
    });
}

fn mean<T: Element>(x: &[T], y: &mut [f32]) {
    let channels = y.len();
    let pixels = x.len() / channels;
    let mut sum = vec![0f64; channels];
    for group in x.chunks(GROUP * channels) {
        y.fill(0.0);
        T::wide(group, |group| add_rows(group, y));
        for (sum, &part) in sum.iter_mut().zip(&*y) {
            *sum += f64::from(part);
        }
    }
    for (y, sum) in y.iter_mut().zip(sum) {
        *y = (sum / pixels as f64) as f32;
    }
}

multiversion! {
    fn add_rows(x: &[f32], sum: &mut [f32]) {
        for row in x.chunks_exact(sum.len()) {
            for (sum, v) in sum.iter_mut().zip(row) {
                *sum += v;
            }
        }
    }
}
