//! Addition followed by a clamp, without normalisation; and the mask both kinds keep.

use super::blocks::{Blocks, GROUP};
use super::clamp::{Clamp, Flag, Linear, Relu, Relu6, is_clamp};
use crate::activation::Activation;
use crate::isa::multiversion;
use rayon::prelude::*;

/// Where a clamp lets gradients through, one bit per element; empty where it does everywhere.
///
/// Bit r of word `[g, c]` belongs to channel c of row 32 g + r: setting and testing it is a vector
/// operation over channels.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    pub(super) words: Vec<u32>,
}

impl Mask {
    /// Whether gradients are let through everywhere.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn of(act: Activation, blocks: Blocks) -> Self {
        let length = if is_clamp(act) { blocks.mask_len() } else { 0 };
        Self { words: vec![0; length] }
    }
}

/// The addition has no channels of its own: it is cut into rows of this many values.
const WIDTH: usize = 512;

/// y = act(x + residual) with `act` one of Identity, Relu and Relu6.
///
/// # Panics
/// When slices differ in length or `act` is another activation.
pub fn add_act(x: &[f32], residual: &[f32], act: Activation, y: &mut [f32]) -> Mask {
    assert_eq!(x.len(), residual.len(), "add: x and residual differ in length");
    assert_eq!(x.len(), y.len(), "add: x and y differ in length");
    let length = if is_clamp(act) { x.len().div_ceil(GROUP * WIDTH) * WIDTH } else { 0 };
    let mut words = vec![0; length];
    let masks: Vec<&mut [u32]> = match act {
        Activation::Identity => x.chunks(GROUP * WIDTH).map(|_| Default::default()).collect(),
        _ => words.chunks_mut(WIDTH).collect(),
    };
    (
        x.par_chunks(GROUP * WIDTH),
        residual.par_chunks(GROUP * WIDTH),
        y.par_chunks_mut(GROUP * WIDTH),
        masks,
    )
        .into_par_iter()
        .for_each(|(x, residual, y, mask)| match act {
            Activation::Relu => add_group(Relu, Flag::<true>, x, residual, y, mask),
            Activation::Relu6 => add_group(Relu6, Flag::<true>, x, residual, y, mask),
            _ => add_group(Linear, Flag::<false>, x, residual, y, mask),
        });
    Mask { words }
}

/// The gradient of [`add_act`], the same for both addends: dy where the mask is set, else 0.
///
/// # Panics
/// When `dy` and `dx` differ in length or `mask` belongs to another length.
pub fn add_act_backward(dy: &[f32], mask: &Mask, dx: &mut [f32]) {
    assert_eq!(dy.len(), dx.len(), "add: dy and dx differ in length");
    if mask.words.is_empty() {
        return dx.copy_from_slice(dy);
    }
    let groups = dy.len().div_ceil(GROUP * WIDTH);
    assert_eq!(mask.words.len(), groups * WIDTH, "add: the mask belongs to another length");
    (dy.par_chunks(GROUP * WIDTH), dx.par_chunks_mut(GROUP * WIDTH), mask.words.par_chunks(WIDTH))
        .into_par_iter()
        .for_each(|(dy, dx, mask)| gate_group(dy, mask, dx));
}

multiversion! {
    fn add_group[A: Clamp, const KEEP: bool](
        _act: A,
        _keep: Flag<KEEP>,
        x: &[f32],
        residual: &[f32],
        y: &mut [f32],
        mask: &mut [u32],
    ) {
        let rows = x.chunks(WIDTH).zip(residual.chunks(WIDTH)).zip(y.chunks_mut(WIDTH));
        for (r, ((x, residual), y)) in rows.enumerate() {
            let passed = 1u32 << r;
            if KEEP {
                for (((x, residual), y), word) in x.iter().zip(residual).zip(y).zip(&mut *mask) {
                    let z = x + residual;
                    *y = A::value(z);
                    *word |= if A::passes(z) { passed } else { 0 };
                }
            } else {
                for ((x, residual), y) in x.iter().zip(residual).zip(y) {
                    *y = A::value(x + residual);
                }
            }
        }
    }
}

multiversion! {
    fn gate_group(dy: &[f32], mask: &[u32], dx: &mut [f32]) {
        for (r, (dy, dx)) in dy.chunks(WIDTH).zip(dx.chunks_mut(WIDTH)).enumerate() {
            let passed = 1u32 << r;
            for ((&dy, dx), word) in dy.iter().zip(dx).zip(mask) {
                *dx = if word & passed == 0 { 0.0 } else { dy };
            }
        }
    }
}
