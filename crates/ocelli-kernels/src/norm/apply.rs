//! y = act((x - mean) * scale + shift [+ residual]), and the mask of where act lets gradients through.

use super::add::Mask;
use super::blocks::{Blocks, GROUP, by_rows};
use super::clamp::{Clamp, Flag, Linear, Relu, Relu6};
use super::statistics::Moments;
use crate::activation::Activation;
use crate::isa::multiversion;
use crate::lanes::{load, rows, rows_mut, store, widths};
use rayon::prelude::*;

/// Per channel; x is centred first because mean * scale may be huge beside the result.
pub(super) struct Coefficients {
    mean: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Coefficients {
    /// What rounding the mean to f32 takes away goes into the shift.
    pub fn train(moments: &Moments, rstd: &[f64], gamma: &[f32], beta: &[f32]) -> Self {
        let mean: Vec<f32> = moments.mean.iter().map(|&m| m as f32).collect();
        let scale: Vec<f64> = rstd.iter().zip(gamma).map(|(r, &g)| r * f64::from(g)).collect();
        let lost = moments.mean.iter().zip(&mean).map(|(exact, &m)| exact - f64::from(m));
        let shift = lost
            .zip(&scale)
            .zip(beta)
            .map(|((lost, scale), &b)| (f64::from(b) - lost * scale) as f32);
        Self { shift: shift.collect(), scale: scale.iter().map(|&s| s as f32).collect(), mean }
    }

    pub fn eval(mean: &[f32], rstd: &[f64], gamma: &[f32], beta: &[f32]) -> Self {
        let scale = rstd.iter().zip(gamma).map(|(r, &g)| (r * f64::from(g)) as f32).collect();
        Self { mean: mean.to_vec(), scale, shift: beta.to_vec() }
    }
}

/// One block of rows of every operand; absent ones are empty.
struct Block<'a> {
    x: &'a [f32],
    residual: &'a [f32],
    y: &'a mut [f32],
    mask: &'a mut [u32],
}

/// Writes y, and the mask unless it is empty.
pub(super) fn apply(
    blocks: Blocks,
    x: &[f32],
    coefficients: &Coefficients,
    residual: Option<&[f32]>,
    act: Activation,
    y: &mut [f32],
    mask: &mut Mask,
) {
    let residual = residual.unwrap_or_default();
    let keep = !mask.words.is_empty();
    (
        blocks.split(x),
        blocks.split(residual),
        blocks.split_mut(y),
        blocks.split_mask_mut(&mut mask.words),
    )
        .into_par_iter()
        .for_each(|(x, residual, y, mask)| {
            let block = Block { x, residual, y, mask };
            match act {
                Activation::Relu => with_residual(Relu, coefficients, block, keep),
                Activation::Relu6 => with_residual(Relu6, coefficients, block, keep),
                _ => with_residual(Linear, coefficients, block, false),
            }
        });
}

fn with_residual<A: Clamp>(act: A, coefficients: &Coefficients, block: Block<'_>, keep: bool) {
    match (block.residual.is_empty(), keep) {
        (true, false) => apply_block(act, Flag::<false>, Flag::<false>, coefficients, block),
        (true, true) => apply_block(act, Flag::<false>, Flag::<true>, coefficients, block),
        (false, false) => apply_block(act, Flag::<true>, Flag::<false>, coefficients, block),
        (false, true) => apply_block(act, Flag::<true>, Flag::<true>, coefficients, block),
    }
}

multiversion! {
    fn apply_block[A: Clamp, const ADD: bool, const KEEP: bool](
        _act: A,
        _add: Flag<ADD>,
        _keep: Flag<KEEP>,
        coefficients: &Coefficients,
        block: Block<'_>,
    ) {
        let channels = coefficients.mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                step::<A, ADD, KEEP, $r>(
                    coefficients,
                    $row % GROUP,
                    Block {
                        x: &block.x[at..],
                        residual: if ADD { &block.residual[at..] } else { &[] },
                        y: &mut block.y[at..],
                        mask: if KEEP { &mut block.mask[$row / GROUP * channels..] } else { &mut [] },
                    },
                )
            }};
        }
        by_rows!(block.x.len() / channels, quad);
    }
}

/// R rows, the first of which has bit `bit` in the mask.
#[inline(always)]
fn step<A: Clamp, const ADD: bool, const KEEP: bool, const R: usize>(
    coefficients: &Coefficients,
    bit: usize,
    block: Block<'_>,
) {
    let Coefficients { mean, scale, shift } = coefficients;
    let channels = mean.len();
    let x = rows::<R, f32>(block.x, channels);
    let residual = if ADD { rows::<R, f32>(block.residual, channels) } else { [&[][..]; R] };
    let y = rows_mut::<R, f32>(block.y, channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let m = load::<$n, f32>(mean, at);
                let a = load::<$n, f32>(scale, at);
                let b = load::<$n, f32>(shift, at);
                let mut bits = if KEEP { load::<$n, u32>(block.mask, at) } else { [0; $n] };
                for r in 0..R {
                    let x = load::<$n, f32>(x[r], at);
                    let added = if ADD { load::<$n, f32>(residual[r], at) } else { [0.0; $n] };
                    let passed = 1u32 << (bit + r);
                    let mut out = [0.0; $n];
                    for l in 0..$n {
                        let normed = (x[l] - m[l]) * a[l] + b[l];
                        let z = if ADD { normed + added[l] } else { normed };
                        out[l] = A::value(z);
                        if KEEP {
                            bits[l] |= if A::passes(z) { passed } else { 0 };
                        }
                    }
                    store(y[r], at, out);
                }
                if KEEP {
                    store(block.mask, at, bits);
                }
            }
        };
    }
    widths!(channels, columns);
}
