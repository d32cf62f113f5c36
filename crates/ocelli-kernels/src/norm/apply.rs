//! y = act((x - mean) * scale + shift [+ residual]), and the mask of where act lets gradients through.

use super::Norm;
use super::add::Mask;
use super::blocks::{Blocks, GROUP, by_rows, piece};
use super::clamp::{Clamp, Flag, Linear, Relu, Relu6};
use crate::activation::Activation;
use crate::bf16::Element;
use crate::isa::multiversion;
use crate::lanes::{load, load_wide, rows as rows_of, rows_mut, store, widths};
use rayon::prelude::*;

/// One block of rows of every operand; absent ones are empty.
struct Block<'a, T> {
    x: &'a [T],
    residual: &'a [T],
    y: &'a mut [f32],
    mask: &'a mut [u32],
}

/// Writes y = act(norm(x) + residual), and the mask unless it is empty.
pub(super) fn apply_add<T: Element>(
    blocks: Blocks,
    norm: &Norm,
    [x, residual]: [&[T]; 2],
    y: &mut [T],
    mask: &mut Mask,
) {
    let group = if T::NARROW { GROUP * blocks.channels } else { usize::MAX };
    (
        blocks.split(x),
        blocks.split(residual),
        blocks.split_mut(y),
        blocks.split_mask_mut(&mut mask.words),
    )
        .into_par_iter()
        .for_each(|(x, residual, y, mask)| {
            let mut masks = mask.chunks_mut(if T::NARROW { blocks.channels } else { usize::MAX });
            let pieces = x.chunks(group).zip(residual.chunks(group)).zip(y.chunks_mut(group));
            for ((x, residual), y) in pieces {
                let mask = masks.next().unwrap_or_default();
                T::fill(y, |y| add(norm, Block { x, residual, y, mask }));
            }
        });
}

/// Writes y = act(norm(x)).
pub(super) fn apply<T: Element, U: Element>(blocks: Blocks, norm: &Norm, x: &[T], y: &mut [U]) {
    (blocks.split(x), blocks.split_mut(y)).into_par_iter().for_each(|(x, y)| rows(norm, x, y));
}

/// Writes y of some rows.
pub(super) fn rows<T: Element, U: Element>(norm: &Norm, x: &[T], y: &mut [U]) {
    let piece = piece::<T, U>(norm.channels());
    for (x, y) in x.chunks(piece).zip(y.chunks_mut(piece)) {
        U::fill(y, |y| run(norm, Block { x, residual: &[], y, mask: &mut [] }));
    }
}

fn add<T: Element>(norm: &Norm, block: Block<'_, T>) {
    // A clamp has a mask.
    match norm.act {
        Activation::Relu => apply_block(Relu, Flag::<true>, Flag::<true>, norm, block),
        Activation::Relu6 => apply_block(Relu6, Flag::<true>, Flag::<true>, norm, block),
        _ => apply_block(Linear, Flag::<true>, Flag::<false>, norm, block),
    }
}

fn run<T: Element>(norm: &Norm, block: Block<'_, T>) {
    let (add, keep) = (Flag::<false>, Flag::<false>);
    match norm.act {
        Activation::Relu => apply_block(Relu, add, keep, norm, block),
        Activation::Relu6 => apply_block(Relu6, add, keep, norm, block),
        _ => apply_block(Linear, add, keep, norm, block),
    }
}

multiversion! {
    fn apply_block[A: Clamp, T: Element, const ADD: bool, const KEEP: bool](
        _act: A,
        _add: Flag<ADD>,
        _keep: Flag<KEEP>,
        norm: &Norm,
        block: Block<'_, T>,
    ) {
        let channels = norm.mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                step::<A, T, ADD, KEEP, $r>(
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
fn step<A: Clamp, T: Element, const ADD: bool, const KEEP: bool, const R: usize>(
    norm: &Norm,
    bit: usize,
    block: Block<'_, T>,
) {
    let Norm { mean, scale, shift, .. } = norm;
    let channels = mean.len();
    let x = rows_of::<R, T>(block.x, channels);
    let residual = if ADD { rows_of::<R, T>(block.residual, channels) } else { [&[][..]; R] };
    let y = rows_mut::<R, f32>(block.y, channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let m = load::<$n, f32>(mean, at);
                let a = load::<$n, f32>(scale, at);
                let b = load::<$n, f32>(shift, at);
                let mut bits = if KEEP { load::<$n, u32>(block.mask, at) } else { [0; $n] };
                for r in 0..R {
                    let x = load_wide::<$n, T>(x[r], at);
                    let added = if ADD { load_wide::<$n, T>(residual[r], at) } else { [0.0; $n] };
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
