//! What the reference training scripts do to images, for training and for evaluation.
//!
//! ```
//! use ocelli_augment::presets::{TrainPreset, TrainTransform};
//!
//! // torchvision's recipe for ImageNet, but crops of at least 35 % of the area.
//! let mut transform = TrainTransform::preset(TrainPreset::Torchvision, [224, 224]);
//! transform.set_min_scale(0.35);
//! transform.check()?;
//! let pipeline = transform.pipeline();
//! # Ok::<(), ocelli_augment::AugmentError>(())
//! ```

use ocelli_core::{CropMode, Interpolation, Normalize, Preprocess};
use serde::{Deserialize, Serialize};

use crate::{
    AugmentError, ColorJitter, CropFilter, HorizontalFlip, Pipeline, RandomCrop, RandomResizedCrop,
    VerticalFlip,
};

/// Whose training and evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPreset {
    /// torchvision's `references/classification`: random resized crop (bilinear), flip; evaluation at the
    /// short side 256 for 224, bilinear.
    #[default]
    Torchvision,
    /// timm's `train.py`: random resized crop with a random filter, flip, color jitter 0.4; evaluation at
    /// `crop_pct` 0.875, bicubic.
    Timm,
    /// The usual one for CIFAR: crop after padding (4 pixels for 32), flip; evaluation of the image as it is.
    Cifar,
}

/// How training images are cut to size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainCrop {
    /// A part of random area and shape.
    Resized(RandomResizedCrop),
    /// A random place after padding. Images of another size are resized to this one first.
    Padded(RandomCrop),
}

/// What is done to a training image, in this order: crop, flips, colours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainTransform {
    /// The crop to the input size.
    pub crop: TrainCrop,
    /// Mirroring left and right.
    pub horizontal_flip: HorizontalFlip,
    /// Mirroring top and bottom.
    pub vertical_flip: VerticalFlip,
    /// Changes of colour.
    pub jitter: ColorJitter,
}

impl TrainTransform {
    /// A preset for an input of `size` = (height, width).
    pub fn preset(preset: TrainPreset, size: [usize; 2]) -> Self {
        let resized = |interpolation| {
            TrainCrop::Resized(RandomResizedCrop {
                size,
                interpolation,
                ..RandomResizedCrop::default()
            })
        };
        let padding = size[0].min(size[1]).div_ceil(8);
        let crop = match preset {
            TrainPreset::Torchvision => resized(CropFilter::Bilinear),
            TrainPreset::Timm => resized(CropFilter::Random),
            TrainPreset::Cifar => {
                TrainCrop::Padded(RandomCrop { size, padding, ..RandomCrop::default() })
            }
        };
        let jitter = match preset {
            TrainPreset::Timm => {
                ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.0 }
            }
            _ => ColorJitter::default(),
        };
        Self {
            crop,
            horizontal_flip: HorizontalFlip { p: 0.5 },
            vertical_flip: VerticalFlip { p: 0.0 },
            jitter,
        }
    }

    /// Sets the smallest share of the area that a random resized crop takes; other crops have none.
    pub fn set_min_scale(&mut self, share: f64) {
        if let TrainCrop::Resized(crop) = &mut self.crop {
            crop.scale[0] = share;
        }
    }

    /// # Errors
    /// Where a part of it is refused; says which setting and why.
    pub fn check(&self) -> Result<(), AugmentError> {
        match &self.crop {
            TrainCrop::Resized(crop) => crop.check()?,
            TrainCrop::Padded(crop) => crop.check()?,
        }
        self.horizontal_flip.check()?;
        self.vertical_flip.check()?;
        self.jitter.check()
    }

    /// The transforms in order.
    pub fn pipeline(&self) -> Pipeline {
        let cropped = match &self.crop {
            TrainCrop::Resized(crop) => Pipeline::new().then(crop.clone()),
            TrainCrop::Padded(crop) => Pipeline::new().then(whole(crop.size)).then(crop.clone()),
        };
        cropped
            .then(self.horizontal_flip.clone())
            .then(self.vertical_flip.clone())
            .then(self.jitter.clone())
    }
}

/// The training transforms of a preset for an input of `size` = (height, width).
pub fn train(preset: TrainPreset, size: [usize; 2]) -> Pipeline {
    TrainTransform::preset(preset, size).pipeline()
}

/// The evaluation of a preset for an input of `size` = (height, width), with ImageNet's statistics.
pub fn eval(preset: TrainPreset, size: [usize; 2]) -> Preprocess {
    let interpolation = Interpolation::Bilinear;
    match preset {
        TrainPreset::Torchvision => Preprocess { size, interpolation, ..Preprocess::default() },
        TrainPreset::Timm => Preprocess { size, ..Preprocess::default() },
        TrainPreset::Cifar => whole(size),
    }
}

/// The short side to the size and the middle of the rest: an image of the size stays as it is.
fn whole(size: [usize; 2]) -> Preprocess {
    Preprocess {
        size,
        crop_pct: 1.0,
        crop_mode: CropMode::Center,
        interpolation: Interpolation::Bilinear,
        normalize: Normalize::IMAGENET,
    }
}

#[cfg(test)]
mod tests {
    use ocelli_core::{Image, Transform};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{picture, stream};

    const ALL: [TrainPreset; 3] = [TrainPreset::Torchvision, TrainPreset::Timm, TrainPreset::Cifar];

    #[test]
    fn torchvision_evaluates_at_256_for_224() {
        assert_eq!(eval(TrainPreset::Torchvision, [224, 224]).resize_to(480, 640), [256, 341]);
        assert_eq!(
            eval(TrainPreset::Cifar, [32, 32]).apply_geometry(&picture(32, 32)),
            picture(32, 32)
        );
    }

    #[test]
    fn cifar_pads_by_four() {
        let transform = TrainTransform::preset(TrainPreset::Cifar, [32, 32]);
        assert_eq!(transform.crop, TrainCrop::Padded(RandomCrop::default()));
    }

    #[test]
    fn presets_pass_their_own_check_and_a_round_trip() {
        for preset in ALL {
            let mut transform = TrainTransform::preset(preset, [24, 40]);
            assert_eq!(transform.check(), Ok(()));
            let text = serde_json::to_string(&transform).unwrap();
            assert_eq!(serde_json::from_str::<TrainTransform>(&text).unwrap(), transform);
            transform.set_min_scale(2.0);
            assert_eq!(transform.check().is_err(), preset != TrainPreset::Cifar);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Any photo, of one pixel too, becomes the size, and the same stream gives the same result.
        #[test]
        fn every_photo_gets_the_size(
            photo in (1..40_usize, 1..40_usize), size in (1..20_usize, 1..20_usize), key: u64,
        ) {
            for preset in ALL {
                let pipeline = train(preset, [size.0, size.1]);
                let out = pipeline.apply(picture(photo.0, photo.1), &mut stream(key));
                prop_assert_eq!((out.height(), out.width()), size);
                prop_assert_eq!(pipeline.apply(picture(photo.0, photo.1), &mut stream(key)), out);
                let evaluated: Image = eval(preset, [size.0, size.1]).apply_geometry(&picture(photo.0, photo.1));
                prop_assert_eq!((evaluated.height(), evaluated.width()), size);
            }
        }
    }
}
