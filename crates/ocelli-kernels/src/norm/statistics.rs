//! Mean and variance per channel in one pass.

use super::blocks::{Blocks, GROUP, by_rows};
use crate::isa::multiversion;
use crate::lanes::{load, rows, store, widths};
use rayon::prelude::*;

/// Mean and biased variance per channel, in f64.
#[derive(Clone, Debug)]
pub struct Moments {
    pub(super) mean: Vec<f64>,
    pub(super) var: Vec<f64>,
}

impl Moments {
    /// Of x `[rows, channels]`; 0 where there are no rows.
    ///
    /// # Panics
    /// When x is no whole number of rows.
    pub fn new(x: &[f32], channels: usize) -> Self {
        assert!(channels > 0 && x.len().is_multiple_of(channels), "norm: rows of {channels}");
        moments(Blocks::new(x.len() / channels, channels), x)
    }

    pub(super) fn rstd(&self, eps: f32) -> Vec<f64> {
        self.var.iter().map(|v| 1.0 / (v + f64::from(eps)).sqrt()).collect()
    }

    pub(super) fn rounded(&self) -> (Vec<f32>, Vec<f32>) {
        let round = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        (round(&self.mean), round(&self.var))
    }
}

fn moments(blocks: Blocks, x: &[f32]) -> Moments {
    let channels = blocks.channels;
    if blocks.rows == 0 {
        return Moments { mean: vec![0.0; channels], var: vec![0.0; channels] };
    }
    let origin = &x[..channels];
    let mut partials = vec![0.0; blocks.count() * 2 * channels];
    (partials.par_chunks_mut(2 * channels), blocks.split(x))
        .into_par_iter()
        .for_each(|(sums, x)| block_sums(x, origin, sums));
    let (sum, squares) = blocks.reduce(&partials);
    let rows = blocks.rows as f64;
    let offset: Vec<f64> = sum.iter().map(|s| s / rows).collect();
    let var = squares.iter().zip(&offset).map(|(q, m)| (q / rows - m * m).max(0.0)).collect();
    let mean = offset.iter().zip(origin).map(|(m, &o)| m + f64::from(o)).collect();
    Moments { mean, var }
}

/// Adds to `sums` the sum and the sum of squares of x - origin.
///
/// Each group of rows is summed in f32 relative to its own first row, a value that the group contains:
/// however far off it lies, what cancels is no larger than the group's own variance times its rows.
fn block_sums(x: &[f32], origin: &[f32], sums: &mut [f64]) {
    let channels = origin.len();
    let mut partial = vec![0f32; 2 * channels];
    for group in x.chunks(GROUP * channels) {
        partial.fill(0.0);
        group_sums(group, channels, &mut partial);
        let rows = (group.len() / channels) as f64;
        flush(&partial, group, origin, rows, sums);
    }
}

multiversion! {
    /// Moves the sums of a group from its first row to the origin, in f64.
    fn flush(partial: &[f32], group: &[f32], origin: &[f32], rows: f64, sums: &mut [f64]) {
        let channels = origin.len();
        let (s, q) = partial.split_at(channels);
        let (sum, squares) = sums.split_at_mut(channels);
        let (q, group, squares) = (&q[..channels], &group[..channels], &mut squares[..channels]);
        for c in 0..channels {
            let away = f64::from(group[c]) - f64::from(origin[c]);
            let (s, q) = (f64::from(s[c]), f64::from(q[c]));
            sum[c] += s + rows * away;
            squares[c] += q + away * (2.0 * s + rows * away);
        }
    }
}

multiversion! {
    fn group_sums(x: &[f32], channels: usize, partial: &mut [f32]) {
        let first = &x[..channels];
        macro_rules! quad {
            ($r:literal, $row:expr) => {
                step::<$r>(&x[$row * channels..], first, partial)
            };
        }
        by_rows!(x.len() / channels, quad);
    }
}

#[inline(always)]
fn step<const R: usize>(x: &[f32], first: &[f32], partial: &mut [f32]) {
    let channels = first.len();
    let x = rows::<R, f32>(x, channels);
    let (sum, squares) = partial.split_at_mut(channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let k = load::<$n, f32>(first, at);
                let (mut s, mut q) = (load::<$n, f32>(sum, at), load::<$n, f32>(squares, at));
                for r in 0..R {
                    let x = load::<$n, f32>(x[r], at);
                    for l in 0..$n {
                        let d = x[l] - k[l];
                        s[l] += d;
                        q[l] += d * d;
                    }
                }
                store(sum, at, s);
                store(squares, at, q);
            }
        };
    }
    widths!(channels, columns);
}
