//! A loaded batch as a tensor.

use candle_core::{Device, Tensor};
use ocelli_core::Batch;

use crate::Result;

/// The images of a batch as a tensor `[N, H, W, C]`; the buffer moves, nothing is copied.
///
/// # Errors
/// Where the buffer is not as long as its shape says.
pub fn images(batch: &mut Batch) -> Result<Tensor> {
    let [count, height, width, channels] = batch.shape;
    let values = std::mem::take(&mut batch.images);
    Ok(Tensor::from_vec(values, (count, height, width, channels), &Device::Cpu)?)
}
