//! The softmax of a row, and what the loss shares with it.

use crate::isa::multiversion;
use crate::lanes::load;
use crate::math::exp;
use rayon::prelude::*;

/// Elements that one task handles, about.
const BLOCK: usize = 1 << 14;

/// Rows that one task handles.
pub(super) fn rows_per_block(classes: usize) -> usize {
    (BLOCK / classes.max(1)).max(1)
}

/// out = e^x / Σ e^x over each row of `classes` values; the largest logit of a row is taken off first.
///
/// # Panics
/// When `logits` is not rows of `classes` values, or `out` has another length.
pub fn softmax(logits: &[f32], classes: usize, out: &mut [f32]) {
    for_rows(logits, classes, out, |row, out| {
        let (_, sum) = exponentials(row, out);
        let scale = (1.0 / sum) as f32;
        out.iter_mut().for_each(|e| *e *= scale);
    });
}

/// out = x - ln Σ e^x over each row of `classes` values.
///
/// # Panics
/// As [`softmax`].
pub fn log_softmax(logits: &[f32], classes: usize, out: &mut [f32]) {
    for_rows(logits, classes, out, |row, out| {
        let (largest, sum) = exponentials(row, out);
        let log_sum = sum.ln() as f32;
        for (out, &x) in out.iter_mut().zip(row) {
            *out = (x - largest) - log_sum;
        }
    });
}

fn for_rows(
    logits: &[f32],
    classes: usize,
    out: &mut [f32],
    row: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    assert!(classes > 0, "softmax: no classes");
    assert_eq!(logits.len() % classes, 0, "softmax: logits are not rows of {classes} values");
    assert_eq!(logits.len(), out.len(), "softmax: logits and out differ in length");
    let block = rows_per_block(classes) * classes;
    out.par_chunks_mut(block).zip(logits.par_chunks(block)).for_each(|(out, logits)| {
        for (out, logits) in out.chunks_mut(classes).zip(logits.chunks(classes)) {
            row(logits, out);
        }
    });
}

multiversion! {
    /// Writes e^(x - largest) to `out`; returns the largest logit and the sum of what was written.
    ///
    /// NaN anywhere makes the sum NaN; so does a row of nothing but -inf, or +inf.
    pub(super) fn exponentials(row: &[f32], out: &mut [f32]) -> (f32, f64) {
        const N: usize = 16;
        let whole = row.len() / N * N;
        let mut most = [f32::NEG_INFINITY; N];
        for at in (0..whole).step_by(N) {
            let x = load::<N, f32>(row, at);
            for l in 0..N {
                most[l] = if x[l] > most[l] { x[l] } else { most[l] };
            }
        }
        let largest = most.iter().chain(&row[whole..]).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        let mut sums = [0f32; N];
        for at in (0..whole).step_by(N) {
            let e = load::<N, f32>(row, at).map(|x| exp(x - largest));
            for l in 0..N {
                sums[l] += e[l];
            }
            out[at..at + N].copy_from_slice(&e);
        }
        let mut sum = sums.iter().map(|&s| f64::from(s)).sum::<f64>();
        for (out, &x) in out[whole..].iter_mut().zip(&row[whole..]) {
            *out = exp(x - largest);
            sum += f64::from(*out);
        }
        (largest, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sum_to_one_and_large_logits_do_not_overflow() {
        let logits: Vec<f32> = (0..3 * 37).map(|i| ((i * 29) % 53) as f32 * 20.0).collect();
        let (mut p, mut log_p) = (vec![0.0; logits.len()], vec![0.0; logits.len()]);
        softmax(&logits, 37, &mut p);
        log_softmax(&logits, 37, &mut log_p);
        for (p, log_p) in p.chunks(37).zip(log_p.chunks(37)) {
            assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            for (p, log_p) in p.iter().zip(log_p) {
                assert!((p - log_p.exp()).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_masked_class_has_probability_zero_and_nan_spreads_over_its_row() {
        let mut p = [9.0; 4];
        softmax(&[f32::NEG_INFINITY, 3.0, f32::NAN, 0.0], 2, &mut p);
        assert_eq!(p[..2], [0.0, 1.0]);
        assert!(p[2].is_nan() && p[3].is_nan());
    }
}
