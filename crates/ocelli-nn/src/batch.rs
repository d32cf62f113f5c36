//! A loaded batch as a feature.

use ocelli_core::Batch;

use crate::{Feature, Result};

/// The images of a batch as a feature `[N, H, W, C]`; the buffer moves, nothing is copied.
///
/// # Errors
/// Where the buffer is not as long as its shape says.
pub fn images(batch: &mut Batch) -> Result<Feature> {
    Feature::from_vec(std::mem::take(&mut batch.images), &batch.shape)
}
