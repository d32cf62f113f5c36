//! Random changes of training images, as plain data.

use std::sync::Arc;

use ocelli_augment::presets::{TrainPreset, TrainTransform};
use ocelli_augment::{ColorJitter, MixupOrCutMix, RandomErasing};
use ocelli_core::{BatchTransform, Preprocess, Transform};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Random changes of training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Whose crops, flips and colours; `none` shows training images as those of an evaluation.
    pub preset: Preset,
    /// Smallest share of a photo's area that a random resized crop takes; the preset's own where it is not
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_scale: Option<f64>,
    /// Strength of random brightness, contrast and saturation; the preset's own where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
    /// Mixup's alpha; 0 is off.
    pub mixup: f64,
    /// CutMix's alpha; 0 is off. With both, each batch gets one of them.
    pub cutmix: f64,
    /// Probability of erasing a rectangle.
    pub erasing: f64,
}

/// Whose crops, flips and colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Nothing random.
    None,
    /// Random resized crop and flip.
    #[default]
    Torchvision,
    /// The same with a random filter and colours.
    Timm,
    /// Crop after padding, and flip: for images that have the input's size.
    Cifar,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            min_scale: None,
            jitter: None,
            mixup: 0.0,
            cutmix: 0.0,
            erasing: 0.0,
        }
    }
}

impl AugmentConfig {
    /// What is done to each training image, which ends at the input's size.
    ///
    /// # Errors
    /// Where a setting makes no sense.
    pub fn transform(&self, preprocess: &Preprocess) -> Result<Arc<dyn Transform>, Error> {
        let preset = match self.preset {
            Preset::None => return Ok(Arc::new(preprocess.clone())),
            Preset::Torchvision => TrainPreset::Torchvision,
            Preset::Timm => TrainPreset::Timm,
            Preset::Cifar => TrainPreset::Cifar,
        };
        let mut transform = TrainTransform::preset(preset, preprocess.size);
        if let Some(share) = self.min_scale {
            transform.set_min_scale(share);
        }
        if let Some(strength) = self.jitter {
            transform.jitter = ColorJitter {
                brightness: strength,
                contrast: strength,
                saturation: strength,
                hue: 0.0,
            };
        }
        transform.check()?;
        Ok(Arc::new(transform.pipeline()))
    }

    /// What is done to each training batch of `classes` classes.
    ///
    /// # Errors
    /// Where a setting makes no sense.
    pub fn batch_transforms(&self, classes: usize) -> Result<Vec<Arc<dyn BatchTransform>>, Error> {
        let mut transforms: Vec<Arc<dyn BatchTransform>> = Vec::new();
        if self.erasing != 0.0 {
            let erasing = RandomErasing { p: self.erasing, ..RandomErasing::default() };
            erasing.check()?;
            transforms.push(Arc::new(erasing));
        }
        if self.mixup != 0.0 || self.cutmix != 0.0 {
            let mix = MixupOrCutMix {
                mixup_alpha: self.mixup,
                cutmix_alpha: self.cutmix,
                ..MixupOrCutMix::new(classes)
            };
            mix.check()?;
            transforms.push(Arc::new(mix));
        }
        Ok(transforms)
    }
}
