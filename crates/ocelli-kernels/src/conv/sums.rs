//! The bias gradient.

use crate::bf16::{Element, Floats, either};
use rayon::prelude::*;

/// Rows that one partial sum covers.
const ROWS: usize = 1024;
/// Partial sums that exist at a time, which bounds their memory.
const PARTS: usize = 64;

/// Sums x `[..., channels]` over all axes but the last: the gradient of a bias.
///
/// Accumulates in f64, in an order that the shape alone decides.
///
/// # Panics
/// If `x` is not a whole number of rows, or `out` has not `channels` elements.
pub fn sum_rows<'a>(x: impl Into<Floats<'a>>, channels: usize, out: &mut [f32]) {
    either!(Floats, x.into(), x => sum_all(x, channels, out));
}

fn sum_all<T: Element>(x: &[T], channels: usize, out: &mut [f32]) {
    assert_eq!(out.len(), channels, "sum_rows: length of out");
    if channels == 0 {
        return assert!(x.is_empty(), "sum_rows: elements without channels");
    }
    assert!(
        x.len().is_multiple_of(channels),
        "sum_rows: {} elements are no rows of {channels}",
        x.len()
    );
    let mut total = vec![0.0_f64; channels];
    let rows = (x.len() / channels).div_ceil(PARTS).max(ROWS);
    let parts: Vec<Vec<f64>> =
        x.par_chunks(rows * channels).map(|rows| sum_part(rows, channels)).collect();
    for part in &parts {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    out.iter_mut().zip(&total).for_each(|(out, &t)| *out = t as f32);
}

fn sum_part<T: Element>(x: &[T], channels: usize) -> Vec<f64> {
    let mut sum = vec![0.0_f64; channels];
    for row in x.chunks_exact(channels) {
        sum.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v.value()));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_threads;

    #[test]
    fn sums_by_hand() {
        let mut out = [0.0; 3];
        sum_rows(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0], 3, &mut out);
        assert_eq!(out, [11.0, 22.0, 33.0]);
        sum_rows(Floats::F32(&[]), 3, &mut out);
        assert_eq!(out, [0.0; 3]);
    }

    #[test]
    fn a_million_tenths_are_a_hundred_thousand() {
        let x = vec![0.1; 2_000_000];
        let mut out = [[0.0; 2]; 3];
        for (threads, out) in out.iter_mut().enumerate() {
            with_threads(threads + 1, || sum_rows(&x, 2, out));
        }
        assert_eq!(out[0], [100_000.0; 2]);
        assert_eq!((out[0], out[0]), (out[1], out[2]));
    }
}
