//! Mixing the images of a batch, and their targets alike.
//!
//! As in timm's mode `batch`: one draw for the whole batch, and image i meets image n - 1 - i. Smoothing
//! of labels is left to the loss. A batch that is not mixed keeps its targets as they are.

mod cutmix;
mod either;
mod mixup;
#[cfg(test)]
mod tests;

use ocelli_core::{Batch, Targets};

use crate::AugmentError;
use crate::error::Check;

pub use cutmix::CutMix;
pub use either::MixupOrCutMix;
pub use mixup::Mixup;

/// The default of an alpha or a probability.
fn one() -> f64 {
    1.0
}

/// What Mixup and CutMix ask of their settings.
fn check(transform: &'static str, alpha: f64, p: f64, classes: usize) -> Result<(), AugmentError> {
    let check = Check(transform);
    check.holds(alpha > 0.0 && alpha.is_finite(), "alpha", "a positive number", alpha)?;
    check.probability("p", p)?;
    check.holds(classes > 0, "classes", "at least 1", classes)
}

/// Calls `mix` with the pixels of each pair of partners, each pair once. The middle image of an odd batch
/// is its own partner and stays.
fn for_partners(batch: &mut Batch, mut mix: impl FnMut(&mut [f32], &mut [f32])) {
    let [n, height, width, channels] = batch.shape;
    let length = height * width * channels;
    let (first, second) = batch.images.split_at_mut(n / 2 * length);
    for (a, b) in first.chunks_exact_mut(length.max(1)).zip(second.rchunks_exact_mut(length.max(1)))
    {
        mix(a, b);
    }
}

/// Replaces each target by `share` of its own and the rest of its partner's.
fn mix_targets(targets: &mut Targets, classes: usize, share: f32) {
    let classes = match targets {
        Targets::Soft { classes, .. } => *classes,
        // A class beyond those announced makes longer rows, which the loss refuses with a message.
        Targets::Classes(indices) => {
            indices.iter().fold(classes, |most, &index| most.max(index as usize + 1))
        }
    };
    let own = targets.to_soft(classes);
    let mut mixed = own.clone();
    for (row, partner) in
        mixed.chunks_exact_mut(classes.max(1)).zip(own.rchunks_exact(classes.max(1)))
    {
        for (value, other) in row.iter_mut().zip(partner) {
            *value = share * *value + (1.0 - share) * other;
        }
    }
    *targets = Targets::Soft { classes, probabilities: mixed };
}
