//! The kernels as operations on features, with gradients.
//!
//! An op computes the gradients that someone needs and no others: of features that a gradient flows into,
//! and of parameters that learn. What its way back needs (masks, batch statistics, what it read) moves into
//! the closure that it leaves on the pass's tape.

mod activation;
mod arithmetic;
mod conv;
mod folded;
mod loss;
mod norm;
mod pool;

use std::cell::RefCell;

use ocelli_kernels::Scratch;

pub(crate) use activation::activation;
pub(crate) use arithmetic::{add, concat, gate, pad_channels, scale_by};
pub(crate) use conv::{End, Filters, conv};
pub(crate) use folded::{Folding, Norm, conv_norm_act};
pub use loss::cross_entropy;
pub(crate) use norm::{NormAct, norm_act};
pub(crate) use pool::{average_pool, global_average_pool, max_pool};

/// Lends this thread's scratch memory, which grows to the largest need and is kept.
fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new()));
    SCRATCH.with_borrow_mut(work)
}
