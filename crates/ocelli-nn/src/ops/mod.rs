//! The kernels as candle operations with gradients.
//!
//! An op computes the gradients that someone needs and no others: one for each argument that
//! `track_op()` holds for. What a backward needs beyond its arguments (masks, batch statistics) is kept
//! in the op itself.

mod activation;
mod conv;
mod loss;
mod mask;
mod norm;
mod pool;

use std::cell::RefCell;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use ocelli_kernels::Scratch;

pub(crate) use activation::activation;
pub(crate) use conv::{PackCache, conv};
pub use loss::cross_entropy;
pub(crate) use mask::scale_by;
pub(crate) use norm::{NormAct, norm_act};
pub(crate) use pool::{average_pool, global_average_pool, max_pool};

/// The f32 values of a contiguous CPU tensor.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        (CpuStorage::F32(_), None) => bail!("a contiguous tensor is required"),
        _ => bail!("f32 values are required"),
    }
}

/// Lends the f32 values of a CPU tensor.
fn with<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => read(slice(storage, layout)?),
        _ => bail!("a CPU tensor is required"),
    }
}

/// Lends this thread's scratch memory, which grows to the largest need and is kept.
fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new()));
    SCRATCH.with_borrow_mut(work)
}

/// A tensor like another from computed values.
fn like(values: Vec<f32>, other: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, other.shape(), other.device())
}
