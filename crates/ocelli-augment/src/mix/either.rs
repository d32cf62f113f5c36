//! Mixup or CutMix, whichever is drawn for a batch: what most recipes of timm use.

use ocelli_core::random::Stream;
use ocelli_core::{Batch, BatchTransform};
use serde::{Deserialize, Serialize};

use super::{cutmix, mixup, one};
use crate::AugmentError;
use crate::draw::{beta, happens};
use crate::error::Check;

/// Applies [`Mixup`](crate::Mixup) or [`CutMix`](crate::CutMix) to a batch, as timm's `Mixup` class does.
/// An alpha of 0 turns that one off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixupOrCutMix {
    /// Alpha of Mixup.
    #[serde(default = "mixup_alpha")]
    pub mixup_alpha: f64,
    /// Alpha of CutMix.
    #[serde(default = "one")]
    pub cutmix_alpha: f64,
    /// Probability that a batch is mixed at all.
    #[serde(default = "one")]
    pub p: f64,
    /// Probability of CutMix where both are on.
    #[serde(default = "half")]
    pub switch_p: f64,
    /// Number of classes, the length of the mixed targets.
    pub classes: usize,
}

fn mixup_alpha() -> f64 {
    0.8
}

fn half() -> f64 {
    0.5
}

impl MixupOrCutMix {
    /// Mixup with 0.8 or CutMix with 1.0, as in DeiT (arXiv:2012.12877), for every batch.
    pub fn new(classes: usize) -> Self {
        Self {
            mixup_alpha: mixup_alpha(),
            cutmix_alpha: one(),
            p: one(),
            switch_p: half(),
            classes,
        }
    }

    /// # Errors
    /// Where an alpha is negative, both are 0, a probability is none, or there is no class.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = Check("MixupOrCutMix");
        for (field, alpha) in
            [("mixup_alpha", self.mixup_alpha), ("cutmix_alpha", self.cutmix_alpha)]
        {
            check.holds(
                alpha >= 0.0 && alpha.is_finite(),
                field,
                "zero or a positive number",
                alpha,
            )?;
        }
        let on = self.mixup_alpha > 0.0 || self.cutmix_alpha > 0.0;
        check.holds(on, "mixup_alpha", "positive where cutmix_alpha is 0", self.mixup_alpha)?;
        check.probability("p", self.p)?;
        check.probability("switch_p", self.switch_p)?;
        check.holds(self.classes > 0, "classes", "at least 1", self.classes)
    }
}

impl BatchTransform for MixupOrCutMix {
    fn apply(&self, batch: &mut Batch, random: &mut Stream) {
        if !happens(self.p, random) {
            return;
        }
        let cut = match (self.mixup_alpha > 0.0, self.cutmix_alpha > 0.0) {
            (true, true) => happens(self.switch_p, random),
            (false, false) => return,
            (_, cut) => cut,
        };
        if cut {
            let share = beta(self.cutmix_alpha, random);
            cutmix::mix(batch, self.classes, share, random);
        } else {
            mixup::mix(batch, self.classes, beta(self.mixup_alpha, random) as f32);
        }
    }
}
