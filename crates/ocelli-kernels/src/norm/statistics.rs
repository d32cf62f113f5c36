//! Mean and variance per channel in one pass.

use super::blocks::{Blocks, GROUP, by_rows};
use crate::bf16::{Element, Floats, either};
use crate::isa::multiversion;
use crate::lanes::{load, load_wide, rows, store, widths};
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
    pub fn new<'a>(x: impl Into<Floats<'a>>, channels: usize) -> Self {
        either!(Floats, x.into(), x => Self::of(x, channels))
    }

    fn of<T: Element>(x: &[T], channels: usize) -> Self {
        assert!(channels > 0 && x.len().is_multiple_of(channels), "norm: rows of {channels}");
        let blocks = Blocks::new(x.len() / channels, channels);
        let mut parts = vec![0.0; blocks.count() * Self::part_len(channels)];
        (parts.par_chunks_mut(Self::part_len(channels)), blocks.split(x))
            .into_par_iter()
            .for_each(|(part, x)| Self::sum_rows(x, part));
        Self::of_parts(&parts, channels)
    }

    /// Length of what [`sum_rows`](Self::sum_rows) writes: sums, squares and the origin, and how many rows.
    pub(crate) fn part_len(channels: usize) -> usize {
        3 * channels + 1
    }

    /// The sum and the sum of squares of some rows, relative to the first of them.
    ///
    /// Each group of rows is summed in f32 relative to its own first row, a value that the group contains:
    /// however far off it lies, what cancels is no larger than the group's own variance times its rows.
    pub(crate) fn sum_rows<T: Element>(x: &[T], part: &mut [f64]) {
        let channels = part.len() / 3;
        let (sums, rest) = part.split_at_mut(2 * channels);
        let (origin, rows) = rest.split_at_mut(channels);
        sums.fill(0.0);
        origin.iter_mut().zip(x).for_each(|(origin, &first)| *origin = f64::from(first.value()));
        rows[0] = (x.len() / channels) as f64;
        let mut partial = vec![0f32; 2 * channels];
        for group in x.chunks(GROUP * channels) {
            partial.fill(0.0);
            group_sums(group, channels, &mut partial);
            flush(&partial, group, origin, (group.len() / channels) as f64, sums);
        }
    }

    /// Of the sums of parts of the rows, added up in order.
    pub(crate) fn of_parts(parts: &[f64], channels: usize) -> Self {
        let Some((first, others)) = parts.split_at_checked(Self::part_len(channels)) else {
            return Self { mean: vec![0.0; channels], var: vec![0.0; channels] };
        };
        let (mut sums, start) =
            (first[..2 * channels].to_vec(), &first[2 * channels..3 * channels]);
        let mut rows = first[3 * channels];
        for part in others.chunks_exact(Self::part_len(channels)) {
            add_part(part, start, &mut sums);
            rows += part[3 * channels];
        }
        let moments = |c: usize| {
            let offset = sums[c] / rows;
            (start[c] + offset, (sums[channels + c] / rows - offset * offset).max(0.0))
        };
        let (mean, var) = (0..channels).map(moments).unzip();
        Self { mean, var }
    }

    pub(super) fn rstd(&self, eps: f32) -> Vec<f64> {
        self.var.iter().map(|v| 1.0 / (v + f64::from(eps)).sqrt()).collect()
    }

    pub(super) fn rounded(&self) -> (Vec<f32>, Vec<f32>) {
        let round = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        (round(&self.mean), round(&self.var))
    }
}

multiversion! {
    /// Moves the sums of a part from its origin to `start`, and adds them to others.
    fn add_part(part: &[f64], start: &[f64], sums: &mut [f64]) {
        let channels = start.len();
        let (sum, rest) = part.split_at(channels);
        let (squares, rest) = rest.split_at(channels);
        let (origin, rows) = (&rest[..channels], rest[channels]);
        let (total, total_squares) = sums.split_at_mut(channels);
        let (start, total_squares) = (&start[..channels], &mut total_squares[..channels]);
        for c in 0..channels {
            let away = origin[c] - start[c];
            total[c] += sum[c] + rows * away;
            total_squares[c] += squares[c] + away * (2.0 * sum[c] + rows * away);
        }
    }
}

multiversion! {
    /// Moves the sums of a group from its first row to the origin, in f64.
    fn flush[T: Element](
        partial: &[f32],
        group: &[T],
        origin: &[f64],
        rows: f64,
        sums: &mut [f64],
    ) {
        let channels = origin.len();
        let (s, q) = partial.split_at(channels);
        let (sum, squares) = sums.split_at_mut(channels);
        let (q, group, squares) = (&q[..channels], &group[..channels], &mut squares[..channels]);
        for c in 0..channels {
            let away = f64::from(group[c].value()) - origin[c];
            let (s, q) = (f64::from(s[c]), f64::from(q[c]));
            sum[c] += s + rows * away;
            squares[c] += q + away * (2.0 * s + rows * away);
        }
    }
}

multiversion! {
    fn group_sums[T: Element](x: &[T], channels: usize, partial: &mut [f32]) {
        let first = &x[..channels];
        macro_rules! quad {
            ($r:literal, $row:expr) => {
                step::<T, $r>(&x[$row * channels..], first, partial)
            };
        }
        by_rows!(x.len() / channels, quad);
    }
}

#[inline(always)]
fn step<T: Element, const R: usize>(x: &[T], first: &[T], partial: &mut [f32]) {
    let channels = first.len();
    let x = rows::<R, T>(x, channels);
    let (sum, squares) = partial.split_at_mut(channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let k = load_wide::<$n, T>(first, at);
                let (mut s, mut q) = (load::<$n, f32>(sum, at), load::<$n, f32>(squares, at));
                for r in 0..R {
                    let x = load_wide::<$n, T>(x[r], at);
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
