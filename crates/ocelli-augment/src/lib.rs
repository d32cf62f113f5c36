//! Random transforms of images and batches.
//!
//! Each transform is a plain configuration with PyTorch's names and defaults; it implements
//! [`Transform`](ocelli_core::Transform) (one 8-bit image) or
//! [`BatchTransform`](ocelli_core::BatchTransform) (a batch of normalised pixels with its targets).
//!
//! * Geometry: [`RandomResizedCrop`], [`RandomCrop`], [`CenterCrop`], [`Resize`], [`HorizontalFlip`],
//!   [`VerticalFlip`].
//! * Colour: [`ColorJitter`].
//! * Batches: [`RandomErasing`], [`Mixup`], [`CutMix`], [`MixupOrCutMix`].
//! * [`Pipeline`] applies several in order; [`presets`] has those of torchvision's and timm's references.
//!
//! All randomness comes from the stream that is passed in, so the same stream gives the same result. No
//! configuration panics; `check` tells what is wrong with one before a run.
//!
//! ```
//! use ocelli_augment::{ColorJitter, HorizontalFlip, Pipeline, RandomResizedCrop};
//! use ocelli_core::random::{Purpose, Stream};
//! use ocelli_core::{Image, Transform};
//!
//! let pipeline = Pipeline::new()
//!     .then(RandomResizedCrop { size: [32, 32], ..RandomResizedCrop::default() })
//!     .then(HorizontalFlip::default())
//!     .then(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.0 });
//!
//! let photo = Image::from_fn(60, 40, |x, y| [x as u8, y as u8, 128]);
//! let (seed, epoch, sample) = (7, 0, 3);
//! let mut random = Stream::new(seed, Purpose::Sample, epoch, sample);
//! let changed = pipeline.apply(photo, &mut random);
//! assert_eq!((changed.width(), changed.height()), (32, 32));
//! ```

mod color;
mod crop;
mod draw;
mod erasing;
mod error;
mod flip;
mod jitter;
mod mix;
mod pipeline;
pub mod presets;
mod resized_crop;
#[cfg(test)]
mod testing;

pub use crop::{CenterCrop, RandomCrop, Resize};
pub use erasing::{Fill, RandomErasing};
pub use error::AugmentError;
pub use flip::{HorizontalFlip, VerticalFlip};
pub use jitter::ColorJitter;
pub use mix::{CutMix, Mixup, MixupOrCutMix};
pub use pipeline::Pipeline;
pub use resized_crop::{CropFilter, RandomResizedCrop};
