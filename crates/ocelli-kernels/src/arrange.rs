//! Rearranging channels, numbers per channel, and sums.

use crate::bf16::{Element, Floats, FloatsMut, either};
use crate::isa::multiversion;
use rayon::prelude::*;
use std::ops::Range;

/// Values that one task handles.
const BLOCK: usize = 1 << 14;

/// y = the values of each part after another, pixel by pixel; `channels` says how many a part has per pixel.
///
/// # Panics
/// When there are not as many parts as channel numbers, a length does not fit, or widths differ.
pub fn concat<'a, 'b>(
    parts: &[impl Into<Floats<'a>> + Copy],
    channels: &[usize],
    y: impl Into<FloatsMut<'b>>,
) {
    let parts: Vec<Floats<'_>> = parts.iter().map(|&part| part.into()).collect();
    either!(FloatsMut, y.into(), y => {
        let parts: Vec<_> = parts.iter().map(|&part| Element::read(part)).collect();
        concat_of(&parts, channels, y);
    });
}

fn concat_of<T: Element>(parts: &[&[T]], channels: &[usize], y: &mut [T]) {
    assert_eq!(parts.len(), channels.len(), "concat: channels of each part");
    let total: usize = channels.iter().sum();
    let pixels = y.len() / total.max(1);
    let fits = |(part, channels): (&&[T], &usize)| part.len() == pixels * channels;
    assert!(y.len() == pixels * total && parts.iter().zip(channels).all(fits), "concat: lengths");
    let block = (BLOCK / total.max(1)).max(1);
    y.par_chunks_mut((block * total).max(1)).enumerate().for_each(|(i, y)| {
        let mut start = 0;
        for (part, &width) in parts.iter().zip(channels) {
            let part = part[i * block * width..].chunks_exact(width.max(1));
            for (y, x) in y.chunks_exact_mut(total).zip(part) {
                y[start..start + width].copy_from_slice(&x[..width]);
            }
            start += width;
        }
    });
}

/// The channels that `concat` took from one part: x `[.., from.len()]` of y `[.., total]`.
///
/// # Panics
/// When a length does not fit.
pub fn split<'a, 'b>(
    y: impl Into<Floats<'a>>,
    total: usize,
    from: Range<usize>,
    x: impl Into<FloatsMut<'b>>,
) {
    either!(Floats, y.into(), y => split_of(y, total, from, Element::written(x.into())));
}

fn split_of<T: Element>(y: &[T], total: usize, from: Range<usize>, x: &mut [T]) {
    let width = from.len();
    assert_eq!(y.len() / total.max(1) * width, x.len(), "split: length of x");
    let pixels = x.par_chunks_mut(width.max(1)).zip(y.par_chunks(total.max(1)));
    let pixels = pixels.with_min_len((BLOCK / total.max(1)).max(1));
    pixels.for_each(|(x, y)| x.copy_from_slice(&y[from.clone()]));
}

/// y = x with channels of zeros before and after its own: `[before, within, after]` of them.
///
/// # Panics
/// When a length does not fit, or widths differ.
pub fn pad_channels<'a, 'b>(
    x: impl Into<Floats<'a>>,
    channels: [usize; 3],
    y: impl Into<FloatsMut<'b>>,
) {
    either!(Floats, x.into(), x => pad_channels_of(x, channels, Element::written(y.into())));
}

fn pad_channels_of<T: Element>(x: &[T], [before, within, after]: [usize; 3], y: &mut [T]) {
    let total = before + within + after;
    assert_eq!(x.len() / within.max(1) * total, y.len(), "pad_channels: length of y");
    let pixels = y.par_chunks_mut(total.max(1)).zip(x.par_chunks(within.max(1)));
    pixels.with_min_len((BLOCK / total.max(1)).max(1)).for_each(|(y, x)| {
        y[..before].fill(T::new(0.0));
        y[before..before + within].copy_from_slice(x);
        y[before + within..].fill(T::new(0.0));
    });
}

/// sum += x.
///
/// # Panics
/// When the lengths or the widths differ.
pub fn add<'a, 'b>(sum: impl Into<FloatsMut<'a>>, x: impl Into<Floats<'b>>) {
    either!(Floats, x.into(), x => add_all(Element::written(sum.into()), x));
}

fn add_all<T: Element>(sum: &mut [T], x: &[T]) {
    assert_eq!(sum.len(), x.len(), "add: lengths");
    sum.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(sum, x)| add_block(sum, x));
}

multiversion! {
    /// [`add`] on this thread.
    pub(crate) fn add_block[T: Element](sum: &mut [T], x: &[T]) {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum = T::new(sum.value() + x.value());
        }
    }
}

/// y `[N, pixels, C]` = x times gate `[N, C]`, the same for all pixels of an image.
///
/// # Panics
/// When a length does not fit.
pub fn gate(x: &[f32], gate: &[f32], channels: usize, y: &mut [f32]) {
    let images = gate.len() / channels.max(1);
    assert!(x.len() == y.len() && gate.len() == images * channels, "gate: lengths");
    if y.is_empty() {
        return;
    }
    let image = x.len() / images;
    assert_eq!(image * images, x.len(), "gate: length of x");
    let rows = (BLOCK / channels).max(1) * channels;
    y.par_chunks_mut(image).zip(x.par_chunks(image)).zip(gate.par_chunks(channels)).for_each(
        |((y, x), gate)| {
            y.par_chunks_mut(rows).zip(x.par_chunks(rows)).for_each(|(y, x)| {
                for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    y.iter_mut().zip(x).zip(gate).for_each(|((y, x), factor)| *y = x * factor);
                }
            });
        },
    );
}

/// Per image and channel, the sum of a b over all pixels `[N, pixels, C]`: the gradient of a [`gate`].
///
/// # Panics
/// When a length does not fit.
pub fn sum_products(a: &[f32], b: &[f32], channels: usize, sums: &mut [f32]) {
    let images = sums.len() / channels.max(1);
    assert!(a.len() == b.len() && sums.len() == images * channels, "sum_products: lengths");
    sums.fill(0.0);
    if a.is_empty() {
        return;
    }
    let image = a.len() / images;
    assert_eq!(image * images, a.len(), "sum_products: length of a");
    let images = sums.par_chunks_mut(channels).zip(a.par_chunks(image)).zip(b.par_chunks(image));
    images.for_each(|((sums, a), b)| {
        for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
            a.iter().zip(b).zip(&mut *sums).for_each(|((a, b), sum)| *sum += a * b);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_side_by_side_and_come_apart_again() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0]);
        let mut y = [0.0; 6];
        concat(&[Floats::from(&a), Floats::from(&b)], &[2, 1], &mut y);
        assert_eq!(y, [1.0, 2.0, 10.0, 3.0, 4.0, 20.0]);
        let mut back = [0.0; 4];
        split(&y, 3, 0..2, &mut back);
        assert_eq!(back, a);
    }

    #[test]
    fn sums_of_more_than_one_block() {
        let mut sum = vec![1.0; BLOCK + 3];
        add(&mut sum, &vec![2.0; BLOCK + 3]);
        assert!(sum.iter().all(|&value| value == 3.0));
    }

    #[test]
    fn channels_of_zeros_go_around() {
        let mut y = [f32::NAN; 8];
        pad_channels(&[1.0, 2.0], [1, 1, 2], &mut y);
        assert_eq!(y, [0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn every_image_has_its_own_factors() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let mut y = [0.0; 8];
        gate(&x, &[1.0, 10.0, 2.0, 0.5], 2, &mut y);
        assert_eq!(y, [1.0, 20.0, 3.0, 40.0, 10.0, 3.0, 14.0, 4.0]);
        let mut sums = [0.0; 4];
        sum_products(&x, &y, 2, &mut sums);
        assert_eq!(sums, [10.0, 200.0, 148.0, 50.0]);
    }
}
