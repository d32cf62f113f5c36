//! Which source pixels a result pixel is the weighted mean of.

use std::ops::Range;

use super::Axis;
use crate::Interpolation;

/// Fraction bits of a weight: what 8 bits of a pixel and 2 of overshoot leave of 32.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// The source pixels and their weights, for each pixel of the result: `taps` neighbours each, zero weights
/// among them, because loops of one length run faster than loops of six or seven.
pub(super) struct Weights {
    /// The first source pixel of each result pixel.
    starts: Vec<usize>,
    /// `[starts, taps]`.
    weights: Vec<i32>,
    taps: usize,
}

impl Weights {
    /// The filter is stretched when shrinking, so that every source pixel counts: that is what
    /// antialiasing means here.
    pub(super) fn new(axis: &Axis, filter: Interpolation) -> Self {
        let (function, radius) = kernel(filter);
        let scale = axis.length / axis.target as f64;
        let stretch = scale.max(1.0);
        let radius = radius * stretch;
        let center = |target: usize| axis.start + (target as f64 + 0.5) * scale;
        let span = |target: usize| {
            // The conversions truncate, and negative numbers become zero.
            let first = ((center(target) - radius + 0.5) as usize).min(axis.source - 1);
            first..((center(target) + radius + 0.5) as usize).clamp(first + 1, axis.source)
        };
        let taps = axis.kept.clone().map(|target| span(target).len()).max().unwrap_or(1);
        let mut starts = Vec::with_capacity(axis.kept.len());
        let mut weights = vec![0; axis.kept.len() * taps];
        let mut exact = Vec::with_capacity(taps);
        for (target, weights) in axis.kept.clone().zip(weights.chunks_exact_mut(taps)) {
            let span = span(target);
            exact.clear();
            exact.extend(
                span.clone().map(|x| function((x as f64 - center(target) + 0.5) / stretch)),
            );
            let start = span.start.min(axis.source - taps);
            quantize(&exact, &mut weights[span.start - start..]);
            starts.push(start);
        }
        Self { starts, weights, taps }
    }

    /// Each result pixel's first source pixel, and the weights from there on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }

    /// All source pixels that have a weight anywhere.
    pub(super) fn needed(&self) -> Range<usize> {
        let first = self.starts.first().map_or(0, |&start| start);
        first..self.starts.last().map_or(0, |&start| start + self.taps)
    }

    /// Number of result pixels.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }
}

/// Scales weights to a sum of one and rounds them to [`PRECISION`] bits.
fn quantize(exact: &[f64], weights: &mut [i32]) {
    let sum: f64 = exact.iter().sum();
    let sum = if sum == 0.0 { 1.0 } else { sum };
    for (weight, exact) in weights.iter_mut().zip(exact) {
        *weight = (exact / sum * f64::from(1 << PRECISION)).round() as i32;
    }
}

/// The filter and its radius.
fn kernel(filter: Interpolation) -> (fn(f64) -> f64, f64) {
    match filter {
        Interpolation::Bilinear => (triangle, 1.0),
        Interpolation::Bicubic => (cubic, 2.0),
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_weighs_an_eighth_and_three_eighths() {
        let weights = Weights::new(&Axis::whole(6, 3), Interpolation::Bilinear);
        let eighth = 1 << (PRECISION - 3);
        let expected = [eighth, 3 * eighth, 3 * eighth, eighth];
        assert_eq!(weights.iter().nth(1).unwrap(), (1, expected.as_slice()));
        assert_eq!(weights.needed(), 0..6);
    }

    #[test]
    fn the_cubic_passes_through_its_points() {
        assert_eq!([0.0, 0.5, 1.0, 1.5, 2.0].map(cubic), [1.0, 0.5625, 0.0, -0.0625, 0.0]);
    }
}
