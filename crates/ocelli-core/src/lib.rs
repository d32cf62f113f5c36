//! The shared words of ocelli.
//!
//! Everything that passes between two crates of the workspace is defined here, as plain data without
//! a tensor library:
//!
//! * [`Image`]: 8-bit RGB pixels, `[H, W, 3]`; [`decode`](decode::decode) makes one from a file's bytes;
//!   [`resize`] and [`crop`] reshape it as Pillow and torchvision do.
//! * [`Dataset`]: images with class indices, by number; [`ClassNames`] names the classes.
//! * [`Transform`] and [`BatchTransform`]: what augmentation implements.
//! * [`Preprocess`]: the fixed way from a photo to a network's input. One implementation serves
//!   evaluation, prediction and export.
//! * [`Batch`]: normalised floats `[N, H, W, C]` with their [`Targets`].
//! * [`random`]: streams of random numbers keyed by what they are for, so that a run does not depend
//!   on who computes what.

mod batch;
mod classes;
pub mod crop;
mod dataset;
pub mod decode;
pub mod files;
mod image;
mod preprocess;
pub mod random;
pub mod resize;
mod source;
#[cfg(test)]
mod testing;
mod transform;

pub use batch::{Batch, Targets};
pub use classes::{ClassNames, ClassNamesError};
pub use dataset::{Dataset, SampleError};
pub use decode::{DecodeError, DecodeLimits};
pub use image::{Image, ImageError};
pub use preprocess::{CropMode, Interpolation, Normalize, Preprocess, PreprocessError};
pub use source::{BatchSource, SourceError};
pub use transform::{BatchTransform, Transform};
