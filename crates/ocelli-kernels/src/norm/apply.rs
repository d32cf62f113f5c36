//! y = act((x - mean) * scale + shift [+ residual]), and the mask of where act lets gradients through.

use super::Norm;
use super::add::Mask;
use super::blocks::{Blocks, GROUP, by_rows};
use super::clamp::{Clamp, Flag, Linear, Relu, Relu6};
use crate::activation::Activation;
use crate::isa::multiversion;
use crate::lanes::{load, rows as rows_of, rows_mut, store, widths};
use rayon::prelude::*;

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
    norm: &Norm,
    x: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
    mask: &mut Mask,
) {
    let residual = residual.unwrap_or_default();
    (
        blocks.split(x),
        blocks.split(residual),
        blocks.split_mut(y),
        blocks.split_mask_mut(&mut mask.words),
    )
        .into_par_iter()
        .for_each(|(x, residual, y, mask)| run(norm, Block { x, residual, y, mask }));
}

/// Writes y of some rows.
pub(super) fn rows(norm: &Norm, x: &[f32], y: &mut [f32]) {
    run(norm, Block { x, residual: &[], y, mask: &mut [] });
}

fn run(norm: &Norm, block: Block<'_>) {
    match norm.act {
        Activation::Relu => with_residual(Relu, norm, block),
        Activation::Relu6 => with_residual(Relu6, norm, block),
        _ => with_residual(Linear, norm, block),
    }
}

fn with_residual<A: Clamp>(act: A, norm: &Norm, block: Block<'_>) {
    match (block.residual.is_empty(), block.mask.is_empty()) {
        (true, true) => apply_block(act, Flag::<false>, Flag::<false>, norm, block),
        (true, false) => apply_block(act, Flag::<false>, Flag::<true>, norm, block),
        (false, true) => apply_block(act, Flag::<true>, Flag::<false>, norm, block),
        (false, false) => apply_block(act, Flag::<true>, Flag::<true>, norm, block),
    }
}

multiversion! {
    fn apply_block[A: Clamp, const ADD: bool, const KEEP: bool](
        _act: A,
        _add: Flag<ADD>,
        _keep: Flag<KEEP>,
        norm: &Norm,
        block: Block<'_>,
    ) {
        let channels = norm.mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                step::<A, ADD, KEEP, $r>(
                    norm,
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
    norm: &Norm,
    bit: usize,
    block: Block<'_>,
) {
    let Norm { mean, scale, shift, .. } = norm;
    let channels = mean.len();
    let x = rows_of::<R, f32>(block.x, channels);
    let residual = if ADD { rows_of::<R, f32>(block.residual, channels) } else { [&[][..]; R] };
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
