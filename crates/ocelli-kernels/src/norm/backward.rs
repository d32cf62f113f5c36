//! The gradients of a normalisation, in at most two passes over memory.
//!
//! With g = dy where the mask is set, d = x - mean and N rows:
//!
//! ```text
//! dresidual = g      dbeta = Σ g      dgamma = rstd Σ g d
//! dx = gamma rstd g                                                  (statistics are constants)
//! dx = gamma rstd (g - Σ g / N - d rstd² Σ g d / N)                  (statistics of the batch)
//! ```
//!
//! The first pass sums, and writes g if the residual wants it; the second writes dx.

use super::blocks::{Blocks, GROUP, by_rows};
use super::clamp::Flag;
use super::{Grads, Saved};
use crate::isa::multiversion;
use crate::lanes::{load, rows, rows_mut, store, widths};
use rayon::prelude::*;

pub(super) fn train(
    blocks: Blocks,
    dy: &[f32],
    x: &[f32],
    gamma: &[f32],
    saved: &Saved,
    grads: Grads<'_>,
) {
    let Grads { x: dx, gamma: dgamma, beta: dbeta, mut residual } = grads;
    let mask = &saved.mask.words;
    if dx.is_some() || dgamma.is_some() || dbeta.is_some() {
        let written = residual.as_deref_mut().unwrap_or_default();
        let sums = sums(blocks, dy, x, &saved.mean, mask, written);
        sums.write(saved, dgamma, dbeta);
        if let Some(dx) = dx {
            let lines = Lines::train(blocks.rows, gamma, saved, &sums);
            match residual {
                Some(g) => write_dx(blocks, g, &[], Some(x), &lines, dx),
                None => write_dx(blocks, dy, mask, Some(x), &lines, dx),
            }
        }
    } else if let Some(residual) = residual {
        gate(blocks, dy, mask, residual);
    }
}

pub(super) fn eval(
    blocks: Blocks,
    dy: &[f32],
    x: &[f32],
    gamma: &[f32],
    saved: &Saved,
    grads: Grads<'_>,
) {
    let Grads { x: dx, gamma: dgamma, beta: dbeta, mut residual } = grads;
    let mask = &saved.mask.words;
    if dgamma.is_some() || dbeta.is_some() {
        let written = residual.as_deref_mut().unwrap_or_default();
        sums(blocks, dy, x, &saved.mean, mask, written).write(saved, dgamma, dbeta);
    } else if let Some(residual) = residual.as_deref_mut() {
        gate(blocks, dy, mask, residual);
    }
    if let Some(dx) = dx {
        let lines = Lines::eval(gamma, saved);
        match residual {
            Some(g) => write_dx(blocks, g, &[], None, &lines, dx),
            None => write_dx(blocks, dy, mask, None, &lines, dx),
        }
    }
}

/// Σ g and Σ g d per channel.
struct Sums {
    g: Vec<f64>,
    gd: Vec<f64>,
}

impl Sums {
    fn write(&self, saved: &Saved, dgamma: Option<&mut [f32]>, dbeta: Option<&mut [f32]>) {
        for (dgamma, (gd, &rstd)) in
            dgamma.into_iter().flatten().zip(self.gd.iter().zip(&saved.rstd))
        {
            *dgamma = (gd * f64::from(rstd)) as f32;
        }
        for (dbeta, &g) in dbeta.into_iter().flatten().zip(&self.g) {
            *dbeta = g as f32;
        }
    }
}

/// dx = scale g + slope (x - mean) + shift, per channel.
struct Lines<'a> {
    mean: &'a [f32],
    scale: Vec<f32>,
    slope: Vec<f32>,
    shift: Vec<f32>,
}

impl<'a> Lines<'a> {
    fn eval(gamma: &[f32], saved: &'a Saved) -> Self {
        let scale = gamma.iter().zip(&saved.rstd).map(|(g, r)| g * r).collect();
        Self { mean: &saved.mean, scale, slope: Vec::new(), shift: Vec::new() }
    }

    fn train(rows: usize, gamma: &[f32], saved: &'a Saved, sums: &Sums) -> Self {
        let rows = rows as f64;
        let rstd = || saved.rstd.iter().map(|&r| f64::from(r));
        let exact: Vec<f64> = gamma.iter().zip(rstd()).map(|(&g, r)| f64::from(g) * r).collect();
        let slope = exact
            .iter()
            .zip(rstd())
            .zip(&sums.gd)
            .map(|((a, r), gd)| (-a * r * r * gd / rows) as f32);
        let shift = exact.iter().zip(&sums.g).map(|(a, g)| (-a * g / rows) as f32);
        let (slope, shift) = (slope.collect(), shift.collect());
        Self { mean: &saved.mean, scale: exact.iter().map(|&a| a as f32).collect(), slope, shift }
    }
}

/// The first pass; `written`, unless empty, receives g.
fn sums(
    blocks: Blocks,
    dy: &[f32],
    x: &[f32],
    mean: &[f32],
    mask: &[u32],
    written: &mut [f32],
) -> Sums {
    let channels = blocks.channels;
    let write = !written.is_empty();
    let mut partials = vec![0.0; blocks.count() * 2 * channels];
    (
        partials.par_chunks_mut(2 * channels),
        blocks.split(dy),
        blocks.split(x),
        blocks.split_mask(mask),
        blocks.split_mut(written),
    )
        .into_par_iter()
        .for_each(|(sums, dy, x, mask, g)| {
            let block = SumBlock { dy, x, mean, mask, g, sums };
            match (mask.is_empty(), write) {
                (true, false) => sum_block(Flag::<false>, Flag::<false>, block),
                (true, true) => sum_block(Flag::<false>, Flag::<true>, block),
                (false, false) => sum_block(Flag::<true>, Flag::<false>, block),
                (false, true) => sum_block(Flag::<true>, Flag::<true>, block),
            }
        });
    let (g, gd) = blocks.reduce(&partials);
    Sums { g, gd }
}

struct SumBlock<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    mean: &'a [f32],
    mask: &'a [u32],
    g: &'a mut [f32],
    sums: &'a mut [f64],
}

/// f32 sums of each group of rows, flushed to f64.
fn sum_block<const MASK: bool, const WRITE: bool>(
    mask: Flag<MASK>,
    write: Flag<WRITE>,
    block: SumBlock<'_>,
) {
    let SumBlock { dy, x, mean, mask: words, g, sums } = block;
    let channels = mean.len();
    let mut partial = vec![0f32; 2 * channels];
    for (i, x) in x.chunks(GROUP * channels).enumerate() {
        partial.fill(0.0);
        let at = i * GROUP * channels;
        let words = if MASK { &words[i * channels..][..channels] } else { &[] };
        let g = if WRITE { &mut g[at..][..x.len()] } else { &mut [] };
        sum_group(mask, write, &dy[at..][..x.len()], x, mean, words, g, &mut partial);
        flush(&partial, sums);
    }
}

multiversion! {
    fn flush(partial: &[f32], sums: &mut [f64]) {
        for (sum, &part) in sums.iter_mut().zip(partial) {
            *sum += f64::from(part);
        }
    }
}

multiversion! {
    #[allow(clippy::too_many_arguments)]
    fn sum_group[const MASK: bool, const WRITE: bool](
        _mask: Flag<MASK>,
        _write: Flag<WRITE>,
        dy: &[f32],
        x: &[f32],
        mean: &[f32],
        words: &[u32],
        g: &mut [f32],
        partial: &mut [f32],
    ) {
        let channels = mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                let g = if WRITE { &mut g[at..] } else { &mut [][..] };
                sum_step::<MASK, WRITE, $r>($row, &dy[at..], &x[at..], mean, words, g, partial)
            }};
        }
        by_rows!(x.len() / channels, quad);
    }
}

/// R rows, the first of which is row `bit` of its group.
#[inline(always)]
fn sum_step<const MASK: bool, const WRITE: bool, const R: usize>(
    bit: usize,
    dy: &[f32],
    x: &[f32],
    mean: &[f32],
    words: &[u32],
    g: &mut [f32],
    partial: &mut [f32],
) {
    let channels = mean.len();
    let (dy, x) = (rows::<R, f32>(dy, channels), rows::<R, f32>(x, channels));
    let written: [&mut [f32]; R] =
        if WRITE { rows_mut(g, channels) } else { std::array::from_fn(|_| &mut [][..]) };
    let (sum_g, sum_gd) = partial.split_at_mut(channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let m = load::<$n, f32>(mean, at);
                let bits = if MASK { load::<$n, u32>(words, at) } else { [0; $n] };
                let (mut s, mut t) = (load::<$n, f32>(sum_g, at), load::<$n, f32>(sum_gd, at));
                for r in 0..R {
                    let passed = 1u32 << (bit + r);
                    let (mut g, x) = (load::<$n, f32>(dy[r], at), load::<$n, f32>(x[r], at));
                    for l in 0..$n {
                        if MASK {
                            g[l] = if bits[l] & passed == 0 { 0.0 } else { g[l] };
                        }
                        s[l] += g[l];
                        t[l] += g[l] * (x[l] - m[l]);
                    }
                    if WRITE {
                        store(written[r], at, g);
                    }
                }
                store(sum_g, at, s);
                store(sum_gd, at, t);
            }
        };
    }
    widths!(channels, columns);
}

/// The second pass: dx from g, or from dy and the mask; without `x` the line has no slope and no shift.
fn write_dx(
    blocks: Blocks,
    dy: &[f32],
    mask: &[u32],
    x: Option<&[f32]>,
    lines: &Lines<'_>,
    dx: &mut [f32],
) {
    let train = x.is_some();
    (
        blocks.split(dy),
        blocks.split_mask(mask),
        blocks.split(x.unwrap_or_default()),
        blocks.split_mut(dx),
    )
        .into_par_iter()
        .for_each(|(dy, mask, x, dx)| match (mask.is_empty(), train) {
            (true, false) => dx_block(Flag::<false>, Flag::<false>, dy, mask, x, lines, dx),
            (true, true) => dx_block(Flag::<false>, Flag::<true>, dy, mask, x, lines, dx),
            (false, false) => dx_block(Flag::<true>, Flag::<false>, dy, mask, x, lines, dx),
            (false, true) => dx_block(Flag::<true>, Flag::<true>, dy, mask, x, lines, dx),
        });
}

/// g alone: [`write_dx`] with a scale of 1.
fn gate(blocks: Blocks, dy: &[f32], mask: &[u32], residual: &mut [f32]) {
    if mask.is_empty() {
        return residual.copy_from_slice(dy);
    }
    let ones = vec![1.0; blocks.channels];
    let lines = Lines { mean: &ones, scale: ones.clone(), slope: Vec::new(), shift: Vec::new() };
    write_dx(blocks, dy, mask, None, &lines, residual);
}

multiversion! {
    fn dx_block[const MASK: bool, const TRAIN: bool](
        _mask: Flag<MASK>,
        _train: Flag<TRAIN>,
        dy: &[f32],
        mask: &[u32],
        x: &[f32],
        lines: &Lines<'_>,
        dx: &mut [f32],
    ) {
        let channels = lines.mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                let words = if MASK { &mask[$row / GROUP * channels..][..channels] } else { &[][..] };
                let x = if TRAIN { &x[at..] } else { &[][..] };
                dx_step::<MASK, TRAIN, $r>($row % GROUP, &dy[at..], words, x, lines, &mut dx[at..])
            }};
        }
        by_rows!(dy.len() / channels, quad);
    }
}

#[inline(always)]
fn dx_step<const MASK: bool, const TRAIN: bool, const R: usize>(
    bit: usize,
    dy: &[f32],
    words: &[u32],
    x: &[f32],
    lines: &Lines<'_>,
    dx: &mut [f32],
) {
    let Lines { mean, scale, slope, shift } = lines;
    let channels = mean.len();
    let dy = rows::<R, f32>(dy, channels);
    let x = if TRAIN { rows::<R, f32>(x, channels) } else { [&[][..]; R] };
    let dx = rows_mut::<R, f32>(dx, channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let a = load::<$n, f32>(scale, at);
                let bits = if MASK { load::<$n, u32>(words, at) } else { [0; $n] };
                let (m, b, k) = if TRAIN {
                    (
                        load::<$n, f32>(mean, at),
                        load::<$n, f32>(slope, at),
                        load::<$n, f32>(shift, at),
                    )
                } else {
                    ([0.0; $n], [0.0; $n], [0.0; $n])
                };
                for r in 0..R {
                    let passed = 1u32 << (bit + r);
                    let g = load::<$n, f32>(dy[r], at);
                    let x = if TRAIN { load::<$n, f32>(x[r], at) } else { [0.0; $n] };
                    let mut out = [0.0; $n];
                    for l in 0..$n {
                        let g = if MASK && bits[l] & passed == 0 { 0.0 } else { g[l] };
                        out[l] =
                            if TRAIN { a[l] * g + (b[l] * (x[l] - m[l]) + k[l]) } else { a[l] * g };
                    }
                    store(dx[r], at, out);
                }
            }
        };
    }
    widths!(channels, columns);
}
