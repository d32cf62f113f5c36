//! Images by number.

use std::path::PathBuf;

use thiserror::Error;

use crate::{ClassNames, DecodeError, Image};

/// A list of images, each of one class. Implement it to train on images of your own.
pub trait Dataset: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// The names of the classes.
    fn classes(&self) -> &ClassNames;

    /// The class of an image, without decoding it; `index` is below [`len`](Self::len).
    fn target(&self, index: usize) -> usize;

    /// Reads and decodes an image; `index` is below [`len`](Self::len).
    ///
    /// # Errors
    /// Where the image cannot be read or decoded. The loader's policy decides what follows.
    fn image(&self, index: usize) -> Result<Image, SampleError>;

    /// What to call an image in a message: the path of its file, if it has one.
    fn describe(&self, index: usize) -> String {
        format!("sample {index}")
    }

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why one image of a dataset could not be had.
#[derive(Debug, Error)]
pub enum SampleError {
    /// The file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not an image that can be decoded.
    #[error("{path}: {source}", path = path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Anything else; says which image and why.
    #[error("{0}")]
    Other(String),
}
