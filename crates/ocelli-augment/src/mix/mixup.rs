//! Weighted means of two images. "mixup: Beyond Empirical Risk Minimization", arXiv:1710.09412.

use ocelli_core::random::Stream;
use ocelli_core::{Batch, BatchTransform};
use serde::{Deserialize, Serialize};

use super::{check, for_partners, mix_targets, one};
use crate::AugmentError;
use crate::draw::{beta, happens};

/// Replaces each image by `share * image + (1 - share) * partner` and its target alike, with one share
/// from Beta(alpha, alpha) for the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixup {
    /// Parameter of the Beta distribution; 0.2 to 1 are usual, larger mixes more evenly.
    #[serde(default = "one")]
    pub alpha: f64,
    /// Probability that a batch is mixed.
    #[serde(default = "one")]
    pub p: f64,
    /// Number of classes, the length of the mixed targets.
    pub classes: usize,
}

impl Mixup {
    /// Mixes every batch with `alpha` = 1.
    pub fn new(classes: usize) -> Self {
        Self { alpha: 1.0, p: 1.0, classes }
    }

    /// # Errors
    /// Where `alpha` is not a positive number, `p` is no probability, or there is no class.
    pub fn check(&self) -> Result<(), AugmentError> {
        check("Mixup", self.alpha, self.p, self.classes)
    }
}

impl BatchTransform for Mixup {
    fn apply(&self, batch: &mut Batch, random: &mut Stream) {
        if happens(self.p, random) {
            mix(batch, self.classes, beta(self.alpha, random) as f32);
        }
    }
}

pub(super) fn mix(batch: &mut Batch, classes: usize, share: f32) {
    let rest = 1.0 - share;
    for_partners(batch, |a, b| {
        for (a, b) in a.iter_mut().zip(b) {
            (*a, *b) = (share * *a + rest * *b, share * *b + rest * *a);
        }
    });
    mix_targets(&mut batch.targets, classes, share);
}
