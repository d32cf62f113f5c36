//! What augmentation implements.

use crate::random::Stream;
use crate::{Batch, Image};

/// A change of one image, random or not.
pub trait Transform: Send + Sync {
    /// Changes an image. All randomness comes from `random`, which is keyed by (seed, epoch, sample).
    fn apply(&self, image: Image, random: &mut Stream) -> Image;
}

/// A change of a whole batch of normalised pixels: Mixup, CutMix, random erasing.
pub trait BatchTransform: Send + Sync {
    /// Changes a batch. All randomness comes from `random`, which is keyed by (seed, step).
    fn apply(&self, batch: &mut Batch, random: &mut Stream);
}
