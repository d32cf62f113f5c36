//! A rectangle of another image. "CutMix: Regularization Strategy to Train Strong Classifiers with
//! Localizable Features", arXiv:1905.04899.

use ocelli_core::random::Stream;
use ocelli_core::{Batch, BatchTransform};
use serde::{Deserialize, Serialize};

use super::{check, for_partners, mix_targets, one};
use crate::AugmentError;
use crate::draw::{beta, happens, index};

/// Replaces a rectangle of each image by its partner's, the same rectangle for the batch. Its sides are
/// `sqrt(1 - share)` of the image's with a share from Beta(alpha, alpha), its centre is anywhere; targets
/// are mixed by the area that remains after clipping at the border.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutMix {
    /// Parameter of the Beta distribution; 1 makes all areas equally likely.
    #[serde(default = "one")]
    pub alpha: f64,
    /// Probability that a batch is mixed.
    #[serde(default = "one")]
    pub p: f64,
    /// Number of classes, the length of the mixed targets.
    pub classes: usize,
}

impl CutMix {
    /// Mixes every batch with `alpha` = 1.
    pub fn new(classes: usize) -> Self {
        Self { alpha: 1.0, p: 1.0, classes }
    }

    /// # Errors
    /// Where `alpha` is not a positive number, `p` is no probability, or there is no class.
    pub fn check(&self) -> Result<(), AugmentError> {
        check("CutMix", self.alpha, self.p, self.classes)
    }
}

impl BatchTransform for CutMix {
    fn apply(&self, batch: &mut Batch, random: &mut Stream) {
        if happens(self.p, random) {
            let share = beta(self.alpha, random);
            mix(batch, self.classes, share, random);
        }
    }
}

pub(super) fn mix(batch: &mut Batch, classes: usize, share: f64, random: &mut Stream) {
    let [_, height, width, channels] = batch.shape;
    let cut = (1.0 - share).max(0.0).sqrt();
    let rows = span(height, cut, random);
    let columns = span(width, cut, random);
    for_partners(batch, |a, b| {
        for y in rows[0]..rows[1] {
            let part = (y * width + columns[0]) * channels..(y * width + columns[1]) * channels;
            a[part.clone()].swap_with_slice(&mut b[part]);
        }
    });
    let area = (rows[1] - rows[0]) * (columns[1] - columns[0]);
    let kept = 1.0 - area as f64 / (height * width).max(1) as f64;
    mix_targets(&mut batch.targets, classes, kept as f32);
}

/// Start and end on one side, `cut` of it around a random centre, clipped.
fn span(side: usize, cut: f64, random: &mut Stream) -> [usize; 2] {
    let length = (side as f64 * cut) as usize;
    let center = index(side, random);
    [center.saturating_sub(length / 2), (center + length.div_ceil(2)).min(side)]
}
